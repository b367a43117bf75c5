"""A body's skin as files of triangles take it: few joints per vertex, markings as faces of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdtool.body.skinning import Body
from mdtool.body.surface import vertex_normals
from mdtool.export.bones import standing

JOINTS_PER_VERTEX = 4
_WHOLE = 65535


@dataclass(frozen=True)
class Skin:
    """V vertices in the rest pose, standing on the floor."""

    vertices: np.ndarray
    """[V, 3] float32, metres."""
    normals: np.ndarray
    """[V, 3] float32."""
    joints: np.ndarray
    """[V, 4] joints and helper joints of the body that the vertex follows; 0 where the weight is 0."""
    weights: np.ndarray
    """[V, 4] uint16 shares; every row sums to 65535."""
    plain: np.ndarray
    """[F, 3] faces of the skin."""
    marked: np.ndarray
    """[G, 3] faces of the markings; none for a body without."""


def skin_of(body: Body, betas: np.ndarray | None = None) -> Skin:
    """The skin of a body in a shape (betas [S]; the rest shape when not given).

    Corrections of the shape by pose (SMPL's pose blend shapes) do not fit the format and are left out.
    """
    vertices = standing(body, betas)[0]
    normals, weights = vertex_normals(vertices, body.faces), body.weights.numpy().astype(np.float64)
    normals[~normals.any(axis=1)] = [0, 1, 0]  # a vertex of no face; glTF wants unit normals everywhere
    plain, marked = body.faces, body.faces[:0]
    if body.accent is not None:
        plain, marked, (first, second, share) = cut(body.faces, body.accent.astype(np.float64))
        vertices, normals, weights = (
            np.concatenate([part, part[first] + share[:, None] * (part[second] - part[first])])
            for part in (vertices, normals, weights)
        )
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    joints, shares = fewest_joints(weights)
    return Skin(vertices.astype(np.float32), normals.astype(np.float32), joints, shares, plain, marked)


def fewest_joints(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four largest weights [V, J] of every vertex: (joints [V, 4], shares [V, 4] uint16 that sum to 65535)."""
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :JOINTS_PER_VERTEX]
    kept = np.take_along_axis(weights, joints, axis=1)
    shares = np.floor(kept / kept.sum(axis=1, keepdims=True) * _WHOLE).astype(np.int64)
    shares[:, 0] += _WHOLE - shares.sum(axis=1)
    return np.where(shares > 0, joints, 0), shares.astype(np.uint16)


def cut(
    faces: np.ndarray, level: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Cut a mesh where `level` [V], linear on every face, is zero.

    Returns:
        (faces of level >= 0, faces of level < 0, new vertices), the new vertices as (first [E], second [E],
        share [E]): vertex V + e lies at first + share (second - first).
    """
    below = level < 0
    count = below[faces].sum(axis=1)
    crossed = faces[(count == 1) | (count == 2)]
    lone = below[crossed] == (below[crossed].sum(axis=1) == 1)[:, None]  # the corner that has its side to itself
    order = (lone.argmax(axis=1)[:, None] + np.arange(3)) % 3
    a, b, c = np.take_along_axis(crossed, order, axis=1).T
    sides = np.sort(np.concatenate([np.stack([a, b], axis=1), np.stack([a, c], axis=1)]), axis=1)
    (first, second), place = _unique_rows(sides)
    ab, ac = np.split(len(level) + place, 2)
    tips = np.stack([a, ab, ac], axis=1)
    rests = np.concatenate([np.stack([ab, b, c], axis=1), np.stack([ab, c, ac], axis=1)])
    tip_below, rest_below = below[a], np.tile(~below[a], 2)
    above = np.concatenate([faces[count == 0], tips[~tip_below], rests[~rest_below]])
    under = np.concatenate([faces[count == 3], tips[tip_below], rests[rest_below]])
    return above, under, (first, second, level[first] / (level[first] - level[second]))


def _unique_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(distinct rows [2, E] as columns, which of them each row is [n])."""
    distinct, place = np.unique(rows, axis=0, return_inverse=True)
    return distinct.reshape(-1, 2).T, place.reshape(-1)
