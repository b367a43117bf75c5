"""How far a motion that was read back is from the one that went in."""

from __future__ import annotations

import numpy as np

from mdtool.motion.motion import Motion


def joint_errors_mm(read: Motion, put_in: Motion, sure: np.ndarray | None = None) -> np.ndarray:
    """Mean distance of the joints in each frame [T], millimetres, after one shift of the whole clip.

    The shift is what UESTC's layout does not hold: where the performer starts, and how high the camera stands.

    Args:
        sure: frames [T] that the shift is taken from; all when not given.
    """
    assert len(read) == len(put_in)
    sure = np.ones(len(read), dtype=bool) if sure is None else sure
    apart = read.positions().astype(np.float64) - put_in.positions()
    apart -= apart[sure, 0].mean(0)
    return 1000 * np.linalg.norm(apart, axis=-1).mean(-1)
