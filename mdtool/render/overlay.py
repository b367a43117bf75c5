"""What is drawn besides the body: where feet stand, the way hands and feet came, the ghost of another motion, and what
an edit was told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdtool.motion.skeleton import JOINT_INDEX
from mdtool.render.camera import Camera
from mdtool.render.canvas import Canvas
from mdtool.render.floor import Floor
from mdtool.render.props import Prop
from mdtool.render.shading import Look, display_colours, lighting

TRAIL_JOINTS: tuple[int, ...] = tuple(
    JOINT_INDEX[name] for name in ("left_wrist", "right_wrist", "left_ankle", "right_ankle")
)
_LEFT, _RIGHT = (0.95, 0.42, 0.16), (0.16, 0.36, 0.86)
_TRAIL_COLOURS = np.array([_LEFT, _RIGHT, _LEFT, _RIGHT], np.float32) * np.float32(255)
_TRAIL_HALF_WIDTH_M, _TRAIL_LEAST_PX = 0.011, 0.9
_TRAIL_OPACITY = 0.9
_CONTACT_COLOUR = np.array([0.06, 0.66, 0.42], np.float32) * np.float32(255)
_CONTACT_RADIUS_M, _CONTACT_RIM_M = 0.115, 0.016
_CONTACT_FILL, _CONTACT_OPACITY = np.float32(0.55), np.float32(0.9)
_GHOST_OPACITY = np.float32(0.52)


@dataclass(frozen=True)
class Overlay:
    """The extras of one body at one moment, in the world, metres."""

    contacts: np.ndarray | None = None
    """Floor points (x, z) under the foot joints in contact [n, 2]."""
    trails: np.ndarray | None = None
    """Past places of `TRAIL_JOINTS`, oldest first [4, steps, 3]."""
    ghost: np.ndarray | None = None
    """Skin of another body [V, 3], with faces of the same kind."""
    props: tuple[Prop, ...] = ()
    """Targets, paths and obstacles of an edit."""

    def moved(self, turn: np.ndarray, centre: np.ndarray) -> Overlay:
        """Everything seen from a point on the floor, (place - centre) @ turn; turn [3, 3], centre [3]."""

        def move(points: np.ndarray | None) -> np.ndarray | None:
            return None if points is None else ((points - centre) @ turn).astype(np.float32)

        contacts = None
        if self.contacts is not None:
            contacts = ((np.insert(self.contacts, 1, 0, axis=1) - centre) @ turn)[:, [0, 2]].astype(np.float32)
        props = tuple(prop.moved(turn, centre) for prop in self.props)
        return Overlay(contacts, move(self.trails), move(self.ghost), props)


def mark_contacts(picture: np.ndarray, floor: Floor, camera: Camera, contacts: np.ndarray) -> None:
    """Green discs on the floor around points (x, z) [n, 2], in place; the picture is [3, H, W] in 0..255."""
    if not len(contacts):
        return
    height, width = picture.shape[1:]
    reach = _CONTACT_RADIUS_M + _CONTACT_RIM_M
    corners = np.array(
        [[x + a, 0, z + b] for x, z in contacts for a in (-reach, reach) for b in (-reach, reach)], np.float32
    )
    pixels, _ = camera.project(corners, np.zeros(2), width, height)
    left, top = np.clip(np.floor(pixels.min(0)), 0, [width, height]).astype(int)
    right, bottom = np.clip(np.ceil(pixels.max(0)), 0, [width, height]).astype(int)
    top = max(top, floor.first_row)
    if top >= bottom or left >= right:
        return
    seen = slice(top - floor.first_row, bottom - floor.first_row), slice(left, right)
    # The discs of heel and toe are one shape with one rim.
    away = np.min([np.hypot(floor.x[seen] - x, floor.z[seen] - z) for x, z in contacts], axis=0)
    pixel_m = np.float32(1.5 / camera.focal(height) * camera.distance)
    disc = np.clip((np.float32(_CONTACT_RADIUS_M) - away) / pixel_m + np.float32(0.5), 0, 1)
    inner = np.clip((np.float32(_CONTACT_RADIUS_M - _CONTACT_RIM_M) - away) / pixel_m + np.float32(0.5), 0, 1)
    share = disc * _CONTACT_OPACITY - inner * (_CONTACT_OPACITY - _CONTACT_FILL)
    box = picture[:, top:bottom, left:right]
    box += share * (_CONTACT_COLOUR[:, None, None] - box)


def draw_trails(canvas: Canvas, ribbons: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Ribbons of `trail_ribbon`, in the order of `TRAIL_JOINTS`, where no body hides them."""
    for (screen, values), colour in zip(ribbons, _TRAIL_COLOURS, strict=True):
        steps = len(screen) // 2
        if steps < 2:
            continue
        corner = np.arange(steps - 1) * 2
        faces = np.concatenate([corner[:, None] + [0, 1, 2], corner[:, None] + [2, 1, 3]])
        fine, seen = canvas.rasterise(screen, values, faces, cull=False)
        shown = canvas.in_front(fine, seen[0], slack=0.03)
        canvas.lay(
            fine[shown], np.broadcast_to(colour[:, None], (3, int(shown.sum()))), seen[1, shown] * _TRAIL_OPACITY
        )


