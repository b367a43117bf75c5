"""Colours of bodies and captions."""

from __future__ import annotations

from collections.abc import Sequence

BODY_COLOURS: tuple[tuple[float, float, float], ...] = (
    (0.30, 0.53, 0.86),
    (0.93, 0.55, 0.33),
    (0.35, 0.68, 0.53),
    (0.72, 0.47, 0.78),
    (0.88, 0.72, 0.34),
    (0.87, 0.42, 0.46),
    (0.31, 0.66, 0.73),
    (0.58, 0.60, 0.86),
    (0.62, 0.71, 0.37),
    (0.78, 0.60, 0.50),
)
"""sRGB, 0..1; neighbours differ in hue and all are about equally bright."""

CAPTION_INK = (44, 52, 66)
CAPTION_HALO = (255, 255, 255)


def body_colours(labels: Sequence[str]) -> list[tuple[float, float, float]]:
    """One colour per clip: by label when there are several labels, one colour for all otherwise."""
    order = {label: rank for rank, label in enumerate(dict.fromkeys(labels))}
    return [BODY_COLOURS[order[label] % len(BODY_COLOURS)] for label in labels]
