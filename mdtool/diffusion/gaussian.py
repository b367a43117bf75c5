"""The Gaussian diffusion process: forward, posterior, and conversions between what a network may predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mdtool.diffusion.schedules import space_timesteps

Prediction = Literal["x0", "eps", "v"]


class Diffused(NamedTuple):
    """A noised sample and what went into it."""

    x_t: Tensor
    signal: Tensor
    """√ᾱ, shaped to broadcast over x_t."""
    noise_scale: Tensor
    """√(1 - ᾱ), likewise."""


class GaussianDiffusion(nn.Module):
    """q(x_t | x_0) = N(√ᾱ_t x_0, (1 - ᾱ_t) I) for t = 0 … N - 1 (Ho et al. 2020).

    Tables are float64 buffers that move with the module; looked-up values take the precision of the sample, so
    that nothing is read back from the device. `timestep` arguments are indices of this process; `timestep_map`
    tells the index of the original process that a network was trained on.
    """

    timestep_map: Tensor

    def __init__(self, betas: np.ndarray, timestep_map: Sequence[int] | None = None, end: float = 1.0) -> None:
        """Args:
        end: ᾱ that sampling ends at, before the first timestep: 1 is the clean sample.
        """
        super().__init__()
        self.betas = np.asarray(betas, dtype=np.float64)
        self.steps = len(self.betas)
        self.tables = _tables(self.betas, end)
        for name, values in self.tables.items():
            self.register_buffer(name, torch.from_numpy(values), persistent=False)
        mapping = range(self.steps) if timestep_map is None else timestep_map
        self.register_buffer("timestep_map", torch.tensor(list(mapping), dtype=torch.int64), persistent=False)

    def respaced(self, spec: str | Sequence[int], end: float = 1.0) -> GaussianDiffusion:
        """The process that visits only some timesteps, with β = 1 - ᾱ_i / ᾱ_previous (Nichol & Dhariwal 2021, sec. 4).

        Args:
            end: ᾱ that sampling ends at; latent diffusion takes ᾱ_0 of the original process.

        Raises:
            MdtoolError: the steps cannot be chosen so; see `space_timesteps`.
        """
        kept = space_timesteps(self.steps, spec)
        alphas_cumprod = self.tables["alphas_cumprod"][kept]
        previous = np.concatenate([[1.0], alphas_cumprod[:-1]])
        original = self.timestep_map.cpu().numpy()[kept]
        return GaussianDiffusion(1 - alphas_cumprod / previous, original.tolist(), end).to(self.timestep_map.device)

    def table(self, name: str, timestep: Tensor, like: Tensor) -> Tensor:
        """Values of a table at `timestep` [B], shaped [B, 1, …] to broadcast over `like`."""
        values: Tensor = getattr(self, name)
        return values[timestep].to(like.dtype).reshape(-1, *[1] * (like.dim() - 1))

    def diffuse(self, x0: Tensor, timestep: Tensor, noise: Tensor) -> Diffused:
        """x_t = √ᾱ x_0 + √(1 - ᾱ) ε (Ho et al. 2020, eq. 4)."""
        signal = self.table("sqrt_alphas_cumprod", timestep, x0)
        scale = self.table("sqrt_one_minus_alphas_cumprod", timestep, x0)
        return Diffused(signal * x0 + scale * noise, signal, scale)

    def posterior_mean(self, x0: Tensor, x_t: Tensor, timestep: Tensor) -> Tensor:
        """Mean of q(x_{t-1} | x_t, x_0) (Ho et al. 2020, eq. 7)."""
        return (
            self.table("posterior_mean_coef1", timestep, x_t) * x0
            + self.table("posterior_mean_coef2", timestep, x_t) * x_t
        )

    def extrapolated(self, x0: Tensor, previous: Tensor, timestep: Tensor) -> Tensor:
        """x̂_0 as it will be in the middle of the step from `timestep`, after what it was one timestep earlier.

        Put into `posterior_mean`, this is SDE-DPM-Solver++(2M) (Lu et al. 2022): second order, no network call more.
        The last step, and the first, which has no `previous` to go by, take x̂_0 as it is.
        """
        return x0 + self.table("extrapolation", timestep, x0) * (x0 - previous)

    def posterior_log_variance(self, timestep: Tensor, like: Tensor, large: bool = False) -> Tensor:
        """log σ² of the reverse step: the posterior's (Ho et al. 2020, eq. 7), or `large` β; [B, 1, …]."""
        return self.table("fixed_large_log_variance" if large else "posterior_log_variance_clipped", timestep, like)

    def eps_from_x0(self, x0: Tensor, x_t: Tensor, timestep: Tensor) -> Tensor:
        """The noise that leads from x_0 to x_t."""
        return (self.table("sqrt_recip_alphas_cumprod", timestep, x_t) * x_t - x0) / self.table(
            "sqrt_recipm1_alphas_cumprod", timestep, x_t
        )

    def x0_from(self, prediction: Prediction, output: Tensor, x_t: Tensor, timestep: Tensor) -> Tensor:
        """x̂_0 of a network's output, whatever it predicts: x0, eps, or v = √ᾱ ε - √(1 - ᾱ) x_0.

        v is the velocity of Salimans & Ho 2022, appendix D.
        """
        if prediction == "x0":
            return output
        if prediction == "eps":
            return (
                self.table("sqrt_recip_alphas_cumprod", timestep, x_t) * x_t
                - self.table("sqrt_recipm1_alphas_cumprod", timestep, x_t) * output
            )
        return (
            self.table("sqrt_alphas_cumprod", timestep, x_t) * x_t
            - self.table("sqrt_one_minus_alphas_cumprod", timestep, x_t) * output
        )

    def output_for(self, prediction: Prediction, x0: Tensor, x_t: Tensor, timestep: Tensor) -> Tensor:
        """What a network that predicts x0, eps or v should put out; the inverse of `x0_from`."""
        if prediction == "x0":
            return x0
        if prediction == "eps":
            return self.eps_from_x0(x0, x_t, timestep)
        return (self.table("sqrt_alphas_cumprod", timestep, x_t) * x_t - x0) / self.table(
            "sqrt_one_minus_alphas_cumprod", timestep, x_t
        )


