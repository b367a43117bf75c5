"""Spectral preconditioning by a mixture: a condition's motions in several manners, each with a spectrum of its own.

One Gaussian per action (diffusion/preconditioning.py) gives a calm wave the movement of an eager one, and a network has
to take it away again. Here the windows of an action are told apart into components by how much each feature moves at
which frequencies. Component k has its own mean m_k and variance v_k of every DCT coefficient, and in x_t = a x_0 + s e

    p_k ∝ share_k N(x_t; a m_k, a² v_k + s²),    e_k = m_k + [v_k a / (a² v_k + s²)] (x_t - a m_k)
    x̂_0 = Σ_k p_k e_k + √(Σ_k p_k [v_k s² / (a² v_k + s²) + (e_k - Σ_j p_j e_j)²]) · network

are the posterior mean of the mixture and the network's correction at the scale of what is left of x_0, the
posterior's standard deviation (law of total variance). At high noise the manner is open; as noise falls, p_k settles
on one of them, with the share that it has among the recordings, before the network has learnt anything.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from mdtool.diffusion.mixture import LEAST_MEMBERS, components_of
from mdtool.diffusion.preconditioning import SpectralPreconditioner, statistics_rows

BANDS = 5
"""Of frequencies, evenly spaced in logarithm: what tells components apart is a feature's energy in each."""
LEAST_ENERGY = 1e-4
"""Below it, in squared units of the features, a feature counts as still."""
NEGLIGIBLE = 1e-7
"""Probability of a component below which it has no part in an estimate."""


class SpectralMixture(SpectralPreconditioner):
    """Turns a network's output into an estimate of x_0; its mean and variance are still those of whole conditions."""

    centre: Tensor
    spread: Tensor
    log_share: Tensor

    def __init__(self, conditions: int, features: int, frames: int, components: int, whole: bool = False) -> None:
        """White noise around 0 until `fit` is called; features F per frame, T frames.

        Args:
            conditions: number of labels; one more row holds the whole data set, for the null condition.
            components: K of each row, at most.
            whole: as of `SpectralPreconditioner`.
        """
        super().__init__(conditions, features, frames, whole)
        self.register_buffer("centre", torch.zeros(conditions + 1, components, features, frames))
        self.register_buffer("spread", torch.ones(conditions + 1, components, features, frames))
        self.register_buffer("log_share", torch.full((conditions + 1, components), -torch.inf))
        self.log_share[:, 0] = 0

    def fit(self, data: Tensor, condition: Tensor, floor: float = 1e-12) -> None:
        """Measure whole conditions and their components on data [n, F, T], labels [n]."""
        super().fit(data, condition, floor)
        spectrum = data @ self.basis.T
        for row, chosen in self.groups(condition):
            own = spectrum[chosen]
            member = components_of(band_energies(own), min(self.centre.shape[1], len(own) // LEAST_MEMBERS))
            self.log_share[row].fill_(-torch.inf)
            for k in range(int(member.max()) + 1):
                part = own[member == k]
                self.centre[row, k] = part.mean(0)
                self.spread[row, k] = part.var(0, unbiased=False).clamp_min(floor)
                self.log_share[row, k] = torch.tensor(len(part) / len(own)).log()

    def estimate(self, output: Tensor, x_t: Tensor, signal: Tensor, noise: Tensor, condition: Tensor | None) -> Tensor:
        """x̂_0 [B, F, T] of the network's output; arguments as of `SpectralPreconditioner.estimate`."""
        rows, basis = statistics_rows(self.mean, condition, len(x_t)), self.basis_of(x_t.shape[-1])
        with torch.autocast(x_t.device.type, enabled=False):
            seen = x_t @ basis.T
            # A sampler's batch is at one level: then its variances and their logarithms are made once, not per motion.
            keys = torch.stack([rows.to(signal), signal.flatten(), noise.flatten()], 1)
            order, found = [], []
            for row, a, s in keys.unique(dim=0).tolist():
                here = (keys == keys.new_tensor([row, a, s])).all(1).nonzero()[:, 0]
                order.append(here)
                found.append(self._posterior(int(row), seen[here], a, s))
            back = torch.cat(order).argsort()
            guess, left = (torch.cat(parts)[back] for parts in zip(*found, strict=True))
            return (guess + left.sqrt() * (output @ basis.T)) @ basis

    def _posterior(self, row: int, seen: Tensor, signal: float, noise: float) -> tuple[Tensor, Tensor]:
        """Mean and variance of x_0 in the basis, given x_t there [n, F, T]: of one condition at one level."""
        known = int((self.log_share[row] > -torch.inf).sum())
        centre, spread = self.at_length(self.centre[row, :known], self.spread[row, :known], seen.shape[-1])
        total = spread * signal**2 + noise**2
        constant = self.log_share[row, :known] - 0.5 * total.log().sum((1, 2))
        shifted, sharp = signal * centre, total.rsqrt()
        guesses, rests = [], []
        for own in seen:  # one after the other: all at once would leave the processor's cache
            off = ((own - shifted) * sharp).flatten(1)
            likely = (constant - 0.5 * torch.linalg.vecdot(off, off)).softmax(0)
            met = likely > NEGLIGIBLE
            share, kept = likely[met, None, None], spread[met] / total[met]
            guess = centre[met] + kept * signal * (own - shifted[met])
            mean = (share * guess).sum(0)
            guesses.append(mean)
            rests.append((share * (kept * noise**2 + (guess - mean) ** 2)).sum(0))
        return torch.stack(guesses), torch.stack(rests)


def band_energies(spectrum: Tensor) -> Tensor:
    """Logarithm of each feature's energy in each band [n, F · BANDS] of DCT coefficients [n, F, T]."""
    frames = spectrum.shape[-1]
    edges = [0, *torch.logspace(0, torch.tensor(frames).log10().item(), BANDS).round().long().unique().tolist()]
    bands = [spectrum[..., low:high].square().sum(-1) for low, high in pairwise(edges)]
    return torch.stack(bands, -1).clamp_min(LEAST_ENERGY).log().flatten(1)
