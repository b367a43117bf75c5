"""The denoiser against the reference's, all weights and all modes of use."""

from __future__ import annotations

import torch

from mdtool.diffusion.guidance import classifier_free
from mdtool.networks.transformer import Denoiser, sinusoidal_table
from tests.golden.tiny_denoiser import Golden, assert_close, tensors, tiny_denoiser


@torch.no_grad()
def test_mdm_tiny(golden: Golden) -> None:
    g = tensors(golden("mdm_tiny"))
    network = tiny_denoiser(golden)
    x, timestep, action = g["x"], g["timesteps"], g["action"][:, 0]
    assert_close(network(x, timestep, action), g["out_cond"], atol=2e-5)
    assert_close(network(x, timestep), g["out_uncond"], atol=2e-5)
    assert_close(network(x, timestep, torch.full_like(action, -1)), g["out_uncond"], atol=2e-5)
    assert_close(network(x[..., : g["out_37"].shape[-1]], timestep, action), g["out_37"], atol=2e-5)
    assert_close(network(g["x_1"], timestep[:1], action[:1]), g["out_1"], atol=2e-5)
    assert_close(tiny_denoiser(golden, conditional=False)(x, timestep), g["out_no_cond_model"], atol=2e-5)


@torch.no_grad()
def test_guided(golden: Golden) -> None:
    g = tensors(golden("mdm_tiny"))
    network = tiny_denoiser(golden)
    action = g["action"][:, 0]
    guided = classifier_free(network, action, float(g["cfg_scale"]))
    assert_close(guided(g["x"], g["timesteps"]), g["out_cfg"], atol=2e-5)
    each = classifier_free(network, action, g["cfg_scale_per_sample"])
    assert_close(each(g["x"], g["timesteps"])[-1:], g["out_cfg_per_sample_last"], atol=5e-5)


@torch.no_grad()
def test_padded_frames_are_kept_out(golden: Golden) -> None:
    g = tensors(golden("mdm_tiny"))
    network = tiny_denoiser(golden, mask_frames=True)
    mask = g["mask"][:, 0, 0]
    out = network(g["x"], g["timesteps"], g["action"][:, 0], mask=mask)
    for sample, length in enumerate(g["lengths"].tolist()):
        assert_close(out[sample, ..., :length], g["out_cond_mask_frames"][sample, ..., :length], atol=2e-5)


@torch.no_grad()
def test_double_precision(golden: Golden) -> None:
    g = tensors(golden("mdm_tiny"))
    network = tiny_denoiser(golden).double()
    out = network(g["x"][:1].double(), g["timesteps"][:1], g["action"][:1, 0])
    assert_close(out, g["out_cond_float64"], atol=1e-9)


@torch.no_grad()
def test_embeddings(golden: Golden) -> None:
    g = tensors(golden("mdm_tiny"))
    network: Denoiser = tiny_denoiser(golden)
    assert_close(network.embed_time(g["embed_timestep_t"]), g["embed_timestep"][0], atol=2e-5)
    assert_close(sinusoidal_table(5000, g["pe"].shape[1])[g["pe_rows"]], g["pe"], atol=1e-6)
