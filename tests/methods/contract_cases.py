"""What the contract tries: every generator's presets with their settings, and what it is given to learn."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mdtool.config import load_preset
from mdtool.data.windows import draw_windows
from mdtool.methods.contract import Batch, FieldMethod, Method, SequenceLearner
from mdtool.methods.registry import build_generator
from mdtool.methods.seeds import sample_generators
from mdtool.motion.motion import TRAIN
from mdtool.training.sequences import SequenceSource
from tests.motion.smooth_motion import ACTIONS, smooth_clips


class Case(NamedTuple):
    """A generator's preset as the contract tries it."""

    preset: str
    model: dict[str, Any]
    """Settings of the preset to replace."""
    one_to_one: dict[str, Any]
    """Options of `decode` that make it the inverse of `invert`."""
    inversion: tuple[dict[str, Any], dict[str, Any]] | None
    """Settings for a coarse and a fine inversion, of four times as many steps of first order, or twice as many of a
    higher one; None without an inverse."""
    overfit: dict[str, Any]
    """Settings of a network that can learn ten clips of 20 frames in 1,500 steps."""
    steps: tuple[int, ...] = (7,)
    """A training step of every stage."""
    lr: float = 3e-3
    """Learning rate with which it does."""
    near: float = 0.65
    """How near each sample then is to its clip, as a share of the distance between clips."""
    falls: str = "loss"
    """The term that learning lowers; a loss weighted by its own expectation stays."""
    refused: tuple[dict[str, Any], ...] = ({"sampler": "euler"}, {"steps": 1000}, {"guidance": "much"})
    """Options that `decode` refuses."""
    fewer_calls: tuple[tuple[str, int], ...] = (("sample_steps", 4),)
    """Settings that change the number of network calls."""
    gain: tuple[float, float] = (2.5, 6)
    """Between which numbers the finer inversion divides the coarser one's error."""


PUBLISHED = {
    "axes": "y-down", "origin": "first-frame", "heading": False, "standardise": False, "prediction": "x0",
    "conditioning": "token", "norm": "post", "lambda_velocity": 25.0, "lambda_foot": 45.0, "sampler": "ddpm",
}  # fmt: skip
V = {"prediction": "v", "sampler": "ddpm"}
MANNERS = {
    "standardise": True, "prediction": "spectral", "components": 3, "lambda_velocity": 0.0, "lambda_foot": 0.0,
}  # fmt: skip
COARSE_AND_FINE = ({"diffusion_steps": 25}, {"diffusion_steps": 100})
DDIM = {"sampler": "ddim"}
SMALL_UNET = {
    "frames": 60, "shortest": 20, "channels": 16, "multipliers": [1, 2], "blocks": 1, "attention": [1],
    "head_channels": 16, "conditional": True, "sample_steps": 6, "normaliser": "em",
}  # fmt: skip
HEUN = ({"sample_steps": 16}, {"sample_steps": 32})
ALONE = {
    "frames": 20, "channels": 32, "head_channels": 32, "cond_mask_prob": 0.0, "mirror": 0.0, "sample_steps": 16,
    "normaliser": "hml_z",
}  # fmt: skip
NO_STEPS = ({"sampler": "euler"}, {"steps": 1}, {"steps": "ddim10"}, {"guidance": "much"})
SPECTRAL = {
    "standardise": True, "prediction": "spectral", "conditioning": "adaln", "norm": "pre", "time_steps": 10, "patch": 2,
    "lambda_position": 0.0, "lambda_velocity": 0.0, "lambda_foot": 0.0, "adversarial": False,
}  # fmt: skip
FEW = {"frames": 20, "cond_mask_prob": 0.0, "geometric_weight": 100.0}
OF_THREE = (("diffusion_steps", 3),)
WIDER = {"frames": 20, "width": 64, "feedforward": 128, "cond_mask_prob": 0.0}
CASES = {
    "mdm": Case("debug", {}, {}, COARSE_AND_FINE, WIDER),
    "mdm of v, ancestral": Case("debug", V, DDIM, COARSE_AND_FINE, WIDER),
    # Four clips to a spectrum leave no doubt to which one a motion belongs: the ODE turns too sharply to be inverted.
    "mdm behind several spectra": Case("debug", MANNERS, DDIM, None, {**WIDER, **MANNERS}),
    # A network that predicts x_0 and is not trained makes one motion of all noise: there is nothing to invert. With
    # the geometric losses it stays at the mean motion for more than 1,500 steps.
    "mdm as published": Case("debug", PUBLISHED, DDIM, None, {**WIDER, "lambda_velocity": 0.0, "lambda_foot": 0.0}),
    "emdm": Case("emdm-debug", {}, {}, None, FEW, falls="reconstruction", fewer_calls=OF_THREE),
    "emdm without its GAN": Case("emdm-debug", SPECTRAL, {}, None, FEW, fewer_calls=OF_THREE),
    "balanced edm": Case(
        "edm-tiny", {**SMALL_UNET, "skip": "edm", "components": 1}, {}, HEUN, ALONE,
        lr=2e-2, near=0.9, falls="error_joints", refused=NO_STEPS, gain=(5, 12),
    ),
    "balanced edm behind a spectrum": Case(
        "edm-tiny", {**SMALL_UNET, "components": 1}, {}, None, {**ALONE, "components": 1, "channels": 64},
        lr=2e-2, near=0.9, falls="error_joints", refused=NO_STEPS,
    ),
    # A component is settled on between two levels: what rounding leaves of x at σ = 80 is told apart, and magnified.
    "balanced edm behind several spectra": Case(
        "edm-tiny", {**SMALL_UNET, "components": 2, "sigma_max": 10.0}, {}, None,
        {**ALONE, "components": 2, "channels": 128},
        lr=2e-2, near=0.9, falls="error_joints", refused=NO_STEPS,
    ),
    # In whitened numbers ten latents are ten points, which a transformer over three tokens takes more than 1,000 steps
    # to find.
    "nerm": Case("nerm-debug", {}, {}, None, {"axis_s": 1.0, "frames": 20, "native_from": 500, "field_steps": 500,
                 "encoder_steps": 250, "width": 96, "cond_mask_prob": 0.0, "latent": 16, "denoiser": "mlp",
                 "feedforward": 256}, (7, 8, 16, 22)),
}  # fmt: skip
"""Every generator in at least one case: a new method joins by a line here."""

