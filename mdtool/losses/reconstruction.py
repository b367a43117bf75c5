"""Distance between a prediction and the motion it should be."""

from __future__ import annotations

from torch import Tensor


def masked_l2(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared error over the real frames, rows and channels of each sample.

    Args:
        prediction, target: [B, R, C, T].
        mask: [B, T] bool, true for real frames; all of them when not given.

    Returns:
        [B]; Σ m (a - b)² / (Σ m · R · C + 1e-8).
    """
    squared = (prediction - target).square()
    if mask is None:
        return squared.flatten(1).mean(1)
    weight = mask.to(squared.dtype)
    entries = squared.shape[1] * squared.shape[2]
    return (squared.sum((1, 2)) * weight).sum(1) / (weight.sum(1) * entries + 1e-8)
