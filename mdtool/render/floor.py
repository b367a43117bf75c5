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
        falling = back[1] - rows * up[1]  # A ray falls by its row alone, since the camera never rolls.
        below = height - np.count_nonzero(falling > 1e-3)  # first row under the horizon
        reach = eye[1] / falling[below:]
        start = eye + reach[:, None] * (rows[below:, None] * up - back)
        x, z = (
            start[:, axis, None].astype(np.float32) + np.outer(reach * right[axis], columns).astype(np.float32)
            for axis in (0, 2)
        )
        fade = np.exp((x * x + z * z) * np.float32(-1 / _FADE_M**2))
        bare = int(np.argmax(np.append(fade.max(axis=1, initial=0), 1.0) > _FAINT))
        self.first_row = below + bare
        self.x, self.z, self.fade = x[bare:], z[bare:], fade[bare:]
        # The checker is averaged over the pixel, which a grazing ray stretches away from the camera.
        blur_tiles = np.maximum(1.4 / _TILE_M * reach[bare:, None] / focal, 1e-4)
        self._slope = (-4 / blur_tiles).astype(np.float32)
        flatness = np.clip(2 - blur_tiles, 0, 1).astype(np.float32)  # a blur over two tiles leaves nothing
        share = (np.arange(height, dtype=np.float32) + np.float32(0.5)) / np.float32(height)
        sky = np.outer(_SKY_TOP, 1 - share) + np.outer(_SKY_HORIZON, share) if checker else _SHEET[:, None]
        self._empty = np.empty((3, height, width), np.float32)
        self._empty[:] = np.float32(255) * sky[..., None]
        self._contrast: np.ndarray | None = None
        if checker:
            solid = np.float32(255) * self.fade
            for plane, colour in zip(self._empty, (_TILE_DARK + _TILE_LIGHT) / 2, strict=True):
                plane[self.first_row :] *= 1 - self.fade
                plane[self.first_row :] += solid * colour
            self._contrast = solid * (flatness * flatness)

    def picture(self, centre: np.ndarray, turn: float = 0.0, out: np.ndarray | None = None) -> np.ndarray:
        """The empty room [3, height, width] float32 in 0..255; one plane per colour is three times as quick as pixels.

        Args:
            centre: the floor point (x, z) that the camera looks at.
            turn: how far the camera has gone round that point, radians.
            out: where to put it; filling a new array of this size costs as much as computing it.
        """
        picture = np.empty_like(self._empty) if out is None else out
        if self._contrast is None:
            picture[:] = self._empty
            return picture
        x, z = self.x, self.z
        if turn:
            sin, cos = np.float32(np.sin(turn)), np.float32(np.cos(turn))
            x, z = x * cos + z * sin, z * cos - x * sin
        checker = self._wave(x, centre[0])
        checker *= self._wave(z, centre[1])
        checker *= self._contrast
        picture[:, : self.first_row] = self._empty[:, : self.first_row]
        floor, empty = picture[:, self.first_row :], self._empty[:, self.first_row :]
        for k, amount in enumerate((_TILE_LIGHT - _TILE_DARK) / 2):
            np.multiply(checker, amount, out=floor[k])
            floor[k] += empty[k]
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
