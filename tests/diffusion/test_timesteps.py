"""Timestep samplers: the published probabilities, an update that is order-exact, unbiased weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.diffusion.timesteps import DrawHistogram, LossAwareTimesteps, UniformTimesteps


def naive_update(history: list[list[float]], timestep: Tensor, loss: Tensor) -> None:
    """One entry after the other; a full row loses its oldest."""
    for index, value in zip(timestep.tolist(), loss.tolist(), strict=True):
        history[index].append(value)
        del history[index][:-10]


def warmed(steps: int, losses: Tensor) -> LossAwareTimesteps:
    sampler = LossAwareTimesteps(steps)
    for _ in range(10):
        sampler.record(torch.arange(steps), losses)
    return sampler


def test_published_probabilities() -> None:
    sampler = warmed(4, torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64))
    p = sampler.probabilities()
    np.testing.assert_allclose(p, [0.10015, 0.20005, 0.29995, 0.39985], rtol=1e-12)
    _, weight = sampler.pick(torch.tensor([0.05, 0.2, 0.5, 0.9], dtype=torch.float64))
    np.testing.assert_allclose(weight, [2.49625562, 1.24968758, 0.83347225, 0.62523446], rtol=1e-7)
    sampler.record(torch.tensor([3]), torch.tensor([2.0]))
    np.testing.assert_allclose(sampler.probabilities(), [0.07493804, 0.14962608, 0.22431412, 0.55112176], atol=1e-8)


def test_uniform_until_every_timestep_has_ten_losses() -> None:
    sampler = LossAwareTimesteps(3)
    for _ in range(9):
        sampler.record(torch.arange(3), torch.tensor([1.0, 2.0, 3.0]))
    sampler.record(torch.tensor([0, 1]), torch.tensor([1.0, 2.0]))
    np.testing.assert_allclose(sampler.probabilities(), 1 / 3)
    sampler.record(torch.tensor([2]), torch.tensor([3.0]))
    assert sampler.probabilities()[2] > 0.4


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_update_equals_one_entry_after_the_other(batch: int) -> None:
    # Six timesteps and batches up to 64: most batches bring more than ten losses of one timestep.
    torch.manual_seed(batch)
    sampler, expected = LossAwareTimesteps(6), [[] for _ in range(6)]
    for _ in range(40):
        timestep, loss = torch.randint(6, (batch,)), torch.rand(batch)
        sampler.record(timestep, loss)
        naive_update(expected, timestep, loss)
        for index, row in enumerate(expected):
            assert sampler.counts[index] == len(row)
            assert sampler.history[index, : len(row)].tolist() == row


def test_weights_keep_the_mean_unbiased() -> None:
    losses = torch.tensor([0.1, 5.0, 0.3, 1.0, 2.0])
    sampler = warmed(5, losses)
    timestep, weight = sampler.draw(200_000, torch.Generator().manual_seed(0))
    assert (weight * losses[timestep]).mean().item() == pytest.approx(losses.mean().item(), rel=0.01)
    frequency = torch.bincount(timestep, minlength=5) / 200_000
    np.testing.assert_allclose(frequency, sampler.probabilities(), atol=0.005)


def test_losses_of_zero_mean_uniform() -> None:
    np.testing.assert_allclose(warmed(4, torch.zeros(4)).probabilities(), 0.25)


def test_recording_keeps_no_graph() -> None:
    sampler = LossAwareTimesteps(2)
    sampler.record(torch.tensor([0]), torch.ones(1, requires_grad=True) * 2)
    assert not sampler.history.requires_grad
    assert sampler.history[0, 0] == 2


@pytest.mark.parametrize("kind", [UniformTimesteps, LossAwareTimesteps])
def test_draws_depend_on_the_generator_alone(kind: type[UniformTimesteps]) -> None:
    sampler = kind(50)
    first = sampler.draw(64, torch.Generator().manual_seed(3))
    torch.manual_seed(9)
    second = sampler.draw(64, torch.Generator().manual_seed(3))
    assert torch.equal(first[0], second[0])
    assert first[1].eq(1).all()
    assert len(first[0].unique()) > 25


def test_samplers_leave_checkpoints_alone() -> None:
    assert LossAwareTimesteps(4).state_dict() == {}


def test_histogram_counts_every_draw_in_its_row() -> None:
    histogram = DrawHistogram(4, steps_per_row=3)
    every = histogram.steps_per_row
    for _ in range(every):
        histogram.add(torch.tensor([0, 2, 2]))
    histogram.add(torch.tensor([1, 1, 3]))
    assert histogram.counts.tolist() == [[every, 0, 2 * every, 0], [0, 2, 0, 1]]

    resumed = DrawHistogram(4, steps_per_row=3)
    resumed.load_state(histogram.state())
    resumed.add(torch.tensor([3, 3, 3]))
    assert resumed.counts[1].tolist() == [0, 2, 0, 4]
