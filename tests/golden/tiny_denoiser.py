"""The two-layer denoiser whose weights the golden set stores; most diffusion arrays were made with it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mdtool.diffusion.gaussian import GaussianDiffusion
from mdtool.diffusion.schedules import cosine_betas
from mdtool.networks.transformer import Denoiser

Golden = Callable[[str], dict[str, np.ndarray]]


HEADS = 4
"""No tensor's shape tells it; the published command line builds 4 whatever the width."""


def tiny_denoiser(golden: Golden, *, conditional: bool = True, mask_frames: bool = False) -> Denoiser:
    """The network in evaluation mode; not conditional leaves the action table out, as `cond_mode="no_cond"`."""
    weights = stored(tensors(golden("mdm_tiny")), "sd/")
    table = weights["embed_action.action_embedding"]
    if not conditional:
        weights = {key: value for key, value in weights.items() if not key.startswith("embed_action.")}
    size = {**encoder_size(weights), "dropout": 0.0}
    network = Denoiser(actions=len(table) if conditional else 0, mask_frames=mask_frames, **size)
    network.load_state_dict(weights)
    return network.eval()


def encoder_size(weights: dict[str, Tensor]) -> dict[str, int]:
    """Width, layers, heads and feedforward of a transformer encoder with these weights, as its network takes them."""
    feedforward, width = weights["seqTransEncoder.layers.0.linear1.weight"].shape
    layers = 1 + max(int(key.split(".")[2]) for key in weights if key.startswith("seqTransEncoder.layers."))
    return {"width": width, "layers": layers, "heads": HEADS, "feedforward": feedforward}


def stored(arrays: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The arrays whose names begin so, without that beginning."""
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def process_of_the_set(golden: Golden) -> GaussianDiffusion:
    """The process of the files that were made with `tiny_denoiser`."""
    terms = tensors(golden("diffusion_terms"))
    return cosine_process(terms["t"], terms["q_variance"])


def cosine_process(timestep: Tensor, noise_variance: Tensor) -> GaussianDiffusion:
    """The cosine process whose 1 - ᾱ at `timestep` is `noise_variance`: no file says how many steps it has."""
    for steps in range(int(timestep.max()) + 1, 1001):
        process = GaussianDiffusion(cosine_betas(steps))
        found = 1 - torch.from_numpy(process.tables["alphas_cumprod"])[timestep]
        if torch.allclose(found.float(), noise_variance, rtol=1e-5, atol=0):
            return process
    raise AssertionError("no cosine process adds so much noise")


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Golden arrays as tensors."""
    return {key: torch.from_numpy(np.asarray(value)) for key, value in arrays.items()}


def assert_close(actual: Tensor, expected: Tensor, atol: float, rtol: float = 0.0) -> None:
    """Within the tolerance that the golden README states for a file."""
    torch.testing.assert_close(actual.detach().to(expected.dtype), expected, atol=atol, rtol=rtol)
