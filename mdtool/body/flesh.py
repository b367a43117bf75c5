"""The mannequin's flesh as a distance field: lofts, cones and ellipsoids joined smoothly.

Only the left half (x >= 0) is described; the field is even in x. Lengths in metres, world of the rest pose: y up,
floor at 0, facing +z, arms stretched sideways, palms down, thumbs forward.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mdtool.motion.skeleton import JOINT_INDEX, STANDING_PELVIS_HEIGHT, rest_positions

REST_JOINTS = rest_positions() + np.array([0.0, STANDING_PELVIS_HEIGHT, 0.0])
"""[24, 3] joints of the standing rest pose."""

_ACROSS = {"x": ("y", "z"), "y": ("x", "z"), "z": ("x", "y")}
_AXIS = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True)
class Loft:
    """A tube along one coordinate axis through elliptical rings, with rounded ends."""

    axis: str
    rings: tuple[tuple[float, float, float, float, float], ...]
    """(place along the axis, half-width, half-depth, centre across, centre in depth), in order of place."""
    caps: tuple[float, float] = (0.03, 0.03)
    """How far the rounded ends reach beyond the first and the last ring."""
    power: float = 2.0
    """Exponent of the cross-section: 2 an ellipse, more is boxier."""

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Approximate signed distance of points [n, 3]; [n]."""
        along = points[:, _AXIS[self.axis]]
        width, depth = (points[:, _AXIS[letter]] for letter in _ACROSS[self.axis])
        table = np.array(self.rings)
        place = np.clip(along, table[0, 0], table[-1, 0])
        half_width, half_depth, centre, centre_depth = _smooth_profile(table[:, 0], table[:, 1:], place)
        cap = np.where(along < table[0, 0], self.caps[0], self.caps[1])
        offsets = np.stack([width - centre, depth - centre_depth, along - place])
        return _scaled_norm_distance(offsets, np.stack([half_width, half_depth, cap]), self.power)


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid with axes along the coordinate axes."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Approximate signed distance of points [n, 3]; [n]."""
        return _scaled_norm_distance((points - np.array(self.centre)).T, np.array(self.radii)[:, None], 2.0)


@dataclass(frozen=True)
class Cone:
    """A capsule whose radius changes linearly from one end to the other."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radii: tuple[float, float]

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Signed distance of points [n, 3] (exact for equal radii); [n]."""
        start, axis = np.array(self.start), np.array(self.end) - np.array(self.start)
        share = np.clip((points - start) @ axis / (axis @ axis), 0, 1)
        radius = self.radii[0] + (self.radii[1] - self.radii[0]) * share
        return np.linalg.norm(points - start - share[:, None] * axis, axis=1) - radius


