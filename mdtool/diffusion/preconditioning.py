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
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn


class SpectralPreconditioner(nn.Module):
    """Turns a network's output into an estimate of x_0; holds the data's mean and spectrum per condition."""

    mean: Tensor
    variance: Tensor
    basis: Tensor

    def __init__(self, conditions: int, features: int, frames: int, whole: bool = False) -> None:
        """White noise around 0 until `fit` is called; features F per frame, T frames.

        Args:
            conditions: number of labels; one more row holds the whole data set, for the null condition.
            whole: shorter windows are whole motions that take less time (`at_pace`), not pieces of longer ones.
        """
        super().__init__()
        self.remarks: list[str] = []
        """What people should know of the last `fit`."""
        self.at_length = at_pace if whole else at_rate
        self.register_buffer("mean", torch.zeros(conditions + 1, features, frames))
        self.register_buffer("variance", torch.ones(conditions + 1, features, frames))
        self.register_buffer("basis", dct_basis(frames), persistent=False)

    def fit(self, data: Tensor, condition: Tensor, floor: float = 1e-12, clip: Tensor | None = None) -> None:
        """Measure mean and variance of each DCT coefficient of data [n, F, T], labels [n].

        A label that does not occur keeps the statistics of the whole set.

        Args:
            floor: of the variances.
            clip: [n] which recording a datum is a window of, for those that count recordings; None: each of another.
        """
        spectrum = data @ self.basis.T
        for row, chosen in self.groups(condition):
            self.mean[row] = spectrum[chosen].mean(0)
            self.variance[row] = spectrum[chosen].var(0, unbiased=False).clamp_min(floor)

    def groups(self, condition: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Each row of the statistics, and which of the data [n] with labels [n] it is measured on."""
        null = len(self.mean) - 1
        for row in [null, *range(null)]:
            chosen = condition == row
            yield row, chosen if row != null and chosen.sum() > 1 else torch.ones_like(chosen)

    def estimate(self, output: Tensor, x_t: Tensor, signal: Tensor, noise: Tensor, condition: Tensor | None) -> Tensor:
        """x̂_0 of the network's output, in float32 whatever autocast says: at low noise its rounding would be the error.

        Args:
            output, x_t: [B, F, T]; T may differ from that of the measured windows, see `spectrum`.
            signal, noise: a and s, [B, 1, 1].
            condition: labels [B], negative for the null condition; None is null for all.

        Returns:
            [B, F, T].
        """
        mean, variance, basis = self.spectrum(statistics_rows(self.mean, condition, len(x_t)), x_t.shape[-1])
        total = variance * signal**2 + noise**2
        with torch.autocast(x_t.device.type, enabled=False):
            seen = x_t @ basis.T
            guess = mean + variance * signal / total * (seen - signal * mean)
            return (guess + (variance / total).sqrt() * noise * (output @ basis.T)) @ basis

    def coordinates(self, condition: Tensor | None, batch: int, frames: int) -> SpectralCoordinates:
        """Where EDM's ODE is straight for a Gaussian with the spectrum of this condition."""
        return SpectralCoordinates(*self.spectrum(statistics_rows(self.mean, condition, batch), frames))

    def spectrum(self, rows: Tensor, frames: int) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and variance [B, F, T] of these rows, and the basis [T, T], for windows of `frames` frames."""
        return *self.at_length(self.mean[rows], self.variance[rows], frames), self.basis_of(frames)

    def basis_of(self, frames: int) -> Tensor:
        """The basis [T, T] of windows of this length."""
        return self.basis if frames == len(self.basis) else dct_basis(frames).to(self.basis)

    def tempering(
        self, condition: Tensor | None, batch: int, frames: int, temperature: float, floor: float
    ) -> Callable[[Tensor], Tensor]:
        """What scales each coefficient of white noise [B, …, F, T] by temperature ^ (1 + floor / v); at 1, none.

        What a network has not learnt it makes up as it goes, and at frequencies that the data hardly has (v below
        `floor`) what it makes up is shaking: there the noise of a sampler's step only feeds it.
        """
        _, variance, basis = self.spectrum(statistics_rows(self.mean, condition, batch), frames)
        gain = temperature ** (1 + floor / variance)  # here, once for all steps: it takes longer than the products

        def temper(noise: Tensor) -> Tensor:
            between = [1] * (noise.ndim - 3)
            return (noise @ basis.T * gain.view(batch, *between, *gain.shape[1:])) @ basis

        return temper


class SpectralCoordinates:
    """EDM's ODE of a process with this mean and spectrum, each coefficient at unit variance over an angle of its own.

    With y = (x - m) / √(v + σ²) in the basis and θ = arctan(σ / √v), dx/dσ = (x - x̂_0) / σ becomes dy/dθ = -F, F being
    the network's output behind `SpectralPreconditioner`. For Gaussian motion F = 0: y stands still and any step
    is exact, where Heun's method over σ makes fast movement up to 1.2 times (16 steps) or 2.2 times (8) too large.
    """

    def __init__(self, mean: Tensor, variance: Tensor, basis: Tensor) -> None:
        """mean, variance [B, F, T] of the coefficients, basis [T, T]."""
        self.mean, self.variance, self.basis = mean, variance, basis

    def into(self, x: Tensor, sigma: float) -> Tensor:
        """(x - m) / √(v + σ²), in the basis [B, F, T]."""
        return (x @ self.basis.T - self.mean) / (self.variance + sigma**2).sqrt()

    def back(self, y: Tensor, sigma: float) -> Tensor:
        """x_σ [B, F, T] of y."""
        return (self.mean + (self.variance + sigma**2).sqrt() * y) @ self.basis

    def time(self, sigma: float) -> Tensor:
        """θ = arctan(σ / √v) [B, F, T], from 0 to π / 2."""
        return torch.atan(sigma / self.variance.sqrt())

    def slope(self, x: Tensor, x0: Tensor, sigma: float) -> Tensor:
        """-F = -√(v + σ²) / (√v σ) · (x̂_0 - m - v / (v + σ²) (x - m)), in the basis [B, F, T]."""
        total = self.variance + sigma**2
        seen, guess = x @ self.basis.T - self.mean, x0 @ self.basis.T - self.mean
        return (self.variance / total * seen - guess) * (total / self.variance).sqrt() / sigma

    def log_stretch(self, y: Tensor, sigma: float) -> Tensor:
        """ln √(v + σ²) [B, F, T]; the basis turns and does not stretch."""
        return ((self.variance + sigma**2).log() / 2).expand_as(y)


def at_pace(mean: Tensor, variance: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of DCT coefficients [..., T], for the same motions within `frames` frames instead of T.

    A motion at another pace has the same coefficients by number, the larger the more frames there are to sum over.
    Beyond the T-th they vary like the last.
    """
    measured = mean.shape[-1]
    number, scale = torch.arange(frames, device=mean.device), frames / measured
    nearest = number.clamp_max(measured - 1)
    return mean[..., nearest] * (number < measured) * math.sqrt(scale), variance[..., nearest] * scale


def at_rate(mean: Tensor, variance: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of DCT coefficients [..., T], for windows of `frames` frames instead of T.

    Windows of another length than the measured ones have the variance of the same frequencies, in cycles per frame,
    interpolated in its logarithm: a stationary signal's coefficients vary alike at any length. The constant part
    does not, it grows with √T.
    """
    measured = mean.shape[-1]
    if frames == measured:
        return mean, variance
    place = torch.arange(frames, device=mean.device) * measured / frames
    low = place.floor().long()
    high, part = (low + 1).clamp_max(measured - 1), place - low
    logarithm = variance.log()
    longer = torch.lerp(logarithm[..., low], logarithm[..., high], part).exp()
    longer[..., 0] *= frames / measured
    centre = torch.zeros_like(longer)
    centre[..., 0] = mean[..., 0] * math.sqrt(frames / measured)
    return centre, longer


def statistics_rows(table: Tensor, condition: Tensor | None, batch: int) -> Tensor:
    """The row of a table [rows, …] of statistics that each sample of a batch has: its label's, or for null the last.

    Args:
        condition: labels [B], negative for the null condition; None is null for all.
    """
    null = len(table) - 1
    if condition is None:
        return torch.full((batch,), null, device=table.device)
    return torch.where(condition < 0, null, condition)


def dct_basis(frames: int) -> Tensor:
    """Orthonormal DCT-II matrix [T, T]: row k is the cosine of frequency k / (2 T) cycles per frame."""
    frame = torch.arange(frames, dtype=torch.float64)
    basis = torch.cos(math.pi * (frame + 0.5) * frame.unsqueeze(1) / frames) * math.sqrt(2 / frames)
    basis[0] /= math.sqrt(2)
    return basis.float()
