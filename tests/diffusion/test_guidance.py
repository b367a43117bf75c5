"""Classifier-free guidance with a denoiser whose answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mdtool.diffusion.guidance import NO_CONDITION, classifier_free


class Recorded:
    """Answers with the condition itself; the null condition gives 10."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, x: Tensor, timestep: Tensor, condition: Tensor) -> Tensor:
        assert len(x) == len(timestep) == len(condition)
        self.batches.append(len(x))
        value = torch.where(condition == NO_CONDITION, torch.full_like(condition, 10), condition)
        return value.to(x.dtype).reshape(-1, 1, 1).expand_as(x)


@pytest.mark.parametrize("scale", [0.0, 2.5, torch.tensor(2.5), torch.tensor([1.0, 2.5, 7.0])])
def test_guided_is_unconditional_plus_scaled_difference(scale: float | Tensor) -> None:
    denoiser, condition = Recorded(), torch.tensor([1, 2, 3])
    x = torch.zeros(3, 4, 5)
    guided = classifier_free(denoiser, condition, scale)(x, torch.zeros(3, dtype=torch.int64))
    expected = 10 + torch.as_tensor(scale) * (condition - 10)
    torch.testing.assert_close(guided[:, 0, 0], expected.float())
    assert denoiser.batches == [6], "both passes belong in one batch"


def test_scale_one_needs_no_second_pass() -> None:
    denoiser, condition = Recorded(), torch.tensor([1, 2])
    out = classifier_free(denoiser, condition, 1)(torch.zeros(2, 1, 1), torch.zeros(2, dtype=torch.int64))
    assert out.flatten().tolist() == [1, 2]
    assert denoiser.batches == [2]


def test_a_weaker_network_makes_the_unconditional_prediction_above_the_lowest_timestep() -> None:
    strong, condition, asked = Recorded(), torch.tensor([1, 2, 3]), []

    def weaker(x: Tensor, timestep: Tensor, condition: Tensor) -> Tensor:
        asked.append(condition.tolist())
        return torch.full_like(x, 20.0)

    guided = classifier_free(strong, condition, 1.5, weaker, lowest=4)
    x = torch.zeros(3, 4, 5)
    above, below = (guided(x, torch.full((3,), timestep))[:, 0, 0] for timestep in (4, 3))
    torch.testing.assert_close(above, 20 + 1.5 * (condition - 20.0))
    torch.testing.assert_close(below, condition.float())
    assert asked == [[NO_CONDITION] * 3], "asked without the condition, and not below the lowest timestep"
    assert strong.batches == [3, 3], "the strong network makes no unconditional prediction of its own"
