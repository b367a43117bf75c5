"""Optimiser and learning-rate schedule."""

from __future__ import annotations

import math

import torch

from mdtool.config import TrainConfig


def make_optimiser(parameters: list[torch.nn.Parameter], config: TrainConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019) over all parameters, fused where the device has it."""
    return torch.optim.AdamW(
        parameters,
        lr=config.lr,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=1e-8,
        weight_decay=config.weight_decay,
        fused=True,
    )


def learning_rate(step: int, config: TrainConfig, stage_starts: tuple[int, ...] = ()) -> float:
    """Learning rate of step `step` (0-based): linear warm-up from 0, then half a cosine down to `lr_final`.

    With `schedule_unit` "optimiser" both are `reference_ranks` times as long, and the cosine does not reach its end.

    Args:
        stage_starts: steps from which the same schedule starts over, to end where the next stage begins.
    """
    first = max((start for start in stage_starts if start <= step), default=0)
    last = min((start for start in stage_starts if step < start < config.steps), default=config.steps)
    step = step - first
    stretch = config.reference_ranks if config.schedule_unit == "optimiser" else 1
    warmup, end = config.warmup_steps * stretch, (last - first) * stretch
    if config.lr_decay_steps:
        return inverse_sqrt_rate(step, config.lr, config.lr_decay_steps * stretch, warmup)
    if step < warmup:
        return config.lr * step / warmup
    if config.lr_final is None:
        return config.lr
    done = (step - warmup) / max(end - warmup, 1)
    return config.lr_final + 0.5 * (config.lr - config.lr_final) * (1 + math.cos(math.pi * min(done, 1.0)))


def inverse_sqrt_rate(step: float, lr: float, decay_steps: float, warmup: float) -> float:
    """Learning rate of EDM2: lr / √max(step / decay_steps, 1), times a linear warm-up (Karras et al. 2024, eq. 67).

    With decay_steps 0 it stays, and with warmup 0 there is none.
    """
    rate = lr / math.sqrt(max(step / decay_steps, 1)) if decay_steps else lr
    return rate * min(step / warmup, 1) if warmup else rate
