"""What a network put out before it became a motion: how far its rotations are from rotations, its shapes from one.

A motion file hides both: its rotations are made orthonormal and its body shape is the mean over the frames, so that
limbs keep their length by construction (Björkstrand et al. 2025, whose limb σ is measured after that).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mdtool.evaluation.physical import CardRow, card_row
from mdtool.methods.contract import Method
from mdtool.methods.generate import Generator
from mdtool.methods.seeds import sample_generators

BoneLengths = Callable[[Tensor], Tensor]
"""Bone lengths [..., bones] in metres of body shapes [..., 10]."""
CLIPS = 64
"""Clips that are made to look at what is raw in them."""


def rotation_residuals(rot6d: Tensor) -> tuple[Tensor, Tensor]:
    """How far raw rotations [..., 6] are from rotations: mean |‖a‖ - 1| of both rows, and |a · b|; [...] each.

    What Gram-Schmidt takes away when they become rotations.
    """
    rows = rot6d.unflatten(-1, (2, 3))
    return (rows.norm(dim=-1) - 1).abs().mean(-1), (rows[..., 0, :] * rows[..., 1, :]).sum(-1).abs()


def shape_spread(betas: Tensor, deviation: Tensor) -> Tensor:
    """Deviation over the frames of body shapes [B, T, 10] over that of the data [10], RMS of the coefficients; [B].

    A coefficient that does not vary in the data does not count.
    """
    varies = deviation > 0
    ratio = betas[..., varies].std(1, correction=0) / deviation[varies]
    return ratio.square().mean(-1).sqrt()


def limb_deviation(betas: Tensor, bone_lengths: BoneLengths) -> Tensor:
    """Deviation of each bone's length over the frames of body shapes [B, T, 10], mean over bones; metres [B]."""
    return bone_lengths(betas).std(1, correction=0).mean(-1)


def raw_card(
    generator: Generator,
    seed: int = 0,
    count: int = CLIPS,
    betas: np.ndarray | None = None,
    bone_lengths: BoneLengths | None = None,
) -> list[CardRow]:
    """Residuals of the raw rotations of `count` samples, and the spread of their shapes where the method has shapes.

    Args:
        betas: body shapes of the recordings [n, 10], NaN where unknown: the deviation to compare with.
        bone_lengths: those of a body model with shapes; without one no limb has a length that depends on betas.

    Returns:
        Nothing for a method whose output is made of rotations by itself.
    """
    method = generator.method
    if type(method).to_raw_motion is Method.to_raw_motion:
        return []
    device = next(method.parameters()).device
    known = len(generator.actions) if generator.conditional else 0
    action = torch.arange(count, device=device) % known if known else None
    with torch.no_grad():
        noise = method.noise(sample_generators(seed, 0, count)).to(device)
        features = method.decode(noise, action, **generator.options)
        residuals = rotation_residuals(method.to_raw_motion(features)[0].double())
        shapes = method.to_frame_betas(features)
    length, angle = (values.flatten(1).mean(1).cpu().numpy() for values in residuals)
    rows = [
        card_row("raw columns, length", "% off", 100 * length),
        card_row("raw columns, angle", "% off", 100 * angle),
    ]
    if shapes is not None:
        shapes = shapes.double().cpu()
        known_shapes = np.empty((0, 10)) if betas is None else betas[~np.isnan(betas).any(1)].astype(np.float64)
        if len(known_shapes):
            spread = shape_spread(shapes, torch.from_numpy(known_shapes.std(0)))
            rows.append(card_row("raw shape spread", "% of data", 100 * spread.numpy()))
        if bone_lengths is not None:
            rows.append(card_row("raw limb length σ", "mm", 1000 * limb_deviation(shapes, bone_lengths).numpy()))
    return rows
