"""Where a motion stands and faces, moving it to another place, and fading from one motion into another."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mdtool.motion.ground import at_height
from mdtool.motion.rotations import (
    axis_angle_to_matrix,
    matrix_to_quaternion,
    matrix_to_rot6d,
    quaternion_to_matrix,
    rot6d_to_matrix,
    slerp,
)


class Stance(NamedTuple):
    """Where bodies stand and which way they face."""

    turn: Tensor
    """[B, 3, 3] rotation about the vertical from facing +z to this heading."""
    ground: Tensor
    """[B, 3] point of the floor under the pelvis, metres."""


def stance_of(rot6d: Tensor, root: Tensor) -> Stance:
    """Stance of poses [B, 24, 6] with pelvis positions [B, 3]."""
    forward = rot6d_to_matrix(rot6d[:, 0])[:, :, 2]
    yaw = torch.zeros_like(forward)
    yaw[:, 1] = torch.atan2(forward[:, 0], forward[:, 2])
    return Stance(axis_angle_to_matrix(yaw), at_height(root))


def placed(rot6d: Tensor, root: Tensor, stance: Stance) -> tuple[Tensor, Tensor]:
    """Motions [B, T, 24, 6], [B, T, 3] relative to the origin, as they are from a stance on."""
    turn = stance.turn.unsqueeze(1)
    return _turned(rot6d, turn), (turn @ root.unsqueeze(-1)).squeeze(-1) + stance.ground.unsqueeze(1)


def relative(rot6d: Tensor, root: Tensor, stance: Stance) -> tuple[Tensor, Tensor]:
    """Motions as they are seen from a stance; the inverse of `placed`."""
    back = stance.turn.mT.unsqueeze(1)
    return _turned(rot6d, back), (back @ (root - stance.ground.unsqueeze(1)).unsqueeze(-1)).squeeze(-1)


def faded(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], weight: Tensor) -> tuple[Tensor, Tensor]:
    """From one motion into another of the same instants: rotations by slerp, the root linearly.

    Args:
        first, second: ([B, T, 24, 6], [B, T, 3]).
        weight: [T], 0 is the first, 1 the second.
    """
    before, after = (matrix_to_quaternion(rot6d_to_matrix(motion[0].double())) for motion in (first, second))
    share = weight.double().view(1, -1, 1).to(before.device).expand(before.shape[:-1])
    rot6d = matrix_to_rot6d(quaternion_to_matrix(slerp(before, after, share))).to(first[0].dtype)
    return rot6d, torch.lerp(first[1], second[1], weight.to(first[1]).view(1, -1, 1))


def _turned(rot6d: Tensor, turn: Tensor) -> Tensor:
    orientation = matrix_to_rot6d(turn @ rot6d_to_matrix(rot6d[:, :, 0])).unsqueeze(2)
    return torch.cat([orientation, rot6d[:, :, 1:]], dim=2)
