"""The room behind the body: a checkered floor that fades into the sky, or a plain sheet for strips."""

from __future__ import annotations

import numpy as np

from mdtool.render.camera import Camera

_SKY_TOP = np.array([0.878, 0.906, 0.941], np.float32)
_SKY_HORIZON = np.array([0.972, 0.978, 0.986], np.float32)
_SHEET = np.array([0.972, 0.976, 0.982], np.float32)
_TILE_DARK = np.array([0.735, 0.760, 0.800], np.float32)
_TILE_LIGHT = np.array([0.868, 0.882, 0.906], np.float32)
_TILE_M = 0.5
"""Side of a floor tile, metres."""
_FADE_M = 5.0
"""Distance from the body over which the floor fades away, metres."""
_FAINT = 0.004
"""Floor fainter than this share is sky: below one step of an 8-bit picture."""


class Floor:
    """Floor and sky for one camera and picture size; everything that does not move is computed once.

    `first_row` is the first row of the picture that shows floor. `x`, `z` (metres, relative to the point the camera
    looks at) and `fade` (0..1) describe the floor seen in the rows from there on; [rows, width] float32.
    """

    def __init__(self, camera: Camera, width: int, height: int, checker: bool = True) -> None:
        focal = camera.focal(height)
        columns = (np.arange(width) + 0.5 - width / 2) / focal
        rows = (height / 2 - 0.5 - np.arange(height)) / focal
        right, up, back = camera.axes.astype(np.float64)
        eye = camera.eye(np.zeros(2)).astype(np.float64)
        down = back[1] - rows * up[1]  # A ray falls by its row alone, since the camera never rolls.
        reach = eye[1] / np.maximum(down, 1e-3)
        across = columns[None, :, None] * right + (rows[:, None] * up - back)[:, None]
        place = eye + reach[:, None, None] * across
        fade = np.exp(-(place[..., 0] ** 2 + place[..., 2] ** 2) / _FADE_M**2) * (down > 1e-3)[:, None]
        self.first_row = int(np.argmax(np.append(fade.max(axis=1), 1.0) > _FAINT))
        shown = slice(self.first_row, None)
        self.x, self.z = (place[shown, :, axis].astype(np.float32) for axis in (0, 2))
        self.fade = fade[shown].astype(np.float32)
        # The checker is averaged over the pixel, which a grazing ray stretches away from the camera.
        blur_tiles = np.maximum(1.4 / _TILE_M * reach[shown, None] / focal, 1e-4)
        self._slope = (-4 / blur_tiles).astype(np.float32)
        flatness = np.clip(2 - blur_tiles, 0, 1).astype(np.float32)  # a blur over two tiles leaves nothing
        share = ((np.arange(height, dtype=np.float32) + np.float32(0.5)) / np.float32(height))[:, None, None]
        sky = _SKY_TOP * (1 - share) + _SKY_HORIZON * share if checker else _SHEET
        self._empty = np.float32(255) * np.broadcast_to(sky, (height, width, 3)).astype(np.float32)
        self._contrast: np.ndarray | None = None
        if checker:
            solid = self.fade[..., None] * np.float32(255)
            self._empty[shown] *= 1 - self.fade[..., None]
            self._empty[shown] += solid * ((_TILE_DARK + _TILE_LIGHT) / 2)
            self._contrast = solid * ((_TILE_LIGHT - _TILE_DARK) / 2) * (flatness * flatness)[..., None]
            self._added = np.empty_like(
                self._contrast
            )  # kept, since a new array of that size costs as much as filling it

    def picture(self, centre: np.ndarray, turn: float = 0.0) -> np.ndarray:
        """The empty room [height, width, 3] float32 in 0..255.

        Args:
            centre: the floor point (x, z) that the camera looks at.
            turn: how far the camera has gone round that point, radians.
        """
        picture = self._empty.copy()
        if self._contrast is not None:
            x, z = self.x, self.z
            if turn:
                sin, cos = np.float32(np.sin(turn)), np.float32(np.cos(turn))
                x, z = x * cos + z * sin, z * cos - x * sin
            checker = self._wave(x, centre[0]) * self._wave(z, centre[1])
            picture[self.first_row :] += np.multiply(checker[..., None], self._contrast, out=self._added)
        return picture

    def _wave(self, place: np.ndarray, shift: float) -> np.ndarray:
        """Square wave of the tiles, -1..1, with edges as wide as the pixel's footprint."""
        periods = place * np.float32(0.5 / _TILE_M)
        periods += np.float32((shift / _TILE_M / 2 + 0.25) % 1)
        periods -= np.floor(periods)
        periods -= np.float32(0.5)
        np.abs(periods, out=periods)
        periods -= np.float32(0.25)  # now a triangle wave, zero at the edges of the tiles
        periods *= self._slope
        return np.clip(periods, -1, 1, out=periods)
