"""The learning rate of a search over noise: warm-up, then a cosine to zero."""

from __future__ import annotations

import math


def rate_share(step: int, steps: int, warmup: int = 50, decay: int | None = None) -> float:
    """Learning rate of `step` as a share of the largest: min(step / warmup, 1) times a cosine over the last `decay`.

    Step 0 of a warm-up has rate 0, and so has everything from `steps` on (the released code of DNO).

    Args:
        decay: length of the cosine at the end; all steps by default.
    """
    if step >= steps:
        return 0.0
    decay = steps if decay is None else decay
    rise = min(1.0, step / warmup) if warmup else 1.0
    into = step - (steps - decay)
    return rise * (1.0 if into < 0 else (1 + math.cos(math.pi * into / decay)) / 2)
