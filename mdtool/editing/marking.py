"""A plan's targets and obstacles as marks for pictures."""

from __future__ import annotations

import numpy as np

from mdtool.editing.goals import AlongLine, Clear, Places
from mdtool.editing.obstacles import Obstacle
from mdtool.editing.placement import Placement
from mdtool.editing.plan import Plan
from mdtool.editing.shapes import Ball, Block, Column, HalfSpace, Prism, Shape, Stick, Together
from mdtool.motion.marks import Marks, Point, Solid

_ENDLESS_M = 2.2
"""How high a pillar or a wall without ends is drawn."""
_CORNERS = 24
_WALL_M = 3.0


def marks(plan: Plan) -> Marks:
    """Where a plan's targets and obstacles are, in the world of its input."""
    points: list[Point] = []
    lines: list[list[tuple[float, float]]] = []
    solids: list[Solid] = []
    world = plan.source.world
    for goal in plan.goals:
        if isinstance(goal, Places) and goal.hard:
            points += _points(goal, world)
            if goal.key[:1] == ("path",):
                lines.append(_line(goal.values[:, 0, [0, 2]], world))
        elif isinstance(goal, AlongLine):
            lines.append(_line(goal.line, world))
        elif isinstance(goal, Clear):
            for obstacle in goal.obstacles:
                solids += [_solid(shape, obstacle, world) for shape in _parts(obstacle.shape)]
    return Marks(points, lines, solids)


def _points(goal: Places, world: Placement) -> list[Point]:
    """The wanted places of a goal."""
    found: list[Point] = []
    for row, frame in enumerate(goal.frames):
        if goal.asked is not None and frame not in goal.asked:
            continue
        for column in range(len(goal.joints)):
            if goal.mask[row, column].any():
                at = world.done(np.where(goal.mask[row, column], goal.values[row, column], 0.0))
                axes = "".join("xyz"[axis] for axis in np.flatnonzero(goal.mask[row, column]))
                place = (float(at[0]), float(at[1]), float(at[2]))
                found.append(Point(round(float(frame)), place, goal.joints[column], axes))
    return found


def _line(ground: np.ndarray, world: Placement) -> list[tuple[float, float]]:
    placed = world.done(np.insert(ground, 1, 0.0, axis=1))
    return [(float(x), float(z)) for x, _, z in placed]


def _parts(shape: Shape) -> list[Shape]:
    """The simple shapes of a compound one; of a difference only the first."""
    if not isinstance(shape, Together):
        return [shape] if _outline(shape) is not None else []
    kept = shape.parts[:1] if shape.how == "subtract" else shape.parts
    return [part for inner in kept for part in _parts(inner)]


def _solid(shape: Shape, obstacle: Obstacle, world: Placement) -> Solid:
    drawn = _outline(shape)
    assert drawn is not None
    outline, low, high = drawn
    frames = range(len(obstacle.yaw)) if obstacle.moves else range(1)
    places = []
    for frame in frames:
        x, y, z = obstacle.shift[frame]
        at = world.done(np.array([x, y, z]))
        places.append((float(frame), float(at[0]), float(at[1]), float(at[2]), float(obstacle.yaw[frame] + world.yaw)))
    return Solid([(float(x), float(z)) for x, z in outline], low, high, places)


def _outline(shape: Shape) -> tuple[np.ndarray, float, float] | None:
    """(corners in plan, low, high) of a shape; None for shapes that are not drawn."""
    if isinstance(shape, Ball):
        return shape.centre[None, [0, 2]], float(shape.centre[1] - shape.radius), float(shape.centre[1] + shape.radius)
    if isinstance(shape, Column):
        low, high = shape.ends or (0.0, _ENDLESS_M)
        return _round(np.array(shape.centre), shape.radius), low, high
    if isinstance(shape, Block):
        x, z = shape.half[0], shape.half[2]
        corners = _turn(np.array([[-x, -z], [x, -z], [x, z], [-x, z]]), shape.yaw) + shape.centre[[0, 2]]
        return corners, float(shape.centre[1] - shape.half[1]), float(shape.centre[1] + shape.half[1])
    if isinstance(shape, Prism):
        return shape.corners, *shape.ends
    if isinstance(shape, HalfSpace) and abs(shape.normal[1]) < 0.5:
        yaw = float(np.arctan2(shape.normal[0], shape.normal[2]))
        corners = np.array([[-_WALL_M, -0.1], [_WALL_M, -0.1], [_WALL_M, 0.0], [-_WALL_M, 0.0]])
        return _turn(corners, yaw) + shape.point[[0, 2]], 0.0, _ENDLESS_M
    if isinstance(shape, Stick) and np.ndim(shape.start[0]) == 0:
        ends = np.array([shape.start, shape.end], dtype=float)
        way = ends[1, [0, 2]] - ends[0, [0, 2]]
        yaw = float(np.arctan2(way[0], way[1]))
        half = _round(np.zeros(2), shape.radius)
        hull = np.concatenate([half[half[:, 1] < 0], half[half[:, 1] >= 0] + [0, float(np.linalg.norm(way))]])
        low, high = ends[:, 1].min() - shape.radius, ends[:, 1].max() + shape.radius
        order = np.argsort(np.arctan2(*(hull - hull.mean(0)).T))
        return _turn(hull[order], yaw) + ends[0, [0, 2]], float(low), float(high)
    return None


def _round(centre: np.ndarray, radius: float) -> np.ndarray:
    angle = np.arange(_CORNERS) * 2 * np.pi / _CORNERS
    return centre + radius * np.stack([np.sin(angle), np.cos(angle)], axis=1)


def _turn(corners: np.ndarray, yaw: float) -> np.ndarray:
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.stack([corners[:, 0] * cos + corners[:, 1] * sin, corners[:, 1] * cos - corners[:, 0] * sin], axis=1)
