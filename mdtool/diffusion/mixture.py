"""Preconditioning by a mixture of Gaussians: what one action's data tell of x_0 before a network has learnt anything.

Where there are few data of many numbers, one normal distribution per condition is a poor first guess: two ways to wave
have a mean that is no wave. Here a condition's data are told apart into components that share one covariance W:

    x̂_0 = Σ_k p_k [c_k + a W (a² W + s²)⁻¹ (x_t - a c_k)] + s W^½ (a² W + s²)^-½ · network

with x_t = a x_0 + s e and p_k the probability of component k given x_t. The sum is the posterior mean of the mixture,
and the network corrects it at the scale of what is left within a component (Karras et al. 2022, eq. 7, for a
covariance instead of a variance). In the eigenvectors of W all of it is diagonal.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mdtool.diffusion.preconditioning import statistics_rows

LEAST_MEMBERS = 4
"""Data per component, on average and at least."""
ROUNDS = 15
"""Of k-means, at most."""


class MixturePreconditioner(nn.Module):
    """Turns a network's output into an estimate of x_0 [B, d]; holds the mixtures of the conditions and of all data."""

    centre: Tensor
    log_share: Tensor
    variance: Tensor
    basis: Tensor

    def __init__(self, conditions: int, width: int, components: int) -> None:
        """White noise around 0 until `fit` is called.

        Args:
            conditions: number of labels; one more row holds the whole data set, for the null condition.
            width: numbers d of a datum.
            components: of each condition, at most.
        """
        super().__init__()
        rows = conditions + 1
        self.register_buffer("centre", torch.zeros(rows, components, width))
        self.register_buffer("log_share", torch.full((rows, components), -torch.inf))
        self.log_share[:, 0] = 0
        self.register_buffer("variance", torch.ones(rows, width))
        self.register_buffer("basis", torch.eye(width).repeat(rows, 1, 1))

    @torch.no_grad()
    def fit(self, data: Tensor, spread: Tensor, condition: Tensor, importance: Tensor, floor: float) -> None:
        """Find the components, by k-means from data at even distances in their order.

        A label that does not occur keeps the mixture of the whole set.

        Args:
            data: [n, d] means.
            spread: [n, d] variances of the data around them.
            condition: [n] labels.
            importance: [d] weights of squared differences between data, for telling components apart.
            floor: variance in any direction, at least.
        """
        null = len(self.variance) - 1
        for row in [null, *range(null)]:
            chosen = condition == row
            if row == null or not chosen.any():
                chosen = torch.ones_like(chosen)
            own = data[chosen]
            member = components_of(own * importance.sqrt(), min(self.centre.shape[1], len(own) // LEAST_MEMBERS))
            count = torch.bincount(member)
            centre = torch.stack([own[member == k].mean(0) for k in range(len(count))])
            apart = (own - centre[member]).double()
            within = apart.T @ apart / len(own) + spread[chosen].double().mean(0).diag()
            variance, basis = torch.linalg.eigh(within)
            self.variance[row], self.basis[row] = variance.clamp_min(floor), basis.float()
            self.centre[row].zero_()
            self.centre[row, : len(count)] = centre @ self.basis[row]
            self.log_share[row].fill_(-torch.inf)
            self.log_share[row, : len(count)] = (count / len(own)).log()

    def estimate(
        self,
        output: Tensor,
        x_t: Tensor,
        signal: Tensor,
        noise: Tensor,
        condition: Tensor | None,
        spread: float = 1.0,
    ) -> Tensor:
        """x̂_0 [B, d] of the network's output [B, d] and x_t [B, d], in float32 whatever autocast says.

        Args:
            signal, noise: a and s, [B, 1].
            condition: labels [B], negative for the null condition; None is null for all.
            spread: share of the variance within components that counts.
        """
        rows = statistics_rows(self.variance, condition, len(x_t))
        made = torch.empty_like(x_t)
        with torch.autocast(x_t.device.type, enabled=False):
            for row in rows.unique().tolist():  # a basis is far larger than the data: once per condition, not per datum
                here = rows == row
                made[here] = self._estimate(row, spread, output[here], x_t[here], signal[here], noise[here])
        return made

    def _estimate(self, row: int, spread: float, output: Tensor, x_t: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
        centre, variance, basis = self.centre[row], spread * self.variance[row], self.basis[row]
        seen, total = x_t @ basis, variance * signal**2 + noise**2
        square = (signal**2 / total) @ centre.square().T - 2 * (seen * signal / total) @ centre.T
        likely = (self.log_share[row] - 0.5 * square).softmax(-1)
        middle = likely @ centre
        guess = middle + variance * signal / total * (seen - signal * middle)
        return (guess + (variance / total).sqrt() * noise * (output @ basis)) @ basis.T


def components_of(data: Tensor, count: int) -> Tensor:
    """Component [n] of data [n, d] by k-means (Lloyd 1982): numbers from 0 without a gap, `count` of them at most."""
    centre = data[torch.linspace(0, len(data) - 1, max(count, 1)).round().long()]
    member = torch.cdist(data, centre).argmin(1)
    for _ in range(ROUNDS):
        before = member
        known = member.unique()
        centre = torch.stack([data[member == k].mean(0) for k in known.tolist()])
        member = torch.cdist(data, centre).argmin(1)
        if torch.equal(member, before):
            break
    return member.unique(return_inverse=True)[1]
