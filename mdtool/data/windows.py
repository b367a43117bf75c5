"""Windows of clips, drawn from memory: no worker process, no file access per batch."""

from __future__ import annotations

import numpy as np

from mdtool.motion.motion import MotionSet


def window_frames(lengths: np.ndarray, frames: int, uniforms: np.ndarray) -> np.ndarray:
    """Frame indices inside each clip of one random window of consecutive frames.

    A clip shorter than the window repeats its last frame, as the action-to-motion protocol does
    (MDM's loader; every possible start is drawn, where the reference never draws the last one).

    Args:
        lengths: frames of each clip [n].
        uniforms: one number in [0, 1) per clip [n], which chooses the start.

    Returns:
        [n, frames] int64.
    """
    starts = np.floor(uniforms * (np.maximum(lengths - frames, 0) + 1)).astype(np.int64)
    return np.minimum(starts[:, None] + np.arange(frames), lengths[:, None] - 1)


def draw_windows(
    motions: MotionSet, clips: np.ndarray, frames: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One random window of each of the clips at the indices `clips`.

    Returns:
        (rot6d [n, T, 24, 6] float32, root [n, T, 3] float32 in metres, as stored: not re-centred).
    """
    clips = np.asarray(clips, dtype=np.int64)
    rows = motions.start[clips][:, None] + window_frames(motions.lengths[clips], frames, rng.random(len(clips)))
    return motions.rot6d[rows], motions.root[rows]
