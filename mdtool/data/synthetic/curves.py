"""Smooth curves over time, of which every action is made; all have continuous velocity and acceleration."""

from __future__ import annotations

import numpy as np

_WANDER_SINES = 5


def ease(place: np.ndarray, ramp: float = 0.5) -> np.ndarray:
    """From 0 at place <= 0 to 1 at place >= 1, starting and ending at rest.

    Args:
        place: progress [...], 0..1 inside the movement.
        ramp: share of the movement that is speeding up, and slowing down, 0 < ramp <= 0.5; the peak speed is
            1 / (1 - ramp), so a small ramp is an abrupt, even movement.
    """
    place = np.clip(place, 0.0, 1.0)
    edge = np.minimum(np.minimum(place, 1 - place) / ramp, 1.0)
    # The speed is a trapezoid with cubic smoothstep flanks; this is its integral up to the nearer end.
    travelled = ramp * (edge**3 - edge**4 / 2) + np.maximum(np.minimum(place, 1 - place) - ramp, 0.0)
    travelled = travelled / (1 - ramp)
    return np.where(place <= 0.5, travelled, 1 - travelled)


def stroke(phase: np.ndarray, out: float, hold: float, back: float, ramp: float = 0.5) -> np.ndarray:
    """There and back once per cycle: 0 to 1 during `out`, 1 during `hold`, 1 to 0 during `back`, then 0.

    Args:
        phase: cycles [...]; only the fraction counts.
        out, hold, back: shares of the cycle, together at most 1.
        ramp: as in `ease`.
    """
    place = phase % 1.0
    return ease(place / out, ramp) - ease((place - out - hold) / back, ramp)


def stepwise(phase: np.ndarray, values: np.ndarray, begin: float, end: float, ramp: float = 0.5) -> np.ndarray:
    """values[k] in cycle k, moving to values[k + 1] while the cycle's fraction goes from `begin` to `end`.

    Args:
        phase: cycles [T], from 0 on.
        values: one value per cycle [n], n at least one more than the cycles begun.
    """
    cycle = np.floor(phase).astype(np.int64)
    moved = ease((phase - cycle - begin) / (end - begin), ramp)
    return values[cycle] + (values[cycle + 1] - values[cycle]) * moved


def wander(
    rng: np.random.Generator, time_s: np.ndarray, low_hz: float, high_hz: float, channels: int = 1
) -> np.ndarray:
    """Aimless smooth noise of unit variance: a few sines of random frequency and phase; [T, channels].

    Args:
        time_s: seconds [T].
        low_hz, high_hz: band the frequencies are drawn from, evenly in their logarithm.
    """
    shape = (_WANDER_SINES, channels)
    frequency_hz = low_hz * (high_hz / low_hz) ** rng.random(shape)
    offset = rng.random(shape)
    angle = 2 * np.pi * (time_s[:, None, None] * frequency_hz + offset)
    return np.sqrt(2 / _WANDER_SINES) * np.sin(angle).sum(1)
