"""Which side to pass an obstacle on: distances alone push the half of the body on either side its own way.

Where a way leads through the middle of an obstacle, the distance to its surface falls forwards and backwards along
the way, and hurries the body through instead of around. So the side is chosen before the search, by the shortest shift
of the pelvis' way that is clear, and holds for the whole body.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_DIRECTIONS = 32
_SHIFTS_M = np.arange(1, 61) * 0.05
_BESIDE_M = 0.2
"""Half of a body's width, to be clear too."""


@dataclass(frozen=True)
class Detour:
    """A shift of the way that is clear."""

    way: np.ndarray
    """[T, 2] (x, z) of the pelvis as it would go."""
    towards: np.ndarray
    """[2] the direction in which it is to leave that."""
    metres: float
    """How far."""


def detour(margin: Callable[[np.ndarray], np.ndarray], way: np.ndarray) -> Detour | None:
    """The shortest shift of the pelvis' way [T, 3] to where no obstacle is; None where none is needed or helps.

    Args:
        margin: room [T] beyond what a pelvis on a way [T, 3] needs; metres, below 0 where it is blocked.
    """
    blocked = margin(way) < 0
    if not blocked.any():
        return None
    angles = np.arange(_DIRECTIONS) * 2 * np.pi / _DIRECTIONS
    for metres in _SHIFTS_M:
        shifts = metres * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        least = np.array([margin(way + np.array([x, 0.0, z]))[blocked].min() for x, z in shifts])
        if least.max() >= _BESIDE_M:
            return Detour(way[:, (0, 2)], shifts[int(least.argmax())] / metres, float(metres))
    return None
