"""How fast this machine writes a GLB."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdtool.body.mannequin import mannequin
from mdtool.export.glb import write_glb
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d
from mdtool.motion.skeleton import JOINTS, STANDING_PELVIS_HEIGHT

CLIPS, FRAMES, FPS = 16, 60, 20.0


def bench_glb() -> dict[str, Any]:
    """Time one GLB of 16 clips of 60 frames, every joint turning, from motions to the finished file.

    Returns:
        Wall seconds and size in bytes; the mannequin is made before.
    """
    body = mannequin()
    clips = [_turning(phase) for phase in np.linspace(0, np.pi, CLIPS)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.glb"
        begin = time.perf_counter()
        write_glb(path, clips, body)
        wall_s = time.perf_counter() - begin
        size = path.stat().st_size
    return {"clips": CLIPS, "frames": FRAMES, "write_s": wall_s, "bytes": size}


def _turning(phase: float) -> Motion:
    """A body all of whose joints swing."""
    turns = 0.3 * np.sin(np.arange(FRAMES)[:, None] * 0.2 + phase + np.arange(JOINTS))
    matrices = axis_angle_to_matrix(torch.from_numpy(turns[..., None] * np.eye(3)[np.arange(JOINTS) % 3]))
    root = np.tile(np.array([0, STANDING_PELVIS_HEIGHT, 0], np.float32), (FRAMES, 1))
    return Motion(matrix_to_rot6d(matrices).numpy().astype(np.float32), root, FPS, action="turning")
