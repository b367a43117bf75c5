"""A diffusion of few, large steps (Xiao et al. 2022; EMDM, Zhou et al. 2024): pairs, posterior, sampler, inversion.

With ten steps or fewer the reverse step is no Gaussian. A generator that draws x̂_0 with the help of a random code
makes it whatever it must be: x̂_0 enters the Gaussian posterior q(x_t | x_{t+1}, x_0), and that is the step.
Timesteps t = 0 … T - 1 are those of the step's TARGET: t is reached from t + 1, and x_0 is the clean sample.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mdtool.diffusion.gaussian import GaussianDiffusion
from mdtool.diffusion.schedules import vp_betas

CodedDenoiser = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(x_{t+1}, timestep t [B], code [B, Z] or None) → x̂_0."""


class Pair(NamedTuple):
    """Two neighbours of one noising chain."""

    x_t: Tensor
    x_next: Tensor
    """x_{t+1}, the noisier one, made from x_t."""


class FewStepDiffusion(GaussianDiffusion):
    """The process on T + 1 times of a variance-preserving SDE; timestep k of its tables is x_{k+1}."""

    def __init__(
        self, steps: int, beta_min: float = 0.1, beta_max: float = 20.0, floor: float = 1e-3, power: float = 1.0
    ) -> None:
        """Args:
        steps: T, at least 1.
        beta_min, beta_max, floor, power: see `vp_betas`.
        """
        # The reference keeps β in float32; where β is near 1, √(1 - β) feels the rounding.
        betas = vp_betas(steps, beta_min, beta_max, floor, power).astype(np.float32).astype(np.float64)
        super().__init__(betas)
        self.register_buffer("beta", torch.from_numpy(betas), persistent=False)

    def diffuse_pair(self, x0: Tensor, timestep: Tensor, noise: Tensor, next_noise: Tensor) -> Pair:
        """x_t ~ q(x_t | x_0) and x_{t+1} ~ q(x_{t+1} | x_t), sampled jointly (Xiao et al. 2022, eq. 3).

        x_t at t = 0 is x_0 itself: the reference's first β of 1e-8 is nothing in float32.
        """
        kept = self.table("alphas_cumprod_prev", timestep, x0)
        x_t = kept.sqrt() * x0 + (1 - kept).sqrt() * noise
        beta = self.table("beta", timestep, x0)
        return Pair(x_t, (1 - beta).sqrt() * x_t + beta.sqrt() * next_noise)

    def posterior_sample(self, x0: Tensor, x_next: Tensor, timestep: Tensor, noise: Tensor) -> Tensor:
        """x_t ~ q(x_t | x_{t+1}, x_0); at t = 0 it is x_0, without noise."""
        deviation = self.table("posterior_variance", timestep, x_next).sqrt()
        return self.posterior_mean(x0, x_next, timestep) + deviation * noise


def few_step(
    denoiser: CodedDenoiser,
    process: FewStepDiffusion,
    x: Tensor,
    codes: Tensor | None,
    noises: Tensor,
    *,
    second_order: bool = False,
    checkpointing: bool = False,
) -> Tensor:
    """x_0 of x_T [B, …] through T posterior steps; differentiable in all that is random.

    Args:
        codes: the generator's codes [B, T, Z], in the order of the steps taken; None for a generator without.
        noises: the posterior's noise [B, T - 1, …], likewise; the last step has none.
        second_order: steps towards an x̂_0 extrapolated from the last two; see `GaussianDiffusion.extrapolated`.
        checkpointing: recompute each step in the backward pass instead of storing it.
    """

    def move(
        x: Tensor, timestep: Tensor, code: Tensor | None, noise: Tensor | None, previous: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        x0 = denoiser(x, timestep, code)
        if noise is None:
            return x0, x0
        goal = x0 if previous is None else process.extrapolated(x0, previous, timestep)
        return process.posterior_sample(goal, x, timestep, noise), x0

    x0 = None
    for place in range(process.steps):
        timestep = _target(x, process.steps - 1 - place)
        code = None if codes is None else codes[:, place]
        noise = noises[:, place] if place < process.steps - 1 else None
        previous = x0 if second_order else None
        if checkpointing:
            x, x0 = checkpoint(move, x, timestep, code, noise, previous, use_reentrant=False)
        else:
            x, x0 = move(x, timestep, code, noise, previous)
    return x


def few_step_inversion(
    denoiser: CodedDenoiser,
    process: FewStepDiffusion,
    x0: Tensor,
    codes: Tensor | None,
    path_noise: Tensor,
    *,
    second_order: bool = False,
) -> tuple[Tensor, Tensor]:
    """x_T and posterior noises of a chain that passes through given noisings of x_0 (edit-friendly inversion).

    Huberman-Spiegelglas et al. 2024 for DDPM, eq. 5 and 6: x_1 … x_T are noised independently of each other, and each
    noise is solved for. `few_step` then arrives exactly at x_1; its last step, which has no noise, returns the
    generator's x̂_0 there. These noises are neither of unit variance nor independent.

    Args:
        codes: [B, T, Z] in the order of the steps taken, or None.
        path_noise: unit noise of x_T, …, x_1: [B, T, …].
        second_order: of the `few_step` that is to take them.

    Returns:
        (x_T [B, …], noises [B, T - 1, …]).
    """
    steps = process.steps
    path = [process.diffuse(x0, _target(x0, steps - 1 - k), path_noise[:, k]).x_t for k in range(steps)]
    noises: list[Tensor] = []
    previous = None
    for place, (x_next, x_t) in enumerate(pairwise(path)):
        timestep = _target(x0, steps - 1 - place)
        estimate = denoiser(x_next, timestep, None if codes is None else codes[:, place])
        goal = estimate if previous is None else process.extrapolated(estimate, previous, timestep)
        previous = estimate if second_order else None
        deviation = process.table("posterior_variance", timestep, x0).sqrt()
        noises.append((x_t - process.posterior_mean(goal, x_next, timestep)) / deviation)
    return path[0], torch.stack(noises, 1) if noises else path_noise[:, :0]


def _target(x: Tensor, index: int) -> Tensor:
    return torch.full((len(x),), index, dtype=torch.int64, device=x.device)
