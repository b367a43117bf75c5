"""Balanced EDM beyond the contract: magnitudes, two paths, warm-up, lengths, shapes, and what settings refuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.config import TrainConfig, load_preset
from mdtool.errors import MdtoolError
from mdtool.losses.balanced import balanced_losses
from mdtool.methods.balanced_edm import BalancedEDM
from mdtool.methods.contract import Batch
from mdtool.methods.seeds import sample_generators, step_generator
from mdtool.motion.feature_groups import GROUPS, magnitude
from mdtool.motion.motion import TRAIN, MotionSet
from mdtool.training.batches import WindowSource
from mdtool.training.loop import Trainer
from tests.motion.smooth_motion import smooth_clips

SMALL: dict[str, Any] = {
    "frames": 64, "shortest": 32, "channels": 16, "multipliers": [1, 2], "blocks": 1, "attention": [1],
    "head_channels": 16, "sample_steps": 4,
}  # fmt: skip


def clips(count: int = 8) -> MotionSet:
    """Clips of 70 frames and more without actions, each with a body of its own."""
    motions = smooth_clips(count)
    motions.action[:] = -1
    motions.betas = np.random.default_rng(0).standard_normal((count, 10)).astype(np.float32)
    return motions


def source(method: BalancedEDM, motions: MotionSet, batch: int = 4) -> WindowSource:
    return WindowSource(motions, TRAIN, method.frames, batch, 0, labelled=False, bucket=method.bucket)


def fitted(motions: MotionSet | None = None, **settings: Any) -> BalancedEDM:
    torch.manual_seed(0)
    method = BalancedEDM({**SMALL, **settings}, [], 20.0)
    method.fit_statistics(source(method, motions or clips()).random)
    return method


def features(method: BalancedEDM, batch: Batch) -> Tensor:
    assert batch.betas is not None
    return method.with_betas(method.from_motion(batch.rot6d, batch.root), batch.betas)


@pytest.mark.parametrize(("where", "weighted"), [("both", True), ("input", True), ("loss", False), ("off", False)])
def test_magnitudes_of_what_the_network_sees(where: str, weighted: bool) -> None:
    """w_k in each group and 1 in all together, or 1 in each, whatever the noise."""
    method = fitted(dimension_weights=where).eval()
    x0 = method.normaliser(features(method, source(method, clips()).random(512)))
    rng, seen = torch.Generator().manual_seed(0), []
    method.network.register_forward_pre_hook(lambda network, given: seen.append(given[0]))
    expected = method.normaliser.weights() if weighted else torch.ones(4)
    for sigma in (0.05, 1.0, 20.0):
        with torch.no_grad():
            method._denoise(x0 + sigma * torch.randn(x0.shape, generator=rng), torch.full((len(x0),), sigma))
        for group, wanted in zip(GROUPS, expected, strict=True):
            assert abs(float(magnitude(seen[-1][:, group.channels]) / wanted) - 1) < 0.02, (group.name, sigma)
        assert abs(float(magnitude(seen[-1])) - 1) < 0.02


def test_sampling_starts_around_the_mean_of_the_normalised_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or around 0; a denoiser that returns what it is given leaves x where it starts, and inversion comes back."""
    for mean in (True, False):
        method = fitted(start_mean=mean)
        normalised = method.normaliser(features(method, source(method, clips()).random(4096)))
        torch.testing.assert_close(method.start[:, 0], normalised.mean((0, 2)), atol=1e-5, rtol=1e-5)
        assert float(method.start[:132].square().mean()) > 0.5, "most of a rotation's magnitude is in its mean"
        monkeypatch.setattr(method, "_denoise", lambda x, sigma, action=None: x)
        noise = method.noise(sample_generators(0, 0, 2), 32)
        made = method.decode(noise, None)
        begin = method.normaliser(made) - 80 * noise
        torch.testing.assert_close(begin, (mean * method.start).expand_as(begin), atol=1e-3, rtol=0)
        torch.testing.assert_close(method.invert(made, None), noise, atol=1e-4, rtol=0)


