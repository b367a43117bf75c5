"""Targets, paths and obstacles of an edit as meshes beside the body."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mdtool.motion.marks import Marks, Point, Solid

_TARGET, _LATER, _OBSTACLE, _WAY = (0.86, 0.16, 0.24), (0.95, 0.62, 0.55), (0.80, 0.55, 0.33), (0.16, 0.62, 0.42)
"""sRGB, 0..1: a target at its frame, before and after it, obstacles, paths."""
_TARGET_M, _FLOOR_M, _WAY_M = 0.05, 0.008, 0.03
"""Radius of a target, height of what lies on the floor above it, half the width of a path."""
_NOW_S = 0.15
_ROUND = 16


@dataclass(frozen=True)
class Prop:
    """One thing at one moment; plain arrays, so that it can be sent to another process."""

    vertices: np.ndarray
    """[V, 3] float32, metres."""
    faces: np.ndarray
    """[F, 3] int32, seen from both sides."""
    colour: tuple[float, float, float]
    opacity: float

    def moved(self, turn: np.ndarray, centre: np.ndarray) -> Prop:
        """Seen from a point on the floor, (place - centre) @ turn."""
        return replace(self, vertices=((self.vertices - centre) @ turn).astype(np.float32))


def props_at(marks: Marks, frame: float, fps: float) -> tuple[Prop, ...]:
    """What to draw of a clip's marks at one of its frames; obstacles first, targets last."""
    solids = [_solid(solid, frame) for solid in marks.solids]
    lines = [_way(np.array(line, dtype=float)) for line in marks.lines if len(line) > 1]
    points = [_target(point, abs(point.frame - frame) / fps <= _NOW_S) for point in marks.points]
    return (*solids, *lines, *points)


def _target(point: Point, now: bool) -> Prop:
    """A ball at a joint's target, or a disc where only the ground was asked for."""
    at, size = np.array(point.at), _TARGET_M * (1.4 if now else 1.0)
    colour, opacity = (_TARGET, 0.95) if now else (_LATER, 0.8)
    if at[1] > 0:
        vertices, faces = _ball(size)
        return Prop((vertices + at).astype(np.float32), faces, colour, opacity)
    rim = _ring(1.4 * size)
    vertices = np.insert(np.concatenate([np.zeros((1, 2)), rim]), 1, _FLOOR_M, axis=1)
    vertices = vertices + np.array([at[0], 0.0, at[2]])
    corner = np.arange(_ROUND)
    faces = np.stack([np.zeros(_ROUND, int), 1 + corner, 1 + (corner + 1) % _ROUND], axis=1)
    return Prop(vertices.astype(np.float32), faces.astype(np.int32), colour, opacity)


def _solid(solid: Solid, frame: float) -> Prop:
    """An obstacle where it is in a frame."""
    shift, yaw = solid.at(frame)
    outline = np.array(solid.outline, dtype=float)
    if len(outline) == 1:
        radius = (solid.high - solid.low) / 2
        vertices, faces = _ball(radius)
        vertices = vertices + np.array([outline[0, 0], (solid.high + solid.low) / 2, outline[0, 1]])
    else:
        corners = len(outline)
        vertices = np.concatenate([np.insert(outline, 1, height, axis=1) for height in (solid.low, solid.high)])
        side = np.arange(corners)
        after = (side + 1) % corners
        walls = np.concatenate(
            [np.stack([side, after, corners + side], 1), np.stack([after, corners + after, corners + side], 1)]
        )
        fan = np.arange(1, corners - 1)
        lid = np.stack([np.full(corners - 2, corners), corners + fan, corners + fan + 1], 1)
        faces = np.concatenate([walls, lid]).astype(np.int32)
    cos, sin = np.cos(yaw), np.sin(yaw)
    turn = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    return Prop((vertices @ turn + shift).astype(np.float32), faces, _OBSTACLE, 0.62)


def _way(line: np.ndarray) -> Prop:
    """A path [n, 2] as a band on the floor."""
    along = np.gradient(line, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    across *= _WAY_M / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    band = np.insert(np.stack([line - across, line + across], axis=1).reshape(-1, 2), 1, _FLOOR_M, axis=1)
    corner = np.arange(len(line) - 1) * 2
    faces = np.concatenate([corner[:, None] + [0, 1, 2], corner[:, None] + [2, 1, 3]])
    return Prop(band.astype(np.float32), faces.astype(np.int32), _WAY, 0.8)


def _ring(radius: float) -> np.ndarray:
    angle = np.arange(_ROUND) * 2 * np.pi / _ROUND
    return radius * np.stack([np.sin(angle), np.cos(angle)], axis=1)


def _ball(radius: float) -> tuple[np.ndarray, np.ndarray]:
    """(vertices, faces) of a sphere about the origin."""
    rows = _ROUND // 2
    tilt = np.linspace(0, np.pi, rows + 1)
    rings = [np.insert(_ring(1.0) * np.sin(t), 1, np.cos(t), axis=1) for t in tilt]
    side = np.arange(_ROUND)
    faces = []
    for row in range(rows):
        a, b = row * _ROUND + side, row * _ROUND + (side + 1) % _ROUND
        faces += [np.stack([a, b, a + _ROUND], 1), np.stack([b, b + _ROUND, a + _ROUND], 1)]
    return radius * np.concatenate(rings), np.concatenate(faces).astype(np.int32)
