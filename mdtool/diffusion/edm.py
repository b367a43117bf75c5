"""EDM: diffusion in the signal's own units, x_σ = x_0 + σ ε (Karras et al. 2022).

The network sees every noise level at one scale and predicts at one scale (`Preconditioning`); sampling follows the
probability-flow ODE dx/dσ = (x - D(x; σ)) / σ by Heun's method. Samplers share one signature, (denoiser, x, sigmas,
…) → x; a denoiser maps (x_σ [B, …], σ [B]) to x̂_0. Nothing here is random by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mdtool.errors import MdtoolError

Denoiser = Callable[[Tensor, Tensor], Tensor]
StepNoise = Callable[[int], Tensor]
"""Gaussian noise of the k-th step that adds some, k = 0, 1, …; shaped like x."""
Callback = Callable[[int, Tensor, Tensor], None]
"""Told (step, x̂_0, x) after every step."""


@dataclass(frozen=True)
class Preconditioning:
    """Scales of input, output and skip connection (Karras et al. 2022, table 1, column EDM)."""

    sigma_data: float = 1.0
    """Root mean square of the data, uncentred: what the derivation needs is E[x²]."""

    def skip(self, sigma: Tensor) -> Tensor:
        """c_skip = σ_d² / (σ² + σ_d²)."""
        return self.sigma_data**2 / (sigma**2 + self.sigma_data**2)

    def output(self, sigma: Tensor) -> Tensor:
        """c_out = σ σ_d / √(σ² + σ_d²)."""
        return sigma * self.sigma_data / (sigma**2 + self.sigma_data**2).sqrt()

    def input(self, sigma: Tensor) -> Tensor:
        """c_in = 1 / √(σ² + σ_d²)."""
        return 1 / (sigma**2 + self.sigma_data**2).sqrt()

    def condition(self, sigma: Tensor) -> Tensor:
        """c_noise = ln(σ) / 4."""
        return sigma.log() / 4

    def weight(self, sigma: Tensor) -> Tensor:
        """λ = (σ² + σ_d²) / (σ σ_d)² = 1 / c_out²: an error of x̂_0 in units of the network's output."""
        return (sigma**2 + self.sigma_data**2) / (sigma * self.sigma_data) ** 2


class Coordinates(Protocol):
    """Where the ODE is followed: y and a time of their own instead of x and σ, so that dy/dtime changes slowly."""

    def into(self, x: Tensor, sigma: float) -> Tensor:
        """y of x_σ."""

    def back(self, y: Tensor, sigma: float) -> Tensor:
        """x_σ of y."""

    def time(self, sigma: float) -> float | Tensor:
        """The time of σ, 0 at 0; it broadcasts against y."""

    def slope(self, x: Tensor, x0: Tensor, sigma: float) -> Tensor:
        """dy/dtime at x_σ, of which the denoiser makes x̂_0."""

    def log_stretch(self, y: Tensor, sigma: float) -> Tensor:
        """Logarithm of how much larger each element is in x than in y, shaped like y."""


class Plain:
    """x over σ, as in Karras et al. 2022."""

    def into(self, x: Tensor, sigma: float) -> Tensor:
        """x itself."""
        return x

    def back(self, y: Tensor, sigma: float) -> Tensor:
        """y itself."""
        return y

    def time(self, sigma: float) -> float:
        """σ itself."""
        return sigma

    def slope(self, x: Tensor, x0: Tensor, sigma: float) -> Tensor:
        """(x - x̂_0) / σ (Karras et al. 2022, eq. 3 with σ(t) = t)."""
        return (x - x0) / sigma

    def log_stretch(self, y: Tensor, sigma: float) -> Tensor:
        """0: y is x."""
        return torch.zeros_like(y)


@dataclass(frozen=True)
class Churn:
    """Noise that a stochastic sampler adds at every step (Karras et al. 2022, algorithm 2)."""

    amount: float
    """S_churn; 0 is the deterministic sampler."""
    lowest: float = 0.0
    """S_min, the smallest σ at which noise is added."""
    highest: float = float("inf")
    """S_max, the largest."""
    scale: float = 1.0
    """S_noise, standard deviation of the added noise."""