def _tables(betas: np.ndarray, end: float) -> dict[str, np.ndarray]:
    """Every table of the process, float64 [N]; names as in Nichol & Dhariwal's code."""
    alphas = 1 - betas
    cumprod = np.cumprod(alphas)
    previous = np.concatenate([[end], cumprod[:-1]])
    following = np.concatenate([cumprod[1:], [0.0]])
    variance = betas * (1 - previous) / (1 - cumprod)
    second = variance[1] if len(variance) > 1 else betas[0]
    return {
        "alphas_cumprod": cumprod,
        "alphas_cumprod_prev": previous,
        "alphas_cumprod_next": following,
        "sqrt_alphas_cumprod": np.sqrt(cumprod),
        "sqrt_one_minus_alphas_cumprod": np.sqrt(1 - cumprod),
        "sqrt_recip_alphas_cumprod": np.sqrt(1 / cumprod),
        "sqrt_recipm1_alphas_cumprod": np.sqrt(1 / cumprod - 1),
        "posterior_variance": variance,
        # The first posterior variance is 0: its logarithm is replaced by the second's.
        "posterior_log_variance_clipped": np.log(np.concatenate([[second], variance[1:]])),
        "fixed_large_log_variance": np.log(np.concatenate([[second], betas[1:]])),
        "posterior_mean_coef1": betas * np.sqrt(previous) / (1 - cumprod),
        "posterior_mean_coef2": (1 - previous) * np.sqrt(alphas) / (1 - cumprod),
        "extrapolation": _extrapolation(cumprod),
    }


def _extrapolation(cumprod: np.ndarray) -> np.ndarray:
    """h / 2h' of each timestep: its step in λ = log √(ᾱ / (1 - ᾱ)), and the one that led to it; 0 at both ends."""
    half_log_snr = 0.5 * (np.log(cumprod) - np.log1p(-cumprod))
    weights = np.zeros_like(cumprod)
    steps = half_log_snr[:-1] - half_log_snr[1:]
    weights[1:-1] = steps[:-1] / (2 * steps[1:])
    return weights
