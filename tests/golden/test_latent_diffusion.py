"""Latent diffusion: schedule, DDIM and its inversion on a Gaussian mixture, MLD's denoiser and its guided loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.diffusion.gaussian import GaussianDiffusion
from mdtool.diffusion.guidance import classifier_free
from mdtool.diffusion.samplers import ddim, ddim_inversion
from mdtool.diffusion.schedules import betas
from mdtool.networks.skip_transformer import LatentDenoiser, half_and_half
from tests.golden.tiny_denoiser import Golden, assert_close, tensors

HEADS = 4
"""No shape tells it; the README does."""


@pytest.fixture
def g(golden: Golden) -> dict[str, Tensor]:
    return tensors(golden("latent_diffusion"))


@pytest.fixture
def process(g: dict[str, Tensor]) -> GaussianDiffusion:
    return GaussianDiffusion(betas("scaled-linear", len(g["betas"])))


def spaced(process: GaussianDiffusion, count: int) -> GaussianDiffusion:
    return process.respaced(f"leading{count}", end=float(process.tables["alphas_cumprod"][0]))


def test_tables(g: dict[str, Tensor], process: GaussianDiffusion) -> None:
    np.testing.assert_allclose(process.betas, g["betas"].numpy(), rtol=3e-6)
    np.testing.assert_allclose(process.tables["alphas_cumprod"], g["alphas_cumprod"].numpy(), rtol=3e-6)
    for key in (key for key in g if key.startswith("timesteps_")):
        count = int(key.rpartition("_")[2])
        few = spaced(process, count)
        assert few.timestep_map.flip(0).tolist() == g[key].tolist()
        assert few.tables["alphas_cumprod_prev"][0] == pytest.approx(float(g["final_alpha_cumprod"]), rel=3e-6)


def mixture(g: dict[str, Tensor], process: GaussianDiffusion):  # type: ignore[no-untyped-def]
    """E[x_0 | x_t] of the Gaussian mixture, float64."""
    weight, mean, spread = g["mixture/w"], g["mixture/mu"], g["mixture/s"]

    def denoise(x: Tensor, timestep: Tensor) -> Tensor:
        signal = process.table("alphas_cumprod", timestep, x)
        variance = signal * spread**2 + 1 - signal  # [B, K]
        apart = x.unsqueeze(1) - signal.sqrt().unsqueeze(1) * mean
        density = weight.log() - 0.5 * apart.square().sum(-1) / variance - 0.5 * mean.shape[1] * variance.log()
        gain = (signal.sqrt() * spread**2 / variance).unsqueeze(-1)
        return (density.softmax(1).unsqueeze(-1) * (mean + gain * apart)).sum(1)

    return denoise


@pytest.mark.parametrize("count", [50, 10])
def test_ddim(g: dict[str, Tensor], process: GaussianDiffusion, count: int) -> None:
    path: list[tuple[Tensor, Tensor]] = []
    made = ddim(mixture(g, process), spaced(process, count), g["z_T"], callback=lambda _, x0, x: path.append((x0, x)))
    assert_close(made, g[f"ddim{count}/z_0"], atol=2e-6)
    if count == 10:
        assert_close(torch.stack([x for _, x in path]), g["ddim10/trajectory"], atol=2e-6)
    else:
        assert_close(torch.stack([x for _, x in path[9::10]]), g["ddim50/trajectory_every_10"], atol=2e-6)
        assert_close(path[-1][0], g["ddim50/last_pred_x0"], atol=2e-6)


def test_ddim_with_noise_in_every_step(g: dict[str, Tensor], process: GaussianDiffusion) -> None:
    path: list[Tensor] = []
    noise = g["variance_noise"]
    few = spaced(process, len(noise))
    made = ddim(
        mixture(g, process), few, g["z_T"], lambda step: noise[step], eta=1.0, callback=lambda _, x0, x: path.append(x)
    )
    assert_close(made, g["ddim20_eta1/z_0"], atol=5e-5)
    assert_close(torch.stack(path), g["ddim20_eta1/trajectory"], atol=5e-5)


def test_inversion(g: dict[str, Tensor], process: GaussianDiffusion) -> None:
    few = spaced(process, len(g["inverse_timesteps_50"]))
    assert few.timestep_map.tolist() == g["inverse_timesteps_50"].tolist()
    assert_close(
        ddim_inversion(mixture(g, process), few, g["ddim50/z_0"], refinements=0), g["inverse50/z_T"], atol=5e-5
    )
    # Refined to the fixed point it is the inverse of the sampler, which the reference's is only to first order.
    assert_close(ddim_inversion(mixture(g, process), few, g["ddim50/z_0"], refinements=40), g["z_T"], atol=1e-4)


def test_forward_process(g: dict[str, Tensor], process: GaussianDiffusion) -> None:
    made = process.diffuse(g["add_noise/x0"], g["add_noise/t"], g["add_noise/noise"]).x_t
    assert_close(made, g["add_noise/x_t"], atol=2e-6)


def denoiser(g: dict[str, Tensor], kind: str) -> LatentDenoiser:
    """MLD's network from its stored weights; its sizes are those of the tensors."""
    weights = {key.removeprefix(f"{kind}/"): value for key, value in g.items() if key.startswith(f"{kind}/")}
    weights = {key: value for key, value in weights.items() if key != "mem_pos.pe"}  # of its decoder, not used
    feedforward, width = weights["encoder.middle_block.linear1.weight"].shape
    layers = 2 * sum(key.startswith("encoder.linear_blocks") and key.endswith("weight") for key in weights) + 1
    action = weights.get("emb_proj.action_embedding")
    network = LatentDenoiser(
        width=width,
        layers=layers,
        heads=HEADS,
        feedforward=feedforward,
        actions=0 if action is None else len(action),
        condition_width=0 if action is not None else weights["emb_proj.1.weight"].shape[1],
        positions=len(weights["query_pos.pe"]),
    )
    network.load_state_dict(weights)
    return network.eval()


