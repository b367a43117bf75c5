"""Triangles to pixels in numpy: row spans, one flat list of fragments, a z-buffer of packed integers.

Everything is float32: a float64 operand would double the memory traffic and break the packing of the depth.
"""

from __future__ import annotations

import numpy as np

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
        (pixel [n] with row * width + column of the covered pixels, values there [n, C] float32).
    """
    x, y = screen[:, 0][faces], screen[:, 1][faces]
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    top = np.maximum(np.ceil(y.min(1) - 0.5), 0).astype(np.int32)
    bottom = np.minimum(np.floor(y.max(1) - 0.5), height - 1).astype(np.int32)
    left = np.floor(x.min(1))
    seen = (area < -1e-6) if cull else (np.abs(area) > 1e-6)
    seen &= (bottom >= top) & (left < width) & (x.max(1) > 0)
    chosen = np.flatnonzero(seen)
    x, y, area, top, left = x[chosen], y[chosen], area[chosen], top[chosen], left[chosen]

    face, row_in_face = _repeated(bottom[chosen] - top + 1)
    row = top[face] + row_in_face
    first, count, weights = _spans(x, y, area, left, face, row, width)

    corner = values[faces[chosen]]
    step = _along_row(y, area)
    slope = corner[:, 1] * step[1][:, None] + corner[:, 2] * step[2][:, None] + corner[:, 0] * step[0][:, None]
    corner = corner[face]
    begin = sum(weights[k][:, None] * corner[:, k] for k in range(3))

    span, column_in_span = _repeated(count)
    pixel = (row * np.int32(width) + first)[span] + column_in_span
    column = column_in_span.astype(np.float32)  # int32 times float32 would be float64
    near = begin[:, 0][span] + column * slope[:, 0][face][span]
    key = (near.view(np.uint32).astype(np.uint64) << np.uint64(32)) | np.arange(len(near), dtype=np.uint64)
    buffer = np.zeros(width * height, np.uint64)
    np.maximum.at(buffer, pixel, key)
    covered = np.flatnonzero(buffer)
    winner = (buffer[covered] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    span = span[winner]
    return covered, begin[span] + column[winner][:, None] * slope[face[span]]


def _spans(
    x: np.ndarray, y: np.ndarray, area: np.ndarray, left: np.ndarray, face: np.ndarray, row: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """First column, number of columns and barycentric weights at the first column, for every row of every face."""
    offset_x = (left + np.float32(0.5))[face]
    centre_y = row.astype(np.float32) + np.float32(0.5)
    along = _along_row(y, area)
    low = np.full(len(face), -np.inf, np.float32)
    high = np.full(len(face), np.inf, np.float32)
    weights = []
    for k in range(3):
        a, b = (k + 1) % 3, (k + 2) % 3
        across = (x[:, b] - x[:, a]) / area
        at_left = (offset_x - x[face, a]) * along[k][face] + (centre_y - y[face, a]) * across[face]
        with np.errstate(divide="ignore", invalid="ignore"):
            border = -at_left / along[k][face]
        rising, falling = along[k][face] > 0, along[k][face] < 0
        low = np.where(rising, np.maximum(low, border), low)
        high = np.where(falling, np.minimum(high, border), high)
        weights.append(at_left)
    first = np.maximum(np.ceil(low - _SLACK), -left[face])
    last = np.minimum(np.floor(high + _SLACK), width - 1 - left[face])
    count = np.maximum(last - first + 1, 0).astype(np.int32)
    weights = [weights[k] + first * along[k][face] for k in range(3)]
    return (first + left[face]).astype(np.int32), count, weights


def _along_row(y: np.ndarray, area: np.ndarray) -> list[np.ndarray]:
    """Change of the three barycentric weights per pixel to the right."""
    return [(y[:, (k + 1) % 3] - y[:, (k + 2) % 3]) / area for k in range(3)]


def _repeated(count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For counts [n]: the owner and the place within its owner of every one of the sum(count) items; int32."""
    end = np.cumsum(count)
    owner = np.repeat(np.arange(len(count), dtype=np.int32), count)
    begin = (end - count).astype(np.int32)
    return owner, np.arange(len(owner), dtype=np.int32) - begin[owner]


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals of vertices [V, 3], faces weighted by their area; [V, 3] float32."""
    corner = vertices[faces]
    first, second = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    normals = np.empty_like(vertices)
    flat = faces.ravel()
    for k in range(3):
        a, b = (k + 1) % 3, (k + 2) % 3
        of_face = first[:, a] * second[:, b] - first[:, b] * second[:, a]
        normals[:, k] = np.bincount(flat, np.repeat(of_face, 3), len(vertices))
    return normals / np.maximum(np.sqrt(np.einsum("vk,vk->v", normals, normals))[:, None], np.float32(1e-12))
