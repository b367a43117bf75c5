"""How much the loss of each timestep counts: weightings that pull attention back to low noise."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

StepWeighting = Literal["none", "min-snr", "decay"]


def step_weights(
    weighting: StepWeighting, alphas_cumprod: Tensor, prediction: str, gamma: float, decay: float
) -> Tensor:
    """Factor of every timestep's loss [N]; 1 for "none". See `min_snr_weights` (γ) and `decay_weights` (rate)."""
    if weighting == "min-snr":
        return min_snr_weights(alphas_cumprod, prediction, gamma)
    if weighting == "decay":
        return decay_weights(len(alphas_cumprod), decay)
    return torch.ones_like(alphas_cumprod)


def min_snr_weights(alphas_cumprod: Tensor, prediction: str, gamma: float) -> Tensor:
    """min(SNR, γ) per timestep, in units of an x_0 error (Hang et al. 2023, section 3.4); SNR = ᾱ / (1 - ᾱ).

    A loss on another prediction already weighs the x_0 error: by SNR for ε, by SNR + 1 for v and for the spectral
    network (whose loss is v's). The factor returned makes up the difference: min(SNR, γ), min(SNR, γ) / SNR, or
    min(SNR, γ) / (SNR + 1).

    Args:
        alphas_cumprod: ᾱ of every timestep [N].
        prediction: x0, eps, v or spectral.
        gamma: the largest SNR that still counts more; 5 in the paper.

    Returns:
        [N], in the precision of `alphas_cumprod`.
    """
    snr = alphas_cumprod / (1 - alphas_cumprod)
    own = {"x0": torch.ones_like(snr), "eps": snr}.get(prediction, snr + 1)
    return snr.clamp_max(gamma) / own


def decay_weights(steps: int, rate: float) -> Tensor:
    """Weights that decay with the noise: w_t ∝ exp(-rate · t / (N - 1)), with mean 1 over the N timesteps.

    The cleanest timestep counts exp(rate) times as much as the noisiest. Multiplies the loss as it is, whatever the
    network predicts; mdtool's own, after the loss-aware sampler's habit of spending its draws at high noise.

    Returns:
        [N] float64.
    """
    decayed = torch.exp(torch.linspace(0, -rate, steps, dtype=torch.float64))
    return decayed / decayed.mean()
