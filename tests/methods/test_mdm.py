"""What is MDM's own beside the contract: the step weighting reaches the loss and the loss-aware sampler."""

from __future__ import annotations

import pytest
import torch

from mdtool.diffusion.weighting import StepWeighting
from mdtool.methods.contract import step_generator
from mdtool.methods.mdm import MDM
from mdtool.motion.motion import TRAIN
from mdtool.training.batches import WindowSource
from tests.motion.smooth_motion import ACTIONS, smooth_clips

BATCH = WindowSource(smooth_clips(12), TRAIN, 20, 12, seed=0).batch(0)


def tiny(weighting: StepWeighting) -> MDM:
    torch.manual_seed(0)
    settings = {
        "frames": 20,
        "layers": 1,
        "width": 16,
        "heads": 2,
        "feedforward": 16,
        "diffusion_steps": 8,
        "timestep_sampler": "loss-aware",
        "step_weighting": weighting,
    }
    return MDM(settings, list(ACTIONS), 20.0)


@pytest.mark.parametrize("weighting", ["min-snr", "decay"])
def test_the_loss_and_its_history_carry_the_step_weight(weighting: StepWeighting) -> None:
    plain, weighted = tiny("none"), tiny(weighting)
    losses, expected = (method.losses(BATCH, step_generator(0, 0)) for method in (weighted, plain))
    drawn = plain.timesteps.draw(12, step_generator(0, 0))[0]  # uniform still, so the weight of importance is 1
    factor = weighted.step_weight[drawn]
    assert factor.unique().numel() > 2
    torch.testing.assert_close(losses["loss"], expected["loss"] * factor)
    torch.testing.assert_close(losses["velocity"], expected["velocity"])
    history, before = (method.timesteps.history for method in (weighted, plain))
    torch.testing.assert_close(history, before * weighted.step_weight.unsqueeze(1).double())