def test_statistics_are_those_of_the_training_clips_as_they_are() -> None:
    """Without mirrored copies, and without the clips of the test split."""
    motions = clips(12)
    motions.split[8:] = 1
    motions.root[motions.start[8] :] += 50.0
    alone, mirrored = fitted(motions.select(range(8)), mirror=0.0), fitted(motions, mirror=1.0)
    for name in ("offset", "scale"):
        assert torch.equal(getattr(alone.normaliser, name), getattr(mirrored.normaliser, name)), name
    assert torch.equal(alone.start, mirrored.start)


def test_the_denoiser_is_the_identity_without_noise() -> None:
    method = fitted().eval()
    with torch.no_grad():
        for parameter in method.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        x = torch.randn(2, 145, 32)
        for sigma in (1e-2, 1e-4):
            estimate = method._denoise(x, torch.full((2,), sigma))
            assert float((estimate - x).abs().max()) < 20 * sigma


def test_an_untrained_network_behind_a_spectral_skip_has_the_spectrum_of_the_data() -> None:
    motions = clips(40)
    method = fitted(motions, skip="spectral", sample_steps=16).eval()
    assert method.skip is not None
    batch = source(method, motions).random(512)
    real = method.normaliser(features(method, batch))
    with torch.no_grad():
        near = method._denoise(real, torch.full((len(real),), 1e-3))
        assert float((near - real).abs().max()) < 0.02
        made = method.normaliser(method.decode(method.noise(sample_generators(0, 0, 256)), None))
    varies = method.skip.variance[0] > 1e-4
    ratio = (made @ method.skip.basis.T).var(0)[varies] / method.skip.variance[0][varies]
    assert 0.8 < float(ratio.mean()) < 1.2
    plain = fitted(motions, sample_steps=16).eval()
    with torch.no_grad():
        noise = plain.normaliser(plain.decode(plain.noise(sample_generators(0, 0, 256)), None))
    assert float(noise.diff(dim=-1).std()) > 3 * float(made.diff(dim=-1).std())


def test_a_spectral_skip_samples_and_inverts_at_other_lengths() -> None:
    method = fitted(skip="spectral", sample_steps=32).eval()
    with torch.no_grad():
        for parameter in method.network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
        made = method.decode(method.noise(sample_generators(0, 0, 2), 40), None)
        again = method.decode(method.invert(made, None), None)
    assert float((again - made).norm() / (made - made.mean(-1, keepdim=True)).norm()) < 0.01


def test_behind_several_spectra_a_still_clip_is_not_given_the_movement_of_others() -> None:
    motions = clips(40)
    for k in range(0, 40, 2):
        motions[k].rot6d[:], motions[k].root[:] = motions[k].rot6d[:1], motions[k].root[:1]
    still = {}
    for components in (1, 2):
        method = fitted(motions, skip="spectral", components=components, normaliser="hml_z").eval()
        for frames in (64, 40):
            with torch.no_grad():
                made = method.decode(method.noise(sample_generators(0, 0, 64), frames), None, steps=16)
            speed = made[:, GROUPS[0].channels].diff(dim=-1).square().mean((1, 2)).sqrt()
            still[components, frames] = float((speed < 0.2 * speed.max()).float().mean())
    assert still[1, 64] == still[1, 40] == 0
    assert 0.3 < still[2, 64] < 0.7
    assert 0.3 < still[2, 40] < 0.7


def test_two_paths_and_two_optimisers() -> None:
    method = fitted()
    batch = source(method, clips()).batch(0)
    found: dict[str, tuple[bool, bool]] = {}

    def minimise(values: Tensor, name: str = "network") -> None:
        parts = (method.network.parameters(), method.uncertainty.parameters())
        reached = [
            torch.autograd.grad(values.sum(), list(part), allow_unused=True, retain_graph=True) for part in parts
        ]
        found[name] = (any(g is not None for g in reached[0]), any(g is not None for g in reached[1]))

    method.training_step(batch, step_generator(0, 0), 1000, minimise)
    assert found == {"network": (True, False), "uncertainty": (False, True)}
    assert method.optimised()["uncertainty"].lr == 1e-3
    assert all(name.startswith("network.") for name in method.averaged())


