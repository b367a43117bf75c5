"""The search on toy maps whose answers are known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mdtool.editing.optimiser import Judged, NoiseSearch, Search, SeededRandomness
from mdtool.editing.regularisers import (
    content_weight,
    decorrelation,
    decorrelation_weight,
    distance,
    draw_padding,
    padding_length,
)
from mdtool.editing.schedule import rate_share
from mdtool.methods.seeds import sample_generators


def judged(loss: Tensor, tolerance: float = 0.0) -> Judged:
    return Judged(loss, {}, loss.detach(), loss.detach() <= tolerance)


def search(task: Callable[[Tensor, Tensor], Judged], start: Tensor, settings: Search, first: int = 0) -> NoiseSearch:
    rngs = sample_generators(5, first, len(start))
    axis = settings.time_axis if settings.decorrelation else None
    return NoiseSearch(task, start, settings, SeededRandomness(start, axis, rngs))


MIX = torch.linalg.qr(torch.randn(24, 24, generator=torch.Generator().manual_seed(1)))[0]
TARGETS = torch.randn(8, 24, generator=torch.Generator().manual_seed(2))
STARTS = torch.randn(8, 4, 6, generator=torch.Generator().manual_seed(3))


def linear(noise: Tensor, rows: Tensor) -> Judged:
    """A sampler that mixes its noise, and a target for each sample."""
    return judged(((noise.flatten(1) @ MIX) - TARGETS[rows]).abs().mean(1))


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.0), (25, 0.024574), (50, 0.046651), (150, 0.025), (250, 0.003349), (300, 0.0)]
)
def test_learning_rate_of_300_steps(step: int, rate: float) -> None:
    assert 0.05 * rate_share(step, 300) == pytest.approx(rate, abs=1e-6)
    assert 0.05 * rate_share(50, 500) == pytest.approx(0.048776, abs=1e-6)


def test_a_linear_map_reaches_its_target() -> None:
    found = search(linear, STARTS, Search(steps=300))
    found.run()
    assert found.taken == 300
    assert float(linear(found.noise, torch.arange(8)).loss.max()) < 1e-3


def test_a_sample_is_the_same_alone_and_in_company() -> None:
    settings = Search(steps=40, decorrelation=3.0, content=0.01, perturbation=0.01)
    together = search(linear, STARTS, settings)
    together.run()
    for k in range(3):
        alone = search(lambda noise, rows, k=k: linear(noise, rows + k), STARTS[k : k + 1], settings, first=k)
        alone.run()
        torch.testing.assert_close(alone.noise[0], together.noise[k], atol=1e-4, rtol=0)


def test_elementwise_tasks_do_not_feel_the_batch_at_all() -> None:
    """Without matrix products, whose rounding depends on their size, not one bit differs."""
    goal = TARGETS.reshape(8, 4, 6)

    def task(noise: Tensor, rows: Tensor) -> Judged:
        return judged((noise - goal[rows]).abs().mean((1, 2)))

    settings = Search(steps=30, decorrelation=3.0, content=0.01, perturbation=0.01)
    together = search(task, STARTS, settings)
    together.run()
    for k in range(8):
        alone = search(lambda noise, rows, k=k: task(noise, rows + k), STARTS[k : k + 1], settings, first=k)
        alone.run()
        assert torch.equal(alone.noise[0], together.noise[k])


def test_a_sample_without_gradient_stays_where_it_is() -> None:
    def task(noise: Tensor, rows: Tensor) -> Judged:
        values = noise.flatten(1).sum(1)
        return judged(torch.where(rows == 0, values.abs(), (values - 1e6).clamp_min(0)))

    found = search(task, STARTS[:2], Search(steps=20))
    found.run()
    assert torch.equal(found.noise[1], STARTS[1])
    assert not torch.equal(found.noise[0], STARTS[0])
    assert found.skipped.tolist() == [0, 20]


def test_a_sample_that_breaks_stops_and_keeps_its_best() -> None:
    def task(noise: Tensor, rows: Tensor) -> Judged:
        loss = noise.flatten(1).square().mean(1)
        return judged(loss * torch.where((rows == 1) & (found.taken >= 5), torch.nan, 1.0))

    found = search(task, STARTS[:2], Search(steps=60))
    found.run()
    assert torch.isfinite(found.noise).all()
    assert torch.isfinite(found.best_noise).all()
    assert found.skipped.tolist() == [0, 20]
    assert found.lasted.tolist() == [60, 25]


def test_what_is_not_searched_stays_and_the_rest_has_the_whole_step() -> None:
    mask = torch.zeros(STARTS.shape[1:], dtype=torch.bool)
    mask[0] = True
    rngs, settings = sample_generators(5, 0, 2), Search(steps=30, perturbation=0.1)
    found = NoiseSearch(linear, STARTS[:2], settings, SeededRandomness(STARTS[:2], None, rngs), searched=mask)
    found.run()
    assert torch.equal(found.noise[:, 1:], STARTS[:2, 1:])
    assert (found.noise[:, 0] != STARTS[:2, 0]).any(dim=-1).all()


def test_targets_that_hold_end_a_search_with_a_cool_down() -> None:
    def task(noise: Tensor, rows: Tensor) -> Judged:
        return judged(linear(noise, rows).loss, tolerance=0.05)

    found = search(task, STARTS[:2], Search(steps=300, early_stop=True))
    found.trace.most = 300
    found.run()
    assert 100 < found.taken < 200
    rates = found.trace.column("lr")[:, 0]
    last = rates[~rates.isnan()]
    assert float(last[-1]) < 0.2 * float(last[-12])
    patient = search(task, STARTS[:2], Search(steps=300))
    patient.run()
    assert patient.taken == 300


def test_a_sample_that_misses_after_its_cool_down_goes_on() -> None:
    """Near from the first step on, met only below a loss that the falling rate does not reach at once."""

    def task(noise: Tensor, rows: Tensor) -> Judged:
        loss = linear(noise, rows).loss
        return judged(loss, tolerance=2e-3)._replace(near=torch.ones(len(loss), dtype=torch.bool))

    found = search(task, STARTS[:2], Search(steps=1000, lr=0.02, early_stop=True))
    found.trace.most = 1000
    found.run()
    rates = found.trace.column("lr")[:, 0].tolist()
    fallen = next(step for step in range(80, len(rates)) if rates[step] < 0.05 * rates[60])
    assert max(rates[fallen:]) > 0.5 * rates[60]
    assert float(task(found.noise, torch.arange(2)).loss[0]) < 3e-3
    assert found.taken < 1000


def test_a_search_that_is_stuck_ends() -> None:
    def task(noise: Tensor, rows: Tensor) -> Judged:
        return judged(noise.flatten(1).sum(1) * 1e-9 + 1.0)

    found = search(task, STARTS[:1], Search(steps=500, early_stop=True))
    found.run()
    assert found.taken < 250


def test_the_best_noise_is_the_one_with_the_least_loss() -> None:
    found = search(linear, STARTS, Search(steps=5, lr=10.0, warmup=0))
    found.run()
    losses = found.trace.column("objective")
    torch.testing.assert_close(found.best_loss, losses.min(0).values, atol=1e-6, rtol=0)
    best = linear(found.best_noise, torch.arange(8)).loss.double()
    torch.testing.assert_close(best, found.best_loss, atol=1e-6, rtol=0)


def test_content_keeps_the_noise_near() -> None:
    far, near = (search(linear, STARTS, Search(steps=100, content=weight)) for weight in (0.0, 0.05))
    far.run()
    near.run()
    assert (distance(near.noise, STARTS) < distance(far.noise, STARTS)).all()


@pytest.mark.parametrize(
    ("values", "expected"), [([1.0] * 8, 3.0), ([1.0, -1.0] * 4, 1.0), ([0.0, 1.0, 2.0, 3.0], 5.5625)]
)
def test_decorrelation_of_known_signals(values: list[float], expected: float) -> None:
    noise = torch.tensor(values).reshape(1, 1, -1)
    assert float(decorrelation(noise, noise[..., :0], -1)) == pytest.approx(expected)


def test_decorrelation_takes_any_time_axis() -> None:
    noise = torch.randn(3, 60, 5, generator=torch.Generator().manual_seed(0))
    padding = draw_padding((3, 60, 5), 1, sample_generators(0, 0, 3))
    assert padding.shape == (3, 4, 5)
    same = decorrelation(noise.movedim(1, -1), padding.movedim(1, -1), -1)
    torch.testing.assert_close(decorrelation(noise, padding, 1), same)
    assert [padding_length(frames) for frames in (60, 64, 120, 196)] == [4, 0, 8, 60]


def test_weights_fit_the_size_of_the_latent() -> None:
    assert decorrelation_weight(196, 196 * 263) == 1000.0
    assert decorrelation_weight(60, 60 * 150) == pytest.approx(1000 * 64 * 150 / 67328)
    for latent in (900, 9000, 51548):  # the same shift per number costs the same
        shift = torch.full((1, latent), 0.1)
        assert content_weight(0.002, latent) * float(distance(shift, shift * 0)) == pytest.approx(
            0.002 * 22.704, rel=1e-4
        )


def test_a_gradient_at_the_anchor_is_zero() -> None:
    noise = STARTS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(distance(noise, STARTS).sum(), noise)
    assert torch.equal(gradient, torch.zeros_like(noise))
