"""The layout: what goes in comes out, axes flip by a half turn, and a heading is no feature."""

from __future__ import annotations

import itertools

import pytest
import torch

from mdtool.motion.features import FeatureLayout, face_forward, lowest_sole
from mdtool.motion.kinematics import joint_positions
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d, rot6d_to_matrix
from mdtool.motion.skeleton import STANDING_PELVIS_HEIGHT

LAYOUTS = [
    FeatureLayout(axes, origin, heading)  # type: ignore[arg-type]
    for axes, origin, heading in itertools.product(("y-up", "y-down"), ("first-frame", "ground"), (False, True))
]


def windows(count: int = 3, frames: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    """People in random poses, anywhere, facing anywhere."""
    rng = torch.Generator().manual_seed(5)
    angles = 0.3 * torch.randn(count, frames, 24, 3, generator=rng)
    angles[:, :, 0, 1] += 2 * torch.randn(count, 1, generator=rng)
    root = torch.randn(count, frames, 3, generator=rng) + torch.tensor([0.0, STANDING_PELVIS_HEIGHT, 0.0])
    return matrix_to_rot6d(axis_angle_to_matrix(angles)), root


def turned(rot6d: torch.Tensor, root: torch.Tensor, yaw: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The same windows in a world turned about the vertical."""
    turn = axis_angle_to_matrix(torch.tensor([0.0, yaw, 0.0]))
    rotated = rot6d.clone()
    rotated[:, :, 0] = matrix_to_rot6d(turn @ rot6d_to_matrix(rot6d[:, :, 0]))
    return rotated, root @ turn.T


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_decoding_gives_back_the_motion_in_its_own_frame(layout: FeatureLayout) -> None:
    rot6d, root = windows()
    features = layout.encode(rot6d, root)
    assert features.shape == (3, 25, 6, 7)
    assert float(features[:, 24, 3:].abs().max()) == 0
    rotations, path = layout.decode(features)
    expected, moved = face_forward(rot6d, root) if layout.heading else (rot6d, root)
    torch.testing.assert_close(rotations, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(path[..., ::2], (moved - moved[:, :1])[..., ::2], atol=1e-5, rtol=0)
    rise = moved[..., 1] - path[..., 1]
    if layout.origin == "ground":
        torch.testing.assert_close(rise, torch.zeros_like(rise), atol=1e-5, rtol=0)
    else:  # the clip keeps its shape and stands on the floor
        torch.testing.assert_close(rise, rise[:, :1].expand_as(rise), atol=1e-5, rtol=0)
        torch.testing.assert_close(lowest_sole(rotations, path), torch.zeros(3, 1), atol=1e-5, rtol=0)


def test_y_down_is_half_a_turn_about_x() -> None:
    rot6d, root = windows()
    half_turn = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    down = FeatureLayout(axes="y-down").encode(rot6d, root).permute(0, 3, 1, 2)
    expected = half_turn @ rot6d_to_matrix(rot6d[:, :, 0])
    torch.testing.assert_close(rot6d_to_matrix(down[:, :, 0]), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(down[:, :, 1:24], rot6d[:, :, 1:])
    torch.testing.assert_close(down[:, :, 24, :3], (root - root[:, :1]) @ half_turn.T, atol=1e-6, rtol=0)
    # So the joints as the network sees them are the world's, turned.
    seen = joint_positions(down[:, :, :24], down[:, :, 24, :3])
    world = joint_positions(rot6d, root - root[:, :1])
    torch.testing.assert_close(seen, world @ half_turn.T, atol=1e-5, rtol=0)


@pytest.mark.parametrize("origin", ["first-frame", "ground"])
def test_where_a_person_faces_is_no_feature_when_heading_is_removed(origin: str) -> None:
    rot6d, root = windows()
    layout = FeatureLayout("y-up", origin, heading=True)  # type: ignore[arg-type]
    there = layout.encode(*turned(rot6d, root + torch.tensor([4.0, 0.0, -2.0]), 1.1))
    torch.testing.assert_close(there, layout.encode(rot6d, root), atol=1e-5, rtol=0)
    plain = FeatureLayout("y-up", origin, heading=False)  # type: ignore[arg-type]
    assert not torch.allclose(plain.encode(*turned(rot6d, root, 1.1)), plain.encode(rot6d, root), atol=1e-2)


def test_the_first_frame_faces_forward() -> None:
    rotations, _ = face_forward(*windows())
    forward = rot6d_to_matrix(rotations[:, 0, 0])[..., 2]
    assert float(forward[:, 0].abs().max()) < 1e-5
    assert float(forward[:, 2].min()) > 0


def test_standing_soles_are_at_zero() -> None:
    rest = torch.tensor([1.0, 0, 0, 0, 1, 0]).expand(1, 2, 24, 6)
    root = torch.tensor([0.0, STANDING_PELVIS_HEIGHT, 0.0]).expand(1, 2, 3)
    assert float(lowest_sole(rest, root)) == pytest.approx(0.0, abs=1e-6)
    assert float(lowest_sole(rest, root + 0.2)) == pytest.approx(0.2, abs=1e-6)