def test_the_first_steps_are_weighted_by_lambda_alone() -> None:
    method = fitted(uncertainty_warmup=10)
    batch = source(method, clips()).batch(0)
    early, late = (
        method.training_step(batch, step_generator(0, 0), step, lambda values, name="": None) for step in (9, 10)
    )
    plain = fitted(balance="edm").losses(batch, step_generator(0, 0))
    torch.testing.assert_close(early["denoising"], plain["denoising"])
    assert not torch.allclose(late["denoising"], plain["denoising"])
    errors = torch.stack([early[f"error_{group.name}"] for group in GROUPS], dim=1)
    assert (errors > 0).all()
    sizes = torch.tensor([float(group.size) for group in GROUPS])
    again = balanced_losses(errors, torch.ones(4, 1), torch.zeros(4, 4), sizes, method.normaliser.weights(), "edm")
    assert again.denoising.shape == late["denoising"].shape


def test_lengths() -> None:
    method = fitted()
    assert method.describe().frames == (32, 64)
    rngs = sample_generators(0, 0, 2)
    assert method.noise(rngs, 46).shape == (2, 145, 46)
    with pytest.raises(MdtoolError, match="use --frames 44"):
        method.noise(rngs, 45)
    assert [method.frames_for(frames) for frames in (10, 41, 44, 90)] == [32, 42, 44, 64]
    lengths = {source(method, clips(12)).batch(step).root.shape[1] for step in range(6)}
    assert lengths == {64}, "clips of 70 frames and more give the longest window"


def test_labels_and_shapes_of_samples() -> None:
    method = fitted().eval()
    noise = method.noise(sample_generators(0, 0, 3), 32)
    with torch.no_grad():
        plain = method.decode(noise, None)
        assert torch.equal(method.decode(noise, torch.tensor([0, 1, 2])), plain)
        shapes = method.to_betas(plain)
    assert shapes is not None
    torch.testing.assert_close(shapes, plain[:, 135:].mean(-1))
    assert method.describe().conditions == "none"
    same = clips()
    same.betas = None
    assert fitted(same).to_betas(plain) is None


def test_churn_is_noise_of_the_sample_itself() -> None:
    method = fitted(churn=8.0).eval()
    noise = method.noise(sample_generators(0, 0, 2), 32)
    with torch.no_grad():
        first, again = method.decode(noise, None), method.decode(noise, None)
        ode = method.decode(noise, None, churn=0.0)
        alone = method.decode(noise[1:], None)
    assert torch.equal(first, again)
    assert (first - ode).abs().max() > 1e-4
    torch.testing.assert_close(alone[0], first[1], atol=1e-4, rtol=0)


def test_churn_within_its_bounds() -> None:
    """S_min, S_max and S_noise are the run's own: outside of the bounds nothing is added, and the levels stay."""
    noise = fitted().noise(sample_generators(0, 0, 2), 32)
    made = {}
    with torch.no_grad():
        for name, more in (("ode", {"churn": 0.0}), ("all", {}), ("none", {"churn_min": 70.0, "churn_max": 75.0}),
                           ("half", {"churn_noise": 0.5})):  # fmt: skip
            made[name] = fitted(**{"churn": 8.0, **more}).eval().decode(noise, None)
    assert torch.equal(made["none"], made["ode"])
    assert (made["all"] - made["ode"]).abs().max() > 1e-4
    assert (made["all"] - made["half"]).abs().max() > 1e-4


def test_likelihood_in_units_of_the_features() -> None:
    """An untrained network behind the spectrum is Gaussian; scaling features by c takes ln c off for each of them."""
    method = fitted(clips(40), skip="spectral").eval()
    batch = source(method, clips(40)).batch(0)
    x = features(method, batch)
    found = method.log_likelihood(x, None, torch.Generator().manual_seed(0), steps=2)
    normalised = method.normaliser(x)
    assert method.skip is not None
    mean, variance = method.skip.mean[0], method.skip.variance[0]
    led = 80**2 * (variance + 0.002**2) / (variance + 80**2)
    start = method.start * math.sqrt(x.shape[-1]) * torch.eye(1, x.shape[-1])  # the constant part alone
    apart = normalised @ method.skip.basis.T - mean
    moved = mean + apart * ((variance + 80**2) / (variance + 0.002**2)).sqrt() - start
    wanted = (-0.5 * (moved / 80) ** 2 - 0.5 * (2 * math.pi * led).log()).flatten(1).sum(1)
    wanted = wanted - method.normaliser.scale.log().sum() * x.shape[-1]
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=2.0)
    fixed = method.normaliser.active.clone()
    method.normaliser.active.copy_(torch.tensor([1.0, 1, 1, 0]))
    fewer = method.log_likelihood(x, None, torch.Generator().manual_seed(0), steps=2)
    other = method.with_betas(x, torch.zeros(len(x), 10))
    torch.testing.assert_close(
        method.log_likelihood(other, None, torch.Generator().manual_seed(0), steps=2), fewer, rtol=1e-4, atol=0.5
    )
    method.normaliser.active.copy_(fixed)


