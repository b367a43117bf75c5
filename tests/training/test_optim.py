"""Learning rate against its closed form; the optimiser against one step of AdamW by hand."""

from __future__ import annotations

import math

import pytest
import torch

from mdtool.config import TrainConfig
from mdtool.training.optim import learning_rate, make_optimiser


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.0),
        (1, 1e-4),
        (5, 5e-4),
        (10, 1e-3),
        (35, 1e-5 + 0.99e-3 * (1 + math.cos(math.pi / 4)) / 2),
        (60, 0.505e-3),
        (85, 1e-5 + 0.99e-3 * (1 - math.cos(math.pi / 4)) / 2),
        (110, 1e-5),
        (200, 1e-5),
    ],
)
def test_warm_up_and_half_a_cosine(step: int, expected: float) -> None:
    config = TrainConfig(steps=110, lr=1e-3, warmup_steps=10, lr_final=1e-5)
    assert learning_rate(step, config) == pytest.approx(expected, rel=1e-12)


def test_constant_rate_and_warm_up_alone() -> None:
    assert {learning_rate(step, TrainConfig(steps=50, lr=3e-4)) for step in range(50)} == {3e-4}
    warm = TrainConfig(steps=50, lr=3e-4, warmup_steps=50)
    assert [learning_rate(step, warm) for step in (0, 25, 49, 50)] == pytest.approx([0, 1.5e-4, 2.94e-4, 3e-4])


def test_warm_up_to_the_last_step_with_a_cosine_does_not_divide_by_zero() -> None:
    config = TrainConfig(steps=20, lr=1e-3, warmup_steps=20, lr_final=1e-5)
    assert learning_rate(19, config) == pytest.approx(0.95e-3)
    assert learning_rate(20, config) == pytest.approx(1e-3)


def test_thesis_rates() -> None:
    """The thesis's schedule at a start, a middle and an end: 1.2e-4 after 625 steps of warm-up, 1e-5 at 250,000."""
    config = TrainConfig(steps=250_000, lr=1.2e-4, warmup_steps=625, lr_final=1e-5)
    assert learning_rate(625, config) == pytest.approx(1.2e-4)
    assert learning_rate((250_000 + 625) // 2, config) == pytest.approx(6.5e-5, rel=1e-4)
    assert learning_rate(250_000, config) == pytest.approx(1e-5)


def test_the_schedule_in_optimiser_steps_is_eight_times_as_long() -> None:
    """The other reading of the thesis: 5,000 optimiser steps of warm-up, then an eighth of the cosine."""
    lengths = {"steps": 250_000, "lr": 1.2e-4, "warmup_steps": 625, "lr_final": 1e-5, "reference_ranks": 8}
    by_rank, by_step = TrainConfig(**lengths), TrainConfig(**lengths, schedule_unit="optimiser")
    assert learning_rate(625, by_rank) == pytest.approx(1.2e-4)
    assert learning_rate(625, by_step) == pytest.approx(1.2e-4 / 8)
    assert learning_rate(5000, by_step) == pytest.approx(1.2e-4)
    assert learning_rate(250_000, by_rank) == pytest.approx(1e-5)
    expected = 1e-5 + 1.1e-4 * (1 + math.cos(math.pi * 245_000 / 1_995_000)) / 2
    assert learning_rate(250_000, by_step) == pytest.approx(expected, rel=1e-9)


def test_one_step_of_adamw() -> None:
    config = TrainConfig(steps=1, lr=0.1, weight_decay=0.5, adam_beta1=0.8, adam_beta2=0.9)
    weight = torch.nn.Parameter(torch.tensor([2.0, -3.0]))
    optimiser = make_optimiser([weight], config)
    (weight * torch.tensor([4.0, -5.0])).sum().backward()
    optimiser.step()
    # After one step both moments, once their bias is corrected, are the gradient: a step of lr in its direction.
    torch.testing.assert_close(weight.detach(), torch.tensor([2.0, -3.0]) * (1 - 0.1 * 0.5) - torch.tensor([0.1, -0.1]))
    weight.grad = torch.tensor([1.0, 1.0])
    before = weight.detach().clone()
    optimiser.step()
    mean = (0.8 * 0.2 * torch.tensor([4.0, -5.0]) + 0.2) / (1 - 0.8**2)
    square = (0.9 * 0.1 * torch.tensor([16.0, 25.0]) + 0.1) / (1 - 0.9**2)
    torch.testing.assert_close(weight.detach(), before * 0.95 - 0.1 * mean / square.sqrt())
