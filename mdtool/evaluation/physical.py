"""Physical plausibility: functions of joint positions that give one number per clip, and a card that compares sets.

Clips are positions [T, J, 3] in metres, y up, floor at 0, with their frame rate. A clip too short for a metric
(one frame has no speed) gives NaN and is left out of averages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mdtool.errors import MdtoolError
from mdtool.motion.contacts import foot_speeds, sliding, sole_heights, support_speeds
from mdtool.motion.kinematics import positions_of
from mdtool.motion.motion import MotionSet
from mdtool.motion.skeleton import FEET, MIRROR_PAIRS, PARENTS

_FRAMES_AT_ONCE = 20_000
"""Frames whose positions are in memory together: 24 joints of 3 doubles each, 12 MB."""


def foot_skating(positions: np.ndarray, fps: float) -> float:
    """Share of steps from frame to frame in which the feet slide over the floor; see `motion.contacts`."""
    return _mean(sliding(positions, fps))


def foot_slip(positions: np.ndarray, fps: float) -> float:
    """Mean speed of the feet that carry the body over the floor, metres per second; see `motion.contacts`."""
    return _mean(support_speeds(positions, fps))


class Skating(NamedTuple):
    """Foot skating as GMD and DNO publish it."""

    ratio: float
    """Share of steps in which a foot skates."""
    speed: np.ndarray
    """[2, T - 1] windowed speed of the left and right toe where it is down, else 0; metres per second."""


def skating_ratio(positions: np.ndarray, fps: float) -> Skating:
    """Foot skating as GMD and DNO publish it, for comparison with their tables (Karunratanakul et al. 2023, 2024).

    A toe joint (10 or 11) skates in a step when it is below 0.05 m in both frames and faster over the floor than
    0.5 m/s, both now and on average over five steps, with zeros beyond the ends of the clip. A swinging toe that
    passes low counts as skating, so that real walking does not score 0.
    """
    toes = positions[:, (10, 11)]
    speed = np.linalg.norm(np.diff(toes[..., (0, 2)], axis=0), axis=-1).T * fps
    down = (toes[1:, :, 1] < 0.05).T & (toes[:-1, :, 1] < 0.05).T
    padded = np.pad(speed, ((0, 0), (2, 2)))
    windowed = np.mean([padded[:, shift : shift + speed.shape[1]] for shift in range(5)], axis=0)
    return Skating(_mean((down & (speed > 0.5) & (windowed > 0.5)).any(0)), windowed * down)


def low_foot_skating(positions: np.ndarray, fps: float) -> float:
    """Foot skating as balanced EDM may have published it: its definition was not found, this is the likeliest one.

    Share of steps in which an ankle or a toe lies less than 0.05 m above the clip's floor in both frames and moves over
    it faster than 0.5 m/s; the floor is the lowest place of those joints in the clip.
    """
    heights = positions[:, FEET, 1]
    low = heights < heights.min() + 0.05
    return _mean((low[1:] & low[:-1] & (foot_speeds(positions, fps) > 0.5)).any(-1))


def penetration(positions: np.ndarray, fps: float) -> float:
    """Depth of the deepest sole below the floor, averaged over frames; metres."""
    return _mean((-sole_heights(positions)).max(-1).clip(0))


def floating(positions: np.ndarray, fps: float) -> float:
    """Height of the lowest sole above the floor, averaged over frames; metres. Jumps and flight phases count too."""
    return _mean(sole_heights(positions).min(-1).clip(0))


def jitter(positions: np.ndarray, fps: float) -> float:
    """Mean length of the joints' third differences times fps³; metres per second cubed (DNO's jitter)."""
    return _mean(np.linalg.norm(np.diff(positions, 3, axis=0), axis=-1)) * fps**3


def bone_length_deviation(positions: np.ndarray, fps: float, parents: tuple[int, ...] = PARENTS) -> float:
    """Standard deviation of each bone's length over the clip, averaged over bones; metres.

    Zero for motions made of rotations; a measure for positions that come from elsewhere.
    """
    joints = [joint for joint, parent in enumerate(parents) if parent >= 0]
    bones = positions[:, joints] - positions[:, [parents[joint] for joint in joints]]
    return _mean(np.linalg.norm(bones, axis=-1).std(0))


def limb_asymmetry(positions: np.ndarray, fps: float) -> float:
    """Difference between the lengths of a left bone and its right twin, averaged over pairs and frames; metres.

    Zero for motions of the built-in skeleton; a measure for positions that come from elsewhere.
    """
    bones = np.linalg.norm(positions - positions[:, [max(parent, 0) for parent in PARENTS]], axis=-1)
    left, right = (list(side) for side in zip(*MIRROR_PAIRS, strict=True))
    return _mean(np.abs(bones[:, left] - bones[:, right]))


def motion_energy(positions: np.ndarray, fps: float) -> float:
    """Mean speed of the joints through the world; metres per second."""
    return _mean(np.linalg.norm(np.diff(positions, axis=0), axis=-1)) * fps


def limb_energy(positions: np.ndarray, fps: float) -> float:
    """Mean speed of the joints relative to the pelvis; metres per second."""
    return motion_energy(positions[:, 1:] - positions[:, :1], fps)


@dataclass(frozen=True)
class Metric:
    """A function of one clip, and how to print it."""

    name: str
    unit: str
    per_si: float
    """Printed units in one SI unit."""
    of: Callable[[np.ndarray, float], float]


METRICS = (
    Metric("foot skating", "% of steps", 100, foot_skating),
    Metric("foot slip", "m/s", 1, foot_slip),
    Metric("skating ratio (GMD)", "% of steps", 100, lambda positions, fps: skating_ratio(positions, fps).ratio),
    Metric("skating below 5 cm", "% of steps", 100, low_foot_skating),
    Metric("penetration", "cm", 100, penetration),
    Metric("floating", "cm", 100, floating),
    Metric("jitter", "m/s³", 1, jitter),
    Metric("bone length deviation", "mm", 1000, bone_length_deviation),
    Metric("limb asymmetry", "mm", 1000, limb_asymmetry),
    Metric("motion energy", "m/s", 1, motion_energy),
    Metric("limb energy", "m/s", 1, limb_energy),
)
PER_ACTION = ("motion energy", "limb energy", "jitter")
"""Metrics that the card compares action by action: an average over all hides a wave that does not wave."""


def measure(motions: MotionSet) -> dict[str, np.ndarray]:
    """Every metric of every clip in its printed unit; name → [clips] float64, NaN where a clip is too short."""
    values: dict[str, list[float]] = {metric.name: [] for metric in METRICS}
    for positions, fps in _clips(motions):
        for metric in METRICS:
            values[metric.name].append(metric.of(positions, fps) * metric.per_si)
    return {name: np.array(column) for name, column in values.items()}


@dataclass(frozen=True)
class CardRow:
    """One metric of a set of clips, beside that of the reference clips."""

    metric: str
    unit: str
    mean: float
    worst: float
    """95th percentile over clips."""
    reference_mean: float | None = None
    reference_worst: float | None = None


def card_row(metric: str, unit: str, values: np.ndarray) -> CardRow:
    """The row of one metric's values [clips], NaN where a clip has none."""
    return CardRow(metric, unit, _mean(values), _worst(values))


