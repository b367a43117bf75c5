"""The rasteriser against closed forms and a slow, obvious rasteriser."""

from __future__ import annotations

import numpy as np
import pytest

from mdtool.render.rasteriser import rasterise

WIDTH, HEIGHT = 40, 30


def slow(screen: np.ndarray, values: np.ndarray, faces: np.ndarray, cull: bool) -> np.ndarray:
    """Every pixel against every face in float64; [HEIGHT, WIDTH, C], zero where nothing is."""
    picture = np.zeros((HEIGHT, WIDTH, values.shape[1]))
    for face in faces:
        (ax, ay), (bx, by), (cx, cy) = screen[face].astype(np.float64)
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area == 0 or (cull and area > 0):
            continue
        for row in range(HEIGHT):
            for column in range(WIDTH):
                x, y = column + 0.5, row + 0.5
                second = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / area
                third = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / area
                if min(second, third, 1 - second - third) < 0:
                    continue
                value = np.array([1 - second - third, second, third]) @ values[face]
                if value[0] > picture[row, column, 0]:
                    picture[row, column] = value
    return picture


@pytest.mark.parametrize("cull", [True, False])
def test_random_triangles_match_the_slow_rasteriser(cull: bool) -> None:
    rng = np.random.default_rng(0)
    # Some reach beyond every border of the picture.
    screen = rng.uniform([-15, -12], [WIDTH + 15, HEIGHT + 12], (36, 2)).astype(np.float32)
    values = rng.uniform(0.1, 2.0, (36, 3)).astype(np.float32)
    faces = np.arange(36).reshape(12, 3)
    expected = slow(screen, values, faces, cull)
    pixel, seen = rasterise(screen, values, faces, WIDTH, HEIGHT, cull)
    picture = np.zeros((HEIGHT * WIDTH, 3))
    picture[pixel] = seen.T
    picture = picture.reshape(expected.shape)
    differ = np.abs(picture - expected).max(axis=2) > 1e-3
    assert (expected[..., 0] > 0).sum() > 300
    assert differ.sum() <= 3  # pixel centres within 0.002 of an edge may fall on either side


def test_shared_edges_leave_no_hole() -> None:
    rng = np.random.default_rng(1)
    axis = np.linspace(-2, 42, 25)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    screen = (grid + rng.uniform(-0.4, 0.4, grid.shape)).astype(np.float32)
    corner = (np.arange(24)[:, None] * 25 + np.arange(24)).ravel()
    faces = np.concatenate(
        [np.stack([corner, corner + 1, corner + 25], 1), np.stack([corner + 1, corner + 26, corner + 25], 1)]
    )
    pixel, _ = rasterise(screen, np.ones((len(screen), 1), np.float32), faces, WIDTH, HEIGHT, cull=False)
    assert len(pixel) == WIDTH * HEIGHT


def test_nearest_wins_whatever_the_order() -> None:
    screen = np.array([[0, 0], [0, 30], [40, 0], [0, 0], [0, 30], [40, 0]], np.float32)
    values = np.array([[1, 10]] * 3 + [[2, 20]] * 3, np.float32)
    for faces in ([[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]]):
        _, seen = rasterise(screen, values, np.array(faces), WIDTH, HEIGHT)
        np.testing.assert_allclose(seen[1], 20, rtol=1e-5)


def test_back_faces_are_left_out() -> None:
    screen = np.array([[0, 0], [40, 0], [0, 30]], np.float32)  # clockwise when y is up
    values = np.ones((3, 1), np.float32)
    assert len(rasterise(screen, values, np.array([[0, 1, 2]]), WIDTH, HEIGHT)[0]) == 0
    assert len(rasterise(screen, values, np.array([[0, 2, 1]]), WIDTH, HEIGHT)[0]) > 500


def test_nothing_in_the_picture() -> None:
    screen = np.array([[-9, -9], [-9, -5], [-5, -9]], np.float32)
    pixel, seen = rasterise(screen, np.ones((3, 2), np.float32), np.array([[0, 1, 2]]), WIDTH, HEIGHT)
    assert len(pixel) == 0
    assert seen.shape == (2, 0)
