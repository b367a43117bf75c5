"""EDM: identities of the preconditioning, the sampler's order, its calls and its inverse, on an exact denoiser."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mdtool.diffusion.edm import Churn, Denoiser, Preconditioning, heun, heun_inversion, sigma_grid
from mdtool.diffusion.guidance import autoguided
from mdtool.errors import MdtoolError

GRID_16 = [
    80, 55.051, 37.092, 24.408, 15.640, 9.7232, 5.8389, 3.3686, 1.8543, 0.9654, 0.4700, 0.2107, 0.0851, 0.0300,
    0.0088, 0.0020, 0,
]  # fmt: skip
RNG = torch.Generator().manual_seed(0)
CENTRES = torch.randn(6, 48, generator=RNG, dtype=torch.float64) * 0.9 + 0.4
VARIANCE = 0.05


def mixture(x: Tensor, sigma: Tensor) -> Tensor:
    """E[x_0 | x_σ] of a mixture of six normal distributions in 48 dimensions."""
    total = VARIANCE + sigma[:, None] ** 2
    apart = x[:, None] - CENTRES
    share = (-apart.square().sum(-1) / (2 * total)).softmax(1)
    return (share.unsqueeze(-1) * (CENTRES + VARIANCE / total.unsqueeze(-1) * apart)).sum(1)


def start(count: int = 64) -> Tensor:
    return 80 * torch.randn(count, 48, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_grid() -> None:
    torch.testing.assert_close(sigma_grid(16), torch.tensor(GRID_16, dtype=torch.float64), atol=1e-4, rtol=1e-4)
    with pytest.raises(MdtoolError, match="2 steps or more"):
        sigma_grid(1)
    with pytest.raises(MdtoolError, match="must rise"):
        sigma_grid(8, 1.0, 0.5)


def test_preconditioning_identities() -> None:
    scale, sigma = Preconditioning(0.7), torch.logspace(-3, 2, 20, dtype=torch.float64)
    torch.testing.assert_close(scale.weight(sigma) * scale.output(sigma) ** 2, torch.ones_like(sigma))
    data = 0.7 * torch.randn(200_000, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    noise = torch.randn(200_000, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    for level in (0.05, 1.0, 20.0):
        at = torch.tensor(level, dtype=torch.float64)
        noisy = data + level * noise
        assert abs(float((scale.input(at) * noisy).square().mean().sqrt()) - 1) < 0.01
        target = (data - scale.skip(at) * noisy) / scale.output(at)  # what the network has to say has magnitude 1
        assert abs(float(target.square().mean().sqrt()) - 1) < 0.01
    assert scale.skip(torch.tensor(1e-6)) == 1
    assert scale.output(torch.tensor(1e-6)) < 2e-6


def test_calls_and_order() -> None:
    calls = 0

    def counted(x: Tensor, sigma: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return mixture(x, sigma)

    fine = heun(mixture, start(), sigma_grid(512))
    errors = []
    for steps, most in ((16, 31), (32, 63), (64, 127)):
        calls = 0
        errors.append(float((heun(counted, start(), sigma_grid(steps)) - fine).square().mean().sqrt()))
        assert calls == most
    assert errors[0] < 0.05
    assert 3 < errors[1] / errors[2] < 6, "second order: twice as many steps leave a quarter"
    first_order = float((heun(mixture, start(), sigma_grid(32), second_order=False) - fine).square().mean().sqrt())
    assert first_order > 5 * errors[1]


def test_round_trip() -> None:
    picked = torch.randint(6, (64,), generator=torch.Generator().manual_seed(8))
    spread = torch.randn(64, 48, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    x0 = CENTRES[picked] + VARIANCE**0.5 * spread
    latent = heun_inversion(mixture, x0, sigma_grid(32))
    assert abs(float(latent.std()) / 80 - 1) < 0.1
    again = heun(mixture, latent, sigma_grid(32)[:-1])
    assert float((again - x0).norm() / x0.norm()) < 0.01


def test_checkpointing_changes_no_gradient() -> None:
    results = []
    for checkpointing in (False, True):
        x = start(4).requires_grad_()
        heun(mixture, x, sigma_grid(6), checkpointing=checkpointing).square().sum().backward()
        results.append(x.grad)
    torch.testing.assert_close(*results)


def test_autoguidance_within_its_interval() -> None:
    def strong(x: Tensor, sigma: Tensor) -> Tensor:
        return x + 2

    def weak(x: Tensor, sigma: Tensor) -> Tensor:
        return x + 1

    denoiser: Denoiser = autoguided(strong, weak, 3.0, (0.1, 1.0))
    x = torch.zeros(2, 1)
    assert denoiser(x, torch.full((2,), 0.5)).tolist() == [[4.0], [4.0]]
    assert denoiser(x, torch.full((2,), 2.0)).tolist() == [[2.0], [2.0]]


def test_churn_needs_noise() -> None:
    with pytest.raises(MdtoolError, match="step noise"):
        heun(mixture, start(2), sigma_grid(4), churn=Churn(8.0))
