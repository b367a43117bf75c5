"""The room behind the body: a checkered floor that fades into the sky."""

from __future__ import annotations

import numpy as np

from mdtool.render.camera import Camera

_SKY_TOP = np.array([0.878, 0.906, 0.941], np.float32)
_SKY_HORIZON = np.array([0.972, 0.978, 0.986], np.float32)
_TILE_DARK = np.array([0.735, 0.760, 0.800], np.float32)
_TILE_LIGHT = np.array([0.868, 0.882, 0.906], np.float32)
_TILE_M = 0.5
"""Side of a floor tile, metres."""
_FADE_M = 5.0
"""Distance from the body over which the floor fades away, metres."""
_FAINT = 0.004
"""Floor fainter than this share is sky: below one step of an 8-bit picture."""


class Floor:
    """Floor and sky for one camera and picture size; everything that does not move is computed once."""

    def __init__(self, camera: Camera, width: int, height: int) -> None:
        self.width, self.height = width, height
        focal = np.float32(camera.focal(height))
        columns = (np.arange(width, dtype=np.float32) + np.float32(0.5 - width / 2)) / focal
        rows = (np.float32(height / 2 - 0.5) - np.arange(height, dtype=np.float32)) / focal
        right, up, back = camera.axes
        down = rows * up[1] - back[1]  # A ray's vertical part depends on its row alone: the camera never rolls.
        reach = np.where(down < -1e-4, camera.eye(np.zeros(2))[1] / np.maximum(-down, np.float32(1e-4)), np.inf)
        eye = camera.eye(np.zeros(2))

        def ground(axis: int) -> np.ndarray:
            with np.errstate(invalid="ignore"):
                across = columns[None, :] * right[axis] + (rows * up[axis] - back[axis])[:, None]
                return eye[axis] + np.nan_to_num(reach, posinf=1e6).astype(np.float32)[:, None] * across

        x, z = ground(0), ground(2)
        fade = np.exp(-(x * x + z * z) / np.float32(_FADE_M**2)) * np.isfinite(reach)[:, None]
        self.pixels = np.flatnonzero(fade > _FAINT)
        """[floor pixels] their places in the flat picture; all arrays below go with it."""
        self.x, self.z, self.fade = x.ravel()[self.pixels], z.ravel()[self.pixels], fade.ravel()[self.pixels]
        self.first_row = int(self.pixels[0]) // width if len(self.pixels) else height
        share = np.clip((np.arange(height, dtype=np.float32)[:, None] / height), 0, 1)[..., None]
        sky = (_SKY_TOP * (1 - share) + _SKY_HORIZON * share) * np.ones((1, width, 1), np.float32) * np.float32(255)
        self._sky = sky.reshape(-1, 3)
        footprint = np.maximum(reach[self.pixels // width] / focal, np.float32(1e-4)).astype(np.float32)
        # The checker is averaged over the pixel, which a grazing ray stretches away from the camera.
        self._blur = np.float32(1.4 / _TILE_M) * footprint
        self._base = self._sky[self.pixels] * (1 - self.fade[:, None])
        self._base += self.fade[:, None] * np.float32(255) * (_TILE_DARK + _TILE_LIGHT) / 2
        self._contrast = self.fade[:, None] * np.float32(255) * (_TILE_LIGHT - _TILE_DARK) / 2

    def picture(self, centre: np.ndarray) -> np.ndarray:
        """The empty room [height * width, 3] float32 in 0..255, the camera looking at the floor point (x, z)."""
        checker = self._wave(self.x, centre[0]) * self._wave(self.z, centre[1])
        picture = self._sky.copy()
        picture[self.pixels] = self._base + checker[:, None] * self._contrast
        return picture

    def _wave(self, place: np.ndarray, shift: float) -> np.ndarray:
        """Square wave of the tiles, -1..1, box-filtered over the pixel's footprint."""
        place = place / np.float32(_TILE_M) + np.float32((shift / _TILE_M) % 2)
        return (_folded(place + self._blur / 2) - _folded(place - self._blur / 2)) / self._blur


def _folded(place: np.ndarray) -> np.ndarray:
    """Integral of the square wave of period 2: a triangle wave of slope 1 and -1."""
    half = place * np.float32(0.5)
    half -= np.floor(half)
    return np.float32(1) - np.abs(half * np.float32(2) - np.float32(1))
