"""Which timesteps a training batch visits: uniformly, or where the loss is large."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class UniformTimesteps(nn.Module):
    """Every timestep alike, weight 1."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def draw(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """(timesteps [B], importance weights [B])."""
        timestep = torch.randint(self.steps, (count,), generator=rng, device=rng.device)
        return timestep, torch.ones(count, device=rng.device)

    def record(self, timestep: Tensor, loss: Tensor) -> None:
        """Uniform sampling learns nothing from the losses."""


class LossAwareTimesteps(nn.Module):
    """Importance sampling by the second moment of recent losses (Nichol & Dhariwal 2021, section 3.3).

    p_t ∝ √(mean of the last 10 squared losses of t), mixed with 0.1 % of the uniform distribution; uniform until
    every timestep has 10 losses. The weights 1 / (N p_t) keep the objective unbiased.
    """

    history: Tensor
    counts: Tensor

    def __init__(self, steps: int, kept: int = 10, uniform_share: float = 0.001) -> None:
        """Args:
        kept: losses remembered of each timestep.
        uniform_share: share of the uniform distribution in p.
        """
        super().__init__()
        self.steps, self.kept, self.uniform_share = steps, kept, uniform_share
        self.register_buffer("history", torch.zeros(steps, self.kept, dtype=torch.float64), persistent=False)
        self.register_buffer("counts", torch.zeros(steps, dtype=torch.int64), persistent=False)

    def probabilities(self) -> Tensor:
        """p_t, summing to 1; [N] float64."""
        uniform = torch.full((self.steps,), 1 / self.steps, dtype=torch.float64, device=self.history.device)
        weights = self.history.square().mean(1).sqrt()
        total, share = weights.sum(), self.uniform_share
        weights = torch.where(total > 0, weights / total.clamp_min(1e-300), uniform)
        aware = weights * (1 - share) + share / self.steps
        return torch.where((self.counts == self.kept).all(), aware, uniform)

    def draw(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """(timesteps [B], importance weights 1 / (N p_t) [B])."""
        return self.pick(torch.rand(count, generator=rng, dtype=torch.float64, device=self.history.device))

    def pick(self, quantile: Tensor) -> tuple[Tensor, Tensor]:
        """Timesteps at quantiles [B] in [0, 1) of p, and their importance weights [B]; as numpy's `choice` does."""
        p = self.probabilities()
        cumulative = p.cumsum(0)
        timestep = torch.searchsorted(cumulative / cumulative[-1], quantile, right=True).clamp_max(self.steps - 1)
        return timestep, (1 / (self.steps * p[timestep])).float()

    @torch.no_grad()
    def record(self, timestep: Tensor, loss: Tensor) -> None:
        """Append each (timestep, loss) in order; a full history drops its oldest entry.

        Works on whole tensors without reading them back: the k-th loss of a timestep in this batch lands k places
        after the entries that stay.
        """
        loss = loss.detach().to(torch.float64)
        same = timestep.unsqueeze(0) == timestep.unsqueeze(1)
        before = same.tril(-1).sum(1)  # earlier entries of the batch with the same timestep
        total = same.sum(1)
        arrivals = torch.zeros_like(self.counts).scatter(0, timestep, total)
        shift = (self.counts + arrivals - self.kept).clamp_min(0)
        # Shift each row left by what it must drop, padding with zeros on the right.
        places = torch.arange(self.kept, device=timestep.device) + shift.unsqueeze(1)
        padded = torch.cat([self.history, torch.zeros_like(self.history)], dim=1)
        shifted = padded.gather(1, places.clamp_max(2 * self.kept - 1))
        place = self.counts[timestep] - shift[timestep] + before
        keeps = place >= 0  # more than ten of one timestep in one batch: only the last ten stay
        flat = timestep * self.kept + place.clamp_min(0)
        spare = self.steps * self.kept
        target = torch.cat([shifted.flatten(), shifted.new_zeros(1)])
        target = target.scatter(0, torch.where(keeps, flat, torch.full_like(flat, spare)), loss)
        self.history.copy_(target[:-1].view_as(self.history))
        self.counts.copy_((self.counts + arrivals).clamp_max(self.kept))


class DrawHistogram(nn.Module):
    """Draws per timestep, one row per 1,250 optimiser steps or so (thesis figures 4.1b and 4.2b)."""

    counts: Tensor

    def __init__(self, steps: int, steps_per_row: int = 1250) -> None:
        super().__init__()
        self.recorded, self.steps_per_row = 0, steps_per_row
        self.register_buffer("counts", torch.zeros(1, steps, dtype=torch.int64), persistent=False)

    @torch.no_grad()
    def add(self, timestep: Tensor) -> None:
        """Count the draws of one optimiser step."""
        row = self.recorded // self.steps_per_row
        if row >= len(self.counts):
            self.counts = torch.cat([self.counts, torch.zeros_like(self.counts[:1])])
        self.counts[row].scatter_add_(0, timestep, torch.ones_like(timestep))
        self.recorded += 1

    def state(self) -> dict[str, Tensor]:
        """For an exact resume."""
        return {"counts": self.counts, "recorded": torch.tensor(self.recorded)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore what `state` gave."""
        self.counts, self.recorded = state["counts"].to(self.counts.device), int(state["recorded"])