CLIPS = smooth_clips(12)
LABELS = [0, 1, 2, 1, 2, 0, 0, 1]


def settings(case: Case, **model: Any) -> tuple[str, dict[str, Any]]:
    """(method, its settings) of a case."""
    table = load_preset(case.preset)
    return table["method"], {**table["model"], **case.model, **model}


def windows(count: int, seed: int = 0, frames: int = 60) -> Batch:
    """Random windows of the clips."""
    rng = np.random.default_rng(seed)
    clips = rng.integers(len(CLIPS), size=count)
    rot6d, root = draw_windows(CLIPS, clips, frames, rng)
    return Batch(torch.from_numpy(rot6d), torch.from_numpy(root), torch.from_numpy(CLIPS.action[clips].astype(int)))


def lesson(method: Method, count: int, step: int = 0) -> Batch:
    """A training batch of the clips, as the method learns from them."""
    if not isinstance(method, SequenceLearner):
        return windows(count)
    source = SequenceSource(method, CLIPS, TRAIN, count, 0)
    if not len(method.state_dict()["table.mean"]):
        method.meet(source)
    return source.batch(step)


def grid(method: Method, frames: int) -> dict[str, Any]:
    """Options of `decode` that ask for a number of frames, where the noise does not say it."""
    return {"times_s": torch.arange(frames) / method.fps} if isinstance(method, FieldMethod) else {}


def fresh(case: Case, seed: int = 0, **model: Any) -> Method:
    """A method with statistics of the clips and shaken weights: fresh ones may be zero where it matters."""
    torch.manual_seed(seed)
    method = build_generator(*settings(case, **model), list(ACTIONS), 20.0)
    method.fit_statistics(lambda count: windows(64, frames=method.frames))
    with torch.no_grad():
        for parameter in method.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return method.eval()


def latents(method: Method, count: int, seed: int = 0) -> Tensor:
    return method.noise(sample_generators(seed, 0, count))


def labels(count: int) -> Tensor:
    return torch.tensor(LABELS[:count])
