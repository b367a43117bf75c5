"""The search for the noise whose motion meets a task: diffusion noise optimisation (Karunratanakul et al. 2024).

Every sample of a batch is a search of its own: its gradient is normalised by its own length, its random numbers come
from its own generator, and it stops when it is done. So the company it has never changes its result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from mdtool.editing.regularisers import decorrelation, distance, draw_padding
from mdtool.editing.schedule import rate_share
from mdtool.editing.trace import Trace

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's (Kingma & Ba 2015)."""
WARMUP = 50
"""Steps in which the learning rate rises (section 3); no more than a quarter of a search that is planned shorter."""
_GIVE_UP = 20
"""Consecutive steps without a finite gradient after which a sample stops."""
_EARLIEST, _HELD = 70, 10
"""A sample that stays near its targets for `_HELD` steps may begin to stop after step `_EARLIEST`. At the largest
learning rate a step moves a body by centimetres: it goes to and fro about its target until the rate falls."""
_STALLED_STEPS, _STALLED_SHARE = 50, 0.01
"""A sample stops when its best loss fell by less than this share in so many steps."""
_COOL_DOWN = 30
"""Steps in which the learning rate of a stopping sample falls to 0; one that has not met its targets then goes on."""


@dataclass(frozen=True)
class Search:
    """How to search."""

    steps: int = 300
    lr: float = 0.05
    warmup: int = WARMUP
    decay: int | None = None
    """Length of the cosine at the end, steps; all of them by default."""
    content: float = 0.0
    """Weight of ‖z - z₀‖."""
    decorrelation: float = 0.0
    """Weight of the decorrelation loss; needs a latent with a time axis."""
    radius: float = 0.0
    """Weight of (‖z‖ / √n - 1)², for latents without a time axis."""
    perturbation: float = 0.0
    """Standard deviation of the noise added after each step, in proportion to the learning rate."""
    early_stop: bool = False
    time_axis: int | None = -1


class Judged(NamedTuple):
    """What the task says of some latents: one row per latent."""

    loss: Tensor
    """[b], to be minimised; differentiable in the latents."""
    terms: dict[str, Tensor]
    """The parts that each goal has in it, [b] each; NaN for samples without that goal."""
    error: Tensor
    """[b] how far the worst target is missed, metres."""
    met: Tensor
    """[b] bool: every target within its tolerance."""
    near: Tensor | None = None
    """[b] bool: every target so near that a falling learning rate should meet it; as `met` when not given."""
    off: Tensor | None = None
    """[b] how many tolerances the worst place is off, or the deepest obstacle is inside; 0 without either."""


Task = Callable[[Tensor, Tensor], Judged]
"""(latents [b, …], which samples of the batch they are [b]) → their judgement."""


class Randomness(Protocol):
    """Where a search's random numbers come from."""

    def padding(self, step: int) -> Tensor:
        """What the decorrelation loss appends to all latents along time, [B, …]."""
        ...

    def perturbation(self, step: int) -> Tensor:
        """Standard normal numbers like the latents, [B, …]."""
        ...


class SeededRandomness:
    """Each sample's numbers from a CPU generator of its own; the padding is drawn once."""

    def __init__(self, noise: Tensor, time_axis: int | None, rngs: list[torch.Generator]) -> None:
        self._like, self._rngs = noise, rngs
        self._padding = None
        if time_axis is not None:
            self._padding = draw_padding(tuple(noise.shape), time_axis, rngs).to(noise)

    def padding(self, step: int) -> Tensor:
        """The same in every step."""
        assert self._padding is not None
        return self._padding

    def perturbation(self, step: int) -> Tensor:
        """New numbers in every step."""
        shape = self._like.shape[1:]
        return torch.stack([torch.randn(shape, generator=rng) for rng in self._rngs]).to(self._like)


