"""From a camera's view of a person to the world of the motion file.

VIBE and the recordings of HumanAct12 are in the frame of a camera: x right, y down, z forward (away from the camera),
metres. Half a turn about x makes it the world of the motion file, where a person who faces the camera faces +z;
networks that were trained in the camera's axes get them back by `FeatureLayout(axes="y-down")`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mdtool.motion.features import lowest_sole
from mdtool.motion.ground import at_height
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d
from mdtool.motion.skeleton import JOINTS

POSE_NUMBERS = JOINTS * 3
"""Numbers of a pose in these sources: axis times angle of each joint."""
FOCAL_LENGTH, IMAGE_SIZE = 500.0, 540.0
"""Of the camera that MDM's loader puts in the place of VIBE's weak perspective, pixels."""

_UPRIGHT = np.diag([1.0, -1.0, -1.0])


def camera_path(orig_cam: np.ndarray) -> np.ndarray:
    """Where the person goes, relative to frame 0, in the camera's frame.

    Args:
        orig_cam: VIBE's weak-perspective camera [T, 4]: scales sx, sy and offsets tx, ty in the whole image.

    Returns:
        [T, 3] float64, metres. x and y are tx and ty; the depth is f / (sx · size / 2): MDM takes the ratio of the
        extents of the joints in metres and in pixels, which is that number for any joints.
    """
    camera = np.asarray(orig_cam, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = FOCAL_LENGTH / (camera[:, 0] * (IMAGE_SIZE / 2))
        path = np.stack([camera[:, 2], camera[:, 3], depth], axis=1)
        return path - path[:1]


def turn_about_vertical(angle: float) -> np.ndarray:
    """Rotation [3, 3] by `angle` radians about y."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])


def camera_to_world(
    pose: np.ndarray, pelvis: np.ndarray, turn: np.ndarray | None = None, align_first_frame: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """A clip in the camera's frame as a motion: upright, over the origin, its lowest sole on the floor.

    Args:
        pose: axis times angle of the 24 joints [T, 72], radians; joint 0 is the global orientation.
        pelvis: path of the pelvis [T, 3], metres.
        turn: rotation [3, 3] that is applied first, in the camera's frame.
        align_first_frame: undo the orientation of frame 0, so that the person starts upright and faces +z (MDM's
            align_pose_frontview).

    Returns:
        (rot6d [T, 24, 6] float32, root [T, 3] float32, metres).
    """
    vectors = torch.from_numpy(np.ascontiguousarray(pose).astype(np.float32, copy=False)).unflatten(1, (JOINTS, 3))
    orientation = axis_angle_to_matrix(vectors[:, 0].double())
    world = torch.from_numpy(_UPRIGHT if turn is None else _UPRIGHT @ turn)
    if align_first_frame:
        world = orientation[0].T
    local = matrix_to_rot6d(axis_angle_to_matrix(vectors[:, 1:]))
    rot6d = torch.cat([matrix_to_rot6d(world @ orientation).float().unsqueeze(1), local], dim=1)
    root = torch.from_numpy(np.asarray(pelvis, dtype=np.float64)) @ world.T
    root = (root - at_height(root[:1])).float()
    return rot6d.numpy(), _on_the_floor(rot6d, root).numpy()


def _on_the_floor(rot6d: Tensor, root: Tensor) -> Tensor:
    """The path lifted or lowered so that the lowest sole of the clip is at y = 0."""
    height = lowest_sole(rot6d.unsqueeze(0), root.unsqueeze(0)).squeeze(0)
    return root - height * root.new_tensor([0.0, 1.0, 0.0])
