"""One picture of one body on the floor: light, shadow, colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdtool.render.camera import Camera
from mdtool.render.floor import Floor
from mdtool.render.rasteriser import rasterise, vertex_normals
from mdtool.render.shadow import ShadowMap

_KEY = np.array([-0.50, 0.78, 0.55])
"""Direction of the key light seen from the camera (right, up, back): over the viewer's left shoulder."""
_KEY_STEEP = np.array([-0.35, 0.90, 0.40])
"""The same where pictures stand side by side and a long shadow would be cut off."""
_KEY_COLOUR = np.array([1.02, 0.98, 0.92], np.float32)
_AMBIENT_COLOUR = np.array([0.92, 0.97, 1.06], np.float32)
_ACCENT = np.array([0.045, 0.052, 0.065], np.float32)
"""Linear colour of the markings."""
_FLOOR_SHADOW, _FLOOR_CONTACT = np.float32(0.36), np.float32(0.42)


@dataclass(frozen=True)
class Look:
    """What a body looks like apart from its pose; plain arrays, so that it can be sent to another process."""

    faces: np.ndarray
    """[F, 3] int32."""
    colour: tuple[float, float, float]
    """sRGB, 0..1."""
    accent: np.ndarray | None = None
    """[V] signed distance to the markings, metres, negative inside."""
    openness: np.ndarray | None = None
    """[V] ambient light that reaches the vertex, 0..1."""


class Scene:
    """Draws one body from one camera; the floor is prepared once, so draw many frames with one scene."""

    def __init__(
        self, camera: Camera, look: Look, width: int, height: int, samples: int = 2, checker: bool = True
    ) -> None:
        """`samples` is the number of samples per pixel side (2: four per pixel); `checker` False: a plain sheet."""
        self.camera, self.look, self.width, self.height, self.samples = camera, look, width, height, samples
        self.floor = Floor(camera, width, height, checker)
        light = (_KEY if checker else _KEY_STEEP) @ camera.axes.astype(np.float64)
        light[1] = max(light[1], 0.5)
        self.light = (light / np.linalg.norm(light)).astype(np.float32)
        self.albedo = (np.array(look.colour, np.float32) ** 2).astype(np.float32)

    def draw(self, vertices: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """The picture [height, width, 3] uint8 of posed vertices [V, 3] with the camera over the point (x, z)."""
        centre = np.asarray(centre, np.float32)
        # The floor's pattern moves with the centre, so that the rest of the picture can stay at the origin.
        vertices = vertices - np.array([centre[0], 0, centre[1]], np.float32)
        picture = self.floor.picture(centre)
        shadow = ShadowMap(vertices, self.look.faces, self.light)
        self._darken_floor(picture, shadow)
        self._draw_body(picture, vertices, shadow)
        return (picture + np.float32(0.5)).astype(np.uint8)

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
        picture[top:bottom, left:right] *= share[..., None]

    def _draw_body(self, picture: np.ndarray, vertices: np.ndarray, shadow: ShadowMap) -> None:
        screen, nearness = self.camera.project(vertices, np.zeros(2), self.width, self.height)
        low = np.maximum(np.floor(screen.min(0)).astype(int), 0)
        high = np.minimum(np.ceil(screen.max(0)).astype(int) + 1, [self.width, self.height])
        columns, rows = (int(size) for size in high - low)
        if columns < 1 or rows < 1:
            return
        samples = self.samples
        values = np.column_stack([nearness, self._lighting(vertices, shadow)])
        fine, seen = rasterise(
            (screen - low.astype(np.float32)) * np.float32(samples),
            values,
            self.look.faces,
            columns * samples,
            rows * samples,
        )
        colour = self._colours(seen[1:])
        fine_row, fine_column = np.divmod(fine, columns * samples)
        pixel = (fine_row // samples) * columns + fine_column // samples
        share = np.float32(1 / samples**2)
        cover = np.bincount(pixel, minlength=rows * columns).astype(np.float32) * share
        box = picture[low[1] : high[1], low[0] : high[0]]
        box *= (1 - cover).reshape(rows, columns, 1)
        for k in range(3):
            added = np.bincount(pixel, colour[k], rows * columns).astype(np.float32) * share
            box[..., k] += added.reshape(rows, columns)

    def _lighting(self, vertices: np.ndarray, shadow: ShadowMap) -> np.ndarray:
        """Key light, ambient light, shine and distance to the markings at every vertex; [V, 4] float32."""
        normals = vertex_normals(vertices, self.look.faces)
        towards = self.camera.eye(np.zeros(2)) - vertices
        towards /= np.sqrt(np.einsum("vk,vk->v", towards, towards))[:, None]
        halfway = towards + self.light
        halfway /= np.sqrt(np.einsum("vk,vk->v", halfway, halfway))[:, None]
        facing = np.clip(np.einsum("vk,vk->v", normals, towards), 0, 1)
        cosine = np.einsum("vk,vk->v", normals, np.broadcast_to(self.light, normals.shape))
        lit = np.clip((cosine + np.float32(0.12)) / np.float32(1.12), 0, 1) * (
            1 - np.float32(0.85) * shadow.on_body(vertices, normals)
        )
        openness = self.look.openness if self.look.openness is not None else np.float32(1)
        ground = np.clip(np.float32(0.45) + vertices[:, 1] * np.float32(0.9), 0, 1)
        sky = np.float32(0.5) + np.float32(0.5) * normals[:, 1]
        ambient = (np.float32(0.17) * ground + np.float32(0.25) * sky) * openness
        gloss = np.clip(np.einsum("vk,vk->v", normals, halfway), 0, 1) ** 24
        rim = (1 - facing) ** 3 * (np.float32(0.4) + np.float32(0.6) * sky)
        shine = np.float32(0.10) * gloss * np.minimum(lit * 2, 1) + np.float32(0.13) * rim * openness
        accent = self.look.accent if self.look.accent is not None else np.ones(len(vertices), np.float32)
        return np.column_stack([np.float32(0.92) * lit, ambient, shine, accent]).astype(np.float32)

    def _colours(self, values: np.ndarray) -> np.ndarray:
        """Lighting [4, n] to display colour [3, n] in 0..255; light adds up linearly, the display has gamma 2."""
        key, ambient, shine, accent = values
        blank = np.clip(accent / np.float32(0.0015) + np.float32(0.5), 0, 1)
        colours = np.empty((3, len(key)), np.float32)
        for k, colour in enumerate(colours):
            albedo = _ACCENT[k] + blank * (self.albedo[k] - _ACCENT[k])
            light = albedo * (key * _KEY_COLOUR[k] + ambient * _AMBIENT_COLOUR[k]) + shine
            colour[:] = np.sqrt(np.clip(light, 0, 1)) * np.float32(255)
        return colours
