"""Latents per sequence: the row-wise Adam, the divergence, and the width that it gives a posterior."""

from __future__ import annotations

import pytest
import torch

from mdtool.networks.latent_table import FIRST_LOG_VARIANCE, LatentTable, divergence, fit_latents


def test_rows_outside_the_batch_stay_and_each_counts_its_own_steps() -> None:
    """Every row moves as a parameter of its own under PyTorch's Adam would, whenever it is visited."""
    torch.manual_seed(0)
    table = LatentTable(3)
    table.allocate(5)
    alone = [torch.cat([table.mean[k], table.log_variance[k]]).clone().requires_grad_() for k in range(5)]
    adams = [torch.optim.Adam([row], lr=0.05, eps=1e-12) for row in alone]
    untouched = table.mean[4].clone()
    for visit in ([0, 1], [1, 2], [1, 3, 1], [0, 2], [1, 0]):
        rows = torch.tensor(visit)
        goal = torch.randn(len(visit), 6)
        mean, log_variance = table.look_up(rows)
        (torch.cat([mean, log_variance], -1) - goal).pow(4).sum().backward()
        table.update(0.05)
        for row in set(visit):
            adams[row].zero_grad()
            sum((alone[row] - goal[k]).pow(4).sum() for k, v in enumerate(visit) if v == row).backward()
            adams[row].step()
    for row in range(5):
        torch.testing.assert_close(torch.cat([table.mean[row], table.log_variance[row]]), alone[row].detach())
    assert table.steps.tolist() == [3, 4, 2, 1, 0]
    assert torch.equal(table.mean[4], untouched)
    assert (table.log_variance[4] == FIRST_LOG_VARIANCE).all()


def test_state_and_size_come_back() -> None:
    table, other = LatentTable(2), LatentTable(2)
    table.allocate(3)
    table.look_up(torch.tensor([1]))[0].sum().backward()
    table.update(0.1)
    other.load_state_dict(table.state_dict())
    other.load_optimiser_state(table.optimiser_state())
    assert torch.equal(other.mean, table.mean)
    assert other.steps.tolist() == [0, 1, 0]


def test_divergence_is_the_mean_over_dimensions_of_torchs() -> None:
    mean, log_variance = torch.randn(4, 7), torch.randn(4, 7)
    own = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    expected = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0)).mean(-1)
    torch.testing.assert_close(divergence(mean, log_variance), expected)


@pytest.mark.parametrize("weight", [1e-3, 1e-1])
def test_posterior_width_of_a_linear_decoder(weight: float) -> None:
    """min over σ of κ d-summed σ²: with loss mean((W z)²) the width is 1 / √(1 + 2 d κ / λ), κ per latent number."""
    torch.manual_seed(1)
    width, outputs = 4, 6
    matrix = torch.linalg.qr(torch.randn(outputs, width))[0]
    kappa = matrix.square().mean(0)  # mean squared change of the output per unit² of one latent
    table = LatentTable(width)
    table.allocate(1)
    rows = torch.zeros(256, dtype=torch.int64)
    target = matrix @ torch.randn(width)
    for step in range(600):
        mean, log_variance = table.look_up(rows)
        latent = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        error = (latent @ matrix.T - target).square().mean(-1)
        (error.mean() + weight * divergence(mean, log_variance).mean()).backward()
        table.update(0.05 if step < 400 else 0.005)
    expected = (1 + 2 * width * kappa / weight).rsqrt()
    torch.testing.assert_close((0.5 * table.log_variance[0]).exp(), expected, rtol=0.06, atol=0)


def test_fitting_finds_each_rows_minimum() -> None:
    goal = torch.randn(5, 3)
    found = fit_latents(lambda latent: (latent - goal).square().sum(-1), torch.zeros(5, 3), 400, 0.05)
    torch.testing.assert_close(found, goal, atol=1e-2, rtol=0)
    alone = fit_latents(lambda latent: (latent - goal[2:3]).square().sum(-1), torch.zeros(1, 3), 400, 0.05)
    torch.testing.assert_close(alone[0], found[2])