@dataclass(frozen=True)
class Flesh:
    """Shapes joined in order, each with the width (metres) over which it melts into those before it."""

    parts: tuple[tuple[Loft | Ellipsoid | Cone, float], ...] = field(default_factory=lambda: _PARTS)
    sole_rounding: float = 0.010
    """Width over which the feet bend into the flat sole at y = 0."""

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Approximate signed distance to the skin, negative inside; points [n, 3] → [n]."""
        folded = np.abs(points) * [1.0, 0.0, 0.0] + points * [0.0, 1.0, 1.0]
        total = np.full(len(points), np.inf)
        for part, melt in self.parts:
            total = _smooth_minimum(total, part.distance(folded), melt)
        return -_smooth_minimum(-total, points[:, 1], self.sole_rounding)

    def gradient(self, points: np.ndarray, step: float = 1e-4) -> np.ndarray:
        """Finite differences of the distance over a small tetrahedron (second order, four evaluations); [n, 3]."""
        total = np.zeros_like(points)
        for corner in np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]):
            total += self.distance(points + step * corner)[:, None] * corner
        return total / (4 * step)


def visor_distance(points: np.ndarray) -> np.ndarray:
    """Signed distance to the edge of the band across the eyes, along the skin; points [n, 3] → [n]."""
    head = points - REST_JOINTS[JOINT_INDEX["head"]]
    sideways = 0.085 * np.arctan2(np.abs(head[:, 0]), head[:, 2])
    corner = np.stack([sideways - 0.078, np.abs(head[:, 1] - 0.116) - 0.003], axis=1)
    edge = np.linalg.norm(np.maximum(corner, 0), axis=1) + np.minimum(corner.max(axis=1), 0) - 0.016
    return np.where(head[:, 1] > 0, edge, 0.1)


def _scaled_norm_distance(offsets: np.ndarray, radii: np.ndarray, power: float) -> np.ndarray:
    """(k - 1) / |grad k| of k = (|x/a|^p + |y/b|^p)^(1/p), joined by a 2-norm with the third axis; [3, n] → [n]."""
    scaled = np.abs(offsets) / radii
    flat = (scaled[0] ** power + scaled[1] ** power) ** (1 / power)
    norm = np.maximum(np.hypot(flat, scaled[2]), 1e-9)
    shrink = (scaled[:2] / np.maximum(flat, 1e-9)) ** (power - 1) * (flat / norm)
    gradient = np.sqrt((shrink[0] / radii[0]) ** 2 + (shrink[1] / radii[1]) ** 2 + (scaled[2] / norm / radii[2]) ** 2)
    return (norm - 1) / np.maximum(gradient, 1e-9)


def _smooth_minimum(first: np.ndarray, second: np.ndarray, width: float) -> np.ndarray:
    """Minimum whose corner is rounded over `width`; exact where the two differ by more."""
    with np.errstate(invalid="ignore"):
        blend = np.maximum(width - np.abs(first - second), 0) / width
    return np.minimum(first, second) - blend * blend * width / 4


def _smooth_profile(places: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Cubic Hermite curves through `values` [n, C] at `places` [n], with the slopes of neighbours; [C, len(at)]."""
    slopes = np.gradient(values, places, axis=0)
    left = np.clip(np.searchsorted(places, at, side="right") - 1, 0, len(places) - 2)
    gap = places[left + 1] - places[left]
    share = (at - places[left]) / gap
    rest = 1 - share
    basis = (
        (1 + 2 * share) * rest * rest,
        gap * share * rest * rest,
        (3 - 2 * share) * share * share,
        -gap * rest * share * share,
    )
    tables = (values[:-1], slopes[:-1], values[1:], slopes[1:])
    return sum((table.T[:, left] * factor for table, factor in zip(tables, basis, strict=True)), np.zeros(1))


