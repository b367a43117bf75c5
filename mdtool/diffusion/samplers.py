"""Samplers of a Gaussian diffusion: one signature, (denoiser, process, x, …) → x.

A denoiser maps (x_t, timestep of the ORIGINAL process [B]) to x̂_0. Step noise comes from a callable, so that
every sample can draw from its own generator; nothing here is random by itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mdtool.diffusion.gaussian import GaussianDiffusion
from mdtool.errors import MdtoolError

Denoiser = Callable[[Tensor, Tensor], Tensor]
StepNoise = Callable[[int], Tensor]
"""Gaussian noise of the k-th step taken, k = 0, 1, …; shaped like x."""
Callback = Callable[[int, Tensor, Tensor], None]
"""Told (timestep index, x̂_0, x) after every step."""


def ddpm(
    denoiser: Denoiser,
    process: GaussianDiffusion,
    x: Tensor,
    step_noise: StepNoise,
    *,
    start: int | None = None,
    keep: Tensor | None = None,
    reference: Tensor | None = None,
    large_variance: bool = False,
    second_order: bool = False,
    callback: Callback | None = None,
    checkpointing: bool = False,
) -> Tensor:
    """Ancestral sampling from x_T (Ho et al. 2020, algorithm 2); differentiable in `x`.

    Args:
        x: x at timestep `start`, pure noise when that is the last one; [B, …].
        start: first timestep index visited; N - 1 by default.
        keep, reference: where `keep` is true, x̂_0 is replaced by `reference` at every step (in-painting).
        large_variance: β instead of the posterior variance.
        second_order: steps towards an x̂_0 extrapolated from the last two; see `GaussianDiffusion.extrapolated`.
        checkpointing: recompute each step in the backward pass instead of storing it.
    """

    def move(x: Tensor, timestep: Tensor, noise: Tensor | None, previous: Tensor | None) -> tuple[Tensor, Tensor]:
        x0 = _estimate(denoiser, process, x, timestep, keep, reference)
        goal = x0 if previous is None else process.extrapolated(x0, previous, timestep)
        mean = process.posterior_mean(goal, x, timestep)
        if noise is None:
            return mean, x0
        return mean + (0.5 * process.posterior_log_variance(timestep, x, large_variance)).exp() * noise, x0

    first = process.steps - 1 if start is None else start
    x0 = None
    for place, index in enumerate(range(first, -1, -1)):
        noise = step_noise(place) if index else None
        x, x0 = _run(move, checkpointing, x, _full(x, index), noise, x0 if second_order else None)
        if callback:
            callback(index, x0, x)
    return x


def ddim(
    denoiser: Denoiser,
    process: GaussianDiffusion,
    x: Tensor,
    step_noise: StepNoise | None = None,
    *,
    eta: float = 0.0,
    start: int | None = None,
    keep: Tensor | None = None,
    reference: Tensor | None = None,
    callback: Callback | None = None,
    checkpointing: bool = False,
) -> Tensor:
    """DDIM sampling (Song et al. 2021, eq. 12); deterministic for eta 0, and differentiable in `x`.

    Args:
        step_noise: needed for eta > 0 only.

    Raises:
        MdtoolError: eta above 0 without a source of noise.
    """
    if eta > 0 and step_noise is None:
        raise MdtoolError("DDIM with eta above 0 needs step noise")

    def move(x: Tensor, timestep: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        x0 = _estimate(denoiser, process, x, timestep, keep, reference)
        eps = process.eps_from_x0(x0, x, timestep)
        now = process.table("alphas_cumprod", timestep, x)
        before = process.table("alphas_cumprod_prev", timestep, x)
        sigma = eta * ((1 - before) / (1 - now) * (1 - now / before)).sqrt()
        result = before.sqrt() * x0 + (1 - before - sigma**2).clamp_min(0).sqrt() * eps
        return (result if noise is None else result + sigma * noise), x0

    first = process.steps - 1 if start is None else start
    for place, index in enumerate(range(first, -1, -1)):
        last = process.tables["alphas_cumprod_prev"][index] == 1  # which ends on x̂_0 itself, without noise
        noise = step_noise(place) if eta > 0 and not last and step_noise else None
        x, x0 = _run(move, checkpointing, x, _full(x, index), noise)
        if callback:
            callback(index, x0, x)
    return x


def ddim_inversion(
    denoiser: Denoiser,
    process: GaussianDiffusion,
    x0: Tensor,
    *,
    steps: int | None = None,
    refinements: int | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """The noise that DDIM (eta 0) turns into x_0: the same ODE, upwards (Song et al. 2021, section 4.3).

    Args:
        steps: how many steps to take; all N by default, of which the last lands on pure ε̂, because ᾱ beyond the
            last timestep is 0. The reference of DNO takes N - 1.
        refinements: None predicts ε at the timestep a step leaves. A number predicts it at the timestep that the
            step leads to, as diffusers' inverse scheduler, and so often again where the step has led: a fixed point
            is the exact inverse of a DDIM step.
    """
    if refinements is not None:
        return _exact_inversion(denoiser, process, x0, refinements, callback)
    x = x0
    for index in range(process.steps if steps is None else steps):
        timestep = _full(x, index)
        estimate = _estimate(denoiser, process, x, timestep, None, None)
        eps = process.eps_from_x0(estimate, x, timestep)
        after = process.table("alphas_cumprod_next", timestep, x)
        x = after.sqrt() * estimate + (1 - after).sqrt() * eps
        if callback:
            callback(index, estimate, x)
    return x


def _exact_inversion(
    denoiser: Denoiser, process: GaussianDiffusion, x0: Tensor, refinements: int, callback: Callback | None
) -> Tensor:
    x = x0
    for index in range(process.steps):
        timestep = _full(x, index)
        now = process.table("alphas_cumprod_prev", timestep, x)
        after = process.table("alphas_cumprod", timestep, x)
        led = x
        for _ in range(1 + refinements):
            eps = process.eps_from_x0(_estimate(denoiser, process, led, timestep, None, None), led, timestep)
            estimate = (x - (1 - now).sqrt() * eps) / now.sqrt()
            led = after.sqrt() * estimate + (1 - after).sqrt() * eps
        x = led
        if callback:
            callback(index, estimate, x)
    return x


def _estimate(
    denoiser: Denoiser,
    process: GaussianDiffusion,
    x: Tensor,
    timestep: Tensor,
    keep: Tensor | None,
    reference: Tensor | None,
) -> Tensor:
    """x̂_0 with the kept part put back."""
    x0 = denoiser(x, process.timestep_map[timestep])
    return x0 if keep is None or reference is None else torch.where(keep, reference, x0)


def _run(
    move: Callable[..., tuple[Tensor, Tensor]], checkpointing: bool, x: Tensor, timestep: Tensor, *more: Tensor | None
) -> tuple[Tensor, Tensor]:
    if checkpointing:
        result: tuple[Tensor, Tensor] = checkpoint(move, x, timestep, *more, use_reentrant=False)
        return result
    return move(x, timestep, *more)


def _full(x: Tensor, index: int) -> Tensor:
    return torch.full((len(x),), index, dtype=torch.int64, device=x.device)
