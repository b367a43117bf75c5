"""How well motions do what they were told: key-frame errors, content, collisions, and where an edit changed things.

Definitions of GMD and DNO (Karunratanakul et al. 2023, 2024), in the form of their released code. Positions are
[T, J, 3] in metres, y up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

FAILURES_M = (0.2, 0.5)
"""Distances beyond which a key frame is missed."""


class KeyframeErrors(NamedTuple):
    """Of motions with K key frames each."""

    failed: tuple[float, float]
    """Share of motions that fail at 0.2 and at 0.5 m."""
    missed: tuple[float, float]
    """Share of key frames missed at 0.2 and at 0.5 m."""
    mean: float
    """Metres."""


def keyframe_errors(errors: np.ndarray, strict: bool = True) -> KeyframeErrors:
    """GMD's trajectory errors of distances at key frames [N, K], metres.

    Args:
        strict: a motion fails when one key frame does; otherwise when its mean error is beyond the limit.
    """
    if strict:
        failed = [float((errors > limit).any(1).mean()) for limit in FAILURES_M]
    else:
        failed = [float((errors.mean(1) > limit).mean()) for limit in FAILURES_M]
    missed = [float((errors > limit).mean()) for limit in FAILURES_M]
    return KeyframeErrors((failed[0], failed[1]), (missed[0], missed[1]), float(errors.mean()))


def trajectory_diversity(trajectories: np.ndarray, lengths: Sequence[int] | np.ndarray) -> float:
    """RMS distance of repetitions to their mean path, averaged over prompts.

    Args:
        trajectories: [prompts, repetitions, T, 2], metres.
        lengths: [prompts], frames that count.
    """
    spreads = []
    for paths, length in zip(trajectories, lengths, strict=True):
        off = paths[:, :length] - paths[:, :length].mean(0)
        spreads.append(np.sqrt(np.square(off).sum(-1).mean()))
    return float(np.mean(spreads))


def objective_error(positions: np.ndarray, targets: np.ndarray, mask: np.ndarray) -> float:
    """Mean distance over the masked axes at every targeted frame and joint, metres; NaN without targets.

    Args:
        targets: [T, J, 3].
        mask: [T, J, 3] bool.
    """
    asked = mask.any(-1)
    distance = np.sqrt(np.where(mask, np.square(positions - targets), 0).sum(-1))
    return float(distance[asked].mean()) if asked.any() else float("nan")


def mpjpe(positions: np.ndarray, truth: np.ndarray, joints: Sequence[int] | None = None) -> float:
    """Mean distance per joint, metres; of all the 22 joints of the published tables when none are named."""
    chosen = list(range(22)) if joints is None else list(joints)
    return float(np.linalg.norm(positions[:, chosen] - truth[:, chosen], axis=-1).mean())


Predicate = Callable[[np.ndarray], np.ndarray]
"""Positions [T, J, 3] → [T] bool."""

PREDICATES: dict[str, Predicate] = {
    "jump": lambda p: np.all(p[:, (10, 11), 1] > 0.05, axis=1),
    "raised-hands": lambda p: np.all(p[:, (20, 21), 1] > p[:, 15, 1, None], axis=1),
    "left-hand-raised": lambda p: p[:, 20, 1] > p[:, 15, 1],
    "right-hand-raised": lambda p: p[:, 21, 1] > p[:, 15, 1],
    "crawl": lambda p: p[:, 15, 1] < 1.5,
}
"""What a frame may show: DNO's three, and one hand alone. The feet of "jump" are toe joints, 5 cm up."""


def content_preserved(before: np.ndarray, after: np.ndarray, shows: Predicate) -> float:
    """Share of frames in which two motions agree on what they show."""
    return float((shows(before) == shows(after)).mean())


class Collisions(NamedTuple):
    """Of one motion with its obstacles."""

    rate: float
    """Share of frames in which a joint's skin is inside an obstacle."""
    deepest: float
    """Metres."""


def collisions(clearance: np.ndarray) -> Collisions:
    """Of distances between skin and obstacles [T, K], negative inside, metres."""
    depth = -clearance.min(1)
    return Collisions(float((depth > 0).mean()), float(max(depth.max(), 0.0)))


def locality(before: np.ndarray, after: np.ndarray, targets: Sequence[int], near: int) -> float:
    """RMS change of the joints in frames farther than `near` from every target frame, metres; NaN without such."""
    frames = np.arange(len(before))
    far = np.ones(len(frames), bool)
    if len(targets):
        far = np.abs(frames[:, None] - np.asarray(targets)).min(1) > near
    if not far.any():
        return float("nan")
    return float(np.sqrt(np.square(after[far] - before[far]).sum(-1).mean()))
