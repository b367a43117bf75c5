"""The feature layout: axes, origin, heading and floor, against matrices written out by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.motion.features import ROOT_ROW, FeatureLayout, face_forward, lowest_sole
from mdtool.motion.kinematics import joint_positions
from mdtool.motion.rotations import matrix_to_rot6d, rot6d_to_matrix
from mdtool.motion.skeleton import STANDING_PELVIS_HEIGHT
from tests.motion.smooth_motion import smooth_motion

FRAMES = 12
LAYOUTS = [
    FeatureLayout(*choice) for choice in itertools.product(("y-up", "y-down"), ("first-frame", "ground"), (False, True))
]
RX_PI = torch.tensor([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])


@pytest.fixture(params=LAYOUTS, ids=lambda layout: f"{layout.axes},{layout.origin},{layout.heading}")
def layout(request: pytest.FixtureRequest) -> FeatureLayout:
    return request.param


def batch(*seeds: int) -> tuple[Tensor, Tensor]:
    """Windows (rot6d [B, T, 24, 6], root [B, T, 3]) that face anywhere, anywhere."""
    parts = [smooth_motion(FRAMES, seed, seed % 3) for seed in seeds]
    return torch.from_numpy(np.stack([p[0] for p in parts])), torch.from_numpy(np.stack([p[1] for p in parts]))


def turned(rot6d: Tensor, root: Tensor, yaw: float, shift: tuple[float, float] = (0, 0)) -> tuple[Tensor, Tensor]:
    """The same motion turned by `yaw` radians about the vertical through the origin, then moved."""
    turn = torch.tensor(
        [[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]], dtype=torch.float32
    )
    rot6d = rot6d.clone()
    rot6d[:, :, 0] = matrix_to_rot6d(turn @ rot6d_to_matrix(rot6d[:, :, 0]))
    return rot6d, root @ turn.T + torch.tensor([shift[0], 0.0, shift[1]])


def close(first: Tensor, second: Tensor, atol: float = 1e-5) -> None:
    torch.testing.assert_close(first, second, atol=atol, rtol=0)


def test_blocks_of_the_plain_layout() -> None:
    rot6d, root = batch(0, 1)
    features = FeatureLayout().encode(rot6d, root)
    assert features.shape == (2, 25, 6, FRAMES)
    close(features[:, :24].permute(0, 3, 1, 2), rot6d, 0)
    close(features[:, ROOT_ROW, :3].mT, root - root[:, :1], 0)
    assert (features[:, ROOT_ROW, 3:] == 0).all()


def test_y_down_is_half_a_turn_about_x() -> None:
    rot6d, root = batch(2, 3)
    up, down = (FeatureLayout(axes).encode(rot6d, root).permute(0, 3, 1, 2) for axes in ("y-up", "y-down"))
    close(rot6d_to_matrix(down[..., 0, :]), RX_PI @ rot6d_to_matrix(up[..., 0, :]))
    close(down[..., 1:24, :], up[..., 1:24, :], 0)
    close(down[..., ROOT_ROW, :3], up[..., ROOT_ROW, :3] @ RX_PI.T)
    # So every joint of the body, seen from the pelvis, is turned as a whole.
    joints = [joint_positions(features[..., :24, :], features[..., ROOT_ROW, :3]) for features in (up, down)]
    close(joints[1], joints[0] @ RX_PI.T)
    assert joints[1][:, 0, 15, 1].max() < -0.3, "the head is below the pelvis where y points down"


@pytest.mark.parametrize("axes", ["y-up", "y-down"])
def test_ground_origin_knows_the_floor(axes: str) -> None:
    rot6d, root = batch(4, 5)
    row = FeatureLayout(axes, "ground").encode(rot6d, root)[:, ROOT_ROW, :3].mT
    sign = 1 if axes == "y-up" else -1
    close(row[..., 1], sign * (root[..., 1] - STANDING_PELVIS_HEIGHT))
    close(row[..., 0], root[..., 0] - root[:, :1, 0])
    close(row[..., 2], sign * (root[..., 2] - root[:, :1, 2]))


def test_decode_gives_the_window_back(layout: FeatureLayout) -> None:
    rot6d, root = batch(6, 7, 8)
    again6d, again = layout.decode(layout.encode(rot6d, root))
    if layout.heading:
        rot6d, root = face_forward(rot6d, root)
    close(again6d, rot6d)
    expected = root - root[:, :1]
    if layout.origin == "ground":
        expected[..., 1] = root[..., 1]
        close(again, expected)
    else:
        close(again - again[:, :1], expected)
        close(again[:, 0, [0, 2]], torch.zeros(3, 2), 0)


def test_decode_of_encode_repeats_itself(layout: FeatureLayout) -> None:
    features = layout.encode(*batch(9, 10))
    close(layout.encode(*layout.decode(features)), features, 2e-5)


def test_first_frame_clips_are_set_on_the_floor() -> None:
    rot6d, root = batch(11, 12)
    for axes in ("y-up", "y-down"):
        layout = FeatureLayout(axes)
        decoded = layout.decode(layout.encode(rot6d, root + torch.tensor([3.0, 5.0, -2.0])))
        close(lowest_sole(*decoded), torch.zeros(2, 1))


def test_ground_clips_stay_where_they_are() -> None:
    # A jump at the beginning of a window: the lowest foot is above the floor, and that must survive.
    rot6d, root = batch(13)
    high = root + torch.tensor([0.0, 0.4, 0.0])
    layout = FeatureLayout(origin="ground")
    close(layout.decode(layout.encode(rot6d, high))[1][..., 1], high[..., 1])


def test_lowest_sole_of_the_standing_body_is_the_floor() -> None:
    standing = torch.tensor([1.0, 0, 0, 0, 1, 0]).expand(1, 3, 24, 6)
    root = torch.tensor([[[0.0, STANDING_PELVIS_HEIGHT, 0], [0, STANDING_PELVIS_HEIGHT + 0.2, 0], [1, 1.1, 1]]])
    close(lowest_sole(standing, root), torch.zeros(1, 1), 1e-3)
    close(lowest_sole(standing, root + torch.tensor([0, 0.7, 0])), torch.full((1, 1), 0.7), 1e-3)


@pytest.mark.parametrize("yaw", [-3.0, -0.4, 1.0, math.pi])
def test_heading_makes_features_blind_to_direction_and_place(yaw: float) -> None:
    rot6d, root = batch(14, 15)
    for axes, origin in itertools.product(("y-up", "y-down"), ("first-frame", "ground")):
        layout = FeatureLayout(axes, origin, heading=True)
        close(layout.encode(*turned(rot6d, root, yaw, (2.0, -1.0))), layout.encode(rot6d, root))
    plain = FeatureLayout()
    assert (plain.encode(*turned(rot6d, root, yaw)) - plain.encode(rot6d, root)).abs().max() > 0.1


def test_autocast_does_not_blur_the_data() -> None:
    """In bf16 a path that is 8 m away would move in steps of 3 cm."""
    rot6d, root = batch(0, 1)
    root = root + 8
    heading = FeatureLayout(heading=True)
    plain = heading.encode(rot6d, root)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(heading.encode(rot6d, root), plain)


def test_face_forward_faces_forward_and_keeps_the_shape() -> None:
    rot6d, root = batch(16, 17)
    forward6d, forward = face_forward(rot6d, root)
    axis = rot6d_to_matrix(forward6d[:, 0, 0])[..., 2]
    close(axis[:, 0], torch.zeros(2))
    assert (axis[:, 2] > 0).all()
    close(forward[..., 1], root[..., 1])
    close(forward6d[:, :, 1:], rot6d[:, :, 1:], 0)
    # One turn for the whole window, about the vertical through the origin.
    before, after = joint_positions(rot6d, root), joint_positions(forward6d, forward)
    close(
        torch.cdist(after.flatten(1, 2), after.flatten(1, 2)),
        torch.cdist(before.flatten(1, 2), before.flatten(1, 2)),
        2e-3,
    )
    close(after.norm(dim=-1), before.norm(dim=-1))


def test_decode_makes_rotations_of_any_numbers(layout: FeatureLayout) -> None:
    features = 3 * torch.randn(2, 25, 6, FRAMES, generator=torch.Generator().manual_seed(0))
    rows = layout.decode(features)[0].unflatten(-1, (2, 3))
    close(rows @ rows.mT, torch.eye(2).expand(2, FRAMES, 24, 2, 2))


def test_gradient_passes_through_both_ways(layout: FeatureLayout) -> None:
    rot6d, root = batch(18)
    features = layout.encode(rot6d, root).requires_grad_()
    decoded6d, decoded = layout.decode(features)
    joint_positions(decoded6d, decoded).square().sum().backward()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()
    assert features.grad[:, :24].abs().max() > 0
