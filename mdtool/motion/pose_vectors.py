"""Poses as vectors of about unit size, one per instant: 144 entries of rotation matrices, and the root's place.

Functions of time, not of a frame grid: no velocities, nothing relative to another frame. Rotations are scaled by √3,
which brings their mean square of 1/3 to 1 without moving their zero; the root is the pelvis's place relative to that of
the standing skeleton, over one scale for its three numbers.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mdtool.motion.skeleton import JOINTS, PARENTS, STANDING_PELVIS_HEIGHT, rest_positions

POSE = 6 * JOINTS
SIZE = POSE + 3
ROTATION_SCALE = math.sqrt(3)
LEAST_REACH = 0.1
"""Metres."""


def poses_to_vectors(rot6d: Tensor, root: Tensor, root_scale: Tensor | float) -> Tensor:
    """Poses [..., 24, 6] and pelvis positions [..., 3] in metres → vectors [..., 147]."""
    return torch.cat([rot6d.flatten(-2) * ROTATION_SCALE, above_standing(root) / root_scale], dim=-1)


def vectors_to_poses(vectors: Tensor, root_scale: Tensor | float) -> tuple[Tensor, Tensor]:
    """(6D rotations [..., 24, 6] as they are, not orthonormal; pelvis [..., 3] in metres) of vectors [..., 147]."""
    root = vectors[..., POSE:] * root_scale
    return vectors[..., :POSE].unflatten(-1, (JOINTS, 6)) / ROTATION_SCALE, root + _standing(root)


def above_standing(root: Tensor) -> Tensor:
    """Pelvis positions [..., 3] relative to the standing skeleton's at x = z = 0; metres."""
    return root - _standing(root)


def importance_by_reach(root_scale: float) -> Tensor:
    """Weights [147] with which the squared error of a vector is about the mean squared error of joints, in m².

    A rotation that is off by D moves a joint at o by |D o|, which for a random direction of o is |D|² |o|² / 3, and two
    of the three rows of D hold two thirds of |D|². So each rotation counts by the mean square of its distance to the
    joints below it in the rest pose; one with nothing below it, as if that distance were LEAST_REACH.
    """
    rest = rest_positions()
    below = np.eye(JOINTS)
    for joint in range(JOINTS - 1, 0, -1):
        below[PARENTS[joint]] += below[joint]
    squares = np.square(rest[:, None] - rest[None]).sum(-1)
    reach = (below * squares).sum(1) / JOINTS
    turned = np.repeat(np.maximum(reach, LEAST_REACH**2) / 6, 6)
    return torch.as_tensor(np.concatenate([turned, np.full(3, root_scale**2)]), dtype=torch.float32)


def _standing(root: Tensor) -> Tensor:
    return root.new_tensor([0.0, STANDING_PELVIS_HEIGHT, 0.0])
