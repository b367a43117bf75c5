"""How long a run's motions can be, and at which rate: told by its settings, without its network."""

from __future__ import annotations

from mdtool.config import RunConfig

FRAMES, EDM_FRAMES, AXIS_S = 60, 192, 10.0
"""What runs have unless their settings say otherwise: frames, those of balanced EDM, seconds of NeRM's time axis."""


def frames_on(axis_s: float, fps: float) -> int:
    """Frames of a rate that lie on a time axis of so many seconds, both ends included."""
    return int(axis_s * fps + 1e-6) + 1


def longest(config: RunConfig) -> tuple[int, float]:
    """(frames of the longest motion that a generator's run makes, frames per second), as its `describe` says."""
    settings = config.model
    if config.method == "nerm":
        fps = float(settings.get("grid_fps") or config.fps)
        return frames_on(float(settings.get("axis_s", AXIS_S)), fps), fps
    usual = EDM_FRAMES if config.method == "balanced-edm" else FRAMES
    return int(settings.get("frames", usual)), config.fps
