"""The few-step process: tables, pairs, posterior, and whole loops with and without guidance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.diffusion.few_step import FewStepDiffusion, few_step
from mdtool.diffusion.guidance import classifier_free
from tests.golden.test_emdm_nets import generator
from tests.golden.tiny_denoiser import Golden, assert_close, tensors


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 10])
def test_tables(golden: Golden, steps: int) -> None:
    g = golden("emdm_diffusion")
    process = FewStepDiffusion(steps)

    def assert_table(name: str, values: np.ndarray, skip: int = 0) -> None:
        np.testing.assert_allclose(values[skip:], g[f"T{steps}/{name}"][skip:], rtol=1e-5, atol=1e-9)

    betas = np.concatenate([[1e-8], process.betas])
    signal = np.cumprod(np.sqrt(1 - betas))
    assert_table("betas", betas)
    assert_table("a_s", np.sqrt(1 - betas))
    assert_table("sigmas", np.sqrt(betas))
    assert_table("a_s_cum", signal)
    assert_table("sigmas_cum", np.sqrt(1 - signal**2), skip=1)
    assert_table("post_betas", process.betas)
    for name in ("alphas_cumprod", "alphas_cumprod_prev", "posterior_variance", "posterior_mean_coef1",
                 "posterior_mean_coef2"):  # fmt: skip
        assert_table(f"post_{name}", process.tables[name])
    logarithm = g[f"T{steps}/post_posterior_log_variance_clipped"]
    assert_table("post_posterior_log_variance_clipped", process.tables["posterior_log_variance_clipped"], skip=1)
    assert logarithm[0] < -40, "at t = 0 the reference's variance is clipped to 1e-20 and its noise multiplied by 0"


@pytest.mark.parametrize("steps", [1, 4, 10])
def test_pairs_and_posterior(golden: Golden, steps: int) -> None:
    g, tag = tensors(golden("emdm_diffusion")), f"pairs_T{steps}"
    process, timestep = FewStepDiffusion(steps), g[f"{tag}/t"]
    pair = process.diffuse_pair(g["x_start"], timestep, g[f"{tag}/noise_t"], g[f"{tag}/noise_tp1"])
    assert_close(pair.x_t, g[f"{tag}/x_t"], atol=2e-6)
    assert_close(pair.x_next, g[f"{tag}/x_tp1"], atol=2e-6)
    drawn = process.posterior_sample(g["x0_pred"], g[f"{tag}/x_tp1"], timestep, g[f"{tag}/posterior_noise"])
    assert_close(drawn, g[f"{tag}/posterior_sample"], atol=2e-6)


@pytest.mark.parametrize("name", ["T1", "T2", "T4", "T10", "T10_cfg2.5", "T4_cfg_per_sample"])
@torch.no_grad()
def test_loops(golden: Golden, name: str) -> None:
    g = tensors(golden("emdm_diffusion"))
    steps = int(name.split("_")[0].removeprefix("T"))
    network, action = generator(golden), g["loop/action"][:, 0]
    codes, noises = g[f"loop/T{steps}/z"].transpose(0, 1), g[f"loop/T{steps}/noise"].transpose(0, 1)

    def denoiser(x: Tensor, timestep: Tensor, code: Tensor | None) -> Tensor:
        def denoise(x: Tensor, timestep: Tensor, condition: Tensor) -> Tensor:
            assert code is not None
            return network(x, timestep, condition, latent=code.repeat(len(x) // len(code), 1))

        return classifier_free(denoise, action, g[f"loop/{name}/scale"] if "cfg" in name else 1.0)(x, timestep)

    made = few_step(denoiser, FewStepDiffusion(steps), g["loop/x_T"], codes, noises)
    assert_close(made, g[f"loop/{name}/sample"], atol=2e-4 if "cfg" in name else 5e-5)
