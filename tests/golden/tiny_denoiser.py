"""The two-layer denoiser whose weights the golden set stores; most diffusion arrays were made with it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mdtool.networks.transformer import Denoiser

Golden = Callable[[str], dict[str, np.ndarray]]


def tiny_denoiser(golden: Golden, *, actions: int = 5, mask_frames: bool = False) -> Denoiser:
    """The network in evaluation mode; 0 actions leaves the action table out, as `cond_mode="no_cond"`."""
    network = Denoiser(
        actions=actions,
        width=32,
        layers=2,
        heads=4,
        feedforward=64,
        dropout=0.0,
        mask_frames=mask_frames,
    )
    weights = {key[3:]: value for key, value in tensors(golden("mdm_tiny")).items() if key.startswith("sd/")}
    if not actions:
        weights = {key: value for key, value in weights.items() if not key.startswith("embed_action.")}
    network.load_state_dict(weights)
    return network.eval()


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Golden arrays as tensors."""
    return {key: torch.from_numpy(np.asarray(value)) for key, value in arrays.items()}


def assert_close(actual: Tensor, expected: Tensor, atol: float, rtol: float = 0.0) -> None:
    """Within the tolerance that the golden README states for a file."""
    torch.testing.assert_close(actual.detach().to(expected.dtype), expected, atol=atol, rtol=rtol)
