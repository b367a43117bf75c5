"""World axes by the names of a body's directions, for files in the axes of other programs."""

from __future__ import annotations

from typing import Literal

import numpy as np

BodyDirection = Literal["left", "right", "up", "down", "forward", "back"]
Axes = tuple[BodyDirection, BodyDirection, BodyDirection]
"""Where x, y and z point, seen from a person in the rest pose."""

BODY_VECTORS: dict[str, tuple[int, int, int]] = {
    "left": (1, 0, 0), "right": (-1, 0, 0),
    "up": (0, 1, 0), "down": (0, -1, 0),
    "forward": (0, 0, 1), "back": (0, 0, -1),
}  # fmt: skip
"""Every direction in mdtool's world (x left, y up, z forward)."""

MDTOOL_AXES: Axes = ("left", "up", "forward")
AMASS_AXES: Axes = ("left", "back", "up")
"""AMASS and Blender: z up; a body of zero rotation in y-up terms faces -y."""


def axes_matrix(axes: Axes) -> np.ndarray:
    """Matrix [3, 3] that takes points of mdtool's world to the world with these axes; det -1 for a left-handed one.

    A rotation R of mdtool's world is M R Mᵀ there, whatever the handedness.
    """
    return np.array([BODY_VECTORS[axis] for axis in axes], dtype=np.float64)
