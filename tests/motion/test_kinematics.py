"""Forward kinematics against the definition, joint by joint."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.motion.kinematics import (
    forward_kinematics,
    joint_positions,
    neutral_offsets,
    positions_frames_last,
    positions_of,
)
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d
from mdtool.motion.skeleton import FEET, JOINTS, OFFSETS, PARENTS, rest_positions


def naive(matrices: Tensor, offsets: Tensor, parents: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """One joint after the other, as written in any textbook."""
    offsets = offsets.expand(*matrices.shape[:-2], 3)
    rotations, positions = [matrices[..., 0, :, :]], [offsets[..., 0, :]]
    for joint in range(1, len(parents)):
        parent = parents[joint]
        rotations.append(rotations[parent] @ matrices[..., joint, :, :])
        positions.append(positions[parent] + (rotations[parent] @ offsets[..., joint, :, None])[..., 0])
    return torch.stack(rotations, -3), torch.stack(positions, -2)


def random_pose(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    torch.manual_seed(0)
    return axis_angle_to_matrix(torch.randn(*shape, 3, dtype=dtype))


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 2e-6), (torch.float64, 1e-14)])
def test_equals_the_naive_loop(dtype: torch.dtype, atol: float) -> None:
    matrices = random_pose(5, 7, JOINTS, dtype=dtype)
    rotations, positions = forward_kinematics(matrices)
    assert positions.dtype == dtype
    expected = naive(matrices, torch.tensor(OFFSETS, dtype=dtype), PARENTS)
    torch.testing.assert_close(rotations, expected[0], rtol=0, atol=atol)
    torch.testing.assert_close(positions, expected[1], rtol=0, atol=atol)


def test_any_tree_and_one_skeleton_per_sample() -> None:
    parents = (-1, 0, 1, 0, 3, 3, 5)
    matrices, offsets = random_pose(4, 7), torch.randn(4, 7, 3, dtype=torch.float64)
    for computed, expected in zip(
        forward_kinematics(matrices, offsets=offsets, parents=parents), naive(matrices, offsets, parents), strict=True
    ):
        torch.testing.assert_close(computed, expected)


def test_rest_pose() -> None:
    identity = torch.eye(3, dtype=torch.float64).expand(JOINTS, 3, 3)
    _, positions = forward_kinematics(identity, torch.zeros(3, dtype=torch.float64))
    np.testing.assert_allclose(positions, rest_positions(), atol=1e-12)


def test_bones_keep_their_length_and_the_root_moves_all() -> None:
    matrices, root = random_pose(3, JOINTS), torch.randn(3, 3, dtype=torch.float64)
    _, positions = forward_kinematics(matrices, root)
    _, centred = forward_kinematics(matrices, torch.zeros_like(root))
    torch.testing.assert_close(positions - root.unsqueeze(1), centred)
    bones = (positions[:, 1:] - positions[:, list(PARENTS[1:])]).norm(dim=-1)
    np.testing.assert_allclose(bones, np.broadcast_to(np.linalg.norm(OFFSETS[1:], axis=1), (3, 23)), atol=1e-12)


def test_turning_the_root_turns_the_body() -> None:
    matrices = random_pose(JOINTS)
    turn = axis_angle_to_matrix(torch.tensor([0.3, -1.0, 0.5], dtype=torch.float64))
    centre = torch.zeros(3, dtype=torch.float64)
    turned = torch.cat([(turn @ matrices[0]).unsqueeze(0), matrices[1:]])
    torch.testing.assert_close(forward_kinematics(turned, centre)[1], forward_kinematics(matrices, centre)[1] @ turn.T)


def test_gradient_is_the_slope() -> None:
    axis_angle = torch.randn(JOINTS, 3, dtype=torch.float64, requires_grad=True)
    root = torch.randn(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda axis_angle, root: forward_kinematics(axis_angle_to_matrix(axis_angle), root)[1], (axis_angle, root)
    )


@pytest.mark.parametrize("joints", [None, FEET, (15,), (0, 23, 0)])
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 2e-6), (torch.float64, 1e-14)])
def test_frames_last_equals_the_plain_form(joints: tuple[int, ...] | None, dtype: torch.dtype, atol: float) -> None:
    torch.manual_seed(1)
    rot6d, offsets = torch.randn(3, 5, JOINTS, 6, dtype=dtype), torch.randn(3, JOINTS, 3, dtype=dtype)
    centre = torch.zeros(3, 5, 3, dtype=dtype)
    for bones in (None, offsets[0], offsets):
        plain = joint_positions(rot6d, centre, None if bones is None else bones if bones.dim() == 2 else bones[:, None])
        fast = positions_frames_last(rot6d.permute(0, 2, 3, 1), bones, joints).permute(0, 3, 1, 2)
        torch.testing.assert_close(fast, plain[:, :, list(joints or range(JOINTS))], rtol=0, atol=atol * 10)


def test_frames_last_has_the_plain_forms_gradient() -> None:
    torch.manual_seed(1)
    rot6d = torch.randn(2, 4, JOINTS, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 4, JOINTS, 3, dtype=torch.float64)
    plain = joint_positions(rot6d, torch.zeros(2, 4, 3, dtype=torch.float64))
    fast = positions_frames_last(rot6d.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    gradients = [torch.autograd.grad((positions * weight).sum(), rot6d)[0] for positions in (plain, fast)]
    torch.testing.assert_close(*gradients)


def test_6d_and_numpy_forms_agree() -> None:
    matrices = random_pose(2, JOINTS, dtype=torch.float32)
    rot6d, root = matrix_to_rot6d(matrices), torch.randn(2, 3)
    expected = forward_kinematics(matrices, root)[1]
    torch.testing.assert_close(joint_positions(rot6d, root), expected, rtol=0, atol=2e-6)
    np.testing.assert_allclose(positions_of(rot6d.numpy(), root.numpy()), expected, atol=2e-6)


def test_neutral_offsets_are_made_once() -> None:
    first = neutral_offsets(torch.float32, torch.device("cpu"))
    assert neutral_offsets(torch.float32, torch.device("cpu")) is first
