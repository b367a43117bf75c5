"""Weights of the timesteps: min-SNR in every parametrisation, and the decay's closed form."""

from __future__ import annotations

import math

import pytest
import torch

from mdtool.diffusion.gaussian import GaussianDiffusion
from mdtool.diffusion.schedules import betas
from mdtool.diffusion.weighting import decay_weights, min_snr_weights, step_weights

PROCESS = GaussianDiffusion(betas("cosine", 100))
ALPHAS_CUMPROD = torch.from_numpy(PROCESS.tables["alphas_cumprod"])


def test_min_snr_by_hand() -> None:
    # SNR of ᾱ = 0.9, 0.5, 0.2 is 9, 1, 1/4.
    alphas_cumprod = torch.tensor([0.9, 0.5, 0.2], dtype=torch.float64)
    expected = {"x0": [5, 1, 0.25], "eps": [5 / 9, 1, 1], "v": [0.5, 0.5, 0.2], "spectral": [0.5, 0.5, 0.2]}
    for prediction, weights in expected.items():
        assert min_snr_weights(alphas_cumprod, prediction, 5.0).tolist() == pytest.approx(weights), prediction


@pytest.mark.parametrize("prediction", ["eps", "v"])
def test_min_snr_weighs_the_same_x0_error_whatever_is_predicted(prediction: str) -> None:
    rng = torch.Generator().manual_seed(0)
    x0, guess, noise = torch.randn(3, 100, 4, generator=rng, dtype=torch.float64)
    timestep = torch.arange(100)
    x_t = PROCESS.diffuse(x0, timestep, noise).x_t
    target, output = (PROCESS.output_for(prediction, x, x_t, timestep) for x in (x0, guess))
    loss = (output - target).square().mean(1) * min_snr_weights(ALPHAS_CUMPROD, prediction, 5.0)
    expected = (guess - x0).square().mean(1) * min_snr_weights(ALPHAS_CUMPROD, "x0", 5.0)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)


def test_decay_is_geometric_with_mean_one() -> None:
    weights = decay_weights(50, 3.0)
    assert float(weights.mean()) == pytest.approx(1)
    assert float(weights[0] / weights[-1]) == pytest.approx(math.exp(3))
    torch.testing.assert_close(weights[1:] / weights[:-1], torch.full((49,), math.exp(-3 / 49), dtype=torch.float64))


def test_words_choose_the_weights() -> None:
    assert torch.equal(step_weights("none", ALPHAS_CUMPROD, "x0", 5.0, 3.0), torch.ones_like(ALPHAS_CUMPROD))
    chosen = step_weights("min-snr", ALPHAS_CUMPROD, "v", 2.0, 3.0)
    assert torch.equal(chosen, min_snr_weights(ALPHAS_CUMPROD, "v", 2.0))
    assert torch.equal(step_weights("decay", ALPHAS_CUMPROD, "x0", 5.0, 1.5), decay_weights(100, 1.5))


def test_both_pull_attention_to_low_noise() -> None:
    for weighting in ("min-snr", "decay"):
        weights = step_weights(weighting, ALPHAS_CUMPROD, "x0", 5.0, 3.0)
        assert (weights.diff() <= 0).all()
        assert weights[0] > weights.mean() > weights[-1]
