"""Euler angles: the same rotation back, for every order; no jumps; exact at gimbal lock."""

from __future__ import annotations

import numpy as np
import pytest
import roma
import torch

from mdtool.motion.euler import EULER_ORDERS, matrix_to_euler
from mdtool.motion.rotations import euler_to_matrix


def matrices(angles_deg: np.ndarray, order: str) -> np.ndarray:
    return euler_to_matrix(torch.from_numpy(angles_deg), order).numpy()


@pytest.mark.parametrize("order", EULER_ORDERS)
def test_any_rotation_comes_back(order: str) -> None:
    rotations = roma.random_rotmat(400, dtype=torch.float64).numpy().reshape(100, 4, 3, 3)
    angles = matrix_to_euler(rotations, order)
    assert angles.shape == (100, 4, 3)
    np.testing.assert_allclose(matrices(angles, order), rotations, atol=1e-12)


@pytest.mark.parametrize("order", EULER_ORDERS)
def test_smooth_angles_come_back_as_they_were(order: str) -> None:
    """Two turns about the first axis while the second swings far beyond 90 degrees: the angles themselves return."""
    time = np.linspace(0, 1, 301)
    angles = np.stack([720 * time - 20, 160 * time, -300 * time + 40], axis=1)
    np.testing.assert_allclose(matrix_to_euler(matrices(angles, order), order), angles, atol=1e-9)


@pytest.mark.parametrize("order", EULER_ORDERS)
def test_gimbal_lock_keeps_the_rotation_and_does_not_jump(order: str) -> None:
    time = np.linspace(0, 1, 200)
    second = np.where((time > 0.3) & (time < 0.7), 90.0, 90 - 40 * np.abs(np.sin(np.pi * (time - 0.3) / 0.4)))
    rotations = matrices(np.stack([100 * time, second, 30 * time], axis=1), order)
    angles = matrix_to_euler(rotations, order)
    np.testing.assert_allclose(matrices(angles, order), rotations, atol=1e-7)
    assert np.abs(np.diff(angles, axis=0)).max() < 5


def test_always_locked() -> None:
    rotations = matrices(np.tile([10.0, -90.0, 25.0], (5, 1)), "XYZ")
    angles = matrix_to_euler(rotations, "XYZ")
    assert not angles[:, 0].any()
    np.testing.assert_allclose(matrices(angles, "XYZ"), rotations, atol=1e-12)


def test_one_frame() -> None:
    rotation = matrices(np.array([[10.0, 20.0, 30.0]]), "ZXY")
    np.testing.assert_allclose(matrix_to_euler(rotation, "ZXY"), [[10, 20, 30]], atol=1e-12)


def test_unknown_order() -> None:
    with pytest.raises(ValueError, match=r"XYX.*ZYX"):
        matrix_to_euler(np.eye(3)[None], "XYX")
