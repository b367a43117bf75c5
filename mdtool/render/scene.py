"""One picture of one body on the floor, with its shadow and what is drawn around it."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np

from mdtool.render.camera import Camera
from mdtool.render.canvas import Canvas
from mdtool.render.floor import Floor
from mdtool.render.overlay import Overlay, draw_ghost, draw_prop, draw_trails, mark_contacts, trail_ribbon
from mdtool.render.shading import Look, display_colours, lighting
from mdtool.render.shadow import ShadowMap

Renderer = Literal["soft", "pyrender"]
"""Who turns triangles into pixels; floor, shadows and overlays are the same."""

_KEY = np.array([-0.50, 0.78, 0.55])
"""Direction of the key light seen from the camera (right, up, back): over the viewer's left shoulder."""
_KEY_STEEP = np.array([-0.35, 0.90, 0.40])
"""The same where pictures stand side by side and a long shadow would be cut off."""
_FLOOR_SHADOW, _FLOOR_CONTACT = np.float32(0.36), np.float32(0.42)
_PLAIN = Overlay()


class Hardware(Protocol):
    """A renderer that draws a whole body at once."""

    def draw(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Colours [H, W, 3] in 0..255 times cover, cover [H, W] in 0..1, nearness [H, W] (0: nothing)."""


class Scene:
    """Draws one body from one camera; the floor is prepared once, so draw many frames with one scene."""

    def __init__(
        self,
        camera: Camera,
        look: Look,
        width: int,
        height: int,
        samples: int = 2,
        checker: bool = True,
        ghost: Look | None = None,
        renderer: Renderer = "soft",
    ) -> None:
        """One picture size.

        Args:
            samples: samples per pixel side (2: four per pixel).
            checker: a checkered floor under a sky; otherwise a plain sheet.
            ghost: look of the body that overlays bring.
        """
        self.camera, self.look, self.width, self.height, self.samples = camera, look, width, height, samples
        self.ghost = ghost
        self.floor = Floor(camera, width, height, checker)
        light = (_KEY if checker else _KEY_STEEP) @ camera.axes.astype(np.float64)
        light[1] = max(light[1], 0.5)
        self.light = (light / np.linalg.norm(light)).astype(np.float32)
        self._eye = camera.eye(np.zeros(2))
        self._picture = np.empty((3, height, width), np.float32)
        self._hardware: Hardware | None = None
        if renderer == "pyrender":
            from mdtool.render.hardware import PyrenderBody

            self._hardware = PyrenderBody(camera, look, width, height, self.light)

    def draw(
        self, vertices: np.ndarray, centre: np.ndarray, turn: float = 0.0, overlay: Overlay = _PLAIN
    ) -> np.ndarray:
        """The picture [height, width, 3] uint8 of posed vertices [V, 3] with the camera over the point (x, z).

        Args:
            turn: how far the camera has gone round the centre, radians.
        """
        centre = np.asarray(centre, np.float32)
        # The floor's pattern moves and turns instead, so that the rest of the picture can stay at the origin.
        origin = np.array([centre[0], 0, centre[1]], np.float32)
        vertices = vertices - origin
        if turn:
            vertices = vertices @ _turned(turn)
        picture = self.floor.picture(centre, turn, self._picture)
        shadow = ShadowMap(vertices, self.look.faces, self.light)
        self._darken_floor(picture, shadow)
        overlay = overlay.moved(_turned(turn), origin)
        if overlay.contacts is not None:
            mark_contacts(picture, self.floor, self.camera, overlay.contacts)
        self._draw_bodies(picture, vertices, shadow, overlay)
        picture += np.float32(0.5)
        drawn = np.empty((self.height, self.width, 3), np.uint8)
        for k, plane in enumerate(picture):
            drawn[..., k] = plane
        return drawn

    def _darken_floor(self, picture: np.ndarray, shadow: ShadowMap) -> None:
        low, high = shadow.bounds()
        corners = np.array([[x, 0, z] for x in (low[0], high[0]) for z in (low[1], high[1])], np.float32)
        pixels, _ = self.camera.project(corners, np.zeros(2), self.width, self.height)
        limit = [self.width, self.height]
        left, top = np.clip(np.floor(pixels.min(0)), 0, limit).astype(int)
        right, bottom = np.clip(np.ceil(pixels.max(0)), 0, limit).astype(int)
        above = self.floor.first_row
        top = max(top, above)
        if top >= bottom or left >= right:
            return
        seen = slice(top - above, bottom - above), slice(left, right)
        key, ambient = shadow.on_floor(self.floor.x[seen].ravel(), self.floor.z[seen].ravel())
        kept = (1 - _FLOOR_SHADOW * key) * (1 - _FLOOR_CONTACT * np.minimum(ambient * np.float32(1.5), 1))
        share = 1 - self.floor.fade[seen] * (1 - kept).reshape(bottom - top, right - left)
        picture[:, top:bottom, left:right] *= share

    def _draw_bodies(self, picture: np.ndarray, vertices: np.ndarray, shadow: ShadowMap, overlay: Overlay) -> None:
        screen, nearness = self._project(vertices)
        ribbons = [
            trail_ribbon(self.camera, path, self.width, self.height)
            for path in (overlay.trails if overlay.trails is not None else ())
        ]
        ghost = overlay.ghost if self.ghost is not None else None
        ghost_screen, ghost_nearness = self._project(ghost) if ghost is not None else (screen, nearness)
        props = [(prop, *self._project(prop.vertices)) for prop in overlay.props]
        bands = [band for band, _ in ribbons]
        canvas = Canvas(picture, [screen, ghost_screen, *bands, *(place for _, place, _ in props)], self.samples)
        if canvas.empty:
            return
        if self._hardware is not None:
            self._lay_hardware(canvas, vertices)
        else:
            lit = lighting(self.look, vertices, self._eye, self.light, shadow)
            fine, seen = canvas.rasterise(screen, np.column_stack([nearness, lit]), self.look.faces)
            canvas.lay(fine, display_colours(self.look, seen[1:]))
            if ribbons or props or ghost is not None:
                canvas.hide_behind(fine, seen[0])
        if ghost is not None and self.ghost is not None:
            draw_ghost(canvas, self.ghost, ghost, ghost_screen, ghost_nearness, self._eye, self.light)
        for prop, place, near in props:
            draw_prop(canvas, prop, place, near, self._eye, self.light)
        if ribbons:
            draw_trails(canvas, ribbons)

    def _lay_hardware(self, canvas: Canvas, vertices: np.ndarray) -> None:
        assert self._hardware is not None
        colours, cover, nearness = self._hardware.draw(vertices)
        canvas.lay_picture(colours[canvas.pixels], cover[canvas.pixels])
        canvas.hide_behind_picture(nearness[canvas.pixels])

    def _project(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.camera.project(vertices, np.zeros(2), self.width, self.height)


def _turned(angle: float) -> np.ndarray:
    """[3, 3] float32: rows times it turn about the vertical by -angle, as seen by a camera that went round by angle."""
    sin, cos = np.sin(angle), np.cos(angle)
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], np.float32)