class NoiseSearch:
    """A batch of searches. `step` until `done`; `noise` is where they stand, `best_noise` the best they have seen."""

    def __init__(
        self,
        task: Task,
        start: Tensor,
        search: Search,
        randomness: Randomness,
        anchor: Tensor | None = None,
        searched: Tensor | None = None,
    ) -> None:
        """Start from latents [B, …].

        Args:
            anchor: what the content term draws towards; the start by default.
            searched: which numbers of a latent change, bool […]; all by default.
        """
        self.task, self.search, self.randomness = task, search, randomness
        self.noise = start.detach().clone()
        self.anchor = self.noise.clone() if anchor is None else anchor.detach()
        self.searched = None if searched is None else searched.to(self.noise)
        count = len(start)
        self.first, self.second = torch.zeros_like(self.noise), torch.zeros_like(self.noise)
        self.updates = torch.zeros(count, dtype=torch.float64)
        self.skipped = torch.zeros(count, dtype=torch.int64)
        self.lasted = torch.zeros(count, dtype=torch.int64)
        """Steps that each sample took part in."""
        self.planned = search.steps
        """Steps of the schedule; a time budget may shorten it."""
        self.warmup = search.warmup
        self.taken = 0
        self.trace = Trace(count)
        self.best_noise = self.noise.clone()
        self.best_loss = torch.full((count,), torch.inf, dtype=torch.float64)
        self.best_error = torch.full((count,), torch.inf, dtype=torch.float64)
        self._active = torch.ones(count, dtype=torch.bool)
        self._bad = torch.zeros(count, dtype=torch.int64)
        self._held = torch.zeros(count, dtype=torch.int64)
        self._cooling = torch.zeros(count, dtype=torch.int64)
        self._stuck = torch.zeros(count, dtype=torch.bool)
        self._record = self.best_loss.clone()
        self._record_step = torch.zeros(count, dtype=torch.int64)

    @property
    def done(self) -> bool:
        """Whether no search goes on."""
        return self.taken >= self.planned or not bool(self._active.any())

    def plan(self, steps: int) -> None:
        """Change the schedule to `steps` in all; the warm-up of a shortened one ends by a quarter of it."""
        self.planned = max(steps, self.taken)
        self.warmup = min(self.search.warmup, max(self.planned // 4, self.taken))

    def step(self) -> None:
        """One step of every search that goes on."""
        search, rows = self.search, self._active.nonzero().flatten()
        noise = self.noise[rows].requires_grad_()
        judged, regularisers, total = self._judge(noise, rows)
        (gradient,) = torch.autograd.grad(total.sum(), noise)
        if self.searched is not None:
            gradient = gradient * self.searched
        self._remember(rows, noise.detach(), judged, total.detach())
        share = self._shares(rows)
        length = gradient.flatten(1).norm(dim=1)
        finite = torch.isfinite(length).cpu()
        usable = finite & (length > 0).cpu()  # no gradient: a hinge that is satisfied, the centre of z₀
        told = {"objective": judged.loss, "error": judged.error, "lr": share * search.lr, "gradient": length}
        self.trace.add(self.taken, rows, {**told, **judged.terms, **regularisers})
        with torch.no_grad():
            self._adam(rows[usable], (gradient / _column(length, gradient))[usable], share[usable])
            if search.perturbation:
                drawn = self.randomness.perturbation(self.taken)[rows]
                drawn = drawn if self.searched is None else drawn * self.searched
                self.noise[rows] += drawn * _column(share * search.perturbation, drawn)
        self.skipped[rows[~usable]] += 1
        self._settle(rows, finite, judged)
        self.lasted[rows] += 1
        self.taken += 1

    def run(self, each: Callable[[], bool] | None = None) -> None:
        """Step until done, or until `each`, called after every step, returns False."""
        while not self.done:
            self.step()
            if each is not None and not each():
                return

    def _judge(self, noise: Tensor, rows: Tensor) -> tuple[Judged, dict[str, Tensor], Tensor]:
        """(the task's judgement, the regularisers with their weights, all losses together)."""
        search, parts = self.search, {}
        judged = self.task(noise, rows)
        if search.content:
            parts["content"] = search.content * distance(noise, self.anchor[rows])
        if search.decorrelation and search.time_axis is not None:
            padding = self.randomness.padding(self.taken)[rows]
            parts["decorrelation"] = search.decorrelation * decorrelation(noise, padding, search.time_axis)
        if search.radius:
            flat = noise.flatten(1)
            parts["radius"] = search.radius * (flat.norm(dim=1) / flat.shape[1] ** 0.5 - 1).square()
        return judged, parts, sum(parts.values(), judged.loss)

    def _adam(self, rows: Tensor, gradient: Tensor, share: Tensor) -> None:
        """Adam's update of some samples; each counts its own updates."""
        self.updates[rows] += 1
        self.first[rows] = BETA1 * self.first[rows] + (1 - BETA1) * gradient
        self.second[rows] = BETA2 * self.second[rows] + (1 - BETA2) * gradient.square()
        rate = self.search.lr * share / (1 - BETA1 ** self.updates[rows])
        spread = (self.second[rows] / _column(1 - BETA2 ** self.updates[rows], gradient)).sqrt()
        self.noise[rows] -= _column(rate, gradient) * self.first[rows] / (spread + EPSILON)

    def _shares(self, rows: Tensor) -> Tensor:
        """[b] learning rates as shares of the largest; those of stopping samples fall to 0."""
        share = rate_share(self.taken, self.planned, self.warmup, self.search.decay)
        cooling = self._cooling[rows]
        return torch.where(cooling > 0, cooling / _COOL_DOWN, 1.0).double() * share

    def _remember(self, rows: Tensor, noise: Tensor, judged: Judged, total: Tensor) -> None:
        """Keep the latents with the least loss so far."""
        loss = total.double().cpu()
        better = loss < self.best_loss[rows]  # never true of a NaN
        self.best_noise[rows[better]] = noise[better]
        self.best_loss[rows[better]] = loss[better]
        self.best_error[rows[better]] = judged.error.detach().double().cpu()[better]

    def _settle(self, rows: Tensor, finite: Tensor, judged: Judged) -> None:
        """End the searches that are done or hopeless."""
        self._bad[rows] = torch.where(finite, 0, self._bad[rows] + 1)
        self._active[self._bad >= _GIVE_UP] = False
        met = judged.met.cpu()
        cooling = self._cooling[rows]
        self._cooling[rows] = (cooling - 1).clamp_min(0)
        cooled = cooling == 1
        self._active[rows[cooled & (met | self._stuck[rows])]] = False
        if not self.search.early_stop or self.taken < min(_EARLIEST, self.planned):
            return
        near = met if judged.near is None else judged.near.cpu()
        self._held[rows] = torch.where(near & ~cooled, self._held[rows] + 1, 0)
        fell = self.best_loss < self._record * (1 - _STALLED_SHARE)
        self._record[fell] = self.best_loss[fell]
        self._record_step[fell] = self.taken
        stalled = self.taken - self._record_step[rows] >= _STALLED_STEPS
        ready = ((self._held[rows] >= _HELD) | stalled) & (cooling == 0)
        self._cooling[rows[ready]] = _COOL_DOWN
        self._stuck[rows[ready]] = stalled[ready]


def _column(values: Tensor, like: Tensor) -> Tensor:
    """[b] → [b, 1, …] in the precision and on the device of `like`."""
    return values.to(like).reshape(-1, *[1] * (like.dim() - 1))
