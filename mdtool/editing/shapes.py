"""Signed distances to shapes, exact, negative inside; of numpy arrays and of torch tensors alike.

Coordinates come apart, x, y and z of one shape [...], so that the same lines work on both kinds: numbers without
gradients (dry runs, reports) need no torch. Formulas are those of plane geometry; the polygon's and the box's are
written as in Quilez' collection of distance functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Coordinate = Any
"""numpy array or torch tensor [...]."""
_ASIDE_M = 1e-3
"""How far a point on an axis is moved off it: on the axis itself no direction leads out."""
_ON_AXIS_M2 = 1e-12


class Shape(Protocol):
    """Something with an inside."""

    def distance(self, x: Coordinate, y: Coordinate, z: Coordinate) -> Coordinate:
        """Metres to its surface, negative inside; [...]."""
        ...


@dataclass(frozen=True)
class Ball:
    """A sphere."""

    centre: np.ndarray
    radius: float

    def distance(self, x: Coordinate, y: Coordinate, z: Coordinate) -> Coordinate:
        """‖p - c‖ - r."""
        return off_axis(x - self.centre[0], z - self.centre[2], y - self.centre[1]) - self.radius


@dataclass(frozen=True)
class Column:
    """An upright cylinder, endless unless it has ends."""

    centre: tuple[float, float]
    radius: float
    ends: tuple[float, float] | None = None

    def distance(self, x: Coordinate, y: Coordinate, z: Coordinate) -> Coordinate:
        """Distance to the mantle, or to the capped cylinder."""
        around = off_axis(x - self.centre[0], z - self.centre[1]) - self.radius
        return around if self.ends is None else between(around, y, *self.ends)


@dataclass(frozen=True)
class Block:
    """A box, turned about the vertical, with rounded edges."""

    centre: np.ndarray
    half: np.ndarray
    yaw: float = 0.0
    """Radians."""
    rounding: float = 0.0

    def distance(self, x: Coordinate, y: Coordinate, z: Coordinate) -> Coordinate:
        """Outside to the nearest face, edge or corner; inside to the nearest face."""
        x, z = turned(x - self.centre[0], z - self.centre[2], -self.yaw)
        half = self.half - self.rounding
        a, b, c = abs(x) - half[0], abs(y - self.centre[1]) - half[1], abs(z) - half[2]
        outside = root(a.clip(0) ** 2 + b.clip(0) ** 2 + c.clip(0) ** 2)
        return outside + largest(largest(a, b), c).clip(None, 0) - self.rounding


@dataclass(frozen=True)
class Stick:
    """A capsule; its ends may be arrays [T, 1], one place per frame."""

    start: tuple[Any, Any, Any]
    end: tuple[Any, Any, Any]
    radius: float

    def distance(self, x: Coordinate, y: Coordinate, z: Coordinate) -> Coordinate:
        """Distance to the line between the ends, less the radius."""
        a = [like(part, x) for part in self.start]
        along = [like(end - start, x) for start, end in zip(self.start, self.end, strict=True)]
        p = [x - a[0], y - a[1], z - a[2]]
        length = along[0] ** 2 + along[1] ** 2 + along[2] ** 2 + 1e-12
        share = ((p[0] * along[0] + p[1] * along[1] + p[2] * along[2]) / length).clip(0, 1)
        off = [own - share * step for own, step in zip(p, along, strict=True)]
        return off_axis(off[0], off[2], off[1]) - self.radius


@dataclass(frozen=True)
class HalfSpace:
    """Everything behind a plane."""

    point: np.ndarray
    normal: np.ndarray
    """Unit vector, out of it."""

    def distance(self, x: Coordinate, y: Coordinate, z: Coordinate) -> Coordinate:
        """Distance along the normal."""
        a, b, c = self.normal
        return (x - self.point[0]) * a + (y - self.point[1]) * b + (z - self.point[2]) * c


@dataclass(frozen=True)
class Prism:
    """An upright prism over a polygon."""

    corners: np.ndarray
    """[n, 2], in either sense of rotation."""
    ends: tuple[float, float]

    def distance(self, x: Coordinate, y: Coordinate, z: Coordinate) -> Coordinate:
        """Distance to the polygon's outline, signed by the even-odd rule, then as for a capped cylinder."""
        nearest = None
        inside = x != x
        for start, end in zip(self.corners, np.roll(self.corners, -1, axis=0), strict=True):
            ex, ez = (end - start).tolist()
            px, pz = x - start[0], z - start[1]
            share = ((px * ex + pz * ez) / (ex * ex + ez * ez)).clip(0, 1)
            squared = (px - share * ex) ** 2 + (pz - share * ez) ** 2
            nearest = squared if nearest is None else smallest(nearest, squared)
            crosses = (start[1] > z) != (end[1] > z)
            left = px < ex * pz / (ez or 1.0)
            inside = inside ^ (crosses & left)
        outline = root(nearest)
        return between(choose(inside, -outline, outline), y, *self.ends)


