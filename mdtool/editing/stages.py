"""The later stages of a fit to a field, for what a search of its noise misses: the latent, then the last layers.

One latent is all that a field knows of a motion, and the sampler does not even reach every latent: many exact places
are too much for it. The second stage searches the latent itself, whitened, so that its length is the Mahalanobis
distance from the learnt ones. The third gives the motion weights of its own: an offset of low rank to the last layers,
along the directions in which their hidden units move most over the time axis. In these the offset's length is that of
what it changes and how suddenly, so that the least offset for a place at an instant is a smooth bump around it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from mdtool.editing.optimiser import Judged, NoiseSearch, Search, SeededRandomness
from mdtool.methods.contract import FieldMethod
from mdtool.motion.pose_vectors import SIZE

NAMES = ("noise", "latent", "last layers")
_RANK = 16
"""Directions of the offset at most; on an axis of l seconds it follows changes of about l / 16 seconds."""
_LATENT_RATE, _LAYER_RATE = 0.2, 0.1
"""Learning rates beside that of noise: whitened latents move a body much farther, and offsets every pose at once."""
SMOOTH_S = 0.2
"""τ: an offset's acceleration times τ² counts like the offset."""
_LEAST = 0.01
"""Weight of the offset's length."""

Decode = Callable[[Tensor, Tensor], Tensor]
"""(searched numbers [b, …], which samples of the stage they are [b]) → features [b, 25, 6, T]."""
Judge = Callable[[Tensor, Tensor], Judged]
"""(features [b, 25, 6, T], which samples of the batch they are [b]) → their judgement."""


class Reached(NamedTuple):
    """What one stage came to for one motion."""

    stage: str
    steps: int
    error_m: float
    """The objective error, metres."""


class LaterStage:
    """The search of a later stage, for the samples of a batch that the stage before left unmet."""

    def __init__(self, rows: Tensor, start: Tensor, search: Search, decode: Decode, judge: Judge) -> None:
        """
        Args:
            rows: [b] which samples of the batch.
            start: numbers [b, …] that stand for what they are now.
        """
        self.rows, self.decode = rows, decode

        def task(numbers: Tensor, mine: Tensor) -> Judged:
            return judge(decode(numbers, mine), rows[mine])

        self.searching = NoiseSearch(task, start, search, SeededRandomness(start, None, []))

    def features(self) -> Tensor:
        """Features [b, 25, 6, T] of the best that it has found, which is no worse than what it began with."""
        best = self.searching.best_noise
        return self.decode(best, torch.arange(len(best)))


def latent_stage(
    method: FieldMethod, times_s: Tensor, rows: Tensor, latents: Tensor, search: Search, judge: Judge
) -> LaterStage:
    """Search the latents [b, d] of some samples of a batch, at instants [T]."""
    mean, scale = method.white_mean, method.white_scale

    def decode(white: Tensor, mine: Tensor) -> Tensor:
        return method.poses(white * scale + mean, times_s)

    calm = replace(search, lr=_LATENT_RATE * search.lr)
    return LaterStage(rows, (latents - mean) / scale, calm, decode, judge)


def latents_of(method: FieldMethod, stage: LaterStage) -> Tensor:
    """The latents [b, d] that a latent stage has found."""
    return stage.searching.best_noise * method.white_scale + method.white_mean


@torch.no_grad()
def layer_stage(
    method: FieldMethod, times_s: Tensor, rows: Tensor, latents: Tensor, search: Search, judge: Judge
) -> LaterStage:
    """Search an offset of low rank to the last layers, of latents [b, d] that stay; arguments as of `latent_stage`."""
    even_s = torch.linspace(0, float(times_s.max()), len(times_s), device=times_s.device)
    directions = smooth_directions(method.hidden(latents, even_s).double(), even_s).to(latents)

    def decode(weights: Tensor, mine: Tensor) -> Tensor:
        return method.poses(latents[mine], times_s, offset=directions[mine] @ weights)

    start = latents.new_zeros(len(latents), directions.shape[-1], SIZE)
    calm = replace(search, lr=_LAYER_RATE * search.lr, content=_LEAST, radius=0.0)
    return LaterStage(rows, start, calm, decode, judge)


def smooth_directions(units: Tensor, times_s: Tensor) -> Tensor:
    """Directions [b, W, r] among hidden units [b, T, W] at even instants [T] that make functions of time of them.

    Weights [r] of these functions are as long as the root of the mean over time of f² + (τ² f'')².
    """
    _, sizes, right = torch.linalg.svd(units, full_matrices=False)
    rank = min(_RANK, sizes.shape[-1])
    strength = sizes[:, None, :rank].clamp_min(1e-6 * float(sizes.max().clamp_min(1e-12)))
    directions = right[:, :rank].mT * len(times_s) ** 0.5 / strength
    bend = (units @ directions).diff(n=2, dim=1) * (SMOOTH_S / float(times_s[1] - times_s[0])) ** 2
    roughness, turn = torch.linalg.eigh(bend.mT @ bend / len(times_s))
    return directions @ turn / (1 + roughness.clamp_min(0)).sqrt().unsqueeze(1)
