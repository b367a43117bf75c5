"""Feet that slide, feet that may, and joints that shake."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mdtool.editing.goals import BodyMotion, Calm, Planted, Smooth
from mdtool.evaluation.physical import jitter
from mdtool.motion.contacts import SOLE_HEIGHTS
from mdtool.motion.skeleton import FEET

FPS = 20.0


def feet(speeds: list[float], lifted_m: list[float]) -> np.ndarray:
    """Foot joints [6, 4, 3] at constant speeds along x, and so high above flat stance."""
    places = np.zeros((6, 4, 3))
    places[..., 0] = np.arange(6)[:, None] * np.array(speeds) / FPS
    places[..., 1] = SOLE_HEIGHTS + np.array(lifted_m)
    return places


def residual(places: np.ndarray, frames: int = 5) -> np.ndarray:
    goal = Planted((), 1.0, None, np.arange(frames), FEET)
    columns = {joint: column for column, joint in enumerate(FEET)}
    found = goal.residual(BodyMotion(places, columns, np.zeros((6, 24, 6)), FPS))
    torched = goal.residual(BodyMotion(torch.from_numpy(places), columns, torch.zeros(6, 24, 6), FPS))
    np.testing.assert_allclose(torched.numpy(), found, atol=1e-9)
    return np.asarray(found)


@pytest.mark.parametrize(
    ("speeds", "lifted_m", "expected"),
    [
        ([1.0, 1.2, 1.4, 1.6], [0, 0, 0, 0], 0.8 + 1.8),  # gliding: the slowest joint beyond 0.2, the toes beyond 0.5
        ([0.0, 0.4, 1.4, 1.6], [0, 0, 0.1, 0.1], 0.0),  # the left foot carries the body, the right one swings
        ([0.0, 0.4, 1.4, 1.6], [0, 0, 0.1, 0], 1.1),  # its toe brushes the floor
        ([0.0, 0.4, 1.4, 1.6], [0, 0, 0.1, 0.02], 0.55),  # its toe has half of its clearance
        ([0.0, 0.4, 1.4, 1.6], [0.1, 0.1, 0, 0.1], 1.2),  # it lands on a heel that slides
        ([3.0, 3.0, 3.0, 3.0], [0.1, 0.1, 0.1, 0.1], 0.0),  # flight
        ([0.2, 0.2, 0.2, 0.2], [0, 0, 0, 0], 0.0),  # what standing feet measure
    ],
)
def test_feet_slide_when_none_that_touches_is_slow_or_a_toe_is_fast(
    speeds: list[float], lifted_m: list[float], expected: float
) -> None:
    np.testing.assert_allclose(residual(feet(speeds, lifted_m)), expected, atol=1e-6)


def test_the_gradient_slows_feet_and_does_not_lift_them() -> None:
    places = torch.from_numpy(feet([1.0, 1.2, 1.4, 1.6], [0, 0, 0, 0])).requires_grad_()
    columns = {joint: column for column, joint in enumerate(FEET)}
    Planted((), 1.0, None, np.arange(5), FEET).residual(BodyMotion(places, columns, None, FPS)).mean().backward()
    gradient = places.grad
    assert gradient is not None
    assert float(gradient[..., 1].abs().max()) == 0
    assert float(gradient[-1, 0, 0]) > 0 > float(gradient[0, 0, 0])


def test_while_a_foot_carries_the_body_a_toe_that_swings_past_is_lifted_and_slowed() -> None:
    places = torch.from_numpy(feet([0.0, 0.1, 1.4, 1.6], [0, 0, 0.1, 0.01])).requires_grad_()
    columns = {joint: column for column, joint in enumerate(FEET)}
    Planted((), 1.0, None, np.arange(5), FEET).residual(BodyMotion(places, columns, None, FPS)).mean().backward()
    assert places.grad is not None
    assert (places.grad[:, 3, 1] < 0).all()
    assert float(places.grad[-1, 3, 0]) > 0
    assert float(places.grad[:, :3, 1].abs().max()) == 0


def test_smoothness_is_the_published_jitter_at_twenty_frames_a_second() -> None:
    places = np.random.default_rng(0).standard_normal((9, 3, 3))
    goal = Smooth((), 1.0, None, np.arange(9), (4, 7, 9))
    columns = {joint: column for column, joint in enumerate(goal.joints)}
    for fps in (20.0, 60.0):
        body = BodyMotion(torch.from_numpy(places), columns, torch.zeros(9, 24, 6), fps)
        assert float(goal.residual(body).mean()) == pytest.approx(jitter(places, fps) / 20**3)
    steady = np.arange(9.0)[:, None, None] ** 2 * np.ones((9, 3, 3))
    assert np.abs(goal.residual(BodyMotion(steady, columns, np.zeros((9, 24, 6)), 20.0))).max() < 2e-3


def test_who_moves_is_as_calm_as_the_input_and_no_calmer_than_a_standing_body() -> None:
    places = torch.from_numpy(0.01 * np.random.default_rng(0).standard_normal((9, 3, 3)))
    body = BodyMotion(places, {4: 0, 7: 1, 9: 2}, torch.zeros(9, 24, 6), 20.0)
    shakes_m = float(Smooth((), 1.0, None, np.arange(9), (4, 7, 9)).residual(body).mean())

    def excess(input_m: float) -> float:
        return float(Calm((), 1.0, None, np.arange(9), (4, 7, 9), input_m=input_m).residual(body).mean())

    assert excess(shakes_m / 1.5) == pytest.approx(0.5)
    assert excess(shakes_m * 1.1) == 0
    assert excess(0.0) == pytest.approx(shakes_m / 1.25e-3 - 1)  # 10 m/s³
