"""Obstacles of a request as shapes that move, and how near the body comes to them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mdtool.editing.frames import held
from mdtool.editing.placement import Placement
from mdtool.editing.request import resolved
from mdtool.editing.shapes import (
    Ball,
    Block,
    Column,
    Coordinate,
    Grid,
    HalfSpace,
    Prism,
    Shape,
    Stick,
    Together,
    like,
    smallest,
    turned,
)
from mdtool.editing.solids import Person, ShapeSpec, SolidSpec
from mdtool.editing.source import load_source
from mdtool.errors import MdtoolError
from mdtool.motion.skeleton import JOINT_NAMES, PARENTS
from mdtool.npz_archive import open_npz

_RADII = {
    "pelvis": 0.13, "spine": 0.13, "head": 0.12, "shoulder": 0.08, "hip": 0.08, "collar": 0.08, "neck": 0.06,
    "elbow": 0.06, "knee": 0.06, "wrist": 0.05, "ankle": 0.05, "foot": 0.05, "hand": 0.05,
}  # fmt: skip
JOINT_RADII = np.array([next(radius for part, radius in _RADII.items() if part in name) for name in JOINT_NAMES])
"""How far the skin is from each joint, metres [24]."""


@dataclass(frozen=True)
class Obstacle:
    """A shape and where it is in every frame."""

    shape: Shape
    shift: np.ndarray
    """[T, 3], metres."""
    yaw: np.ndarray
    """[T], radians about the vertical through the shape's own origin; of a tilted one where its z axis heads."""
    name: str = ""
    """What the request calls the shape."""
    turn: np.ndarray | None = None
    """[T, 3, 3] rotations about the shape's own origin, where it tilts."""

    def distance(self, points: Any) -> Coordinate:
        """Metres from points [..., T, K, 3] of frame t to the surface in frame t; [..., T, K]."""
        shift, yaw = self.shift[:, None], self.yaw[:, None]
        x, y, z = (points[..., axis] - like(shift[..., axis], points) for axis in range(3))
        if self.turn is None:
            x, z = turned(x, z, -yaw)
        else:
            rows = like(self.turn[:, None], points)
            x, y, z = (
                rows[..., 0, axis] * x + rows[..., 1, axis] * y + rows[..., 2, axis] * z for axis in range(3)
            )  # the inverse is the transpose
        return self.shape.distance(x, y, z)

    @property
    def moves(self) -> bool:
        """Whether it is elsewhere, or otherwise turned, in some frames."""
        parts = (self.shift, self.yaw, self.yaw[:1] if self.turn is None else self.turn)
        return any(np.ptp(part, axis=0).max() > 0 for part in parts)

    def still(self, frame: int) -> Obstacle:
        """As it is in one frame."""
        one = [frame]
        return replace(
            self, shift=self.shift[one], yaw=self.yaw[one], turn=None if self.turn is None else self.turn[one]
        )


def nearest(obstacles: list[Obstacle], points: Any) -> Coordinate:
    """Distance to the union of obstacles, points [..., T, K, 3] → [..., T, K]."""
    result = obstacles[0].distance(points)
    for obstacle in obstacles[1:]:
        result = smallest(result, obstacle.distance(points))
    return result


@dataclass(frozen=True)
class Setting:
    """What the words for an obstacle depend on."""

    frames: int
    fps: float
    beside: str
    """The request's file; paths in it may be relative to it."""
    world: Placement
    """From `start` to the world of motion files, where another person is."""
    space: Placement = field(default_factory=Placement)
    """From the obstacle's space to `start`."""
    seconds: bool = False
    """Whether the times of `move` are seconds; frames otherwise."""


def build_obstacle(spec: SolidSpec, setting: Setting) -> Obstacle:
    """The obstacle that a request describes, in the space `start`.

    Raises:
        MdtoolError: a file of it cannot be used.
        ValueError: two of its keys are at the same time.
    """
    keys = sorted(spec.move or [[0, [0.0, 0.0, 0.0]]], key=lambda key: key[0])
    times = np.array([key[0] for key in keys], dtype=np.float64) * (setting.fps if setting.seconds else 1.0)
    if (np.diff(times) <= 0).any():
        raise ValueError("two keys of `move` are at the same time")
    frame, space = np.arange(setting.frames), setting.space
    places = np.array([key[1] for key in keys], dtype=np.float64)
    shift = space.done(np.stack([np.interp(frame, times, places[:, axis]) for axis in range(3)], axis=1))
    shape, angles = build_shape(spec, setting), [key[2] if len(key) > 2 else 0.0 for key in keys]
    if not any(isinstance(angle, list) for angle in angles):
        yaws = np.unwrap(np.radians(angles)) + space.yaw  # the shorter way round
        return Obstacle(shape, shift, np.interp(frame, times, yaws), spec.kind)
    turns = np.array([angle if isinstance(angle, list) else [angle, 0.0, 0.0] for angle in angles], dtype=np.float64)
    turn = _turns(frame, times, turns + np.degrees([space.yaw, 0.0, 0.0]))
    return Obstacle(shape, shift, np.unwrap(np.arctan2(turn[:, 0, 2], turn[:, 2, 2])), spec.kind, turn)


