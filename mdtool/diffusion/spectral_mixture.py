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

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

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

    def fit(self, data: Tensor, condition: Tensor, floor: float = 1e-12, clip: Tensor | None = None) -> None:
        """Measure whole conditions and their components on data [n, F, T], labels [n].

        A component of all windows of one recording is a copy of it. So a condition has a component for every
        `LEAST_MEMBERS` recordings at most, and a remark tells where that is fewer than were asked for.
        """
        super().fit(data, condition, floor)
        spectrum, asked, short = data @ self.basis.T, self.centre.shape[1], []
        for row, chosen in self.groups(condition):
            own = spectrum[chosen]
            recordings = len(own) if clip is None else len(clip[chosen].unique())
            count = max(min(asked, recordings // LEAST_MEMBERS), 1)
            if count < asked:
                short.append((recordings, count))
            member = components_of(band_energies(own), count)
            self.log_share[row].fill_(-torch.inf)
            for k in range(int(member.max()) + 1):
                part = own[member == k]
                self.centre[row, k] = part.mean(0)
                self.spread[row, k] = part.var(0, unbiased=False).clamp_min(floor)
                self.log_share[row, k] = torch.tensor(len(part) / len(own)).log()
        self.remarks = []
        if short:
            recordings, count = min(short)
            self.remarks = [
                f"{asked} components are too many for {recordings} training clips, near copies of them: {count} are "
                f"used there, one for {LEAST_MEMBERS} clips"
            ]

    def estimate(self, output: Tensor, x_t: Tensor, signal: Tensor, noise: Tensor, condition: Tensor | None) -> Tensor:
        """x̂_0 [B, F, T] of the network's output; arguments as of `SpectralPreconditioner.estimate`."""
        rows, basis = statistics_rows(self.mean, condition, len(x_t)), self.basis_of(x_t.shape[-1])
        with torch.autocast(x_t.device.type, enabled=False):
            seen = x_t @ basis.T
            tables = self._tables_of(rows, signal, noise, x_t.shape[-1])
            found = [known.posterior(own) for known, own in zip(tables, seen, strict=True)]
            guess, left = (torch.stack(parts) for parts in zip(*found, strict=True))
            return (guess + left.sqrt() * (output @ basis.T)) @ basis

    def _tables_of(self, rows: Tensor, signal: Tensor, noise: Tensor, frames: int) -> Iterator[Tables]:
        """The tables of each motion of a batch, one after the other.

        A sampler's batch is at one level, and tables are made once per condition. In training each motion has a level
        of its own, and no step may wait for a device to tell which; a processor tells at once.
        """
        if self.training:
            parts = rows, signal.flatten(), noise.flatten()
            told = (part.tolist() if part.is_cpu else part.split(1) for part in parts)
            for row, a, s in zip(*told, strict=True):
                yield self._tables(row, a, s, frames)
            return
        keys = torch.stack([rows.to(signal), signal.flatten(), noise.flatten()], 1)
        distinct, member = keys.unique(dim=0, return_inverse=True)
        known = [self._tables(int(row), a, s, frames) for row, a, s in distinct.tolist()]
        yield from (known[group] for group in member.tolist())

    def _tables(self, row: int | Tensor, signal: float | Tensor, noise: float | Tensor, frames: int) -> Tables:
        """What one condition's components expect at one level a = `signal`, s = `noise`; numbers, or tensors [1]."""
        stored = (self.centre, self.spread, self.log_share)
        centre, spread, share = (x.index_select(0, row)[0] if isinstance(row, Tensor) else x[row] for x in stored)
        centre, spread = self.at_length(centre, spread, frames)
        total = (spread * signal**2).add_(noise**2)
        return Tables(share - 0.5 * total.log().sum((1, 2)), centre, spread, total, signal, noise)


class Tables(NamedTuple):
    """K components of one condition at one level, [K] and [K, F, T]."""

    constant: Tensor
    """Logarithm of their share and of the density's constant."""
    centre: Tensor
    """m_k."""
    spread: Tensor
    """v_k."""
    total: Tensor
    """a² v_k + s²."""
    signal: float | Tensor
    """a."""
    noise: float | Tensor
    """s."""

    def posterior(self, own: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance [F, T] of x_0 given one x_t [F, T], all in the basis."""
        off = own - self.signal * self.centre
        likely = (self.constant - 0.5 * (off.square() / self.total).sum((1, 2))).softmax(0)
        # A processor passes over what plays no part; to ask another device which ones would be to wait for it.
        met = likely > NEGLIGIBLE if own.device.type == "cpu" else slice(None)
        share = likely[met, None, None]
        known = self.spread[met] / self.total[met]
        guess = self.centre[met] + self.signal * known * off[met]
        mean = (share * guess).sum(0)
        return mean, (share * (self.noise**2 * known + (guess - mean) ** 2)).sum(0)


def spectral_skip(
    conditions: int, features: int, frames: int, components: int, whole: bool = False
) -> SpectralPreconditioner:
    """The skip connection of so many spectra per condition: a mixture, or the plain one where that is 1."""
    if components > 1:
        return SpectralMixture(conditions, features, frames, components, whole)
    return SpectralPreconditioner(conditions, features, frames, whole)


def band_energies(spectrum: Tensor) -> Tensor:
    """Logarithm of each feature's energy in each band [n, F · BANDS] of DCT coefficients [n, F, T]."""
    frames = spectrum.shape[-1]
    edges = [0, *torch.logspace(0, torch.tensor(frames).log10().item(), BANDS).round().long().unique().tolist()]
    bands = [spectrum[..., low:high].square().sum(-1) for low, high in pairwise(edges)]
    return torch.stack(bands, -1).clamp_min(LEAST_ENERGY).log().flatten(1)
