"""Motion ↔ network tensor: the 25 × 6 layout, its axes, its origin, and its scales.

| block | rows | numbers per frame | meaning |
|---|---|---|---|
| rotations | 0–23 | 6 each | local rotations, first two rows of the matrix; row 0 is the global orientation |
| root | 24 | 3, then 3 zeros | pelvis position in metres |

Tensors of a network are [B, 25, 6, T]. World in: that of the motion file (y up, metres, floor at 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mdtool.motion.contacts import SOLE_HEIGHTS
from mdtool.motion.ground import at_height
from mdtool.motion.kinematics import joint_positions, of_joints
from mdtool.motion.rotations import matrix_to_rot6d, rot6d_to_matrix
from mdtool.motion.skeleton import FEET, JOINTS, STANDING_PELVIS_HEIGHT

ROWS = JOINTS + 1
ROOT_ROW = JOINTS


@dataclass(frozen=True)
class FeatureLayout:
    """How windows of motion become a network's tensor, and back."""

    axes: Literal["y-up", "y-down"] = "y-up"
    """y-down: networks trained on camera-frame data (VIBE on UESTC: x right, y down, z forward)."""
    origin: Literal["first-frame", "ground"] = "first-frame"
    """first-frame: the root row is relative to frame 0, as in MDM; ground: only x and z are, and y is the pelvis
    height above the floor less that of the standing skeleton, so that a network knows where the floor is."""
    heading: bool = False
    """Turn every window about the vertical so that its first frame faces +z."""

    def encode(self, rot6d: Tensor, root: Tensor) -> Tensor:
        """Windows [B, T, 24, 6], [B, T, 3] in metres → features [B, 25, 6, T]."""
        if self.heading:
            rot6d, root = face_forward(rot6d, root)
        first = root[:, :1]
        if self.origin == "ground":
            first = at_height(first, STANDING_PELVIS_HEIGHT)
        rot6d, root = self._flip(rot6d, root - first)
        row = torch.cat([root, torch.zeros_like(root)], dim=-1).unsqueeze(-2)
        return torch.cat([rot6d, row], dim=-2).permute(0, 2, 3, 1)

    def decode(self, features: Tensor, orthonormal: bool = True) -> tuple[Tensor, Tensor]:
        """Features [B, 25, 6, T] → windows (rot6d [B, T, 24, 6], root [B, T, 3]) in the world of the motion file.

        Rotations are made orthonormal, unless told not to; x and z start at 0; with origin first-frame the clip is
        set on the floor by its lowest foot.
        """
        frames = features.permute(0, 3, 1, 2)
        rotations = frames[..., :JOINTS, :]
        if orthonormal:
            rotations = matrix_to_rot6d(rot6d_to_matrix(rotations))
        rotations, root = self._flip(rotations, frames[..., ROOT_ROW, :3])
        if self.origin == "ground":
            return rotations, root - at_height(root[:, :1], -STANDING_PELVIS_HEIGHT)
        x, y, z = (root - root[:, :1]).split(1, dim=-1)
        low = lowest_sole(rotations, torch.cat([x, y, z], dim=-1)).unsqueeze(-1)
        return rotations, torch.cat([x, y - low, z], dim=-1)

    def _flip(self, rot6d: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
        """Half a turn about x, which is its own inverse, when the network's y points down."""
        if self.axes == "y-up":
            return rot6d, root
        # Rx(pi) keeps row 0 of the global orientation and negates row 1 (and row 2, which 6D leaves out).
        orientation = torch.cat([rot6d[..., :1, :3], -rot6d[..., :1, 3:]], dim=-1)
        flipped = torch.cat([orientation, rot6d[..., 1:, :]], dim=-2)
        return flipped, torch.cat([root[..., :1], -root[..., 1:]], dim=-1)


def face_forward(rot6d: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
    """Turn windows [B, T, 24, 6], [B, T, 3] about the vertical so that the pelvis of frame 0 faces +z.

    Number by number, without a matrix product: autocast and TF32 would round a path of metres to centimetres.
    """
    orientation = rot6d_to_matrix(rot6d[:, :, 0])
    forward = orientation[:, 0, :, 2]
    yaw = torch.atan2(forward[:, 0], forward[:, 2])[:, None, None]
    cosine, sine = yaw.cos(), yaw.sin()
    first, second, third = orientation.unbind(-2)
    turned = torch.cat([cosine * first - sine * third, second], dim=-1).unsqueeze(2)
    x, y, z = root.split(1, dim=-1)
    path = torch.cat([cosine * x - sine * z, y, sine * x + cosine * z], dim=-1)
    return torch.cat([turned, rot6d[:, :, 1:]], dim=2), path


def lowest_sole(rot6d: Tensor, root: Tensor) -> Tensor:
    """Height of the lowest sole over a clip; [B, T, 24, 6], [B, T, 3] → [B, 1], metres.

    The sole lies below the ankle and toe joints by their heights in the standing skeleton.
    """
    heights = of_joints(joint_positions(rot6d, root)[..., 1], FEET, 2).unbind(2)
    soles = [height - below for height, below in zip(heights, SOLE_HEIGHTS.tolist(), strict=True)]
    return torch.stack(soles, dim=-1).flatten(1).amin(1, keepdim=True)
