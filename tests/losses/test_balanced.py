"""Balanced losses: gradients of one length from every group and noise level, and two paths that do not meet."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mdtool.diffusion.edm import Preconditioning
from mdtool.losses.balanced import balance_factor, balanced_losses
from mdtool.motion.feature_groups import GROUPS, GroupNormaliser

SIZES = torch.tensor([float(group.size) for group in GROUPS])
WEIGHTS = GroupNormaliser("em").weights()
FRAMES = 16
SCALE = Preconditioning(1.0)


def gradients(sigma: Tensor, balance: str, weights: Tensor) -> Tensor:
    """RMS gradient with respect to the network's output, per sample and group [B, 4], where u has learnt all."""
    rng = torch.Generator().manual_seed(0)
    output = torch.zeros(len(sigma), int(SIZES.sum()), FRAMES, requires_grad=True)
    level = sigma.unsqueeze(1)
    # λ m falls from 1 to a sixth where noise hides the motion, as that of the best denoiser does.
    own = torch.linspace(0.5, 1.0, 4) * SCALE.output(level) ** 2 * (0.15 + 0.85 / (1 + (level / 0.2) ** 2))
    residual = [
        own[:, k].sqrt().view(-1, 1, 1) * torch.randn(len(sigma), group.size, FRAMES, generator=rng)
        for k, group in enumerate(GROUPS)
    ]
    made = torch.cat(residual, dim=1) + SCALE.output(sigma).view(-1, 1, 1) * output
    errors = torch.stack([made[:, group.channels].square().flatten(1).mean(1) for group in GROUPS], dim=1)
    weight = SCALE.weight(sigma).unsqueeze(1)
    found = balanced_losses(errors, weight, (weight * errors).detach().log(), SIZES, weights, balance)  # type: ignore[arg-type]
    (gradient,) = torch.autograd.grad(found.denoising.sum(), output)
    return torch.stack([gradient[:, group.channels].flatten(1).norm(dim=1) for group in GROUPS], dim=1)


SIGMAS = torch.logspace(-2, 1.3, 12)


@pytest.mark.parametrize(
    ("balance", "most", "least"), [("consistent", 1.1, 1.0), ("literal", 100.0, 20.0), ("edm2", 4.0, 1.5)]
)
def test_every_noise_level_counts_alike(balance: str, most: float, least: float) -> None:
    per_level = gradients(SIGMAS, balance, WEIGHTS)
    assert len(SIGMAS) == 12
    for group in per_level.T:
        assert least <= float(group.max() / group.min()) <= most


def test_factors_have_their_closed_form_and_bounds() -> None:
    """λ, λ / e^u, √(λ / e^u) and λ / √e^u, of u between -12 and 5."""
    weight, u = torch.tensor([[0.5], [4.0]]), torch.tensor([[-1.0, 2.0], [0.3, -3.0]])
    closed = {"edm": weight.expand(2, 2), "edm2": weight / u.exp(), "consistent": weight / (u / 2).exp()}
    closed["literal"] = (weight / u.exp()) ** 0.5
    far = torch.tensor([[-40.0, 40.0], [-12.0, 5.0]])
    for balance, expected in closed.items():
        torch.testing.assert_close(balance_factor(balance, weight, u), expected)  # type: ignore[arg-type]
        assert torch.equal(balance_factor(balance, weight[:1], far[:1]), balance_factor(balance, weight[:1], far[1:]))  # type: ignore[arg-type]


def test_every_group_counts_alike() -> None:
    per_group = gradients(torch.full((64,), 0.7), "consistent", WEIGHTS).mean(0)
    torch.testing.assert_close(per_group / per_group.mean(), torch.ones(4), atol=0.03, rtol=0)
    without = gradients(torch.full((64,), 0.7), "consistent", torch.ones(4)).mean(0)
    torch.testing.assert_close(without / without[0], (SIZES / SIZES[0]).sqrt(), atol=0.02, rtol=0)


def test_the_paths_share_no_gradient() -> None:
    errors, u = torch.rand(8, 4).requires_grad_(), torch.randn(8, 4).requires_grad_()
    found = balanced_losses(errors, torch.full((8, 1), 3.0), u, SIZES, WEIGHTS)
    assert torch.autograd.grad(found.denoising.sum(), u, retain_graph=True, allow_unused=True) == (None,)
    assert torch.autograd.grad(found.uncertainty.sum(), errors, retain_graph=True, allow_unused=True) == (None,)
    (towards,) = torch.autograd.grad(found.uncertainty.sum(), u)
    # At e^u = λ m there is nothing to change.
    torch.testing.assert_close(towards, 1 - 3.0 * errors.detach() / u.detach().exp())


def test_one_curve_learns_the_error_of_all_elements() -> None:
    errors, weight = torch.rand(8, 4), torch.full((8, 1), 2.0)
    u = torch.zeros(8, 1, requires_grad=True)
    found = balanced_losses(errors, weight, u, SIZES, torch.ones(4), "edm2")
    whole = (errors * SIZES).sum(1) / SIZES.sum()
    torch.testing.assert_close(found.uncertainty, 2 * whole)
    torch.testing.assert_close(found.denoising, 2 * whole)


def test_a_group_that_stays_out_has_no_loss() -> None:
    sizes, weights = SIZES * torch.tensor([1.0, 1, 1, 0]), WEIGHTS * torch.tensor([1.0, 1, 1, 0])
    errors, u = torch.rand(4, 4), torch.randn(4, 4, requires_grad=True)
    found = balanced_losses(errors, torch.ones(4, 1), u, sizes, weights)
    (gradient,) = torch.autograd.grad(found.uncertainty.sum(), u)
    assert (gradient[:, 3] == 0).all()
    assert (gradient[:, :3] != 0).all()
    again = balanced_losses(errors + torch.tensor([0.0, 0, 0, 5]), torch.ones(4, 1), u, sizes, weights)
    assert torch.equal(again.denoising, found.denoising)