@dataclass(frozen=True)
class Grid:
    """Distances on a grid, linear between its points; outside it the way to the grid is added."""

    values: np.ndarray
    """[nx, ny, nz], metres."""
    origin: np.ndarray
    cell: float

    def distance(self, x: Coordinate, y: Coordinate, z: Coordinate) -> Coordinate:
        """Trilinear interpolation."""
        places, outside = [], 0.0
        for axis, value in enumerate((x, y, z)):
            place = (value - self.origin[axis]) / self.cell
            inside = place.clip(0, self.values.shape[axis] - 1)
            outside = outside + ((place - inside) * self.cell) ** 2
            places.append(inside)
        low = [whole(place, self.values.shape[axis] - 2) for axis, place in enumerate(places)]
        share = [place - begin for place, begin in zip(places, low, strict=True)]
        table = like(self.values, x)
        total = 0.0
        for corner in range(8):
            steps = [corner >> axis & 1 for axis in range(3)]
            weight = 1.0
            for step, part in zip(steps, share, strict=True):
                weight = weight * (part if step else 1 - part)
            total = total + weight * table[tuple(begin + step for begin, step in zip(low, steps, strict=True))]
        return total + root(outside)


@dataclass(frozen=True)
class Together:
    """Shapes put together."""

    how: str
    """union, intersect or subtract (the first without the others)."""
    parts: tuple[Shape, ...]

    def distance(self, x: Coordinate, y: Coordinate, z: Coordinate) -> Coordinate:
        """The smallest or largest of the parts' distances; a bound where they overlap."""
        result = self.parts[0].distance(x, y, z)
        for part in self.parts[1:]:
            other = part.distance(x, y, z)
            if self.how == "union":
                result = smallest(result, other)
            else:
                result = largest(result, other if self.how == "intersect" else -other)
        return result


# ---- arithmetic on both kinds ---------------------------------------------------------------------------------------


def off_axis(a: Coordinate, b: Coordinate, c: Coordinate | float = 0.0) -> Coordinate:
    """√(a² + b² + c²), with a direction even at 0: a point there is taken to be a millimetre aside."""
    squared = a**2 + b**2 + c**2
    aside = (a + 0.8 * _ASIDE_M) ** 2 + (b + 0.6 * _ASIDE_M) ** 2 + c**2
    return choose(squared < _ON_AXIS_M2, aside, squared) ** 0.5


def root(squared: Coordinate) -> Coordinate:
    """√ with gradient 0 at 0."""
    positive = squared > 0
    return choose(positive, choose(positive, squared, squared * 0 + 1) ** 0.5, squared * 0)


def between(around: Coordinate, y: Coordinate, low: float, high: float) -> Coordinate:
    """Distance to a solid with an outline's distance `around` in plan, from one height to another."""
    above = abs(y - (low + high) / 2) - (high - low) / 2
    return root(around.clip(0) ** 2 + above.clip(0) ** 2) + largest(around, above).clip(None, 0)


def turned(x: Coordinate, z: Coordinate, yaw: Any) -> tuple[Coordinate, Coordinate]:
    """(x, z) turned about the vertical by `yaw` radians: 90° takes +z to +x."""
    cos, sin = like(np.cos(yaw), x), like(np.sin(yaw), x)
    return x * cos + z * sin, z * cos - x * sin


def choose(condition: Coordinate, one: Coordinate, other: Coordinate) -> Coordinate:
    """`where` of either kind."""
    return (
        np.where(condition, one, other)
        if isinstance(one, np.ndarray | float | np.floating)
        else one.where(condition, other)
    )


def smallest(one: Coordinate, other: Coordinate) -> Coordinate:
    """The smaller of two."""
    return choose(one < other, one, other)


def largest(one: Coordinate, other: Coordinate) -> Coordinate:
    """The larger of two."""
    return choose(one > other, one, other)


def like(values: Any, x: Coordinate) -> Any:
    """Numbers as the kind of `x`, on its device."""
    return x.new_tensor(values) if _is_torch(x) else values


def whole(place: Coordinate, most: int) -> Coordinate:
    """Indices at or below places, at most `most`."""
    if _is_torch(place):
        return place.detach().floor().long().clip(0, most)
    return np.clip(np.floor(place).astype(np.int64), 0, most)


def _is_torch(values: Any) -> bool:
    """Whether these are tensors, told without loading torch."""
    return hasattr(values, "detach")
