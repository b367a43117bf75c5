"""Made-up motion for tests: every joint swings smoothly about its own axis, every action in its own way."""

from __future__ import annotations

import numpy as np
import torch

from mdtool.motion.motion import Motion, MotionSet
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d
from mdtool.motion.skeleton import JOINTS, STANDING_PELVIS_HEIGHT

ACTIONS = ("hop", "sway", "wave")


def smooth_motion(frames: int, seed: int, label: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(rot6d [T, 24, 6], root [T, 3]) of a body that swings about the rest pose, turned about the vertical anyhow.

    Axes and tempo belong to the label, amplitude and phase to the seed.
    """
    way, own = np.random.default_rng([7, label]), np.random.default_rng([8, seed])
    axes = way.standard_normal((JOINTS, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    tempo = way.uniform(0.05, 0.25, JOINTS)
    frame = np.arange(frames)[:, None]
    angle = own.uniform(0.1, 0.4, JOINTS) * np.sin(tempo * frame + own.uniform(0, 2 * np.pi, JOINTS))
    turns = axis_angle_to_matrix(torch.from_numpy(angle[..., None] * axes))
    heading = axis_angle_to_matrix(torch.tensor([0.0, own.uniform(-3, 3), 0.0], dtype=torch.float64))
    turns[:, 0] = heading @ turns[:, 0]
    path = 0.2 * np.sin(0.1 * frame + own.uniform(0, 6, 3)) * np.array([1.0, 0.2, 1.0])
    root = path + np.array([0.0, STANDING_PELVIS_HEIGHT, 0.0]) + own.uniform(-1, 1, 3) * np.array([1.0, 0.0, 1.0])
    return matrix_to_rot6d(turns).numpy().astype(np.float32), root.astype(np.float32)


def smooth_clips(count: int, frames: int = 70, fps: float = 20.0, tested: int = 0) -> MotionSet:
    """Clips of three actions in turn, each a frame longer than the one before; the last `tested` are the test split."""
    clips = []
    for k in range(count):
        rot6d, root = smooth_motion(frames + k, k, k % len(ACTIONS))
        split = int(k >= count - tested)
        clips.append(Motion(rot6d, root, fps, ACTIONS[k % len(ACTIONS)], split, subject=f"s{k % 4}", name=f"clip {k}"))
    return MotionSet.from_clips(clips, ACTIONS)
