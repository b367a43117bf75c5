"""Motions as UESTC's camera and VIBE would give them: the exact inverse of what the reader of UESTC does.

Camera axes: x right, y down, z away, metres. VIBE describes where a person is by a weak-perspective camera that is
thought to have a focal length of 500 px on a picture of 540, so its people stand 1.65 times as far away as the
Kinect sees them; both put them at the same place in the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mdtool.data.kinect import FOCAL_PX, HEIGHT, WIDTH, box_centre
from mdtool.data.vibe import FOCAL_LENGTH, IMAGE_SIZE
from mdtool.data.vibe_tracks import Track
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import matrix_to_axis_angle, rot6d_to_matrix

WORLD_TO_CAMERA = np.diag([1.0, -1.0, -1.0])
"""World (y up, the person faces +z) to the axes of a camera that the person faces."""
DEPTH_TIMES_SCALE = FOCAL_LENGTH / (IMAGE_SIZE / 2)
"""VIBE's depth of a person in metres times its scale sx."""
_VIBE_TO_KINECT_DEPTH = FOCAL_PX / (WIDTH / 2 * DEPTH_TIMES_SCALE)
_CAMERA_HEIGHT_M, _DISTANCE_M = 1.0, 5.5
"""How high the camera stands, and VIBE's distance to the middle of the floor."""
_PELVIS = np.array([-0.002, -0.223, 0.028])
"""Where VIBE has the pelvis of a person without translation; about SMPL's."""
_BOX_MARGIN, _BOX_JITTER_PX, _KINECT_NOISE_M = 1.1, 1.5, 0.004

# Joint of ours that stands for each of VIBE's 49: 25 of OpenPose, then 24 of other data sets. Face points are the head.
_VIBE_JOINTS = (
    15, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, 15, 15, 15, 15, 10, 10, 7, 11, 11, 8,
    8, 5, 2, 1, 4, 7, 21, 19, 17, 16, 18, 20, 12, 15, 0, 9, 6, 15, 15, 15, 15, 15, 15, 15,
)  # fmt: skip
# The same for the 25 of Kinect v2.
_KINECT_ORDER = (
    0, 6, 12, 15, 16, 18, 20, 22, 17, 19, 21, 23, 1, 4, 7, 10, 2, 5, 8, 11, 9, 22, 22, 23, 23,
)  # fmt: skip


@dataclass(frozen=True)
class Filmed:
    """One person in front of one camera, T frames."""

    pose: np.ndarray
    """[T, 72] float32, axis-angle in camera axes."""
    joints: np.ndarray
    """[T, 24, 3] metres, camera axes, relative to the pelvis."""
    pelvis: np.ndarray
    """[T, 3] metres in front of VIBE's camera."""


def film(motion: Motion, turn_rad: np.ndarray, aside_m: tuple[float, float] = (0.0, 0.0)) -> Filmed:
    """Put a camera before a motion.

    Args:
        turn_rad: how far the picture is turned about the vertical in each frame [T], or one angle for all: the
            matrix is [[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]] in camera axes.
        aside_m: how far to the right, and how much farther away, the person stands than where all perform.
    """
    cosine, sine = np.broadcast_to(np.cos(turn_rad), len(motion)), np.broadcast_to(np.sin(turn_rad), len(motion))
    turn = np.zeros((len(motion), 3, 3))
    turn[:, 0, 0] = turn[:, 2, 2] = cosine
    turn[:, 0, 2], turn[:, 2, 0], turn[:, 1, 1] = sine, -sine, 1
    to_camera = turn @ WORLD_TO_CAMERA
    local = rot6d_to_matrix(torch.from_numpy(motion.rot6d.astype(np.float64))).numpy()
    local[:, 0] = to_camera @ local[:, 0]
    pose = matrix_to_axis_angle(torch.from_numpy(local)).reshape(len(motion), -1).numpy()
    joints = (motion.positions() - motion.root[:, None]) @ to_camera.transpose(0, 2, 1)
    pelvis = (to_camera @ motion.root[:, :, None].astype(np.float64))[..., 0]
    pelvis += (aside_m[0], _CAMERA_HEIGHT_M, _DISTANCE_M + aside_m[1])
    return Filmed(pose.astype(np.float32), joints, pelvis)


def vibe_track(filmed: Filmed, rng: np.random.Generator) -> Track:
    """VIBE's output for that person, found in every frame; keys, shapes and dtypes of the original."""
    frames = len(filmed.pose)
    scale = DEPTH_TIMES_SCALE / filmed.pelvis[:, 2]
    shift = filmed.pelvis[:, :2] - _PELVIS[:2]
    # VIBE's own offset of the pelvis in depth is a constant that cancels, as the reader counts from the first frame.
    scales = np.stack([scale, scale * WIDTH / HEIGHT], -1)
    middle = np.array([WIDTH / 2, HEIGHT / 2])
    pixels = ((filmed.joints[..., :2] + filmed.pelvis[:, None, :2]) * scales[:, None] + 1) * middle
    size = _BOX_MARGIN * np.ptp(pixels, axis=1).max(-1)
    centre = box_centre(pixels) + rng.normal(0, _BOX_JITTER_PX, (frames, 2))
    crop = np.concatenate(
        [scale[:, None] * WIDTH / size[:, None], shift - (centre / middle - 1) / scales],
        axis=-1,
    )
    betas = rng.normal(0, 0.5, 10) + rng.normal(0, 0.02, (frames, 10))
    return {
        "pred_cam": crop.astype(np.float32),
        "orig_cam": np.concatenate([scales, shift], axis=-1),
        "pose": filmed.pose,
        "betas": betas.astype(np.float32),
        "joints3d": (filmed.joints[:, _VIBE_JOINTS] + _PELVIS).astype(np.float32),
        "bboxes": np.concatenate([centre, size[:, None], size[:, None]], axis=-1),
        "frame_ids": np.arange(frames),
    }


def kinect_skeleton(filmed: Filmed, rng: np.random.Generator) -> np.ndarray:
    """What the Kinect measures of the same performance: joints [T, 25, 3], metres, y up."""
    place = filmed.pelvis * (1.0, 1.0, _VIBE_TO_KINECT_DEPTH)
    joints = filmed.joints[:, _KINECT_ORDER] + place[:, None]
    joints += rng.normal(0, _KINECT_NOISE_M, joints.shape)
    return joints * (1.0, -1.0, 1.0)
