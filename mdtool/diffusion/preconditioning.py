"""Spectral preconditioning: EDM's skip connection, one per temporal frequency and feature.

Karras et al. 2022 (eq. 7) give a network's output the scale of what is left to predict when the data has one
standard deviation. Motion has a spectrum instead: slow movement is large, fast movement tiny. In the DCT of a
window, coefficient (k, f) has its own variance v, and x_t = a x_0 + s e with white noise e; then

    x̂_0 = [v a / (v a² + s²)] x_t + [√v s / √(v a² + s²)] · network

is the best linear (Wiener) estimate plus the network's correction at unit scale. With v = 1 everywhere it is
the v-prediction of Salimans & Ho 2022. A network that has learnt little already returns motion with the
spectrum of motion: it cannot shake, because at high frequencies both factors vanish.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class SpectralPreconditioner(nn.Module):
    """Turns a network's output into an estimate of x_0; holds the data's variance per DCT coefficient."""

    variance: Tensor
    basis: Tensor

    def __init__(self, features: int, frames: int) -> None:
        """A white spectrum until `fit` is called; features F per frame, T frames."""
        super().__init__()
        self.register_buffer("variance", torch.ones(features, frames))
        self.register_buffer("basis", dct_basis(frames), persistent=False)

    def fit(self, data: Tensor, floor: float = 1e-6) -> None:
        """Measure the variance of each DCT coefficient of data [n, F, T] (mean removed by the caller)."""
        self.variance.copy_((data @ self.basis.T).square().mean(0).clamp_min(floor))

    def estimate(self, output: Tensor, x_t: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
        """x̂_0 [B, F, T] from the network's output and x_t [B, F, T]; signal a and noise s are [B, 1, 1]."""
        skip, scale = self.factors(signal, noise)
        return ((x_t @ self.basis.T) * skip + (output @ self.basis.T) * scale) @ self.basis

    def factors(self, signal: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """(skip factor, output factor) of every coefficient; [B, F, T] each."""
        total = self.variance * signal**2 + noise**2
        return self.variance * signal / total, (self.variance / total).sqrt() * noise

    def weighted_error(self, difference: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
        """Squared error of x̂_0 in units of the output factor, each coefficient weighted by its share of variance.

        Args:
            difference: x̂_0 - x_0 [B, F, T].

        Returns:
            [B]; what EDM's λ(σ) = 1 / c_out² does, for a spectrum: every noise level counts alike.
        """
        total = self.variance * signal**2 + noise**2
        spectrum = (difference @ self.basis.T).square() * total / noise**2
        return spectrum.flatten(1).mean(1) / self.variance.mean()


def dct_basis(frames: int) -> Tensor:
    """Orthonormal DCT-II matrix [T, T]: row k is the cosine of frequency k / (2 T) cycles per frame."""
    frame = torch.arange(frames, dtype=torch.float64)
    basis = torch.cos(math.pi * (frame + 0.5) * frame.unsqueeze(1) / frames) * math.sqrt(2 / frames)
    basis[0] /= math.sqrt(2)
    return basis.float()
