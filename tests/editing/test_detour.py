"""Which side to pass an obstacle on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mdtool.editing.detour import detour
from mdtool.editing.goals import BodyMotion, Clear
from mdtool.editing.obstacles import Obstacle
from mdtool.editing.shapes import Column

FRAMES = 40
WAY = np.stack([np.zeros(FRAMES), np.full(FRAMES, 0.9), np.linspace(0, 4, FRAMES)], axis=1)


def clear(x: float, moves: np.ndarray | None = None) -> Clear:
    """A pillar of 0.3 m beside the middle of the way."""
    shift = np.zeros((FRAMES, 3)) if moves is None else moves
    pillar = Obstacle(Column((x, 2.0), 0.3), shift, np.zeros(FRAMES))
    return Clear((), 1.0, None, np.arange(FRAMES), (0,), (pillar,))


@pytest.mark.parametrize("x", [0.1, -0.1, 0.3])
def test_the_shorter_way_round_is_taken(x: float) -> None:
    found = detour(clear(x).margin, WAY)
    assert found is not None
    assert np.sign(found.towards[0]) == -np.sign(x)
    assert abs(found.towards[0]) > 0.9
    shifted = WAY + found.metres * np.array([found.towards[0], 0, found.towards[1]])
    assert clear(x).clearance(BodyMotion(shifted[:, None], {0: 0}, None, 20.0)).min() >= 0.3 - 0.05
    assert found.metres == pytest.approx(0.3 + 0.13 + 0.1 + 0.2 - abs(x), abs=0.06)


def test_a_clear_way_needs_no_detour_and_a_wall_all_around_has_none() -> None:
    assert detour(clear(1.0).margin, WAY) is None
    assert detour(replace(clear(0.0), obstacles=(Obstacle(Column((0.0, 2.0), 9.0), *still()),)).margin, WAY) is None


def still() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((FRAMES, 3)), np.zeros(FRAMES)


def test_who_stands_steps_out_of_the_way_of_what_comes() -> None:
    coming = np.stack([np.linspace(-3, 3, FRAMES), np.zeros(FRAMES), np.full(FRAMES, -2.0)], axis=1)
    found = detour(clear(0.0, coming).margin, np.tile(WAY[:1], (FRAMES, 1)))
    assert found is not None
    assert abs(found.towards[1]) > 0.9


def test_through_the_middle_the_whole_body_is_led_to_one_side() -> None:
    goal = clear(0.0)
    guided = replace(goal, around=detour(goal.margin, WAY))
    lateral = []
    for each in (goal, guided):
        places = torch.from_numpy(WAY[:, None].copy()).requires_grad_()
        each.residual(BodyMotion(places, {0: 0}, None, 20.0)).mean().backward()
        assert places.grad is not None
        lateral.append(places.grad[..., 0].abs().sum())
    assert float(lateral[0]) < 1e-2 * float(lateral[1])
    far = BodyMotion(WAY[:, None] + np.array([5.0, 0, 0]), {0: 0}, None, 20.0)
    assert not guided.residual(far).any()
