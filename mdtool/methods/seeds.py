"""Random generators of samples and of training steps: what a sample is depends on its own seed and on nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor


def sample_generators(seed: int, first: int, count: int) -> list[torch.Generator]:
    """CPU generators of samples first … first + count - 1 of `seed`, independent of each other.

    The key (seed, sample) passes through SplitMix64, so that neighbouring keys share no stream.
    """
    return [torch.Generator().manual_seed(_mix(_mix(seed) ^ index)) for index in range(first, first + count)]


def content_generators(rows: Tensor) -> list[torch.Generator]:
    """A CPU generator per row of a batch [B, …], keyed by the row's bytes: the same in any batch."""
    digests = [hashlib.sha256(row.detach().cpu().numpy().tobytes()).digest() for row in rows]
    return [torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1) for digest in digests]


def step_noise(latent: Tensor) -> Callable[[int], Tensor]:
    """Noise that a sampler adds in its steps, per sample from a CPU generator keyed by its latent's bytes [B, …]."""
    rngs = content_generators(latent)

    def draw(step: int) -> Tensor:
        return torch.stack([torch.randn(latent.shape[1:], generator=rng) for rng in rngs]).to(latent)

    return draw


def step_generator(seed: int, step: int, device: torch.device | str = "cpu") -> torch.Generator:
    """The generator of training step `step` of run seed `seed`: training needs no saved RNG state."""
    return torch.Generator(device=device).manual_seed(_mix(_mix(seed) ^ (step + (1 << 40))))


def _mix(value: int) -> int:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014), kept to 63 bits."""
    value = (value + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (value ^ (value >> 31)) & 0x7FFFFFFFFFFFFFFF
