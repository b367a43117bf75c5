"""The diffusion process against closed forms."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from mdtool.diffusion.gaussian import GaussianDiffusion, Prediction
from mdtool.diffusion.schedules import cosine_betas, linear_betas


@pytest.fixture
def process() -> GaussianDiffusion:
    return GaussianDiffusion(cosine_betas(100))


def test_published_values_at_the_middle(process: GaussianDiffusion) -> None:
    x, timestep = torch.full((1, 1), 0.5, dtype=torch.float64), torch.tensor([50])
    assert process.posterior_mean(0.25 * x, x, timestep).item() == pytest.approx(0.042490653 * 0.125 + 0.95471531 * 0.5)
    assert process.posterior_log_variance(timestep, x).item() == pytest.approx(-3.4866125, abs=1e-6)
    assert process.tables["posterior_variance"][50] == pytest.approx(0.030604369, rel=1e-6)
    assert process.posterior_log_variance(timestep, x, large=True).item() == pytest.approx(
        np.log(0.031546339), abs=1e-6
    )


@pytest.mark.parametrize("large", [False, True])
def test_first_log_variance_is_the_second_posterior_variance(process: GaussianDiffusion, large: bool) -> None:
    value = process.posterior_log_variance(torch.tensor([0]), torch.zeros(1), large)
    assert value.item() == pytest.approx(-7.8153623, abs=1e-5)


def test_step_by_step_noising_has_the_variance_of_the_direct_one(process: GaussianDiffusion) -> None:
    signal, variance = 1.0, 0.0
    for index in range(process.steps):
        beta = process.betas[index]
        signal, variance = signal * (1 - beta) ** 0.5, variance * (1 - beta) + beta
        assert process.tables["sqrt_alphas_cumprod"][index] == pytest.approx(signal, rel=1e-10)
        assert process.tables["sqrt_one_minus_alphas_cumprod"][index] ** 2 == pytest.approx(variance, rel=1e-10)


def test_extrapolation_reaches_the_middle_of_the_next_step() -> None:
    """An x̂_0 that is a line in λ = log √(ᾱ / (1 - ᾱ)) is continued along it."""
    process = GaussianDiffusion(cosine_betas(6))
    signal = process.tables["alphas_cumprod"]
    half_log_snr = 0.5 * np.log(signal / (1 - signal))
    for index in range(1, 5):
        before, now, after = (torch.tensor([half_log_snr[index + step]]) for step in (1, 0, -1))
        middle = process.extrapolated(now, before, torch.tensor([index]))
        torch.testing.assert_close(middle, (now + after) / 2)
    assert process.tables["extrapolation"][[0, 5]].tolist() == [0, 0]


def test_posterior_is_bayes_rule(process: GaussianDiffusion) -> None:
    # x_{t-1} | x_0 has mean √ᾱ' x_0 and variance 1-ᾱ'; x_t | x_{t-1} has mean √α x_{t-1} and variance β.
    index = 37
    alpha, before = 1 - process.betas[index], process.tables["alphas_cumprod_prev"][index]
    precision = 1 / (1 - before) + alpha / process.betas[index]
    x0, x_t = 0.7, -0.4
    mean = (before**0.5 * x0 / (1 - before) + alpha**0.5 * x_t / process.betas[index]) / precision
    timestep = torch.tensor([index])
    pair = torch.tensor([[[x0]], [[x_t]]], dtype=torch.float64)
    computed = process.posterior_mean(*pair, timestep)
    assert computed.item() == pytest.approx(mean, rel=1e-10)
    assert process.tables["posterior_variance"][index] == pytest.approx(1 / precision, rel=1e-10)


@pytest.mark.parametrize("prediction", get_args(Prediction))
@pytest.mark.parametrize("schedule", [cosine_betas, linear_betas])
def test_conversions_return_what_went_in(prediction: Prediction, schedule: object) -> None:
    process = GaussianDiffusion(schedule(100))  # type: ignore[operator]
    torch.manual_seed(0)
    x0, noise = torch.randn(2, 100, 3, 5, dtype=torch.float64)
    timestep = torch.arange(100)
    x_t = process.diffuse(x0, timestep, noise).x_t
    output = process.output_for(prediction, x0, x_t, timestep)
    # At ᾱ = 2e-7 an error in ε is amplified by 1 / √ᾱ.
    torch.testing.assert_close(process.x0_from(prediction, output, x_t, timestep), x0, rtol=0, atol=1e-9)
    signal, scale = process.diffuse(x0, timestep, noise)[1:]
    defined = {"x0": x0, "eps": noise, "v": signal * noise - scale * x0}[prediction]
    torch.testing.assert_close(output, defined, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_precision_is_that_of_the_sample(process: GaussianDiffusion, dtype: torch.dtype) -> None:
    x = torch.ones(3, 2, dtype=dtype)
    record = process.diffuse(x, torch.tensor([0, 50, 99]), torch.zeros_like(x))
    assert record.x_t.dtype == dtype
    tolerance = {torch.float32: 1e-7, torch.float64: 1e-15, torch.bfloat16: 4e-3}[dtype]
    expected = torch.from_numpy(process.tables["sqrt_alphas_cumprod"][[0, 50, 99]])
    torch.testing.assert_close(record.x_t[:, 0].double(), expected, rtol=tolerance, atol=tolerance)


def test_the_process_leaves_checkpoints_alone(process: GaussianDiffusion) -> None:
    assert process.state_dict() == {}
