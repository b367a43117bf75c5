"""Paths over the ground: points in time become targets on a smooth curve."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from mdtool.editing.goals import AlongLine, Goal, Places
from mdtool.editing.joints import joint_index
from mdtool.editing.placement import Placement
from mdtool.editing.request import FARTHEST_M, PathSpec, resolved
from mdtool.errors import MdtoolError

_SAMPLES_PER_PIECE = 24
PATH_COLUMNS = "frame,x,z (metres)"


def path_goals(spec: PathSpec, length: int, fps: float | None, beside: str, space: Placement) -> list[Goal]:
    """The targets that a path stands for.

    Args:
        fps: the points' times are seconds at this rate; frames when None.
        space: from the path's space to `start`.

    Raises:
        ValueError: points that make no path.
        MdtoolError: a CSV that cannot be read.
    """
    points = np.array(spec.points if spec.points is not None else read_path(resolved(spec.file or "", beside)), float)
    if len(points) < 2:
        raise ValueError("a path needs two points or more")
    times = points[:, 0] * (fps or 1.0)
    if (np.diff(times) <= 0).any():
        raise ValueError("the frames of a path's points must grow from point to point")
    if np.abs(points[:, 1:]).max() > FARTHEST_M:
        raise ValueError(f"a point of the path is {np.abs(points[:, 1:]).max():g} m away: paths are in metres")
    frames = np.rint(times).astype(int)
    if frames[0] < 0 or frames[-1] >= length:
        raise ValueError(f"the path's frames {frames[0]} to {frames[-1]} leave the motion: it has 0 to {length - 1}")
    ground = space.done(np.insert(points[:, 1:], 1, 0.0, axis=1))[:, [0, 2]]
    joint = joint_index(spec.joint)
    curve, when = _curve(ground, times, spec.curve)
    wanted = np.unique([*range(frames[0], frames[-1], spec.every), *frames])
    if spec.speed == "free":
        between = np.arange(frames[0], frames[-1] + 1)
        ends = _targets(spec, joint, frames[[0, -1]], ground[[0, -1]])
        return [AlongLine(("path",), spec.weight, spec.must, between, (joint,), curve), ends]
    if spec.speed == "constant":
        way = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
        wanted = np.unique([*range(frames[0], frames[-1], spec.every), frames[-1]])
        share = (wanted - frames[0]) / max(frames[-1] - frames[0], 1) * way[-1]
        places = np.stack([np.interp(share, way, curve[:, axis]) for axis in range(2)], axis=1)
    else:
        places = np.stack([np.interp(wanted, when, curve[:, axis]) for axis in range(2)], axis=1)
    return [_targets(spec, joint, wanted, places)]


def read_path(path: Path) -> list[list[float]]:
    """Rows frame, x, z of a CSV file; a line of names above them is skipped.

    Raises:
        MdtoolError: it cannot be read, or a row is not three numbers.
    """
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            rows = [(number, row) for number, row in enumerate(csv.reader(stream), start=1) if any(row)]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise MdtoolError(f"cannot read {path}: {reason}; a path is a CSV file of {PATH_COLUMNS}") from error
    points = []
    for place, (number, row) in enumerate(rows):
        try:
            point = [float(cell) for cell in row]
        except ValueError:
            if place == 0:
                continue
            point = []
        if len(point) != 3 or not np.isfinite(point).all():
            raise MdtoolError(f"{path}:{number}: a path has the columns {PATH_COLUMNS}, not {','.join(row)!r}")
        points.append(point)
    return points


def _targets(spec: PathSpec, joint: int, frames: np.ndarray, places: np.ndarray) -> Places:
    values = np.insert(places, 1, 0.0, axis=1)[:, None]
    mask = np.broadcast_to(np.array([True, False, True]), values.shape)
    return Places(("path",), spec.weight, spec.must, frames, (joint,), values, mask)


def _curve(points: np.ndarray, times: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A dense line through points [n, 2], and the time at each of its points.

    Catmull-Rom with tangents by the points' times, so that an uneven pace does not overshoot.
    """
    if kind == "linear" or len(points) == 2:
        dense = np.linspace(times[0], times[-1], _SAMPLES_PER_PIECE * len(points))
        dense = np.unique(np.concatenate([dense, times]))
        return np.stack([np.interp(dense, times, points[:, axis]) for axis in range(2)], axis=1), dense
    tangents = np.gradient(points, times, axis=0)
    pieces, when = [], []
    for k in range(len(points) - 1):
        gap = times[k + 1] - times[k]
        s = np.linspace(0, 1, _SAMPLES_PER_PIECE, endpoint=False)[:, None]
        pieces.append(
            (2 * s**3 - 3 * s**2 + 1) * points[k]
            + (s**3 - 2 * s**2 + s) * gap * tangents[k]
            + (3 * s**2 - 2 * s**3) * points[k + 1]
            + (s**3 - s**2) * gap * tangents[k + 1]
        )
        when.append(times[k] + s[:, 0] * gap)
    return np.concatenate([*pieces, points[-1:]]), np.concatenate([*when, times[-1:]])
