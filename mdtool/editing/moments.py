"""Moments between frames: a place wanted at 0.62 s of a motion of 20 frames per second is wanted of no frame.

A method that makes motions as functions of time is asked for the moment itself. Of any other the pose is that between
its neighbours, as players and `mdtool resample` make it: rotations by slerp, the root linearly.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mdtool.editing.frames import neighbours
from mdtool.motion.joining import faded


def poses_between(rot6d: Tensor, root: Tensor, frames: np.ndarray) -> tuple[Tensor, Tensor]:
    """(rot6d [b, n, 24, 6], root [b, n, 3]) of motions [b, T, …] at frames [n] between theirs; differentiable."""
    before, after = neighbours(frames)
    share = torch.from_numpy(frames - before)
    return faded((rot6d[:, before], root[:, before]), (rot6d[:, after], root[:, after]), share)
