"""Geometric losses on motions whose error is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mdtool.losses.geometric import feature_positions, foot_contact_error, motion_losses, velocity_error
from mdtool.losses.reconstruction import masked_l2
from mdtool.motion.kinematics import joint_positions
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d
from mdtool.motion.skeleton import FEET, JOINT_INDEX, JOINTS, rest_positions

ALL = {"reconstruction": 1.0, "position": 2.0, "velocity": 25.0, "foot": 45.0}


def standing(batch: int = 2, frames: int = 8) -> Tensor:
    """Features [B, 25, 6, T] of the rest pose."""
    features = torch.zeros(batch, 25, 6, frames, dtype=torch.float64)
    features[:, :JOINTS, 0] = features[:, :JOINTS, 4] = 1
    return features


def moving(seed: int = 0, frames: int = 8) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    matrices = axis_angle_to_matrix(0.4 * torch.randn(2, frames, JOINTS, 3, dtype=torch.float64, generator=rng))
    features = torch.zeros(2, 25, 6, frames, dtype=torch.float64)
    features[:, :JOINTS] = matrix_to_rot6d(matrices).permute(0, 2, 3, 1)
    features[:, JOINTS, :3] = torch.randn(2, 3, frames, dtype=torch.float64, generator=rng)
    return features


def test_no_difference_costs_nothing() -> None:
    # At rest, every foot is in contact and does not move.
    for name, values in motion_losses(standing(), standing(), ALL).items():
        assert values.tolist() == [0, 0], name


def test_loss_is_the_weighted_sum_and_unweighted_terms_are_left_out() -> None:
    prediction, target = moving(0), moving(1)
    terms = motion_losses(prediction, target, ALL)
    assert terms.keys() == {*ALL, "loss"}
    expected = sum(ALL[name] * terms[name] for name in ALL)
    torch.testing.assert_close(terms["loss"], expected)
    alone = motion_losses(prediction, target, {"reconstruction": 0.0, "position": 0.0, "velocity": 2.0, "foot": 0.0})
    assert alone.keys() == {"velocity", "loss"}
    torch.testing.assert_close(alone["loss"], 2 * terms["velocity"])
    torch.testing.assert_close(terms["reconstruction"], masked_l2(prediction, target))


def test_positions_are_those_of_the_pose_without_its_root() -> None:
    features = moving()
    positions = feature_positions(features)
    rot6d = features[:, :JOINTS].permute(0, 3, 1, 2)
    expected = joint_positions(rot6d, torch.zeros(2, 8, 3, dtype=torch.float64))
    torch.testing.assert_close(positions, expected.permute(0, 2, 3, 1))
    torch.testing.assert_close(feature_positions(standing())[0, ..., 0], torch.from_numpy(rest_positions()))


def test_position_error_of_a_bent_elbow_is_the_path_of_wrist_and_hand() -> None:
    bent = standing()
    quarter = axis_angle_to_matrix(torch.tensor([0.0, math.pi / 2, 0.0], dtype=torch.float64))
    bent[:, JOINT_INDEX["left_elbow"]] = matrix_to_rot6d(quarter).unsqueeze(-1)
    arm = [0.253, 0.253 + 0.085]  # the rest skeleton's forearm, and forearm with hand
    expected = sum(2 * length**2 for length in arm) / (24 * 3)  # each point moves by √2 · length
    assert motion_losses(bent, standing(), {"position": 1.0})["position"][0].item() == pytest.approx(expected)


def test_velocity_sees_changes_of_rotations_only() -> None:
    target = standing()
    shifted = target + 0.3
    assert velocity_error(shifted, target).abs().max() < 1e-20
    wandering = target.clone()
    wandering[:, JOINTS] += torch.randn(2, 6, 8)
    assert velocity_error(wandering, target).tolist() == [0, 0]
    shaking = target.clone()
    shaking[:, 3, 2, ::2] += 0.1  # every frame-to-frame difference of one of 24 x 6 numbers is off by 0.1
    torch.testing.assert_close(velocity_error(shaking, target), torch.full((2,), 0.01 / (24 * 6)).double())


@pytest.mark.parametrize(("true_step", "counts"), [(0.0, True), (0.0099, True), (0.0101, False)])
def test_a_foot_slides_where_the_true_one_stands(true_step: float, counts: bool) -> None:
    frame = torch.arange(5, dtype=torch.float64)
    goal, feet = torch.zeros(1, 4, 3, 5).double(), torch.zeros(1, 4, 3, 5).double()
    goal[:, :, 0] = true_step * frame
    feet[:, 1, 2] = 0.05 * frame
    # One of four feet, one of three coordinates, in every step.
    expected = 0.05**2 / 12 if counts else 0.0
    assert foot_contact_error(feet, goal).item() == pytest.approx(expected)


def test_world_space_notices_a_sliding_body() -> None:
    target, sliding = standing(), standing()
    sliding[:, JOINTS, 2] = 0.03 * torch.arange(8)
    assert motion_losses(sliding, target, {"foot": 1.0})["foot"].abs().max() < 1e-20
    world = motion_losses(sliding, target, {"foot": 1.0}, foot_space="world")["foot"]
    torch.testing.assert_close(world, torch.full((2,), 0.03**2 / 3).double())


def test_walking_in_world_space_has_its_contacts_at_the_ground() -> None:
    # Seen from the pelvis the standing foot moves backwards, so that only world space finds the contact.
    walking = standing()
    walking[:, JOINTS, 2] = 0.03 * torch.arange(8)
    still = standing()
    assert motion_losses(still, walking, {"foot": 1.0}, foot_space="world")["foot"].tolist() == [0, 0]
    assert len(FEET) == 4


def test_padded_frames_do_not_count_in_any_term() -> None:
    prediction, target = moving(0), moving(1)
    mask = torch.arange(8) < torch.tensor([[5], [8]])
    terms = motion_losses(prediction, target, ALL, mask)
    first = motion_losses(prediction[:1, ..., :5], target[:1, ..., :5], ALL)
    prediction[0, ..., 5:] = torch.randn(25, 6, 3)
    again = motion_losses(prediction, target, ALL, mask)
    for name in terms:
        torch.testing.assert_close(terms[name][0], first[name][0], rtol=1e-6, atol=0)
        torch.testing.assert_close(again[name], terms[name])


def test_up_axis_does_not_matter() -> None:
    prediction, target = moving(0), moving(1)

    def flipped(features: Tensor) -> Tensor:
        half_turn = features.clone()
        half_turn[:, 0, 3:] *= -1
        half_turn[:, JOINTS, 1:3] *= -1
        return half_turn

    for space in ("root", "world"):
        plain = motion_losses(prediction, target, ALL, foot_space=space)["loss"]
        turned = motion_losses(flipped(prediction), flipped(target), ALL, foot_space=space)["loss"]
        torch.testing.assert_close(turned, plain)


def test_bones_scale_the_position_error() -> None:
    prediction, target = moving(0), moving(1)
    offsets = torch.randn(24, 3, dtype=torch.float64)
    small = motion_losses(prediction, target, {"position": 1.0}, offsets=offsets)["position"]
    large = motion_losses(prediction, target, {"position": 1.0}, offsets=2 * offsets)["position"]
    torch.testing.assert_close(large, 4 * small)


def test_autocast_does_not_blur_the_kinematics() -> None:
    prediction, target = moving(0).float().requires_grad_(), moving(1).float()
    plain = motion_losses(prediction, target, ALL)
    with torch.autocast("cpu", torch.bfloat16):
        inside = motion_losses(prediction, target, ALL)
    for name in plain:
        assert torch.equal(inside[name], plain[name]), name


def test_gradient_is_the_slope() -> None:
    prediction, target = moving(0, frames=3).requires_grad_(), moving(1, frames=3)
    target[..., 1] = target[..., 0]  # so that there is contact
    assert torch.autograd.gradcheck(lambda p: motion_losses(p, target, ALL, foot_space="world")["loss"], prediction)


def test_gradient_is_finite_for_an_untrained_network() -> None:
    prediction = torch.zeros(2, 25, 6, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(motion_losses(prediction, standing().float(), ALL)["loss"].sum(), prediction)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0