def test_guide_of_the_same_weights_changes_nothing() -> None:
    method = fitted().eval()
    noise = method.noise(sample_generators(0, 0, 2), 32)
    with torch.no_grad():
        plain = method.decode(noise, None)
        method.guide_by(lambda: method)
        torch.testing.assert_close(method.decode(noise, None, autoguidance=3.0), plain, atol=1e-4, rtol=0)


def test_rotations_that_are_none_are_refused() -> None:
    motions = clips()
    motions.rot6d = motions.rot6d * 1.3
    with pytest.raises(MdtoolError, match="where 1 belongs"):
        fitted(motions, heading=False)


@pytest.mark.parametrize(
    ("preset", "millions"), [("edm-debug", 0.77), ("edm-base", 10.98), ("edm-large", 43.82), ("edm-tiny", 6.08)]
)
def test_sizes_of_the_presets(preset: str, millions: float) -> None:
    with torch.device("meta"):
        method = BalancedEDM(load_preset(preset)["model"], [], 20.0)
    assert method.describe().parameters / 1e6 == pytest.approx(millions, abs=0.01)
    assert method.describe().network_calls == 31


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 63}, "multiple of 2"),
        ({"shortest": 80}, "must not exceed"),
        ({"sigma_min": 90.0}, "below sigma_max"),
        ({"guidance": 2.0}, "conditional = true"),
        ({"components": 4}, "spectral"),
        ({"balance": "none"}, "balance"),
        ({"churn_min": 90.0}, "churn_min must not exceed"),
        ({"width": 3}, "width"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(MdtoolError, match=message):
        BalancedEDM({**SMALL, **settings}, [], 20.0)


def test_a_resumed_training_is_the_same_bit_for_bit() -> None:
    """Forced normalisation writes to the weights in every forward pass, and two optimisers move them."""
    config = TrainConfig(steps=4, batch=4, lr=1e-2, lr_final=0.0, adam_beta2=0.99, ema=[0.05, 0.1], ema_kind="power")
    ends = []
    for stops in ((4,), (2, 4)):
        state = None
        for stop in stops:
            method = fitted(uncertainty_warmup=1)
            trainer = Trainer(method, source(method, clips()), config, torch.device("cpu"))
            if state is not None:
                trainer.load_state(state)
            method.train()
            while trainer.step < stop:
                trainer.train_step()
            state = trainer.state()
        ends.append(state)
    one, other = (
        {**end["method"], **{f"ema/{name}": value for name, value in end["ema"].items()}} for end in ends if end
    )
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "settings",
    [
        {"per_group": False},
        {"dimension_weights": "off"},
        {"dimension_weights": "input"},
        {"dimension_weights": "loss"},
        {"start_mean": False},
        {"balance": "literal"},
        {"balance": "edm"},
        {"normaliser": "plain_z"},
        {"normaliser": "hml_z"},
        {"skip": "spectral"},
        {"skip": "spectral", "components": 3},
        {"norm": "adagn"},
    ],
    ids=str,
)
def test_every_rung_of_the_ladder_trains_and_samples(settings: dict[str, Any]) -> None:
    method = fitted(**settings)
    whole = fitted()
    trainer = Trainer(method, source(method, clips()), TrainConfig(steps=2, batch=4, lr=1e-3), torch.device("cpu"))
    trainer.train_step()
    trainer.train_step()
    assert all(torch.isfinite(value) for value in trainer.terms.values())
    noise = method.noise(sample_generators(0, 0, 2), 32)
    with torch.no_grad():
        made = method.eval().decode(noise, None)
        assert made.shape == (2, 145, 32)
        assert torch.isfinite(made).all()
        assert (made - whole.eval().decode(noise, None)).abs().max() > 1e-4, "the setting changes something"
