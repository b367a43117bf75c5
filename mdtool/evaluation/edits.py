"""Edited motions against what they were: the measures of DNO's tables, clip by clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mdtool.errors import MdtoolError
from mdtool.evaluation.control import PREDICATES, content_preserved, keyframe_errors, locality, mpjpe
from mdtool.evaluation.physical import foot_skating, jitter, skating_ratio
from mdtool.motion.marks import Marks
from mdtool.motion.motion import Motion


@dataclass(frozen=True)
class EditScore:
    """One measure of all clips of a file."""

    measure: str
    unit: str
    before: list[float]
    """Per clip, NaN where there is nothing to measure."""
    after: list[float]

    @property
    def means(self) -> tuple[float, float]:
        """(before, after) averaged over the clips that have it."""
        return _mean(self.before), _mean(self.after)


_OF_ONE: tuple[tuple[str, str, Callable[[np.ndarray, float], float]], ...] = (
    ("jitter", "100 m/s³", lambda positions, fps: jitter(positions, fps) / 100),
    ("skating ratio (GMD)", "share of steps", lambda positions, fps: skating_ratio(positions, fps).ratio),
    ("foot skating", "share of steps", foot_skating),
)


def edit_scores(edited: Sequence[Motion], before: Sequence[Motion], marks: Sequence[Marks]) -> list[EditScore]:
    """Objective error, key frames missed, content, jitter, skating and change of edited clips, beside their inputs.

    Raises:
        MdtoolError: a clip and its input differ in length or rate.
    """
    for place, (after, own) in enumerate(zip(edited, before, strict=True)):
        if len(after) != len(own) or abs(after.fps - own.fps) > 1e-3 * own.fps:
            raise MdtoolError(
                f"clip {place} has {len(after)} frames at {after.fps:g} fps and its input {len(own)} at {own.fps:g}: "
                "they cannot be compared frame by frame"
            )
    pairs = [
        (own.positions().astype(float), after.positions().astype(float))
        for own, after in zip(before, edited, strict=True)
    ]
    rates = [motion.fps for motion in edited]
    errors = [[target_errors(positions, told) for positions in pair] for pair, told in zip(pairs, marks, strict=True)]
    rows = [EditScore("objective error", "m", *([_mean(e[k]) for e in errors] for k in (0, 1)))]
    for limit, place in ((0.2, 0), (0.5, 1)):
        failed = ([_failed(e[k], place) for e in errors] for k in (0, 1))
        rows.append(EditScore(f"trajectory fail at {100 * limit:g} cm", "share", *failed))
    for name, unit, measure in _OF_ONE:
        values = ([measure(pair[k], fps) for pair, fps in zip(pairs, rates, strict=True)] for k in (0, 1))
        rows.append(EditScore(name, unit, *values))
    for name, shows in PREDICATES.items():
        kept = [content_preserved(*pair, shows) if shows(pair[0]).any() else np.nan for pair in pairs]
        if np.isfinite(kept).any():
            rows.append(EditScore(f"content kept: {name}", "share of frames", [np.nan] * len(kept), kept))
    nothing = [np.nan] * len(pairs)
    rows.append(EditScore("MPJPE against the input", "cm", nothing, [100 * mpjpe(after, own) for own, after in pairs]))
    rows.append(EditScore("change (RMS)", "cm", nothing, [100 * locality(own, after, [], 0) for own, after in pairs]))
    return rows


def target_errors(positions: np.ndarray, marks: Marks) -> np.ndarray:
    """Distance of joints [T, J, 3] to each target over the axes it asks for; [targets], metres."""
    found = []
    for point in marks.points:
        axes = ["xyz".index(axis) for axis in point.axes]
        off = positions[point.frame, point.joint] - np.array(point.at)
        found.append(float(np.linalg.norm(off[axes])))
    return np.array(found)


def _failed(errors: np.ndarray, limit: int) -> float:
    return keyframe_errors(errors[None]).failed[limit] if len(errors) else float("nan")


def _mean(values: Sequence[float] | np.ndarray) -> float:
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    return float(finite.mean()) if finite.size else float("nan")
