"""Spectral preconditioning: EDM's skip connection, one per action, feature and temporal frequency.

Karras et al. 2022 (eq. 7) give a network's output the scale of what is left to predict when the data has one
standard deviation. Motion has a spectrum instead: slow movement is large, fast movement tiny, and waving has
another spectrum than walking. In the DCT of a window, coefficient (f, k) of condition c has its own mean m and
variance v, and x_t = a x_0 + s e with white noise e; then

    x̂_0 = m + [v a / (v a² + s²)] (x_t - a m) + [√v s / √(v a² + s²)] · network

is the posterior mean of that Gaussian (a Wiener filter) plus the network's correction at unit scale. With m = 0 and
v = 1 everywhere it is the v-prediction of Salimans & Ho 2022. A network that has learnt little already returns
motion with the spectrum of its action: it does not shake, because at high frequencies both factors vanish, and a
wave waves, because its own frequencies keep their variance.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class SpectralPreconditioner(nn.Module):
    """Turns a network's output into an estimate of x_0; holds the data's mean and spectrum per condition."""

    mean: Tensor
    variance: Tensor
    basis: Tensor

    def __init__(self, conditions: int, features: int, frames: int) -> None:
        """White noise around 0 until `fit` is called; features F per frame, T frames.

        Args:
            conditions: number of labels; one more row holds the whole data set, for the null condition.
        """
        super().__init__()
        self.register_buffer("mean", torch.zeros(conditions + 1, features, frames))
        self.register_buffer("variance", torch.ones(conditions + 1, features, frames))
        self.register_buffer("basis", dct_basis(frames), persistent=False)

    def fit(self, data: Tensor, condition: Tensor, floor: float = 1e-12) -> None:
        """Measure mean and variance of each DCT coefficient of data [n, F, T], labels [n].

        A label that does not occur keeps the statistics of the whole set.
        """
        spectrum = data @ self.basis.T
        rows = len(self.mean) - 1
        for label in [rows, *range(rows)]:
            chosen = spectrum if label == rows else spectrum[condition == label]
            source = chosen if len(chosen) > 1 else spectrum
            self.mean[label] = source.mean(0)
            self.variance[label] = source.var(0, unbiased=False).clamp_min(floor)

    def estimate(self, output: Tensor, x_t: Tensor, signal: Tensor, noise: Tensor, condition: Tensor | None) -> Tensor:
        """x̂_0 of the network's output, in float32 whatever autocast says: at low noise its rounding would be the error.

        Args:
            output, x_t: [B, F, T].
            signal, noise: a and s, [B, 1, 1].
            condition: labels [B], negative for the null condition; None is null for all.

        Returns:
            [B, F, T].
        """
        null = len(self.mean) - 1
        if condition is None:
            rows = torch.full((len(x_t),), null, device=x_t.device)
        else:
            rows = torch.where(condition < 0, null, condition)
        mean, variance = self.mean[rows], self.variance[rows]
        total = variance * signal**2 + noise**2
        with torch.autocast(x_t.device.type, enabled=False):
            seen = x_t @ self.basis.T
            guess = mean + variance * signal / total * (seen - signal * mean)
            return (guess + (variance / total).sqrt() * noise * (output @ self.basis.T)) @ self.basis


def dct_basis(frames: int) -> Tensor:
    """Orthonormal DCT-II matrix [T, T]: row k is the cosine of frequency k / (2 T) cycles per frame."""
    frame = torch.arange(frames, dtype=torch.float64)
    basis = torch.cos(math.pi * (frame + 0.5) * frame.unsqueeze(1) / frames) * math.sqrt(2 / frames)
    basis[0] /= math.sqrt(2)
    return basis.float()