@dataclass(frozen=True)
class ActionRow:
    """One metric of the clips of one action, beside that of the reference clips of the same action."""

    action: str
    metric: str
    mean: float
    reference_mean: float

    @property
    def ratio(self) -> float:
        """Clips over reference: 1 is as real, below 1 less of it. NaN where the reference has none."""
        return self.mean / self.reference_mean if self.reference_mean else np.nan


@dataclass(frozen=True)
class Card:
    """The physical card: how a set of clips moves, beside how the reference moves."""

    clips: int
    reference_clips: int
    rows: list[CardRow]
    actions: list[ActionRow]
    names: tuple[str, str]
    """What to call the clips and the reference."""


def card(
    motions: MotionSet, reference: MotionSet | None = None, names: tuple[str, str] = ("tested", "recordings")
) -> Card:
    """Measure a set of clips, and the reference in the same way.

    Args:
        names: what to call the two in a table.

    Raises:
        MdtoolError: the two sets differ in frame rate, which changes jitter and all speeds of noise.
    """
    own = measure(motions)
    if reference is None:
        rows = [card_row(m.name, m.unit, own[m.name]) for m in METRICS]
        return Card(len(motions), 0, rows, [], names)
    check_frame_rates(motions, reference)
    real = measure(reference)
    rows = [
        CardRow(m.name, m.unit, *(f(values[m.name]) for values in (own, real) for f in (_mean, _worst)))
        for m in METRICS
    ]
    actions = []
    for name in motions.actions:
        mine = _of_action(motions, name)
        theirs = _of_action(reference, name)
        if mine.any() and theirs.any():
            actions += [ActionRow(name, key, _mean(own[key][mine]), _mean(real[key][theirs])) for key in PER_ACTION]
    return Card(len(motions), len(reference), rows, actions, names)


def check_frame_rates(motions: MotionSet, reference: MotionSet) -> None:
    """Refuse to compare sets that differ in frame rate.

    Raises:
        MdtoolError: they do.
    """
    rates = np.concatenate([motions.fps, reference.fps])
    if rates.max() > rates.min() * 1.001:
        raise MdtoolError(
            f"cannot compare motions at {_rates(motions)} fps with motions at {_rates(reference)} fps: "
            "preprocess the recordings with --fps to one common rate"
        )


def _clips(motions: MotionSet) -> Iterator[tuple[np.ndarray, float]]:
    """Positions [T, 24, 3] float64 and frame rate of every clip, many clips per pass of forward kinematics."""
    first = 0
    while first < len(motions):
        reach = np.searchsorted(motions.start, motions.start[first] + _FRAMES_AT_ONCE, side="right") - 1
        last = max(int(reach), first + 1)
        rows = slice(int(motions.start[first]), int(motions.start[last]))
        positions = positions_of(motions.rot6d[rows].astype(np.float64), motions.root[rows].astype(np.float64))
        for clip in range(first, last):
            begin, end = motions.start[clip : clip + 2] - motions.start[first]
            yield positions[begin:end], float(motions.fps[clip])
        first = last


def _of_action(motions: MotionSet, name: str) -> np.ndarray:
    return motions.action == motions.action_index(name) if name in motions.actions else np.zeros(len(motions), bool)


def _rates(motions: MotionSet) -> str:
    return ", ".join(f"{rate:g}" for rate in np.unique(motions.fps))


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else np.nan


def _worst(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.percentile(finite, 95)) if finite.size else np.nan
