"""Another frame rate for a motion: rotations on the rotation manifold, the root path linearly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from mdtool.errors import MdtoolError
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import (
    matrix_to_quaternion,
    matrix_to_rot6d,
    quaternion_to_matrix,
    rot6d_to_matrix,
    slerp,
)

_WHOLE = 1e-6
_FASTEST_FPS = 1000
_BLOCK = 1000
"""Frames interpolated at a time."""


def resample(motion: Motion, fps: float) -> Motion:
    """The same motion at another frame rate, from its first frame on.

    A whole ratio picks frames (120 to 20 takes every sixth, bit for bit); any other interpolates. The result
    never reaches beyond the last frame. The latent of a generated clip is dropped: it no longer makes this motion.

    Args:
        fps: frames per second of the result.

    Raises:
        MdtoolError: `fps` is not above 0 or above 1000.
    """
    if not 0 < fps <= _FASTEST_FPS:
        raise MdtoolError(f"cannot resample to {fps} frames per second: give a number above 0, at most {_FASTEST_FPS}")
    ratio = motion.fps / fps
    if abs(ratio - 1) < _WHOLE:
        return motion
    step = round(ratio)
    if step > 1 and abs(ratio - step) < _WHOLE * step:
        return replace(motion, rot6d=motion.rot6d[::step], root=motion.root[::step], fps=float(fps), noise=None)
    frames = int((len(motion) - 1) / ratio + _WHOLE) + 1
    return replace(resample_at(motion, np.arange(frames) / fps), fps=float(fps))


def resample_at(motion: Motion, times_s: np.ndarray) -> Motion:
    """The poses of a motion at arbitrary times; rotations by slerp, the root linearly.

    Args:
        times_s: seconds from the first frame [n]; times outside the motion give its first or last pose.

    Returns:
        A motion of n frames that keeps the frame rate label of `motion`.

    Raises:
        MdtoolError: no times, or times that are not finite.
    """
    times_s = np.asarray(times_s, dtype=np.float64)
    if times_s.ndim != 1 or not times_s.size or not np.isfinite(times_s).all():
        raise MdtoolError("resampling needs a list of finite times in seconds")
    places = np.clip(times_s * motion.fps, 0, len(motion) - 1)
    # A time that is a frame up to rounding is that frame, so that resampling there and back keeps it exactly.
    nearest = np.round(places)
    places = np.where(np.abs(places - nearest) < _WHOLE, nearest, places)
    before = np.minimum(np.floor(places).astype(np.int64), max(len(motion) - 2, 0))
    after = np.minimum(before + 1, len(motion) - 1)
    weight = places - before
    rot6d = np.empty((len(times_s), *motion.rot6d.shape[1:]), np.float32)
    for begin in range(0, len(times_s), _BLOCK):  # a long clip takes little more memory than its result
        block = slice(begin, begin + _BLOCK)
        start, end = (_quaternions(motion.rot6d[index[block]]) for index in (before, after))
        blended = slerp(start, end, torch.from_numpy(weight[block])[:, None].expand(-1, start.shape[1]))
        rot6d[block] = matrix_to_rot6d(quaternion_to_matrix(blended)).numpy()
    root = (1 - weight[:, None]) * motion.root[before] + weight[:, None] * motion.root[after]
    for exact, index in ((weight == 0, before), (weight == 1, after)):
        rot6d[exact] = motion.rot6d[index[exact]]
    return replace(motion, rot6d=rot6d, root=root.astype(np.float32), noise=None)


def _quaternions(rot6d: np.ndarray) -> torch.Tensor:
    """6D rotations [n, J, 6] as float64 quaternions [n, J, 4]."""
    return matrix_to_quaternion(rot6d_to_matrix(torch.from_numpy(rot6d.astype(np.float64))))
