"""Whole iterations of EMDM's own training function: losses, weights of both networks, averaged weights."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mdtool.config import TrainConfig
from mdtool.losses.geometric import motion_losses
from mdtool.methods import emdm
from mdtool.methods.emdm import EMDM, Draw, frozen
from mdtool.training.ema import EMA
from mdtool.training.optim import make_optimiser
from tests.golden.test_emdm_nets import encoder_discriminator, generator, recipe_discriminator
from tests.golden.test_training_losses import offsets_of
from tests.golden.tiny_denoiser import Golden, encoder_size, stored, tensors

LOGGED = {"rot_mse": "reconstruction", "rcxyz_mse": "position", "vel_mse": "velocity", "fc": "foot", "G": "adversarial",
          "D_real": "real", "D_fake": "fake"}  # fmt: skip
LR, LR_D = 2e-5, 1.25e-4


def reference(golden: Golden, kind: str, frames: int) -> EMDM:
    """The method as the released code has it, at the size of the golden networks."""
    weights = stored(tensors(golden("emdm_nets")), "sd/")
    judge = encoder_size(stored(tensors(golden("emdm_nets")), "dsd/"))
    settings: dict[str, Any] = {
        **encoder_size(weights), "frames": frames, "dropout": 0.0, "latent": weights["z_transform.0.weight"].shape[1],
        "cond_mask_prob": 0.0, "discriminator": kind, "discriminator_layers": judge["layers"], "r1_every": 2,
        "foot_space": "root", "separate_terms": True, "discriminator_width": 1024 if kind == "mlp" else judge["width"],
    }  # fmt: skip
    return EMDM(settings, [f"action {k}" for k in range(len(weights["embed_action.action_embedding"]))], 20.0)


@pytest.mark.parametrize("kind", ["mlp", "encoder"])
def test_train_iterations(golden: Golden, golden_folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    g = tensors({key: value for key, value in golden(f"emdm_train_{kind}").items() if not key.endswith("_keys")})
    rest = torch.from_numpy(golden("training_losses")["rest_joints"])
    monkeypatch.setattr(emdm, "motion_losses", functools.partial(motion_losses, offsets=offsets_of(rest)))
    steps, _, _, _, frames = g["x"].shape
    method = reference(golden, kind, frames)
    method.network.load_state_dict(generator(golden).state_dict())
    judge = recipe_discriminator(golden_folder) if kind == "mlp" else encoder_discriminator(golden)
    assert method.discriminator is not None
    method.discriminator.load_state_dict(judge.state_dict())
    config = TrainConfig(steps=1, lr=LR, adam_beta1=0.5, adam_beta2=0.9)
    optimisers = {name: make_optimiser(part.parameters, config) for name, part in method.optimised().items()}
    optimisers["discriminator"].param_groups[0]["lr"] = LR_D
    ema = EMA({}, [])
    for step in range(steps):
        x0, action = g["x"][step], g["action"][step, :, 0]
        first, geometric, adversarial = draws(g, step)
        terms = method.discriminator_terms(x0, action, first, penalise=step % 2 == 0)
        move(optimisers["discriminator"], sum(terms.values(), torch.zeros(len(x0))))
        mask = torch.arange(frames) < g["lengths"][step].unsqueeze(1)
        with frozen(method.discriminator):
            terms |= method.generator_terms(x0, action, geometric, adversarial, mask)
            move(optimisers["generator"], terms["loss"])
        if step == 0:  # the reference's average starts as a copy of the weights after their first step
            ema = EMA(method.averaged(), [0.9999], kind="plain")
        ema.update()
        means = {name: float(values.detach().mean()) for name, values in terms.items()}
        tolerance = 2e-4 if step == 0 else 3e-3
        for theirs, ours in LOGGED.items():
            assert means[ours] == pytest.approx(float(g[f"log/{theirs}"][step]), rel=tolerance), (step, theirs)
        total = means["loss"] - means["adversarial"]
        assert total == pytest.approx(float(g["log/loss"][step]), rel=tolerance)
    assert_weights(g, "after_G", dict(method.network.named_parameters()), LR * steps)
    averaged = {name.removeprefix("network."): value for name, value in ema.weights(0.9999).items()}
    assert_weights(g, "ema_G", averaged, LR * steps)
    assert_weights(g, "after_D", dict(method.discriminator.named_parameters()), LR_D * steps)


def draws(g: dict[str, Tensor], step: int) -> list[Draw]:
    """Those of the discriminator's phase, the geometric and the adversarial forward pass, as they were recorded."""
    noise, none = g["noise"][step], torch.zeros_like(g["noise"][step, 0])
    noises = [(noise[1], noise[0], noise[2]), (noise[4], noise[3], none), (noise[6], noise[5], noise[7])]
    return [
        Draw(g["t"][step, k], torch.zeros(len(none), dtype=torch.bool), *noises[k], g["z"][step, k]) for k in range(3)
    ]


def move(optimiser: torch.optim.Optimizer, values: Tensor) -> None:
    optimiser.zero_grad()
    values.mean().backward()
    optimiser.step()


def assert_weights(g: dict[str, Tensor], tag: str, weights: dict[str, Tensor], travelled: float) -> None:
    compared = 0
    for key, expected in g.items():
        name = key.removeprefix(f"{tag}/")
        if name == key or name not in weights:
            continue
        difference = (weights[name].detach() - expected).abs()
        if name.endswith("in_proj_bias"):  # softmax cancels the keys' bias: its gradient is rounding alone
            difference = torch.cat([difference.chunk(3)[0], difference.chunk(3)[2]])
        assert difference.mean() < 0.05 * travelled, key
        assert difference.max() <= 2 * travelled, key
        compared += 1
    assert compared > 12