_TRUNK = Loft(
    "y",
    (
        (0.900, 0.126, 0.094, 0.0, -0.010),
        (0.950, 0.145, 0.101, 0.0, -0.010),
        (1.000, 0.147, 0.099, 0.0, -0.005),
        (1.060, 0.136, 0.092, 0.0, 0.002),
        (1.120, 0.129, 0.090, 0.0, 0.005),
        (1.180, 0.134, 0.094, 0.0, 0.003),
        (1.250, 0.147, 0.103, 0.0, 0.001),
        (1.305, 0.153, 0.103, 0.0, -0.002),
        (1.345, 0.143, 0.090, 0.0, -0.008),
        (1.380, 0.112, 0.066, 0.0, -0.014),
    ),
    caps=(0.06, 0.045),
    power=2.25,
)
_NECK = Loft(
    "y", ((1.37, 0.066, 0.066, 0.0, -0.012), (1.43, 0.055, 0.058, 0.0, -0.007), (1.53, 0.052, 0.057, 0.0, 0.006))
)
_ARM = Loft(
    "x",
    (
        (0.125, 0.053, 0.058, 1.372, -0.006),
        (0.160, 0.057, 0.062, 1.374, -0.004),
        (0.215, 0.051, 0.054, 1.375, 0.000),
        (0.290, 0.045, 0.048, 1.377, 0.001),
        (0.365, 0.039, 0.041, 1.380, -0.001),
        (0.415, 0.037, 0.040, 1.380, -0.003),
        (0.470, 0.039, 0.042, 1.379, 0.001),
        (0.540, 0.034, 0.037, 1.380, 0.001),
        (0.610, 0.027, 0.031, 1.380, 0.000),
        (0.668, 0.021, 0.028, 1.380, 0.000),
        (0.690, 0.020, 0.030, 1.380, 0.001),
    ),
)
_HAND = Loft(
    "x",
    (
        (0.665, 0.019, 0.027, 1.380, 0.000),
        (0.700, 0.019, 0.036, 1.379, 0.002),
        (0.750, 0.018, 0.043, 1.377, 0.003),
        (0.795, 0.0155, 0.041, 1.372, 0.001),
        (0.835, 0.0125, 0.031, 1.366, -0.001),
    ),
    caps=(0.02, 0.022),
    power=2.3,
)
_LEG = Loft(
    "y",
    (
        (0.080, 0.030, 0.037, 0.082, -0.008),
        (0.150, 0.032, 0.038, 0.082, -0.009),
        (0.230, 0.040, 0.046, 0.083, -0.014),
        (0.310, 0.050, 0.056, 0.084, -0.020),
        (0.390, 0.054, 0.061, 0.085, -0.020),
        (0.460, 0.050, 0.056, 0.084, -0.010),
        (0.528, 0.050, 0.057, 0.083, 0.000),
        (0.590, 0.055, 0.061, 0.083, 0.003),
        (0.680, 0.066, 0.073, 0.083, 0.005),
        (0.780, 0.075, 0.085, 0.083, 0.005),
        (0.860, 0.079, 0.093, 0.084, 0.002),
        (0.930, 0.071, 0.092, 0.081, -0.004),
    ),
    caps=(0.03, 0.11),
    power=2.1,
)
_FOOT = Loft(
    "z",
    (
        (-0.040, 0.030, 0.036, 0.082, 0.032),
        (0.000, 0.034, 0.056, 0.083, 0.044),
        (0.050, 0.037, 0.046, 0.084, 0.034),
        (0.100, 0.044, 0.034, 0.087, 0.025),
        (0.140, 0.044, 0.026, 0.088, 0.020),
        (0.170, 0.035, 0.021, 0.087, 0.017),
    ),
    caps=(0.022, 0.022),
    power=2.2,
)
_PECTORAL = Ellipsoid((0.066, 1.304, 0.042), (0.078, 0.058, 0.046))
_BUTTOCK = Ellipsoid((0.072, 0.928, -0.052), (0.072, 0.078, 0.066))
_TRAPEZIUS = Cone((0.02, 1.420, -0.018), (0.130, 1.394, -0.012), (0.044, 0.036))
_SKULL = Ellipsoid((0.0, 1.610, 0.006), (0.074, 0.090, 0.092))
_JAW = Ellipsoid((0.0, 1.528, 0.050), (0.050, 0.057, 0.055))
_NOSE = Cone((0.0, 1.588, 0.098), (0.0, 1.558, 0.107), (0.008, 0.012))
_EAR = Ellipsoid((0.075, 1.578, -0.006), (0.010, 0.030, 0.019))
_THUMB = Cone((0.696, 1.376, 0.024), (0.764, 1.366, 0.066), (0.0165, 0.0120))
_PARTS: tuple[tuple[Loft | Ellipsoid | Cone, float], ...] = (
    (_TRUNK, 0.03),
    (_PECTORAL, 0.06),
    (_BUTTOCK, 0.04),
    (_NECK, 0.06),
    (_TRAPEZIUS, 0.07),
    (_SKULL, 0.03),
    (_JAW, 0.05),
    (_NOSE, 0.022),
    (_EAR, 0.010),
    (_ARM, 0.05),
    (_HAND, 0.02),
    (_THUMB, 0.024),
    (_LEG, 0.05),
    (_FOOT, 0.03),
)