@torch.no_grad()
def test_denoiser_of_actions_and_of_texts(g: dict[str, Tensor]) -> None:
    network, x = denoiser(g, "asd"), g["mld/x"]
    timestep = g["mld/t"].expand(len(x))
    assert_close(network(x, timestep, g["mld/action"][:, 0]), g["mld/eps_action"], atol=2e-5)
    assert_close(network(x, timestep), g["mld/eps_uncond"], atol=2e-5)
    texts = denoiser(g, "tsd")
    assert_close(texts(x, timestep, g["mld/text_embedding"][:, 0]), g["mld/eps_text"], atol=2e-5)
    for key in (key for key in g if key.startswith("mld/time_proj_")):
        at = torch.tensor([int(key.rpartition("_")[2])])
        assert_close(half_and_half(at, g[key].shape[1]), g[key], atol=2e-5)
        assert_close(network.embed_time(at), g[key.replace("proj", "embedding")], atol=2e-5)


@torch.no_grad()
def test_skip_transformer(g: dict[str, Tensor]) -> None:
    encoder = denoiser(g, "asd").encoder
    tokens = g["skip/src"].transpose(0, 1)
    assert_close(encoder(tokens).transpose(0, 1), g["skip/out"], atol=2e-5)
    masked = encoder(tokens, g["skip/key_padding_mask"]).transpose(0, 1)
    real = ~g["skip/key_padding_mask"].T
    assert_close(masked[real], g["skip/out_masked"][real], atol=2e-5)


@torch.no_grad()
def test_guided_loop(g: dict[str, Tensor], process: GaussianDiffusion) -> None:
    network = denoiser(g, "asd")

    def denoise(x: Tensor, timestep: Tensor, action: Tensor) -> Tensor:
        return process.x0_from("eps", network(x, timestep, action), x, timestep)

    path: list[Tensor] = []
    guided = classifier_free(denoise, g["mld/action"][:, 0], 7.5)
    made = ddim(guided, spaced(process, 50), g["mld_loop/z_T"], callback=lambda _, x0, x: path.append(x))
    largest = float(g["mld_loop/z_0"].abs().max())
    assert_close(path[9], g["mld_loop/after_10_steps"], atol=1e-4 * largest)
    assert_close(made, g["mld_loop/z_0"], atol=1e-4 * largest)
