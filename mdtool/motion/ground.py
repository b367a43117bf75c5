"""Places on the ground and above it."""

from __future__ import annotations

import torch
from torch import Tensor


def at_height(points: Tensor, height: float = 0.0) -> Tensor:
    """Points [..., 3] moved up or down to one height; metres, y up.

    Made on the device of `points`: numbers that come from Python would have to wait for it.
    """
    x, y, z = points.split(1, dim=-1)
    return torch.cat([x, torch.full_like(y, height), z], dim=-1)
