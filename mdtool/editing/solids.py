"""What a request may say of an obstacle."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from mdtool.editing.joints import Joints
from mdtool.editing.section import Section

SHAPES = (
    "sphere",
    "pillar",
    "cylinder",
    "box",
    "capsule",
    "wall",
    "polygon",
    "voxels",
    "person",
    "union",
    "intersect",
    "subtract",
)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e4:
        raise ValueError(f"must be a finite number in metres, not {value!r}")
    return float(value)


def _require_upright(low: float, high: float) -> None:
    if low >= high:
        raise ValueError(f"`low` ({low:g}) must be below `high` ({high:g})")


Number = Annotated[float, BeforeValidator(_number)]
Positive = Annotated[float, BeforeValidator(_number), Field(gt=0)]
Ground = Annotated[list[Number], Field(min_length=2, max_length=2)]
Place = Annotated[list[Number], Field(min_length=3, max_length=3)]
GroundOrPlace = Annotated[list[Number], Field(min_length=2, max_length=3)]


class Sphere(Section):
    """A ball."""

    at: Place = Field([0.0, 0.0, 0.0])
    radius: Positive


class Pillar(Section):
    """An upright cylinder without ends."""

    at: Ground = Field([0.0, 0.0])
    radius: Positive


class Cylinder(Section):
    """An upright cylinder from one height to another."""

    at: Ground = Field([0.0, 0.0])
    radius: Positive
    low: Number = 0.0
    high: Number

    @model_validator(mode="after")
    def _upright(self) -> Cylinder:
        _require_upright(self.low, self.high)
        return self


class Box(Section):
    """A box that stands on the floor, or on the height of a third number in `at`."""

    at: GroundOrPlace = Field([0.0, 0.0])
    """Centre of its base: [x, z], or [x, y, z]."""
    size: Annotated[list[Positive], Field(min_length=3, max_length=3)]
    """Width along x, height, depth along z."""
    yaw: Number = 0.0
    """Degrees about the vertical."""
    round: Annotated[float, BeforeValidator(_number), Field(ge=0)] = 0.0
    """Radius of its edges."""


class Capsule(Section):
    """Everything within a radius of a line."""

    start: Place
    end: Place
    radius: Positive


class Wall(Section):
    """A half-space: everything behind a plane."""

    at: Place
    normal: Place
    """Out of the wall, towards where one may be."""

    @model_validator(mode="after")
    def _direction(self) -> Wall:
        if self.normal == [0.0, 0.0, 0.0]:
            raise ValueError("`normal` is zero and has no direction: give e.g. [0, 0, -1]")
        return self


class Polygon(Section):
    """An upright prism over corners on the ground."""

    corners: Annotated[list[Ground], Field(min_length=3)]
    low: Number = 0.0
    high: Number = 3.0

    @model_validator(mode="after")
    def _closed(self) -> Polygon:
        _require_upright(self.low, self.high)
        if len(self.corners) > 3 and self.corners[0] == self.corners[-1]:
            self.corners = self.corners[:-1]  # a ring that ends where it began
        for place, corner in enumerate(self.corners):
            if corner == self.corners[place - 1]:
                raise ValueError(f"corners {(place - 1) % len(self.corners)} and {place} are the same: leave one out")
        return self


class Voxels(Section):
    """Distances on a grid, from an .npz file with `distance` [x, y, z], `origin` [3] and `cell`, in metres."""

    file: str


class Person(Section):
    """Another person: capsules around the bones of a motion in the same space."""

    file: str
    clip: int = Field(0, ge=0)
    radius: Positive = 0.08


class ShapeSpec(Section):
    """Exactly one shape, or several put together."""

    sphere: Sphere | None = None
    pillar: Pillar | None = None
    cylinder: Cylinder | None = None
    box: Box | None = None
    capsule: Capsule | None = None
    wall: Wall | None = None
    polygon: Polygon | None = None
    voxels: Voxels | None = None
    person: Person | None = None
    union: Annotated[list[ShapeSpec], Field(min_length=1)] | None = None
    intersect: Annotated[list[ShapeSpec], Field(min_length=1)] | None = None
    subtract: Annotated[list[ShapeSpec], Field(min_length=2)] | None = None
    """The first without the others."""

    @model_validator(mode="after")
    def _one(self) -> ShapeSpec:
        given = [name for name in SHAPES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"an obstacle has one shape, and this one has {' and '.join(given) or 'none'}: give one of "
                f"{', '.join(SHAPES)}"
            )
        return self

    @property
    def kind(self) -> str:
        """Name of the shape."""
        return next(name for name in SHAPES if getattr(self, name) is not None)


class SolidSpec(ShapeSpec):
    """An obstacle: its shape, how it moves, and how far to stay away from it."""

    move: Annotated[list[list[Any]], Field(min_length=1)] | None = None
    """[frame, [x, y, z]], [frame, [x, y, z], yaw] or [frame, [x, y, z], [yaw, pitch, roll]]: it is turned about its own
    origin (roll about z first, then pitch about x, then yaw about y; degrees) and shifted; by slerp, and linearly,
    between these frames, which are seconds with `time: seconds`."""
    safe: Annotated[float, BeforeValidator(_number), Field(ge=0)] = 0.10
    """Metres between the body's skin and the obstacle."""
    joints: Joints = "all"
    weight: float = Field(20.0, gt=0, allow_inf_nan=False)
    """The paper sums over joints and frames with weight 1; the mean of a bump of a few frames is so small that at
    weight 1 the content term outweighs it."""
    must: Annotated[float, BeforeValidator(_number), Field(ge=0)] | None = None
    """How deep the skin may be inside it at most, metres."""

    @model_validator(mode="after")
    def _readable(self) -> SolidSpec:
        for place, key in enumerate(self.move or []):
            if not _is_pose(key):
                raise ValueError(
                    f"move[{place}] must be [frame, [x, y, z]], with a yaw or [yaw, pitch, roll] in degrees behind it "
                    f"or not; not {key}"
                )
        return self


def _is_pose(key: list[Any]) -> bool:
    """Whether this is a key frame of `move`."""
    if len(key) not in (2, 3) or not isinstance(key[1], list) or len(key[1]) != 3:
        return False
    angles = key[2] if len(key) == 3 and isinstance(key[2], list) and len(key[2]) == 3 else key[2:]
    numbers = [key[0], *key[1], *angles]
    return all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < 1e5 for n in numbers)
