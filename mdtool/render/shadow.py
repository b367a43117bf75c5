"""Shadows: one height map of the body sheared along the light serves the floor and the body itself."""

from __future__ import annotations

import numpy as np

from mdtool.render.rasteriser import rasterise

_CELLS = 288
_CONTACT_CELL_M = 0.02
_CONTACT_FALL_M = 0.045
"""Height at which the ambient shadow of a part falls to 1/e, metres."""
_LIFT_M = 0.022
_PENUMBRA = np.array([1, 3, 5, 6, 5, 3, 1], np.float32) / np.float32(24)
_SOFT = np.array([1, 2, 3, 4, 5, 6, 7, 6, 5, 4, 3, 2, 1], np.float32) / np.float32(49)


class ShadowMap:
    """Where the key light and the ambient light do not reach, for one posed body."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, light: np.ndarray) -> None:
        """Vertices [V, 3] in metres; `light` is the unit vector towards the light, above the horizon."""
        self._shear = (light[[0, 2]] / light[1]).astype(np.float32)
        ground = self._sheared(vertices)
        self._low, self._high = ground.min(0) - np.float32(0.2), ground.max(0) + np.float32(0.2)
        self._scale = np.float32(_CELLS) / (self._high - self._low).max()
        self._base = vertices[:, 1].min() - np.float32(1)
        height = vertices[:, 1:2] - self._base
        cells, seen = rasterise((ground - self._low) * self._scale, height, faces, _CELLS, _CELLS, cull=False)
        self._height = np.zeros(_CELLS * _CELLS, np.float32)
        self._height[cells] = seen[0]
        covered = (self._height > 0).astype(np.float32).reshape(_CELLS, _CELLS)
        self._cover = _blurred(covered, _PENUMBRA).ravel()
        self._contact_low = vertices[:, [0, 2]].min(0) - np.float32(0.3)
        self._contact, self._contact_size = self._contact_map(vertices)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest floor point (x, z) that any shadow reaches."""
        contact_high = self._contact_low + np.array(self._contact_size, np.float32) * np.float32(_CONTACT_CELL_M)
        return np.minimum(self._low, self._contact_low), np.maximum(self._high, contact_high)

    def on_floor(self, x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Share of the key light and of the ambient light taken from floor points; two arrays [n] in 0..1."""
        key = _bilinear(
            self._cover, (_CELLS, _CELLS), (x - self._low[0]) * self._scale, (z - self._low[1]) * self._scale
        )
        scale = np.float32(1 / _CONTACT_CELL_M)
        ambient = _bilinear(
            self._contact, self._contact_size, (x - self._contact_low[0]) * scale, (z - self._contact_low[1]) * scale
        )
        return key, ambient

    def on_body(self, vertices: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Share of the key light that higher parts of the body take from its vertices; [V] in 0..1."""
        # Tested a little off the skin, or the coarse cells would let steep skin shade itself in patches.
        lifted = vertices + np.float32(_LIFT_M) * normals
        place = (self._sheared(lifted) - self._low) * self._scale - np.float32(0.5)
        column, row = place[:, 0], place[:, 1]
        limit = lifted[:, 1] - self._base + np.float32(_LIFT_M)
        blocked = np.zeros(len(vertices), np.float32)
        reach = (-2, 0, 2)
        for down in reach:
            for right in reach:
                cell = np.rint(row + down).astype(np.int32) * _CELLS + np.rint(column + right).astype(np.int32)
                blocked += self._height[np.clip(cell, 0, _CELLS * _CELLS - 1)] > limit
        return blocked / np.float32(len(reach) ** 2)

    def _sheared(self, points: np.ndarray) -> np.ndarray:
        """Where the light through world points meets the floor; [n, 3] → [n, 2]."""
        return points[:, [0, 2]] - points[:, 1:2] * self._shear

    def _contact_map(self, vertices: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
        size = np.ceil((vertices[:, [0, 2]].max(0) + 0.3 - self._contact_low) / _CONTACT_CELL_M).astype(int)
        columns, rows = int(size[0]), int(size[1])
        near = vertices[vertices[:, 1] < 4 * _CONTACT_FALL_M]
        cell = ((near[:, [0, 2]] - self._contact_low) / np.float32(_CONTACT_CELL_M)).astype(np.int32)
        closeness = np.exp(-np.maximum(near[:, 1], 0) / np.float32(_CONTACT_FALL_M))
        splat = np.zeros(rows * columns, np.float32)
        np.maximum.at(splat, cell[:, 1] * columns + cell[:, 0], closeness)
        return _blurred(splat.reshape(rows, columns), _SOFT).ravel(), (columns, rows)


def _blurred(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Separable convolution with a symmetric kernel; zero beyond the border."""
    reach = len(kernel) // 2
    for axis in (0, 1):
        padding = [(0, 0), (0, 0)]
        padding[axis] = (reach, reach)
        padded = np.pad(image, padding)
        size = image.shape[axis]
        image = sum(weight * np.take(padded, range(k, k + size), axis) for k, weight in enumerate(kernel))
    return image


def _bilinear(image: np.ndarray, size: tuple[int, int], column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Values of a flat image of (columns, rows) at fractional cells; 0 outside."""
    columns, rows = size
    column, row = column - np.float32(0.5), row - np.float32(0.5)
    inside = (column >= 0) & (row >= 0) & (column < columns - 1) & (row < rows - 1)
    column, row = column[inside], row[inside]
    left, top = column.astype(np.int32), row.astype(np.int32)
    right_share, down_share = column - left, row - top
    cell = top * columns + left
    upper = image[cell] * (1 - right_share) + image[cell + 1] * right_share
    lower = image[cell + columns] * (1 - right_share) + image[cell + columns + 1] * right_share
    result = np.zeros(len(inside), np.float32)
    result[inside] = upper * (1 - down_share) + lower * down_share
    return result