def _turns(frame: np.ndarray, times: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotations [T, 3, 3] R_y(yaw) R_x(pitch) R_z(roll) of degrees [n, 3] at key times, by slerp between them."""
    from scipy.spatial.transform import Rotation, Slerp

    keys = Rotation.from_euler("YXZ", angles, degrees=True)
    if len(times) == 1:
        return np.repeat(keys.as_matrix(), len(frame), axis=0)
    matrices: np.ndarray = Slerp(times, keys)(frame.clip(times[0], times[-1])).as_matrix()
    return matrices


def build_shape(spec: ShapeSpec, setting: Setting) -> Shape:
    """The shape that a request describes, in the obstacle's own space.

    Raises:
        MdtoolError: a file of it cannot be used.
    """
    if spec.sphere is not None:
        return Ball(np.array(spec.sphere.at), spec.sphere.radius)
    if spec.pillar is not None:
        return Column((spec.pillar.at[0], spec.pillar.at[1]), spec.pillar.radius)
    if spec.cylinder is not None:
        solid = spec.cylinder
        return Column((solid.at[0], solid.at[1]), solid.radius, (solid.low, solid.high))
    if spec.box is not None:
        size, at = np.array(spec.box.size), spec.box.at
        base = np.array([at[0], at[1] if len(at) == 3 else 0.0, at[-1]])
        rounding = min(spec.box.round, float(size.min()) / 2)
        return Block(base + np.array([0, size[1] / 2, 0]), size / 2, float(np.radians(spec.box.yaw)), rounding)
    if spec.capsule is not None:
        start, end = (tuple(float(number) for number in place) for place in (spec.capsule.start, spec.capsule.end))
        return Stick(start, end, spec.capsule.radius)  # type: ignore[arg-type]
    if spec.wall is not None:
        normal = np.array(spec.wall.normal)
        return HalfSpace(np.array(spec.wall.at), normal / np.linalg.norm(normal))
    if spec.polygon is not None:
        return Prism(np.array(spec.polygon.corners), (spec.polygon.low, spec.polygon.high))
    if spec.voxels is not None:
        return _grid(resolved(spec.voxels.file, setting.beside))
    if spec.person is not None:
        return _person(spec.person, setting)
    parts = {"union": spec.union, "intersect": spec.intersect, "subtract": spec.subtract}[spec.kind] or []
    return Together(spec.kind, tuple(build_shape(part, setting) for part in parts))


def _grid(path: Path) -> Grid:
    try:
        with open_npz(path) as arrays:
            values, origin, cell = (np.asarray(arrays[name], np.float64) for name in ("distance", "origin", "cell"))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise MdtoolError(
            f"{path} is no grid of distances: it needs arrays distance, origin and cell ({error})"
        ) from error
    shaped = values.ndim == 3 and min(values.shape) > 1 and origin.shape == (3,) and cell.shape == ()
    if not shaped or not all(np.isfinite(numbers).all() for numbers in (values, origin, cell)) or cell <= 0:
        raise MdtoolError(
            f"{path}: distance must be [x, y, z] with 2 points or more each, origin [3], cell one number above 0, and "
            "all of them finite"
        )
    return Grid(values, origin, float(cell))


def _person(person: Person, setting: Setting) -> Together:
    """Capsules around the bones of another motion, which holds its last pose when it is shorter."""
    other = load_source(resolved(person.file, setting.beside), person.clip, None, setting.fps, False)
    joints = setting.world.after(setting.space).undone(other.world.done(other.positions))
    joints = held(joints, np.arange(setting.frames))
    bones = [(parent, joint) for joint, parent in enumerate(PARENTS) if parent >= 0]

    def places(joint: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, y, z = (joints[:, joint, axis, None] for axis in range(3))
        return x, y, z

    return Together("union", tuple(Stick(places(a), places(b), person.radius) for a, b in bones))
