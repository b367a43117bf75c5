"""How fast this machine draws and encodes."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from mdtool.body.mannequin import mannequin
from mdtool.motion.motion import Motion
from mdtool.motion.skeleton import JOINT_INDEX, JOINTS, STANDING_PELVIS_HEIGHT
from mdtool.render.exhibit import exhibits
from mdtool.render.picture import RenderOptions, render_exhibits

FRAMES, FPS, SIZE = 60, 20.0, (1280, 720)
"""What is drawn: one clip of three seconds at 720p, as H.264."""


def bench_rendering(workers: int | None = None) -> dict[str, Any]:
    """Time one clip of 60 frames at 720p by the software renderer, from motion to finished mp4.

    Args:
        workers: processes; all cores by default.

    Returns:
        Wall seconds, processor seconds of this and the painting processes, and frames per second.
    """
    shown, body = exhibits([_waving()]), mannequin()
    options = RenderOptions(size=SIZE, fps=FPS, renderer="soft", workers=workers)
    with tempfile.TemporaryDirectory() as folder:
        before, begin = os.times(), time.perf_counter()
        render_exhibits(Path(folder) / "bench.mp4", shown, body, options, lambda done, total: None)
        wall_s, after = time.perf_counter() - begin, os.times()
    used = [after[k] - before[k] for k in range(4)]  # user and system time of this process and of its children
    return {
        "frames": FRAMES,
        "size": f"{SIZE[0]}x{SIZE[1]}",
        "render_and_encode_s": wall_s,
        "processor_s": sum(used),
        "frames_per_s": FRAMES / wall_s,
    }


def _waving() -> Motion:
    """A standing person who waves the right arm."""
    rot6d = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (FRAMES, JOINTS, 1))
    angle = 0.8 * np.sin(np.arange(FRAMES) / FPS * 2 * np.pi)
    zero = np.zeros_like(angle)
    rot6d[:, JOINT_INDEX["right_shoulder"]] = np.stack(
        [np.cos(angle), -np.sin(angle), zero, np.sin(angle), np.cos(angle), zero], axis=1
    )
    root = np.tile(np.array([0, STANDING_PELVIS_HEIGHT, 0], np.float32), (FRAMES, 1))
    return Motion(rot6d, root, FPS, action="waving")
