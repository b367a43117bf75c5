"""Forward process, posterior and reverse step at three timesteps."""

from __future__ import annotations

import pytest
import torch

from tests.golden.tiny_denoiser import Golden, assert_close, cosine_process, tensors, tiny_denoiser


def test_forward_and_posterior(golden: Golden) -> None:
    g = tensors(golden("diffusion_terms"))
    x0, timestep = g["x_start"], g["t"]
    process = cosine_process(timestep, g["q_variance"])
    record = process.diffuse(x0, timestep, g["noise"])
    assert_close(record.x_t, g["q_sample"], atol=2e-5)
    assert_close(record.signal * x0, g["q_mean"], atol=2e-5)
    assert_close(record.noise_scale.flatten() ** 2, g["q_variance"], atol=0, rtol=1e-6)
    assert_close(process.posterior_mean(x0, record.x_t, timestep), g["q_posterior_mean"], atol=2e-5)
    variance = process.table("posterior_variance", timestep, x0).flatten()
    assert_close(variance, g["q_posterior_variance"], atol=0, rtol=1e-6)
    log_variance = process.posterior_log_variance(timestep, x0).flatten()
    assert_close(log_variance, g["q_posterior_log_variance_clipped"], atol=0, rtol=1e-6)


@pytest.mark.parametrize("large", [False, True])
@torch.no_grad()
def test_reverse_step(golden: Golden, large: bool) -> None:
    g = tensors(golden("diffusion_terms"))
    x_t, timestep = g["q_sample"], g["t"]
    process = cosine_process(timestep, g["q_variance"])
    x0 = tiny_denoiser(golden)(x_t, timestep, g["action"][:, 0])
    tag = "p_mean_variance_fixed_large" if large else "p_mean_variance_fixed_small"
    assert_close(x0, g[f"{tag}/pred_xstart"], atol=2e-5)
    assert_close(process.posterior_mean(x0, x_t, timestep), g[f"{tag}/mean"], atol=2e-5)
    log_variance = process.posterior_log_variance(timestep, x_t, large).flatten()
    assert_close(log_variance, g[f"{tag}/log_variance"], atol=0, rtol=1e-6)
    # The reference reports the unclipped posterior variance, 0 at t = 0, which no sample ever uses.
    later = timestep > 0
    assert_close(log_variance.exp()[later], g[f"{tag}/variance"][later], atol=0, rtol=2e-6)
    if not large:
        assert_close(process.eps_from_x0(x0, x_t, timestep), g["pred_eps_from_xstart"], atol=2e-5, rtol=2e-5)
