"""The loss-aware timestep sampler, update by update."""

from __future__ import annotations

import numpy as np
import torch

from mdtool.diffusion.timesteps import LossAwareTimesteps
from tests.golden.tiny_denoiser import Golden


def test_loss_second_moment(golden: Golden) -> None:
    g = golden("loss_second_moment")
    steps, kept = g["loss_history"].shape
    assert g["history_per_term"] == kept
    sampler = LossAwareTimesteps(steps, kept, float(g["uniform_prob"]))
    initial = g["weights_initial"] / g["weights_initial"].sum()
    np.testing.assert_allclose(sampler.probabilities(), initial, rtol=1e-12)
    quantile = torch.from_numpy(np.random.RandomState(int(g["sample_seed"])).random_sample(len(g["sample_t"])))
    np.testing.assert_array_equal(sampler.pick(quantile)[0], g["uniform_sample_t"])
    np.testing.assert_array_equal(sampler.pick(quantile)[1], g["uniform_sample_weight"])

    updates = zip(g["update_t"], g["update_loss"], g["weights_after_update"], g["warmed_up"], strict=True)
    for timestep, loss, expected, warmed in updates:
        sampler.record(torch.from_numpy(timestep), torch.from_numpy(loss))
        assert bool((sampler.counts == kept).all()) == bool(warmed)
        np.testing.assert_allclose(sampler.probabilities(), expected / expected.sum(), rtol=1e-12)
    np.testing.assert_array_equal(sampler.history, g["loss_history"])
    np.testing.assert_array_equal(sampler.counts, g["loss_counts"])
    timestep, weight = sampler.pick(quantile)
    np.testing.assert_array_equal(timestep, g["sample_t"])
    np.testing.assert_allclose(weight, g["sample_weight"], rtol=1e-6)
