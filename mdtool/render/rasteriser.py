"""Triangles to pixels in numpy: row spans, one flat list of fragments, a z-buffer of packed integers.

Everything is float32: a float64 operand would double the memory traffic and break the packing of the depth.
"""

from __future__ import annotations

import numpy as np

_HALF = np.float32(0.5)
_SLIVER = np.float32(1e-6)
"""Twice the area below which a face is seen edge-on, square pixels."""
_SLACK = np.float32(2e-3)
"""Pixels by which spans overlap, so that rounding leaves no pinhole on a shared edge."""


def rasterise(
    screen: np.ndarray, values: np.ndarray, faces: np.ndarray, width: int, height: int, cull: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Find what is seen at every pixel centre.

    Args:
        screen: vertex positions in pixels [V, 2] float32, y down.
        values: what to interpolate [V, C] float32; column 0 is the nearness (> 0), the largest wins.
        faces: [F, 3], counter-clockwise (with y up) from the side that is seen.
        cull: leave out faces seen from behind.

    Returns:
        (pixel [n] int32 with row * width + column of the covered pixels, each once and in no order;
        values there [C, n] float32).
    """
    x, y = screen[:, 0][faces], screen[:, 1][faces]
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    top = np.maximum(np.ceil(y.min(1) - _HALF), 0)
    bottom = np.minimum(np.floor(y.max(1) - _HALF), height - 1)
    left = np.floor(x.min(1))
    seen = (area < -_SLIVER) if cull else (np.abs(area) > _SLIVER)
    chosen = np.flatnonzero(seen & (bottom >= top) & (left < width) & (x.max(1) > 0))
    top, left = top[chosen], left[chosen]

    # Everything is affine over a face: its value at the pixel (left, top), its change per column and per row.
    origin, per_column, per_row = _planes(x[chosen], y[chosen], area[chosen], left, top, values[faces[chosen]])
    face, row_in_face = _repeated((bottom[chosen] - top).astype(np.int32) + 1)
    per_column = per_column.take(face, axis=1)
    at_left = origin.take(face, axis=1) + row_in_face.astype(np.float32) * per_row.take(face, axis=1)
    left = left[face]
    first, count = _span(at_left[:3], per_column[:3], left, width)
    begin, slope = at_left[3:] + first * per_column[3:], per_column[3:]
    begin_pixel = (top[face].astype(np.int32) + row_in_face) * np.int32(width) + (left + first).astype(np.int32)

    span, column = _repeated(count)
    pixel = begin_pixel[span] + column
    column = column.astype(np.float32)  # int32 times float32 would be float64
    near = begin[0][span] + column * slope[0][span]
    key = (near.view(np.uint32).astype(np.uint64) << np.uint64(32)) | np.arange(len(near), dtype=np.uint64)
    buffer = np.zeros(width * height, np.uint64)
    np.maximum.at(buffer, pixel, key)
    # Winners stay in the order of their faces, so that what they look up next lies close together in memory.
    kept = np.flatnonzero(buffer[pixel] == key)
    span, column = span[kept], column[kept]
    seen = np.empty((values.shape[1], len(kept)), np.float32)
    seen[0] = near[kept]
    for interpolated, at_begin, per_pixel in zip(seen[1:], begin[1:], slope[1:], strict=True):
        np.multiply(column, per_pixel.take(span), out=interpolated)
        interpolated += at_begin.take(span)
    return pixel[kept], seen


def _planes(
    x: np.ndarray, y: np.ndarray, area: np.ndarray, left: np.ndarray, top: np.ndarray, values: np.ndarray
) -> list[np.ndarray]:
    """Barycentric weights and corner values [F, 3, C] as affine functions over every face.

    Returns:
        At the centre of pixel (left, top), change per column, change per row; each [3 + C, F] float32.
    """
    after, before = [1, 2, 0], [2, 0, 1]
    per_column = (y[:, after] - y[:, before]) / area[:, None]
    per_row = (x[:, before] - x[:, after]) / area[:, None]
    across, down = (left + _HALF)[:, None] - x[:, after], (top + _HALF)[:, None] - y[:, after]
    origin = across * per_column + down * per_row
    return [
        np.concatenate([weights.T, np.einsum("fk,fkc->cf", weights, values)])
        for weights in (origin, per_column, per_row)
    ]


def _span(at_left: np.ndarray, per_column: np.ndarray, left: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Where all three weights [3, R] of a row are positive: (first column after `left` float32, number of columns)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        border = -at_left / per_column
    low = np.where(per_column > 0, border, -np.inf).max(axis=0)
    high = np.where(per_column < 0, border, np.inf).min(axis=0)
    first = np.maximum(np.ceil(low - _SLACK), -left)
    last = np.minimum(np.floor(high + _SLACK), width - 1 - left)
    return first, np.maximum(last - first + 1, 0).astype(np.int32)


def _repeated(count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For counts [n]: the owner and the place within its owner of every one of the sum(count) items; int32."""
    end = np.cumsum(count)
    owner = np.repeat(np.arange(len(count), dtype=np.int32), count)
    begin = (end - count).astype(np.int32)
    return owner, np.arange(len(owner), dtype=np.int32) - begin[owner]
