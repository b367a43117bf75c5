"""Signed distances: places with known answers, gradients against finite differences, numpy against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mdtool.editing.obstacles import JOINT_RADII, Obstacle, Setting, build_obstacle, nearest
from mdtool.editing.placement import Placement
from mdtool.editing.shapes import Ball, Block, Column, Grid, HalfSpace, Prism, Shape, Stick, Together
from mdtool.editing.solids import SolidSpec

SQUARE = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
AXES = np.linspace(-1, 1, 41)
SHAPES: dict[str, Shape] = {
    "ball": Ball(np.array([0.2, 1.0, -0.3]), 0.5),
    "pillar": Column((0.3, -0.2), 0.4),
    "cylinder": Column((0.3, -0.2), 0.4, (0.2, 1.1)),
    "box": Block(np.array([0.1, 0.8, 0.0]), np.array([0.5, 0.4, 0.3]), 0.5),
    "rounded box": Block(np.array([0.1, 0.8, 0.0]), np.array([0.5, 0.4, 0.3]), 0.5, 0.1),
    "capsule": Stick((0.0, 0.2, 0.1), (0.4, 1.0, -0.5), 0.2),
    "wall": HalfSpace(np.array([0.0, 0.0, 1.0]), np.array([0.6, 0.0, -0.8])),
    "prism": Prism(SQUARE, (0.0, 1.2)),
    "grid": Grid(
        Ball(np.zeros(3), 0.5).distance(*np.meshgrid(AXES, AXES, AXES, indexing="ij")), np.full(3, -1.0), 0.05
    ),
    "union": Together("union", (Column((1.0, 0.0), 0.3), Ball(np.array([-0.5, 1.0, 0.0]), 0.4))),
    "intersect": Together("intersect", (Column((0.0, 0.0), 0.5), Ball(np.array([0.2, 1.0, 0.0]), 0.6))),
    "subtract": Together("subtract", (Block(np.array([0.0, 1.0, 0.0]), np.ones(3)), Column((0.0, 0.0), 0.5))),
}
POINTS = np.random.default_rng(0).uniform([-1.5, 0, -1.5], [1.5, 2, 1.5], (400, 3))


def at(shape: Shape, *point: float) -> float:
    return float(shape.distance(*(np.array(coordinate) for coordinate in point)))


@pytest.mark.parametrize("name", SHAPES)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    shape, step = SHAPES[name], 1e-6
    points = torch.from_numpy(POINTS).requires_grad_()
    distance = shape.distance(*points.unbind(-1))
    np.testing.assert_allclose(distance.detach().numpy(), shape.distance(*POINTS.T), atol=1e-9)
    (gradient,) = torch.autograd.grad(distance.sum(), points)
    for axis in range(3):
        aside = np.eye(3)[axis] * step
        slope = (shape.distance(*(POINTS + aside).T) - shape.distance(*(POINTS - aside).T)) / (2 * step)
        off = np.abs(slope - gradient[:, axis].numpy())
        assert np.mean(off < 1e-4) > 0.99  # a few points lie on an edge, where there are two slopes


@pytest.mark.parametrize("name", [name for name in SHAPES if name not in ("grid", "union", "intersect", "subtract")])
def test_distances_are_true_distances(name: str) -> None:
    """Walking the distance along its gradient ends on the surface."""
    shape = SHAPES[name]
    points = torch.from_numpy(POINTS).requires_grad_()
    distance = shape.distance(*points.unbind(-1))
    (gradient,) = torch.autograd.grad(distance.sum(), points)
    outside = distance.detach() > 0.01
    surface = (points - distance[:, None] * gradient)[outside].detach().numpy()
    assert np.abs(shape.distance(*surface.T)).max() < 1e-6


def test_known_distances() -> None:
    assert at(SHAPES["ball"], 0.2, 2.0, -0.3) == pytest.approx(0.5)
    assert at(SHAPES["pillar"], 0.3, 57.0, 0.8) == pytest.approx(0.6)
    assert at(SHAPES["cylinder"], 0.3, 2.1, -0.2) == pytest.approx(1.0)
    assert at(Block(np.zeros(3), np.array([1.0, 2.0, 3.0])), 0.5, 0.0, 0.0) == pytest.approx(-0.5)
    assert at(Block(np.zeros(3), np.array([1.0, 2.0, 3.0])), 4.0, 6.0, 0.0) == pytest.approx(5.0)
    assert at(SHAPES["prism"], 0.0, 0.6, 0.0) == pytest.approx(-0.6)
    assert at(SHAPES["prism"], 4.0, 0.6, 5.0) == pytest.approx(5.0)
    assert at(HalfSpace(np.zeros(3), np.array([0.0, 1.0, 0.0])), 3.0, 0.7, 1.0) == pytest.approx(0.7)


def test_a_point_on_an_axis_is_led_out() -> None:
    for shape in (Ball(np.zeros(3), 1.0), Column((0.0, 0.0), 1.0)):
        point = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(shape.distance(*point), point)
        assert float(gradient[[0, 2]].norm()) == pytest.approx(1.0)


def test_a_grid_gives_back_the_distances_it_holds() -> None:
    ball, grid = Ball(np.zeros(3), 0.5), SHAPES["grid"]
    inside = np.random.default_rng(1).uniform(-0.9, 0.9, (200, 3))
    np.testing.assert_allclose(grid.distance(*inside.T), ball.distance(*inside.T), atol=0.01)
    assert at(grid, 3.0, 0.0, 0.0) == pytest.approx(2.5, abs=1e-6)
    point = torch.tensor([0.31, 0.2, -0.4], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(grid.distance(*point), point)
    np.testing.assert_allclose(gradient.numpy(), point.detach().numpy() / float(point.detach().norm()), atol=0.05)


def built(frames: int = 11, **spec: object) -> Obstacle:
    return build_obstacle(SolidSpec.model_validate(spec), Setting(frames, 20.0, "request.yaml", Placement()))


def test_a_moving_obstacle_is_where_its_frame_says() -> None:
    obstacle = built(sphere={"radius": 0.5}, move=[[0, [0, 1, 0]], [10, [5, 1, 0]]])
    points = np.tile([0.0, 1.0, 0.0], (11, 1, 1))
    np.testing.assert_allclose(obstacle.distance(points)[1:, 0], np.arange(1, 11) * 0.5 - 0.5, atol=1e-9)
    many = torch.from_numpy(points).expand(2, 11, 1, 3)
    np.testing.assert_allclose(obstacle.distance(many)[1, :, 0].numpy(), obstacle.distance(points)[:, 0])


def test_a_turning_box_takes_the_shorter_way_round() -> None:
    obstacle = built(box={"size": [2, 1, 0.2]}, move=[[0, [0, 0, 0], 170], [10, [0, 0, 0], -170]])
    assert np.degrees(obstacle.yaw[5]) % 360 == pytest.approx(180.0)
    probe = np.tile([0.9, 0.5, 0.0], (11, 1, 1))
    assert obstacle.distance(probe)[5, 0] == pytest.approx(-0.1, abs=1e-6)
    quarter = built(box={"size": [2, 1, 0.2], "yaw": 90})
    assert quarter.distance(np.tile([0.0, 0.5, 0.9], (11, 1, 1)))[0, 0] == pytest.approx(-0.1, abs=1e-6)


def test_a_tilting_plank_is_where_slerp_turns_it() -> None:
    """An upright plank falls forwards about its foot: by 90 degrees in 10 frames, evenly."""
    plank = built(box={"size": [0.4, 2, 0.2]}, move=[[0, [1, 0, 0]], [10, [1, 0, 0], [0, 90, 0]]])
    angle = np.radians(9.0 * np.arange(11))
    tip = np.stack([np.ones(11), 2.5 * np.cos(angle), 2.5 * np.sin(angle)], axis=1)[:, None]
    np.testing.assert_allclose(plank.distance(tip)[:, 0], 0.5, atol=1e-9)
    side = tip * [1, 0.4, 0.4] + [0.7, 0, 0]
    points = torch.from_numpy(side).requires_grad_()
    distance = plank.distance(points)
    np.testing.assert_allclose(distance.detach().numpy()[:, 0], 0.5, atol=1e-9)
    distance.sum().backward()
    np.testing.assert_allclose(points.grad, np.tile([1.0, 0, 0], (11, 1, 1)), atol=1e-9)


def test_yaw_pitch_and_roll_turn_about_the_vertical_last() -> None:
    """Rolled by 90° its height lies along -x; then pitched, which leaves x; then yawed, which takes -x to +z."""
    rod = built(capsule={"start": [0, 0, 0], "end": [0, 2, 0], "radius": 0.1}, move=[[0, [0, 1, 0], [90, 50, 90]]])
    np.testing.assert_allclose(rod.distance(np.tile([0.0, 1.0, 2.5], (11, 1, 1)))[:, 0], 0.4, atol=1e-9)
    assert not rod.moves
    upright = built(box={"size": [2, 1, 0.2]}, move=[[0, [0, 0, 0], 0], [10, [0, 0, 0], 60]])
    slerped = built(box={"size": [2, 1, 0.2]}, move=[[0, [0, 0, 0], [0, 0, 0]], [10, [0, 0, 0], 60]])
    points = np.random.default_rng(1).uniform(-2, 2, (11, 50, 3))
    np.testing.assert_allclose(slerped.distance(points), upright.distance(points), atol=1e-9)
    np.testing.assert_allclose(slerped.yaw, upright.yaw, atol=1e-9)
    assert slerped.moves
    np.testing.assert_allclose(slerped.still(7).distance(points[7:8]), upright.distance(points)[7:8], atol=1e-9)


@pytest.mark.parametrize("key", [[0, [0, 0]], [0, [0, 0, 0], [1, 2]], [0, [0, 0, 0], "x"], [0, [0, 0, 0], [1, 2, "x"]]])
def test_a_pose_that_is_none_is_refused(key: list[object]) -> None:
    with pytest.raises(ValueError, match=r"move\[0\] must be \[frame, \[x, y, z\]\], with a yaw or"):
        built(box={"size": [1, 1, 1]}, move=[key])


def test_a_box_stands_on_the_floor() -> None:
    box = built(box={"at": [1, 2], "size": [1, 0.8, 1]})
    assert box.distance(np.tile([1.0, 0.9, 2.0], (11, 1, 1)))[0, 0] == pytest.approx(0.1)


def test_the_nearest_of_several_counts() -> None:
    obstacles = [built(pillar={"at": [x, 0], "radius": 0.5}) for x in (0.0, 3.0)]
    points = np.zeros((11, 2, 3))
    points[:, 0, 0], points[:, 1, 0] = 1.0, 2.2
    np.testing.assert_allclose(nearest(obstacles, points)[0], [0.5, 0.3], atol=1e-6)


def test_every_joint_has_flesh() -> None:
    assert JOINT_RADII.shape == (24,)
    assert (JOINT_RADII[0], JOINT_RADII[20]) == (0.13, 0.05)
