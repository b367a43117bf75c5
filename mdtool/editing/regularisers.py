"""What keeps the searched noise noise: decorrelation along time, and nearness to where the search began.

Formulas: Karunratanakul et al. 2024 (DNO), section 3.3, in the form of the released code: squared means, and no
rescaling after pooling.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

REFERENCE_LATENT = 196 * 263
"""Numbers in the latent of the paper's model, for which its content weight was chosen."""
REFERENCE_PADDED = 256 * 263
"""The same with the time axis padded to a power of two, for its decorrelation weight."""
DECORRELATION = 1000.0
"""The paper's weight."""


def decorrelation(noise: Tensor, padding: Tensor, time_axis: int) -> Tensor:
    """Σ over scales of (mean z_i z_{i-1})², each scale the mean of consecutive pairs of the one before.

    0 is perfect; unit Gaussian noise of n numbers gives about 2 / n.

    Args:
        noise: [B, …], with time on `time_axis`.
        padding: what to append along time so that its length is a power of two; see `padding_length`.

    Returns:
        [B].
    """
    z = torch.cat([noise, padding], dim=time_axis).movedim(time_axis, -1).flatten(1, -2)
    total = z.new_zeros(len(z))
    while True:
        total = total + (z * z.roll(1, -1)).mean((1, 2)).square()
        if z.shape[-1] <= 2:
            return total
        z = z.unflatten(-1, (-1, 2)).mean(-1)


def padding_length(frames: int) -> int:
    """Frames between a length and the next power of two."""
    return int(2 ** math.ceil(math.log2(max(frames, 2)))) - frames


def draw_padding(shape: tuple[int, ...], time_axis: int, rngs: list[torch.Generator]) -> Tensor:
    """Gaussian padding of latents of `shape` [B, …], sample i from `rngs[i]` alone; [B, …] with the padding's length.

    Drawn once per search. The released code draws it anew in every step from one generator, so that a sample's result
    depends on its company in the batch.
    """
    each = list(shape[1:])
    each[time_axis % len(shape) - 1] = padding_length(shape[time_axis])
    return torch.stack([torch.randn(each, generator=rng) for rng in rngs])


def distance(noise: Tensor, anchor: Tensor) -> Tensor:
    """‖z - z₀‖₂ over everything but the batch; its gradient at z = z₀ is 0; [B]."""
    return (noise - anchor).flatten(1).norm(dim=1)


def content_weight(weight: float, latent: int) -> float:
    """A content weight chosen for the paper's latent, for one of `latent` numbers: the same shift per number costs
    the same."""
    return weight * math.sqrt(REFERENCE_LATENT / latent)


def decorrelation_weight(frames: int, latent: int) -> float:
    """The paper's decorrelation weight for a latent of `latent` numbers in `frames` frames.

    The loss of pure noise falls with the size of the latent, so that in a small one the paper's weight would outweigh
    targets that are met to centimetres.
    """
    padded = latent // frames * (frames + padding_length(frames))
    return DECORRELATION * min(1.0, padded / REFERENCE_PADDED)
