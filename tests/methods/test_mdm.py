"""What is MDM's own beside the contract: the step weighting reaches the loss and the loss-aware sampler."""

from __future__ import annotations

import pytest
import torch

from mdtool.diffusion.samplers import ddpm
from mdtool.diffusion.weighting import StepWeighting
from mdtool.errors import MdtoolError
from mdtool.methods.contract import Batch
from mdtool.methods.mdm import MDM
from mdtool.methods.seeds import sample_generators, step_generator
from mdtool.motion.motion import TRAIN
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d
from mdtool.training.batches import WindowSource
from tests.motion.smooth_motion import ACTIONS, smooth_clips

BATCH = WindowSource(smooth_clips(12), TRAIN, 20, 12, seed=0).batch(0)


def tiny(weighting: StepWeighting, **settings: object) -> MDM:
    torch.manual_seed(0)
    defaults = {
        "frames": 20,
        "layers": 1,
        "width": 16,
        "heads": 2,
        "feedforward": 16,
        "diffusion_steps": 8,
        "timestep_sampler": "loss-aware",
        "step_weighting": weighting,
    }
    return MDM(defaults | settings, list(ACTIONS), 20.0)


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


def test_the_temperature_scales_the_noise_that_a_step_adds() -> None:
    method = tiny("none").eval()
    latent, action = method.noise(sample_generators(0, 0, 4)), torch.tensor([0, 1, 0, 1])

    def drawn(temperature: float | None) -> torch.Tensor:
        with torch.no_grad():
            return method.decode(latent, action, temperature=temperature)

    torch.testing.assert_close(drawn(1.0), drawn(None), rtol=0, atol=0)
    with torch.no_grad():  # without noise the chain is its own mean
        mean = ddpm(method._denoiser(action, None), method.process, latent, lambda _: torch.zeros_like(latent))
    torch.testing.assert_close(drawn(0.0), method.unscaled(mean))
    cooler = tiny("none", temperature=0.5).eval()
    cooler.load_state_dict(method.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(cooler.decode(latent, action), drawn(0.5), rtol=0, atol=0)
    far = [float((drawn(value) - drawn(0.0)).norm()) for value in (0.25, 0.5, 1.0)]
    assert far == sorted(far)
    assert far[0] > 0


def test_a_temperature_floor_takes_the_noise_of_fast_movement_away() -> None:
    settings = {
        "standardise": True,
        "prediction": "spectral",
        "lambda_velocity": 0,
        "lambda_foot": 0,
        "origin": "ground",
    }
    plain = tiny("none", **settings).eval()
    plain.fit_statistics(lambda _: BATCH)
    latent, action = plain.noise(sample_generators(0, 0, 12)), BATCH.action

    def fast(**more: object) -> float:
        method = tiny("none", **settings, **more).eval()
        method.load_state_dict(plain.state_dict())
        with torch.no_grad():
            return float(method.scaled(method.decode(latent, action)).diff(n=3).norm())

    assert fast(temperature=0.8, temperature_floor=1.0) < 0.9 * fast(temperature=0.8)
    assert fast(temperature=1.0, temperature_floor=1.0) == pytest.approx(fast(), rel=1e-4)
    with pytest.raises(MdtoolError, match="temperature_floor needs prediction"):
        tiny("none", temperature_floor=1.0)


def test_behind_components_an_untrained_network_draws_calm_and_lively_motions() -> None:
    settings = {"standardise": True, "prediction": "spectral", "lambda_velocity": 0, "lambda_foot": 0}
    size = torch.where(torch.arange(64) % 4 == 0, 0.2, 0.1)[:, None, None, None]
    angles = size * torch.randn(64, 20, 24, 3, generator=torch.Generator().manual_seed(0))
    rot6d = matrix_to_rot6d(axis_angle_to_matrix(angles))
    batch = Batch(rot6d, torch.zeros(64, 20, 3), torch.zeros(64, dtype=torch.int64))

    def energies(**more: object) -> torch.Tensor:
        method = tiny("none", **settings, diffusion_steps=50, **more).eval()
        method.fit_statistics(lambda _: batch)
        for parameter in method.network.parameters():
            torch.nn.init.zeros_(parameter)
        with torch.no_grad():
            made = method.decode(method.noise(sample_generators(0, 0, 64)), torch.zeros(64, dtype=torch.int64))
        return made[:, :-1].diff(dim=-1).square().mean((1, 2, 3)).sort().values

    alike, apart = energies(), energies(components=2)
    assert alike[-1] < 1.5 * alike[0]  # one spectrum: all move by the mean of both
    assert apart[-1] > 4 * apart[0]
    assert 0.1 < float((apart > 2 * apart[0]).float().mean()) < 0.45  # a quarter is lively
    with pytest.raises(MdtoolError, match="components above 1 need prediction"):
        tiny("none", components=2)


def test_ddim_has_no_temperature() -> None:
    method = tiny("none", temperature=0.5)
    latent, action = method.noise(sample_generators(0, 0, 1)), torch.tensor([0])
    method.decode(latent, action, sampler="ddim")  # the default is ddpm's
    with pytest.raises(MdtoolError, match=r"use --sampler ddpm or dpm\+\+"):
        method.decode(latent, action, sampler="ddim", temperature=0.5)


def test_the_sampler_of_second_order() -> None:
    method = tiny("none", temperature=0.5).eval()
    chosen = tiny("none", temperature=0.5, sampler="dpm++").eval()
    chosen.load_state_dict(method.state_dict())
    latent, action = method.noise(sample_generators(0, 0, 2)), torch.tensor([0, 1])
    with torch.no_grad():
        made = method.decode(latent, action, sampler="dpm++")
        torch.testing.assert_close(chosen.decode(latent, action), made, rtol=0, atol=0)
        assert (made - method.decode(latent, action)).norm() > 1e-3 * made.norm()
        two = [method.decode(latent, action, sampler=name, steps=2) for name in ("dpm++", "ddpm")]
    torch.testing.assert_close(*two, rtol=0, atol=0)


def test_an_earlier_state_guides_the_noisiest_timesteps_only() -> None:
    settings = {"cond_mask_prob": 0.1, "guidance": 2.0, "guided_share": 0.5}
    method, earlier = tiny("none", **settings).eval(), tiny("none", **settings)
    with torch.no_grad():
        for parameter in earlier.parameters():
            parameter.mul_(0.5)
    assert method.describe().network_calls == 8 + 4
    names, latent = set(method.state_dict()), method.noise(sample_generators(0, 0, 2))
    action = torch.tensor([0, 1])
    x, null = torch.randn(2, 25, 6, 20), torch.full((2,), -1)
    with torch.no_grad():
        own = method.decode(latent, action)
        method.guide_by(lambda: earlier)
        led, off = method.decode(latent, action), method.decode(latent, action, guidance=1.0)
        high, low = (method._denoiser(action, None)(x, torch.full((2,), timestep)) for timestep in (4, 3))
        strong, weak = method._estimate(x, torch.full((2,), 4), action), earlier._estimate(x, torch.full((2,), 4), null)
    assert set(method.state_dict()) == names, "the guide is no part of the weights"
    assert not torch.equal(own, led)
    torch.testing.assert_close(high, weak + 2 * (strong - weak))
    torch.testing.assert_close(low, method._estimate(x, torch.full((2,), 3), action))
    method.weaker = None
    with torch.no_grad():
        torch.testing.assert_close(method.decode(latent, action, guidance=1.0), off, rtol=0, atol=0)