def sigma_grid(steps: int, lowest: float = 0.002, highest: float = 80.0, rho: float = 7.0) -> Tensor:
    """Noise levels of a sampler with `steps` steps, falling, with 0 at the end (Karras et al. 2022, eq. 5).

    Returns:
        [steps + 1] float64.

    Raises:
        MdtoolError: fewer than two steps, or levels out of order.
    """
    if steps < 2:
        raise MdtoolError(f"this sampler needs 2 steps or more, not {steps}")
    if not 0 < lowest < highest:
        raise MdtoolError(f"noise levels must rise above 0, not {lowest:g} … {highest:g}")
    place = torch.arange(steps, dtype=torch.float64) / (steps - 1)
    grid = (highest ** (1 / rho) + place * (lowest ** (1 / rho) - highest ** (1 / rho))) ** rho
    return torch.cat([grid, grid.new_zeros(1)])


def heun(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Sequence[float] | Tensor,
    *,
    second_order: bool = True,
    churn: Churn | None = None,
    step_noise: StepNoise | None = None,
    callback: Callback | None = None,
    checkpointing: bool = False,
    coordinates: Coordinates | None = None,
) -> Tensor:
    """Follow the ODE along `sigmas`, falling or rising (Karras et al. 2022, algorithms 1 and 2).

    2 n - 1 calls for n steps that end at σ = 0, where Euler's step is exact. Differentiable in `x`.

    Args:
        x: x_σ at the first of `sigmas` [B, …].
        sigmas: noise levels [n + 1]; only the last may be 0.
        second_order: Heun's method; False is Euler's, which is DDIM (eta 0).
        churn, step_noise: add noise at every step whose σ lies within the bounds; falling levels only.
        checkpointing: recompute each step in the backward pass instead of storing it.
        coordinates: where its steps are straight lines; x over σ if None.

    Raises:
        MdtoolError: churn without a source of noise.
    """
    levels = [float(sigma) for sigma in sigmas]
    steps, added, own = len(levels) - 1, 0, coordinates or Plain()
    if churn is not None and churn.amount > 0 and step_noise is None:
        raise MdtoolError("a sampler with churn needs step noise")

    def estimate(x: Tensor, sigma: float) -> Tensor:
        return denoiser(x, torch.full((len(x),), sigma, dtype=x.dtype, device=x.device))

    def move(x: Tensor, sigma: float, after: float) -> tuple[Tensor, Tensor]:
        x0 = estimate(x, sigma)
        y, slope, span = own.into(x, sigma), own.slope(x, x0, sigma), own.time(after) - own.time(sigma)
        moved = own.back(y + span * slope, after)
        if after == 0 or not second_order:
            return moved, x0
        slope_after = own.slope(moved, estimate(moved, after), after)
        return own.back(y + span * (slope + slope_after) / 2, after), x0

    for step in range(steps):
        sigma, after = levels[step], levels[step + 1]
        if churn is not None and step_noise is not None and churn.lowest <= sigma <= churn.highest:
            raised = sigma * (1 + min(churn.amount / steps, 2**0.5 - 1))
            if raised > sigma:
                x = x + (raised**2 - sigma**2) ** 0.5 * churn.scale * step_noise(added)
                added += 1
            sigma = raised
        x, x0 = checkpoint(move, x, sigma, after, use_reentrant=False) if checkpointing else move(x, sigma, after)
        if callback:
            callback(step, x0, x)
    return x


def heun_inversion(
    denoiser: Denoiser,
    x0: Tensor,
    sigmas: Sequence[float] | Tensor,
    *,
    second_order: bool = True,
    coordinates: Coordinates | None = None,
) -> Tensor:
    """x at the highest of `sigmas` whose sample is x_0: the same ODE, upwards.

    The ODE has no slope at σ = 0: data is taken as if it were at the smallest level above 0, σ_min.
    """
    rising = sorted(level for level in (float(sigma) for sigma in sigmas) if level > 0)
    return heun(denoiser, x0, rising, second_order=second_order, coordinates=coordinates)
