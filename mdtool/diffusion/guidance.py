"""Guidance: of a condition over none (Ho & Salimans 2022), of a network over a weaker one (Karras et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mdtool.errors import MdtoolError

ConditionalDenoiser = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x_t, timestep [B], condition [B]) → x̂_0; condition -1 is the null condition."""
NO_CONDITION = -1
ALL_LEVELS = (0.0, float("inf"))
"""The interval of noise levels that holds every one."""


def classifier_free(
    denoiser: ConditionalDenoiser,
    condition: Tensor,
    scale: float | Tensor,
    weaker: ConditionalDenoiser | None = None,
    lowest: int = 0,
) -> Callable[[Tensor, Tensor], Tensor]:
    """A denoiser u + scale · (c - u), with both passes in one batch.

    Args:
        condition: labels [B].
        scale: one number, or one per sample [B]; the number 1 skips the unconditional pass.
        weaker: makes the unconditional prediction u instead, in a pass of its own: a network that errs alike but more
            is led away from, errors included (Karras et al. 2024, whose EDM2 guides by a smaller network).
        lowest: timestep below which there is no guidance (Kynkäänniemi et al. 2024).
    """
    if not isinstance(scale, Tensor) and scale == 1:
        return lambda x, timestep: denoiser(x, timestep, condition)

    def guided(x: Tensor, timestep: Tensor) -> Tensor:
        if lowest and int(timestep[0]) < lowest:
            return denoiser(x, timestep, condition)
        null = torch.full_like(condition, NO_CONDITION)
        if weaker is None:
            both = denoiser(torch.cat([x, x]), torch.cat([timestep, timestep]), torch.cat([condition, null]))
            with_condition, without = both.chunk(2)
        else:
            with_condition, without = denoiser(x, timestep, condition), weaker(x, timestep, null)
        factor = scale.to(x).reshape(-1, *[1] * (x.dim() - 1)) if isinstance(scale, Tensor) else scale
        return without + factor * (with_condition - without)

    return guided


def autoguided(
    denoiser: Callable[[Tensor, Tensor], Tensor],
    guide: Callable[[Tensor, Tensor], Tensor],
    scale: float,
    interval: tuple[float, float] = ALL_LEVELS,
) -> Callable[[Tensor, Tensor], Tensor]:
    """A denoiser w + scale · (d - w) with a weaker version w of the same network (Karras et al. 2024, autoguidance).

    Args:
        guide: the weaker one: smaller, or trained for less long.
        interval: noise levels σ between which it is asked (Kynkäänniemi et al. 2024); elsewhere d alone.
    """

    def guided(x: Tensor, sigma: Tensor) -> Tensor:
        strong = denoiser(x, sigma)
        if not interval[0] <= float(sigma[0]) <= interval[1]:
            return strong
        weak = guide(x, sigma)
        return weak + scale * (strong - weak)

    return guided


def guidance_scale(given: object, default: float, trained: bool) -> float | Tensor:
    """The classifier-free scale to sample with: one number, or one per sample [B].

    Args:
        default: where none is given.
        trained: whether the network has seen samples whose action was hidden.

    Raises:
        MdtoolError: no number, or guidance without training for it.
    """
    scale = default if given is None else given
    if not isinstance(scale, (int, float, Tensor)):
        raise MdtoolError(f"guidance must be a number, not {given!r}")
    if (isinstance(scale, Tensor) or scale != 1) and not trained:
        raise MdtoolError("guidance needs a run trained with cond_mask_prob above 0: use --guidance 1")
    return scale
