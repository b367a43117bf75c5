"""Likelihoods by the probability-flow ODE, on Gaussians, where every term has a closed form."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mdtool.diffusion.edm import sigma_grid
from mdtool.diffusion.likelihood import log_likelihood
from mdtool.diffusion.preconditioning import SpectralPreconditioner, dct_basis

LOWEST, HIGHEST = 0.002, 80.0


def density(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """log N(x; mean, variance) summed over all but the batch."""
    each = -0.5 * (x - mean).square() / variance - 0.5 * (2 * math.pi * variance).log()
    return each.flatten(1).sum(1)


def led_back(variance: Tensor) -> Tensor:
    """Variance of noise of σ_max that the ODE of Gaussian data has led to σ_min."""
    return HIGHEST**2 * (variance + LOWEST**2) / (variance + HIGHEST**2)


def signs(count: int, x: Tensor, seed: int = 0) -> Tensor:
    return torch.randint(0, 2, (count, *x.shape), generator=torch.Generator().manual_seed(seed)).to(x) * 2 - 1


def test_the_density_of_a_gaussian() -> None:
    rng = torch.Generator().manual_seed(0)
    variance = torch.logspace(-2, 0.5, 6, dtype=torch.float64)
    mean = torch.randn(6, generator=rng, dtype=torch.float64)
    x = mean + variance.sqrt() * torch.randn(5, 6, generator=rng, dtype=torch.float64)

    def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
        return mean + variance / (variance + sigma[:, None] ** 2) * (x - mean)

    wanted = density(x, mean, led_back(variance))
    errors = []
    for steps in (32, 64, 128):
        found = log_likelihood(denoiser, x, sigma_grid(steps), signs(1, x), mean)
        errors.append(float((found - wanted).abs().max()))
    assert errors[2] < 0.03
    assert 3 < errors[0] / errors[1] < 6, "second order: twice as many steps leave a quarter"
    kept = torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64)
    some = log_likelihood(denoiser, x, sigma_grid(128), signs(1, x), mean, keep=kept)
    assert float((some - density(x[:, :3], mean[:3], led_back(variance[:3]))).abs().max()) < 0.03


def test_probes_estimate_a_divergence_that_mixes_elements() -> None:
    """With a covariance that is not diagonal one set of signs errs, and the mean of many does not."""
    rng = torch.Generator().manual_seed(1)
    turn = torch.linalg.qr(torch.randn(4, 4, generator=rng, dtype=torch.float64)).Q
    variance = torch.tensor([0.05, 0.2, 1.0, 3.0], dtype=torch.float64)
    x = (variance.sqrt() * torch.randn(1, 4, generator=rng, dtype=torch.float64)) @ turn.T

    def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
        return ((x @ turn) * variance / (variance + sigma[:, None] ** 2)) @ turn.T

    wanted = float(density(x @ turn, torch.zeros(4, dtype=torch.float64), led_back(variance)))
    found = [float(log_likelihood(denoiser, x, sigma_grid(64), signs(1, x, seed))) for seed in range(40)]
    assert max(found) - min(found) > 0.5
    assert abs(float(log_likelihood(denoiser, x, sigma_grid(64), signs(2000, x))) - wanted) < 0.15


def test_in_the_coordinates_of_the_spectrum_two_steps_are_enough() -> None:
    rng, frames = torch.Generator().manual_seed(2), 8
    data = torch.randn(400, 3, frames, generator=rng).cumsum(-1) + 2
    skip = SpectralPreconditioner(0, 3, frames)
    skip.fit(data, torch.full((400,), -1))
    x, zeros = data[:4], torch.zeros(4, 3, frames)

    def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
        wide = sigma.view(-1, 1, 1)
        return skip.estimate(zeros, x, torch.ones_like(wide), wide, None)

    mean = skip.mean[0] @ dct_basis(frames)
    wanted = density(x @ skip.basis.T, skip.mean[0], led_back(skip.variance[0]))
    grid = sigma_grid(2)
    found = log_likelihood(denoiser, x, grid, signs(1, x), mean, coordinates=skip.coordinates(None, 4, frames))
    assert float((found - wanted).abs().max()) < 0.02
