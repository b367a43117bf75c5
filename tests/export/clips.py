"""Clips for export tests, as hard as they come: every joint turned anyhow, odd frame rates, labels of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import roma
import torch

from mdtool.motion.motion import TEST, TRAIN, Motion
from mdtool.motion.rotations import matrix_to_rot6d, rot6d_to_matrix
from mdtool.motion.skeleton import JOINTS
from tests.motion.smooth_motion import smooth_motion

MOST_MM, MOST_DEG = 0.01, 1e-4
"""What a round trip may cost."""


def any_clip(frames: int = 7, seed: int = 0, **words: object) -> Motion:
    """Rotations drawn at random in every frame, far from the origin."""
    torch.manual_seed(seed)
    turns = roma.random_rotmat(frames * JOINTS, dtype=torch.float64).reshape(frames, JOINTS, 3, 3)
    root = np.random.default_rng(seed).uniform(-3, 3, (frames, 3)).astype(np.float32)
    return Motion(matrix_to_rot6d(turns).numpy().astype(np.float32), root, **{"fps": 30.0, **words})  # type: ignore[arg-type]


def some_clips() -> list[Motion]:
    """Three clips of two actions, one of them a single frame."""
    rot6d, root = smooth_motion(40, 3)
    return [
        Motion(rot6d, root, 119.88, "walk", TEST, "s1", "a/walk one.bvh", 'walks, "twice"'),
        any_clip(9, 1, fps=30.0, action="Jump & run", split=TRAIN, subject="s2", name="b"),
        any_clip(1, 2, fps=24.0, action="walk", split=TRAIN, name="c"),
    ]


def assert_same_motion(got: Motion, wanted: Motion) -> None:
    """Equal length, rate, joints and rotations, to what a round trip may cost."""
    assert len(got) == len(wanted)
    assert abs(got.fps - wanted.fps) < 1e-12 * wanted.fps
    assert np.abs(got.positions() - wanted.positions()).max() * 1e3 < MOST_MM
    first, second = (rot6d_to_matrix(torch.from_numpy(m.rot6d.astype(np.float64))) for m in (got, wanted))
    assert np.rad2deg(float(roma.rotmat_geodesic_distance(first, second).max())) < MOST_DEG


def assert_same_labels(got: Motion, wanted: Motion) -> None:
    """Equal in all that is known beside the frames."""
    for name in ("action", "split", "subject", "name", "text"):
        assert getattr(got, name) == getattr(wanted, name), name


def content(path: Path) -> tuple[bytes, str]:
    return path.read_bytes(), path.name
