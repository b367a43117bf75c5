"""Euler angles of a moving joint: exact at gimbal lock and without jumps from frame to frame."""

from __future__ import annotations

from itertools import permutations

import numpy as np

EULER_ORDERS: tuple[str, ...] = tuple("".join(letters) for letters in permutations("XYZ"))
"""The six orders with three different axes."""

_LOCKED = 1e-7
"""Sine of the distance to gimbal lock below which the first angle is free; choosing it costs less than 1e-5 degrees."""


def matrix_to_euler(matrices: np.ndarray, order: str) -> np.ndarray:
    """Intrinsic Euler angles of moving rotations, R = R_order[0] R_order[1] R_order[2], continuous over the frames.

    The first angle is read off the matrix and undone before the others are read, so that the three always make up
    the same matrix, near gimbal lock too (M. Day, "Extracting Euler angles from a rotation matrix"). In gimbal lock
    the first angle is interpolated between the nearest free frames. Of the two triples that mean the same rotation
    every frame takes the one nearer to the frame before, and angles run on beyond 180 degrees.

    Args:
        matrices: rotations [T, ..., 3, 3], frames first.
        order: one of `EULER_ORDERS`.

    Returns:
        [T, ..., 3] float64 degrees, one angle per letter.

    Raises:
        ValueError: an order that is not one of the six.
    """
    if order not in EULER_ORDERS:
        raise ValueError(f"{order!r} is no Euler order; they are {', '.join(EULER_ORDERS)}")
    i, j, k = ("XYZ".index(letter) for letter in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    flat = np.asarray(matrices, dtype=np.float64).reshape(len(matrices), -1, 3, 3)
    first = np.arctan2(-sign * flat[..., j, k], flat[..., k, k])
    first = _through_gimbal_lock(first, np.hypot(flat[..., j, k], flat[..., k, k]) < _LOCKED)
    cosine, sine = np.cos(first), np.sin(first)
    # Rows j and k of R_i(-first) R; row i is that of R.
    row_j = cosine[..., None] * flat[..., j, :] + sign * sine[..., None] * flat[..., k, :]
    corner = cosine * flat[..., k, k] - sign * sine * flat[..., j, k]
    second = np.arctan2(sign * flat[..., i, k], corner)
    third = np.arctan2(sign * row_j[..., i], row_j[..., j])
    angles = _nearest_triples(np.stack([first, second, third], axis=-1))
    return np.rad2deg(np.unwrap(angles, axis=0)).reshape(*matrices.shape[:-2], 3)


def _through_gimbal_lock(angle: np.ndarray, locked: np.ndarray) -> np.ndarray:
    """The first angle [T, n] with that of locked frames taken from the frames around them; zero if all are locked."""
    frames = np.arange(len(angle))
    filled = np.where(locked, 0.0, angle)
    for column in np.flatnonzero(locked.any(axis=0) & ~locked.all(axis=0)):
        free = ~locked[:, column]
        filled[:, column] = np.interp(frames, frames[free], np.unwrap(angle[free, column]))
    return filled


def _nearest_triples(angles: np.ndarray) -> np.ndarray:
    """Choose (a, b, c) or (a + pi, pi - b, c + pi) in every frame, near the frame before; [T, n, 3] radians.

    Both frames of a pair may be swapped without changing their distance, so that a frame is swapped when an odd
    number of the steps up to it calls for it.
    """
    other = np.stack([angles[..., 0] + np.pi, np.pi - angles[..., 1], angles[..., 2] + np.pi], axis=-1)

    def distance(later: np.ndarray) -> np.ndarray:
        step = np.remainder(later - angles[:-1] + np.pi, 2 * np.pi) - np.pi
        return np.abs(step).sum(axis=-1)

    swaps = distance(other[1:]) < distance(angles[1:])
    odd = np.concatenate([np.zeros((1, angles.shape[1])), np.cumsum(swaps, axis=0)]) % 2 == 1
    return np.where(odd[..., None], other, angles)
