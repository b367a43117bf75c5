"""The part of a motion field that is linear in its latent, and how it is found without training: mdtool's own.

A network that is handed time and latent side by side learns slowly that they multiply. Here they do: each number of a
pose is a combination of given functions of time, with coefficients that are linear in the latent. Its best weights are
principal components of the training motions, each motion seen as its own combination of those functions, so that no
two need the same frame rate. A latent that explains poses at any instants is then the mean of a normal distribution
(Tipping & Bishop 1999, probabilistic PCA).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

PRIOR_HZ = 1.0
"""Movement falls off as 1 / f² above this frequency; so do the coefficients that a sequence is expected to have."""
RIDGE = 1e-3
"""Noise of the poses over the size of slow movement, as variances."""
MOST_SEQUENCES = 4096
"""Sequences that the components are made of; their number squared is a matrix."""
AT_ONCE = 128
NEVER = 1e9


class LinearPath(nn.Module):
    """x(t) = (offset + z W)ᵀ [functions(t), 1, t] for functions of time [F], outputs [P] and latents [d]."""

    def __init__(self, latent: int, functions: int, outputs: int) -> None:
        """A path that is 0 everywhere until `begin` is called or it is trained."""
        super().__init__()
        # Stored large and used small, so that an optimiser's step of all weights at once moves the poses little.
        self.gain = 1 / math.sqrt(latent * functions)
        self.weight = nn.Parameter(torch.zeros(latent, functions + 2, outputs))
        self.offset = nn.Parameter(torch.zeros(functions + 2, outputs))

    def forward(self, functions: Tensor, coordinate: Tensor, latent: Tensor) -> Tensor:
        """[B, T, P] of functions [B or 1, T, F], coordinates [B or 1, T] and latents [B, d]."""
        shape = self.offset.shape
        mixed = torch.addmm(self.offset.flatten(), latent, self.weight.flatten(1)).view(-1, *shape)
        return with_trend(functions, coordinate) @ mixed * self.gain

    @torch.no_grad()
    def begin(
        self, count: int, coefficients: Callable[[Sequence[int]], Tensor], along: Tensor, importance: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Take the principal components of sequences.

        Args:
            count: sequences n; the components are made of MOST_SEQUENCES of them at most.
            coefficients: rows → [rows, F + 2, P] of those sequences, as `regress` finds them.
            along: [G, F + 2] functions, constant and trend on an even grid over the time axis.
            importance: [P] weight of each output's squared error.

        Returns:
            (latents [n, d] of all sequences, of unit variance; [d] the mean squared error, so weighted, that leaving
            out a component would cost, 0 beyond the rank).
        """
        power, vectors = torch.linalg.eigh((along.T @ along).double() / len(along))
        half = (power.clamp_min(0).sqrt().unsqueeze(1) * vectors.T).to(along)
        weighing = importance.sqrt()

        def seen(functions: Tensor) -> Tensor:
            return (half @ functions * weighing).flatten(1)  # whose squares add up to the mean error over the grid

        chosen = torch.linspace(0, count - 1, min(count, MOST_SEQUENCES)).round().long().tolist()
        known = torch.cat([coefficients(chosen[k : k + AT_ONCE]) for k in range(0, len(chosen), AT_ONCE)])
        mean = known.mean(0)
        apart = seen(known - mean)
        power, vectors = torch.linalg.eigh((apart @ apart.T).double())
        rank = min(len(self.weight), len(power) - 1)
        power, vectors = power.flip(0)[:rank].clamp_min(0), vectors.flip(1)[:, :rank].to(known)
        # A component carries the size of what it describes, so that latents have unit variance.
        components = torch.einsum("nk,nfp->kfp", vectors, known - mean) / math.sqrt(len(known))
        self.weight.zero_()
        self.weight[:rank] = components / self.gain
        self.offset.copy_(mean / self.gain)
        share, latents = torch.zeros(len(self.weight)).to(known), torch.zeros(count, len(self.weight)).to(known)
        share[:rank] = power / len(known)
        for first in range(0, count, AT_ONCE):
            rows = range(first, min(first + AT_ONCE, count))
            apart = seen(coefficients(rows) - mean)
            latents[rows.start : rows.stop, :rank] = apart @ seen(components).T / share[:rank].clamp_min(1e-12)
        return latents, share

    @torch.no_grad()
    def posterior_mean(self, along: Tensor, poses: Tensor, importance: Tensor, noise: float) -> Tensor:
        """The latent [d] of which poses [T, P] at functions [T, F + 2] are most likely made.

        Args:
            importance: [P] weight of each output's squared error.
            noise: variance of that weighted error beside the latent's own, which is 1.
        """
        weighing = importance.sqrt()
        moved = (along @ (self.weight * self.gain) * weighing).flatten(1)
        apart = ((poses - along @ self.offset * self.gain) * weighing).flatten()
        normal = moved @ moved.T + noise * torch.eye(len(moved), device=moved.device)
        return torch.linalg.solve(normal, moved @ apart)


def with_trend(functions: Tensor, coordinate: Tensor) -> Tensor:
    """Functions of time [..., T, F] and, behind them, a constant and the coordinate [..., T]: [..., T, F + 2]."""
    return torch.cat([functions, torch.stack([torch.ones_like(coordinate), coordinate], dim=-1)], dim=-1)


def roughness(frequencies_hz: Tensor, functions: int) -> Tensor:
    """Ridge [functions + 2] for `with_trend` of cos and sin pairs of F frequencies, large for fast ones.

    Functions beyond the 2 F waves are left out of a regression: what they will be is learnt.
    """
    waves = (1 + (frequencies_hz / PRIOR_HZ).square()).square().repeat_interleave(2)
    ridge = functional.pad(waves, (0, functions - len(waves)), value=NEVER)
    return RIDGE * functional.pad(ridge, (0, 2), value=0.1)


def regress(along: Tensor, poses: Tensor, ridge: Tensor) -> Tensor:
    """Coefficients [n, F, P] of poses [n, T, P] over functions [n, T, F], each smooth as `ridge` [F] wants it."""
    normal = along.mT @ along + torch.diag(ridge)
    return torch.linalg.solve(normal, along.mT @ poses)
