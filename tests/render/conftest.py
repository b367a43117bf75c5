"""Motions and a body that are quick to draw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import trimesh

from mdtool.body.skinning import Body
from mdtool.motion.motion import Motion
from mdtool.motion.skeleton import JOINTS, STANDING_PELVIS_HEIGHT, rest_positions


@pytest.fixture(scope="session")
def make_motion() -> Callable[..., Motion]:
    """A T-posed person that glides `speed` metres per second along +z."""

    def make(frames: int = 10, fps: float = 20.0, speed: float = 0.0, action: str = "glide") -> Motion:
        rot6d = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (frames, JOINTS, 1))
        root = np.zeros((frames, 3), np.float32)
        root[:, 1] = STANDING_PELVIS_HEIGHT
        root[:, 2] = speed * np.arange(frames) / fps
        return Motion(rot6d, root, fps, action=action, name="made by a test")

    return make


@pytest.fixture(scope="session")
def ball_body() -> Body:
    """A ball of 0.3 m around the pelvis: drawn in a moment, and its silhouette is known."""
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.3)
    joints = rest_positions() + np.array([0, STANDING_PELVIS_HEIGHT, 0])
    weights = torch.zeros(len(ball.vertices), JOINTS)
    weights[:, 0] = 1
    return Body(
        vertices=torch.from_numpy((ball.vertices + joints[0]).astype(np.float32)),
        faces=ball.faces.astype(np.int32),
        weights=weights,
        joints=torch.from_numpy(joints.astype(np.float32)),
    )
