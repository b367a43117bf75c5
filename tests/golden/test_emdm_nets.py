"""EMDM's generator and discriminators, and the gradient penalty with all of its parameter gradients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from mdtool.losses.adversarial import fake_loss, r1_penalty, real_loss
from mdtool.networks.discriminator import EncoderDiscriminator, MLPDiscriminator
from mdtool.networks.transformer import Denoiser
from tests.golden.tiny_denoiser import Golden, assert_close, encoder_size, stored, tensors
from tests.golden.weight_recipe import recipe_state_dict


def generator(golden: Golden, **options: Any) -> Denoiser:
    """The tiny generator with the stored weights; variants leave out what they lack."""
    weights = stored(tensors(golden("emdm_nets")), "sd/")
    mapping = [value for key, value in weights.items() if key.startswith("z_transform.") and value.dim() == 2]
    own = {
        "actions": len(weights["embed_action.action_embedding"]), "latent": mapping[0].shape[1],
        "latent_layers": len(mapping) - 1, "activation": "selu", "separate": True, "dropout": 0.0,
    }  # fmt: skip
    network = Denoiser(**{**encoder_size(weights), **own, **options})
    network.load_state_dict({key: weights[key] for key in network.state_dict()})
    return network.eval()


def encoder_discriminator(golden: Golden, **options: Any) -> EncoderDiscriminator:
    """The tiny encoder discriminator; the reference's also holds an output layer that nothing uses."""
    weights = stored(tensors(golden("emdm_nets")), "dsd/")
    actions = len(weights["embed_action.action_embedding"])
    network = EncoderDiscriminator(**encoder_size(weights), actions=actions, dropout=0.0, **options)
    network.load_state_dict({key: value for key, value in weights.items() if not key.startswith("output_process.")})
    return network.eval()


def recipe_discriminator(folder: Path, **options: Any) -> MLPDiscriminator:
    """The full-size MLP discriminator of HumanAct12, with recipe weights that are checked against their listing."""
    path = folder / "emdm_mlp_discriminator.json"
    if not path.exists():
        pytest.skip(f"no {path.name} in {folder}")
    listing = json.loads(path.read_text())
    network = MLPDiscriminator(150, 60, **{"actions": 12, **options})
    shapes = {name: list(parameter.shape) for name, parameter in network.named_parameters()}
    weights = recipe_state_dict(shapes, listing["weight_recipe_seed"])
    if not options:
        assert sum(parameter.numel() for parameter in network.parameters()) == listing["parameter_count"]
        for name, (shape, total, first, last) in listing["state_dict_shape_sum_first_last"].items():
            assert list(weights[name].shape) == shape
            values = weights[name].double().flatten()
            assert [values.sum(), values[0], values[-1]] == pytest.approx([total, first, last], rel=1e-4, abs=1e-4)
    network.load_state_dict(weights)
    return network.eval()


VARIANTS: dict[str, dict[str, Any]] = {
    "out_sep": {},
    "out_sep_uncond": {},
    "out_add": {"separate": False},
    "out_sep_gelu": {"activation": "gelu"},
    "out_no_cond": {"actions": 0},
    "out_disable_gan": {"latent": 0},
}


@pytest.mark.parametrize("name", VARIANTS)
@torch.no_grad()
def test_generator(golden: Golden, name: str) -> None:
    g = tensors(golden("emdm_nets"))
    network = generator(golden, **VARIANTS[name])
    action = None if name.endswith(("uncond", "no_cond")) else g["gen/action"][:, 0]
    latent = None if name == "out_disable_gan" else g["gen/z"]
    out = network(g["gen/x"], g["gen/t"], action, latent=latent)
    assert_close(out, g[f"gen/{name}"], atol=2e-5)
    if name == "out_sep_uncond":
        hidden = network(g["gen/x"], g["gen/t"], torch.full_like(g["gen/t"], -1), latent=latent)
        assert torch.equal(hidden, out)


