"""A triangle mesh from a distance field: surface nets on a rectilinear grid, then relaxed onto the surface."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Field = Callable[[np.ndarray], np.ndarray]


def surface_nets(values: np.ndarray, axes: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mesh of the zero level of a sampled field (naive surface nets, Gibson 1998).

    Args:
        values: field at the grid points [X, Y, Z], negative inside, positive on the whole border.
        axes: the increasing coordinates of the grid points along x, y and z.

    Returns:
        (vertices [V, 3], quads [Q, 4], counter-clockwise seen from outside).
    """
    inside = values < 0
    cells = tuple(size - 1 for size in values.shape)
    crossings, total = np.zeros(cells, dtype=np.int32), np.zeros((*cells, 3))
    edges = []
    for axis in range(3):
        low, high = _ends(values, axis)
        crossed = np.argwhere(_ends(inside, axis)[0] != _ends(inside, axis)[1])
        start = low[tuple(crossed.T)]
        share = start / (start - high[tuple(crossed.T)])
        points = np.stack([axes[k][crossed[:, k]] for k in range(3)], axis=1)
        points[:, axis] += share * (axes[axis][crossed[:, axis] + 1] - axes[axis][crossed[:, axis]])
        around = [np.array(corner) for corner in _around(axis)]
        for corner in around:
            cell = tuple((crossed - corner).T)
            np.add.at(crossings, cell, 1)
            np.add.at(total, cell, points)
        edges.append((crossed, around, start < 0))
    index = np.full(cells, -1)
    used = crossings > 0
    index[used] = np.arange(used.sum())
    quads = []
    for crossed, around, leaves in edges:
        ring = np.stack([index[tuple((crossed - corner).T)] for corner in around], axis=1)
        quads.append(np.where(leaves[:, None], ring, ring[:, ::-1]))
    return total[used] / crossings[used][:, None], np.concatenate(quads)


def relax(vertices: np.ndarray, quads: np.ndarray, distance: Field, gradient: Field, rounds: int = 12) -> np.ndarray:
    """Even out a mesh along the surface and bring every vertex onto the zero level; [V, 3] → [V, 3]."""
    edges = quad_edges(quads)
    for _ in range(rounds):
        normal = gradient(vertices)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        move = 0.5 * (neighbour_mean(vertices, edges) - vertices)
        vertices = vertices + move - normal * (move * normal).sum(axis=1, keepdims=True)
        slope = gradient(vertices)
        vertices = vertices - slope * (distance(vertices) / (slope * slope).sum(axis=1))[:, None]
    return vertices


def triangles(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Split every quad along its shorter diagonal; [Q, 4] → [2 Q, 3] int32."""
    corners = vertices[quads]
    first = np.linalg.norm(corners[:, 0] - corners[:, 2], axis=1)
    second = np.linalg.norm(corners[:, 1] - corners[:, 3], axis=1)
    turned = np.where((first <= second)[:, None], quads, np.roll(quads, -1, axis=1))
    return np.concatenate([turned[:, [0, 1, 2]], turned[:, [0, 2, 3]]]).astype(np.int32)


def quad_edges(quads: np.ndarray) -> np.ndarray:
    """The sides of quads without repetition, in both directions; [Q, 4] → [E, 2]."""
    sides = np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    sides = np.unique(sides, axis=0)
    return np.concatenate([sides, sides[:, ::-1]])


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


def neighbour_mean(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Mean of `values` [V, C] over the neighbours of every vertex; edges [E, 2] in both directions."""
    count = np.bincount(edges[:, 0], minlength=len(values))
    columns = [np.bincount(edges[:, 0], values[edges[:, 1], k], len(values)) for k in range(values.shape[1])]
    return np.stack(columns, axis=1) / count[:, None]


def _ends(grid: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Values at the two ends of every grid edge along `axis`."""
    return np.delete(grid, -1, axis), np.delete(grid, 0, axis)


def _around(axis: int) -> list[tuple[int, int, int]]:
    """The four cells around a grid edge, as steps back from the edge's start, counter-clockwise about `axis`."""
    second, third = (axis + 1) % 3, (axis + 2) % 3
    cells = []
    for back in ((0, 0), (1, 0), (1, 1), (0, 1)):
        step = [0, 0, 0]
        step[second], step[third] = back
        cells.append((step[0], step[1], step[2]))
    return cells