def trail_ribbon(camera: Camera, path: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """A path [n, 3] as a band that faces the camera: (vertices in pixels [2 m, 2], nearness and opacity [2 m, 2])."""
    path = _rounded(path)
    screen, nearness = camera.project(path, np.zeros(2), width, height)
    along = np.gradient(screen, axis=0) if len(path) > 1 else np.zeros_like(screen)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), np.float32(1e-6))
    half = np.maximum(_TRAIL_HALF_WIDTH_M * camera.focal(height) * nearness, _TRAIL_LEAST_PX)
    age = np.linspace(0, 1, len(path), dtype=np.float32)
    offset = (across * (half * (np.float32(0.35) + np.float32(0.65) * age))[:, None]).astype(np.float32)
    band = np.stack([screen - offset, screen + offset], axis=1).reshape(-1, 2)
    values = np.repeat(np.stack([nearness, age**1.5], axis=1), 2, axis=0)
    return band.astype(np.float32), values.astype(np.float32)


def _rounded(path: np.ndarray) -> np.ndarray:
    """A path [n, 3] with points between its own on Catmull-Rom curves; [(n - 1) * 4 + 1, 3] float32."""
    if len(path) < 3:
        return path
    ends = np.concatenate([2 * path[:1] - path[1:2], path, 2 * path[-1:] - path[-2:-1]])
    before, start, end, after = ends[:-3], ends[1:-2], ends[2:-1], ends[3:]
    pieces = [
        start
        + share / 2 * (end - before)
        + share**2 * (before - 2.5 * start + 2 * end - after / 2)
        + share**3 * (1.5 * (start - end) + (after - before) / 2)
        for share in (0.0, 0.25, 0.5, 0.75)
    ]
    return np.concatenate([np.stack(pieces, axis=1).reshape(-1, 3), path[-1:]]).astype(np.float32)


def draw_prop(
    canvas: Canvas, prop: Prop, screen: np.ndarray, nearness: np.ndarray, eye: np.ndarray, light: np.ndarray
) -> None:
    """A translucent thing where no body hides it; its back shows through its front."""
    look = Look(prop.faces, prop.colour)
    values = np.column_stack([nearness, lighting(look, prop.vertices, eye, light, None)])
    fine, seen = canvas.rasterise(screen, values, prop.faces, cull=False)
    shown = canvas.in_front(fine, seen[0], slack=0.0)
    canvas.lay(fine[shown], display_colours(look, seen[1:, shown]), np.full(int(shown.sum()), np.float32(prop.opacity)))


def draw_ghost(
    canvas: Canvas,
    look: Look,
    vertices: np.ndarray,
    screen: np.ndarray,
    nearness: np.ndarray,
    eye: np.ndarray,
    light: np.ndarray,
) -> None:
    """A translucent body where it is in front of the solid one."""
    values = np.column_stack([nearness, lighting(look, vertices, eye, light, None)])
    fine, seen = canvas.rasterise(screen, values, look.faces)
    shown = canvas.in_front(fine, seen[0], slack=0.0)
    opacity = np.full(int(shown.sum()), _GHOST_OPACITY)
    canvas.lay(fine[shown], display_colours(look, seen[1:, shown]), opacity)