def penalised(network: nn.Module, g: dict[str, Tensor], frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """(logits, gradient with respect to x_t, mean penalty)."""
    x_t = g["disc/x_t"][..., :frames].clone().requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernel has no second derivative
        logits = network(x_t, g["disc/x_tp1"][..., :frames], g["disc/t"], g["disc/action"][:, 0])
        (gradient,) = torch.autograd.grad(logits.sum(), x_t, create_graph=True)
        return logits, gradient, r1_penalty(logits, x_t, 0.02).mean()


def assert_judged(g: dict[str, Tensor], tag: str, logits: Tensor, gradient: Tensor, penalty: Tensor) -> None:
    assert_close(logits, g[f"{tag}/logit"], atol=1e-4, rtol=1e-4)
    assert_close(real_loss(logits).mean(), g[f"{tag}/loss_real"], atol=0, rtol=1e-4)
    assert_close(fake_loss(logits).mean(), g[f"{tag}/loss_fake"], atol=0, rtol=1e-4)
    expected = g[f"{tag}/r1_grad_x_t"]
    assert_close(gradient, expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-3)
    assert_close(penalty, g[f"{tag}/r1_penalty"], atol=0, rtol=1e-3)


def test_mlp_discriminator(golden: Golden, golden_folder: Path) -> None:
    g = tensors(golden("emdm_nets"))
    network = recipe_discriminator(golden_folder)
    assert_close(network.embed_time(torch.arange(len(g["disc/mlp/t_embed"]))), g["disc/mlp/t_embed"], atol=1e-5)
    logits, gradient, penalty = penalised(network, g, g["disc/mlp/r1_grad_x_t"].shape[-1])
    assert_judged(g, "disc/mlp", logits, gradient, penalty)
    penalty.backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    for tag, name in (("fc6", "fc6.weight"), ("gn1_weight", "gn1.weight"), ("t_embed0", "t_embed.main.0.weight")):
        expected = g[f"disc/mlp/r1_param_grad_{tag}"]
        assert_close(gradients[name], expected, atol=1e-3 * float(expected.abs().max()), rtol=2e-3)
    order = json.loads((golden_folder / "emdm_mlp_discriminator.json").read_text())["parameter_order"]
    norms = torch.stack([torch.zeros(()) if gradients[name] is None else gradients[name].norm() for name in order])
    assert_close(norms, g["disc/mlp/r1_param_grad_norms"], atol=1e-6, rtol=2e-3)


@torch.no_grad()
def test_mlp_discriminator_that_does_not_see_the_action(golden: Golden, golden_folder: Path) -> None:
    g = tensors(golden("emdm_nets"))
    network = recipe_discriminator(golden_folder, actions=0)
    logits = network(g["disc/x_t"], g["disc/x_tp1"], g["disc/t"])
    assert_close(logits, g["disc/mlp_no_cond/logit"], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("separate", [True, False])
def test_encoder_discriminator(golden: Golden, separate: bool) -> None:
    g = tensors(golden("emdm_nets"))
    network, tag = encoder_discriminator(golden, separate=separate), "disc/enc_sep" if separate else "disc/enc_add"
    frames = g[f"{tag}/r1_grad_x_t"].shape[-1]
    logits, gradient, penalty = penalised(network, g, frames)
    assert_judged(g, tag, logits, gradient, penalty)
    null = network(g["disc/x_t"][..., :frames], g["disc/x_tp1"][..., :frames], g["disc/t"])
    assert_close(null, g[f"{tag}/logit_uncond"], atol=1e-4, rtol=1e-4)
    if not separate:
        return
    whole = network(g["disc/x_t"], g["disc/x_tp1"], g["disc/t"], g["disc/action"][:, 0])
    assert_close(whole, g[f"{tag}/logit_60_frames"], atol=1e-4, rtol=1e-4)
    penalty.backward()
    for key, expected in g.items():
        name = key.removeprefix("disc/enc_sep/r1_param_grad/")
        if name != key:
            assert_close(network.get_parameter(name).grad, expected, atol=1e-3 * float(expected.abs().max()), rtol=2e-3)
