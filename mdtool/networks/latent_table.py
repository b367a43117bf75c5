"""A latent per training sequence, and latents of unseen ones: auto-decoding (Park et al. 2019, DeepSDF).

A row is a normal distribution with learnt mean and diagonal variance (Wei et al. 2024, eq. 2). Rows are updated by an
Adam of their own: a row that is not in a batch does not move, and each row counts its own steps. The Adams of PyTorch
do neither (the dense one pushes on by stale momentum, the sparse one corrects its bias by a common step).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

FIRST_SPREAD = 0.1
"""Standard deviation of the first means."""
FIRST_LOG_VARIANCE = -6.0
LARGEST_LOG_VARIANCE = 4.0


class LatentTable(nn.Module):
    """Means and log variances [n, d] with their row-wise Adam (Kingma & Ba 2015); buffers, not parameters."""

    mean: Tensor
    log_variance: Tensor
    first: Tensor
    second: Tensor
    steps: Tensor

    def __init__(self, width: int, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-12) -> None:
        """An empty table; `allocate` or loaded weights give it rows."""
        super().__init__()
        self.width, self.betas, self.eps = width, betas, eps
        self.register_buffer("mean", torch.zeros(0, width))
        self.register_buffer("log_variance", torch.zeros(0, width))
        self.register_buffer("first", torch.zeros(0, 2 * width), persistent=False)
        self.register_buffer("second", torch.zeros(0, 2 * width), persistent=False)
        self.register_buffer("steps", torch.zeros(0, dtype=torch.int64), persistent=False)
        self._touched: tuple[Tensor, Tensor] | None = None
        self._register_load_state_dict_pre_hook(self._take_size)

    def __len__(self) -> int:
        return len(self.mean)

    def allocate(self, rows: int) -> None:
        """Fresh rows: means from N(0, 0.1²), variances exp(-6), no steps taken."""
        device = self.mean.device
        self.mean = FIRST_SPREAD * torch.randn(rows, self.width).to(device)
        self.log_variance = torch.full((rows, self.width), FIRST_LOG_VARIANCE, device=device)
        self.first = torch.zeros(rows, 2 * self.width, device=device)
        self.second = torch.zeros_like(self.first)
        self.steps = torch.zeros(rows, dtype=torch.int64, device=device)

    def look_up(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, log variance) [B, d] of rows [B], as leaves whose gradient `update` applies; a row may repeat."""
        unique, place = torch.unique(rows, return_inverse=True)
        leaf = torch.cat([self.mean[unique], self.log_variance[unique]], dim=-1).requires_grad_()
        self._touched = (unique, leaf)
        mean, log_variance = leaf[place].chunk(2, dim=-1)
        return mean, log_variance

    @torch.no_grad()
    def update(self, rate: float) -> None:
        """One Adam step of the rows last looked up; rows without a gradient stay as they are."""
        if self._touched is None or self._touched[1].grad is None:
            return
        rows, leaf = self._touched
        self._touched, gradient = None, leaf.grad
        assert gradient is not None
        beta1, beta2 = self.betas
        self.steps[rows] += 1
        step = self.steps[rows].unsqueeze(1).to(gradient.dtype)
        first = torch.lerp(gradient, self.first[rows], beta1)
        second = torch.lerp(gradient.square(), self.second[rows], beta2)
        self.first[rows], self.second[rows] = first, second
        moved = leaf - rate * (first / (1 - beta1**step)) / ((second / (1 - beta2**step)).sqrt() + self.eps)
        self.mean[rows] = moved[:, : self.width]
        self.log_variance[rows] = moved[:, self.width :].clamp_max(LARGEST_LOG_VARIANCE)

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation [d] of a draw from a random row: what whitening takes away."""
        variance = self.mean.var(0, unbiased=False) + self.log_variance.exp().mean(0)
        return self.mean.mean(0), variance.sqrt()

    def optimiser_state(self) -> dict[str, Tensor]:
        """What an exact resume needs beside the rows."""
        return {"first": self.first, "second": self.second, "steps": self.steps}

    def load_optimiser_state(self, state: dict[str, Tensor]) -> None:
        """Restore what `optimiser_state` gave."""
        self.first, self.second, self.steps = (
            state[name].to(self.mean.device) for name in ("first", "second", "steps")
        )

    def _take_size(self, state: dict[str, Tensor], prefix: str, *_: object) -> None:
        """Loaded weights say how many rows there are."""
        stored = state.get(f"{prefix}mean")
        if stored is not None and stored.shape[0] != len(self):
            self.allocate(stored.shape[0])


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) ‖ N(0, I)) averaged over the d dimensions; [B, d] → [B].

    MLD and NeRM average, where most autoencoders add up: a weight of 1e-4 here is 1e-4 / d there.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean(-1)


def fit_latents(error: Callable[[Tensor], Tensor], start: Tensor, steps: int, rate: float) -> Tensor:
    """Latents [B, d] that bring `error` [B] to a minimum, from `start`; Adam with a cosine down to a tenth.

    Each row is fitted as if it were alone: Adam works number by number.
    """
    latent = start.detach().clone().requires_grad_()
    first, second = torch.zeros_like(latent), torch.zeros_like(latent)
    for step in range(1, steps + 1):
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(error(latent).sum(), latent)
        first.lerp_(gradient, 0.1)
        second.lerp_(gradient.square(), 0.001)
        now = rate * (0.55 + 0.45 * math.cos(math.pi * step / steps))
        move = now * (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-12)
        latent = (latent.detach() - move).requires_grad_()
    return latent.detach()
