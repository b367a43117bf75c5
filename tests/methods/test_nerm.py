"""NeRM: every rate is learnt, latents can be found again, and what stage 2 sees is white."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mdtool.config import TrainConfig, load_preset
from mdtool.methods.contract import Method
from mdtool.methods.nerm import NeRM
from mdtool.methods.seeds import sample_generators
from mdtool.motion.kinematics import positions_of
from mdtool.motion.motion import TRAIN, Motion, MotionSet
from mdtool.motion.resample import resample_at
from mdtool.training.loop import Trainer
from mdtool.training.sequences import SequenceSource, sequences_of
from tests.motion.smooth_motion import ACTIONS, smooth_motion


def nerm(**model: Any) -> NeRM:
    torch.manual_seed(0)
    return NeRM({**load_preset("nerm-debug")["model"], **model}, list(ACTIONS), 20.0)


def recording(fps: float, seconds: float, seed: int) -> Motion:
    """A smooth motion recorded at a rate, from a far finer one."""
    rot6d, root = smooth_motion(int(seconds * 240) + 2, seed, seed % len(ACTIONS))
    # `smooth_motion` swings by the frame: here 12 frames of it are one frame of 20 fps.
    slow = Motion(rot6d, root, 20.0, ACTIONS[seed % len(ACTIONS)])
    times_s = np.arange(int(seconds * fps) + 1) / fps
    return replace(resample_at(slow, times_s), fps=fps)


def taught(method: NeRM, clips: list[Motion], steps: int, batch: int) -> SequenceSource:
    source = SequenceSource(method, MotionSet.from_clips(clips, ACTIONS), TRAIN, batch, 0)
    method.meet(source)
    method.fit_statistics(source.random)
    config = TrainConfig(steps=steps, batch=batch, lr=3e-3, lr_final=3e-5, warmup_steps=10)
    trainer = Trainer(method, source, config, torch.device("cpu"))
    method.train()
    while trainer.step < steps:
        trainer.train_step()
    method.eval()
    return source


@pytest.mark.slow
def test_four_sequences_of_four_rates_are_learnt_and_so_are_instants_between() -> None:
    method = nerm(
        axis_s=3.0, hold_last=False, encoder_steps=0, native_from=0, field_steps=2500, clip_poses=24,
        clips_per_visit=4, time_encoding="fourier", frequencies=32, frequency_scale=1.5, width=128, layers=4,
        latent_lr=2e-2, lambda_kl=1e-6,
    )  # fmt: skip
    whole = [recording(fps, 2.9, seed) for seed, fps in enumerate((20.0, 60.0, 120.0, 250.0))]
    # Every second frame is learnt; the ones between are held out.
    seen = [replace(clip, rot6d=clip.rot6d[::2], root=clip.root[::2], fps=clip.fps / 2) for clip in whole]
    source = taught(method, seen, 2500, 16)
    assert source.count == 4
    for row, (clip, own) in enumerate(zip(whole, source.pieces, strict=True)):
        truth = sequences_of(clip, 3.0, False)[0].positions()
        times_s = torch.arange(len(clip), dtype=torch.float64) / clip.fps
        with torch.no_grad():
            rot6d, root = method.to_motion(method.poses(method.table.mean[row : row + 1], times_s))
        error = np.linalg.norm(positions_of(rot6d[0].numpy(), root[0].numpy()) - truth, axis=-1).mean(1)
        assert error[::2].mean() < 0.010, own.fps
        assert error[1 : len(own) * 2 - 2 : 2].mean() < 0.015, own.fps


def test_the_linear_path_knows_its_motions_before_any_step() -> None:
    method = nerm(
        axis_s=3.0, hold_last=True, encoder_steps=0, native_from=0, time_encoding="fourier", frequencies=32,
        frequency_scale=3.0, linear_path=True, by_reach=True, fit_steps=1, fit_lr=1e-6,
    )  # fmt: skip
    clips = [recording(fps, 2.9, seed) for seed, fps in enumerate((20.0, 30.0, 60.0, 119.88) * 3)]
    source = SequenceSource(method, MotionSet.from_clips(clips, ACTIONS), TRAIN, 8, 0)
    method.meet(source)
    method.fit_statistics(source.random)
    method.eval()
    latents = method.table.mean
    assert (latents[:, :11].square().mean(0) - 1).abs().max() < 1e-2  # twelve motions have eleven components
    assert (latents[:, 11:] == 0).all()
    for row, clip in enumerate(source.pieces):
        times_s = torch.arange(len(clip), dtype=torch.float64) / clip.fps
        features = method.from_motion(torch.from_numpy(clip.rot6d)[None], torch.from_numpy(clip.root)[None])
        # A motion is found again from every second of its frames.
        found = method.fit(features[..., ::2], times_s[None, ::2])
        for latent in (latents[row : row + 1], found):
            with torch.no_grad():
                rot6d, root = method.to_motion(method.poses(latent, times_s))
            error = np.linalg.norm(positions_of(rot6d[0].numpy(), root[0].numpy()) - clip.positions(), axis=-1)
            assert error.mean() < 0.010
    # The widths of the latents are those that balance the divergence (spec: std² = 1 / (1 + 2 d κ / λ)).
    width = method.table.log_variance.exp()
    assert (width[:, 11:] == 1).all()
    assert (width[0].diff() >= 0).all()


def test_a_high_rate_makes_few_poses_at_once_and_the_same_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    method = nerm().eval()
    latents = torch.randn(3, method.config.latent, generator=torch.Generator().manual_seed(2))
    times_s = torch.arange(40, dtype=torch.float64) / 120
    asked: list[int] = []
    method.field.register_forward_pre_hook(lambda field, given: asked.append(len(latents) * given[0].shape[1]))
    with torch.no_grad():
        whole = method.to_motion(method.poses(latents, times_s))
        monkeypatch.setattr("mdtool.methods.nerm.POSES_AT_ONCE", 24)
        parts = method.to_motion(method.poses(latents, times_s))
    assert asked == [120, 24, 24, 24, 24, 24]
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_sequences_are_pieces_that_start_at_the_origin() -> None:
    clip = recording(60.0, 9.0, 1)
    pieces = sequences_of(clip, 4.0, False)
    assert [len(piece) for piece in pieces] == [241] * 4
    for piece in pieces:
        np.testing.assert_allclose(piece.root[0, [0, 2]], 0, atol=1e-6)
    last = pieces[-1].positions()
    want = clip.positions()[-241:]
    gaps = [np.linalg.norm(joints[:, :1] - joints[:, 1:], axis=-1) for joints in (last, want)]
    np.testing.assert_allclose(*gaps, atol=1e-5)
    starts = [piece.positions()[:, 20] for piece in sequences_of(clip, 4.0, False, hop_s=1.0)]
    assert len(starts) == 6  # at 0 … 5 s
    assert nerm(axis_s=4.0, hop_s=1.0).hop_s == 1.0
    held = sequences_of(clip.slice(0, 100), 4.0, True)[0]
    assert len(held) == 241
    assert (held.root[100:] == held.root[99]).all()


def test_clips_carry_the_time_and_the_rate_of_their_poses() -> None:
    method = nerm(axis_s=3.0, hold_last=False, strides=(1, 2, 4), encoder_steps=0, native_from=0)
    clips = [recording(fps, 2.9, seed) for seed, fps in enumerate((20.0, 60.0, 119.88))]
    source = SequenceSource(method, MotionSet.from_clips(clips, ACTIONS), TRAIN, 24, 3)
    for step in range(4):
        batch = source.batch(step)
        places = batch.places
        assert places is not None
        torch.testing.assert_close(
            places.time_s.diff(dim=1), (1 / places.fps).unsqueeze(1).expand(-1, 7), atol=1e-5, rtol=0
        )
        for k in range(len(batch.action)):
            piece = source.pieces[int(places.sequence[k])]
            frames = np.round(places.time_s[k].numpy() * piece.fps).astype(int)
            np.testing.assert_array_equal(batch.root[k].numpy(), piece.root[frames])
    rates = {round(float(fps), 2) for step in range(8) for fps in source.batch(step).places.fps}  # type: ignore[union-attr]
    assert {20.0, 10.0, 5.0, 60.0, 30.0, 15.0, 119.88, 59.94} <= rates


def test_stage_two_sees_white_latents() -> None:
    method = nerm()
    method.table.allocate(400)
    method.table.mean += torch.randn(400, 32) * torch.linspace(0.1, 3, 32) + 2
    method.begin(method.config.field_steps)
    draws = method.table.mean + (0.5 * method.table.log_variance).exp() * torch.randn(400, 32)
    white = (draws - method.white_mean) / method.white_scale
    assert white.mean(0).abs().max() < 1e-2
    assert (white.std(0) - 1).abs().max() < 0.02
    assert bool(method.ready)


def test_before_it_learns_the_spectral_denoiser_draws_each_action_s_own_gaussian() -> None:
    """A network that says nothing leaves the Gaussian of the action's latents: mean and width are theirs."""
    method = nerm(prediction="spectral", denoiser="mlp", sample_steps=50, diffusion_steps=1000, encoder_steps=0)
    clips = [recording(20.0, 2.9, seed) for seed in range(12)]
    source = SequenceSource(method, MotionSet.from_clips(clips, ACTIONS), TRAIN, 8, 0)
    method.meet(source)
    label = torch.from_numpy(source.action)
    method.table.mean = 0.3 * torch.randn(len(label), 32) + label.unsqueeze(1) - 1.0
    method.table.log_variance = torch.full((len(label), 32), -9.0)
    method.begin(method.config.field_steps)
    for action in sorted(set(label.tolist())):
        with torch.no_grad():
            drawn = method.latents(torch.randn(2000, 32), torch.full((2000,), action))
        own = method.table.mean[label == action]
        torch.testing.assert_close(drawn.mean(0), own.mean(0), atol=0.1, rtol=0)
        torch.testing.assert_close(drawn.std(0), own.std(0, unbiased=False), atol=0.05, rtol=0.15)


def test_before_it_learns_the_mixture_draws_the_ways_of_each_action_and_nothing_between() -> None:
    """Eight motions of one action, four at one place and four at another: latents come from both, and from there."""
    method = nerm(
        prediction="mixture", components=2, denoiser="mlp", sample_steps=50, diffusion_steps=1000, encoder_steps=0
    )
    clips = [recording(20.0, 2.9, len(ACTIONS) * seed) for seed in range(8)]
    method.meet(SequenceSource(method, MotionSet.from_clips(clips, ACTIONS), TRAIN, 8, 0))
    side = torch.tensor([-1.0, 1.0]).repeat(4).unsqueeze(1)
    method.table.mean = 2 * side + 0.1 * torch.randn(8, 32)
    method.table.log_variance = torch.full((8, 32), -9.0)
    method.begin(method.config.field_steps)
    with torch.no_grad():
        drawn = method.latents(torch.randn(500, 32), torch.zeros(500, dtype=torch.long))
    assert drawn.mean(1).abs().min() > 1.5
    assert 0.4 < (drawn.mean(1) > 0).float().mean() < 0.6
    method.config.component_spread = 0.25
    with torch.no_grad():
        closer = method.latents(torch.randn(500, 32), torch.zeros(500, dtype=torch.long))
    widths = []
    for some in (drawn, closer):
        up = some.mean(1) > 0
        widths.append(float(torch.cat([part - part.mean(0) for part in (some[up], some[~up])]).std()))
    assert widths[1] < 0.8 * widths[0]


def test_a_latent_s_number_counts_by_what_it_moves() -> None:
    method = nerm(linear_path=True, encoder_steps=0, time_encoding="fourier", latent=8, heads=2)
    assert method.field.linear is not None
    with torch.no_grad():
        method.field.linear.weight[:, -2] = torch.arange(8.0).unsqueeze(1) / method.field.linear.gain  # the constants
    moved = method.sensitivity(torch.zeros(8), torch.full((8,), 0.5))
    expected = (0.5 * torch.arange(8.0)).square() * method.importance.sum()
    torch.testing.assert_close(moved, expected)


def test_the_field_makes_do_with_its_share_of_the_batch() -> None:
    method = nerm(encoder_steps=0, native_from=0, field_share=3, clips_per_visit=2, field_steps=5)
    clips = [recording(20.0, 2.9, seed) for seed in range(4)]
    source = SequenceSource(method, MotionSet.from_clips(clips, ACTIONS), TRAIN, 24, 0)
    assert len(source.batch(0).action) == 24 // 3
    assert len(source.batch(5).action) == 24


def test_a_fitted_latent_comes_back_through_the_noise() -> None:
    """Decode, fit, invert, decode again: the DDIM round trip costs less than 1e-2 of the latents' size."""
    method = nerm(sample_steps=50, diffusion_steps=1000, fit_steps=1)
    torch.manual_seed(2)
    z = torch.randn(4, 32)
    label = torch.tensor([0, 1, 2, 0])
    with torch.no_grad():
        for parameter in method.network.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    object.__setattr__(method, "fit", lambda features, times_s: z)
    noise = method.invert(torch.zeros(4, 25, 6, 60), label)
    with torch.no_grad():
        again = method.latents(noise, label)
    assert (again - z).abs().max() < 1e-2


def test_the_rate_is_all_that_it_changes() -> None:
    method: Method = nerm().eval()
    assert isinstance(method, NeRM)
    latent = method.noise(sample_generators(0, 0, 2))
    times_s = torch.tensor([0.3, 0.1, 0.3])
    with torch.no_grad():
        plain = method.poses(latent, times_s)
        told = method.poses(latent, times_s, fps=60.0)
    assert torch.equal(plain[..., 0], plain[..., 2])
    assert not torch.equal(plain, told)


@pytest.mark.parametrize("settings", [{"variational": False}, {"lambda_position": 1.0}], ids=str)
def test_both_ways_of_the_auto_decoder_train(settings: dict[str, Any]) -> None:
    method = nerm(**settings, encoder_steps=0, native_from=0, field_steps=50)
    source = SequenceSource(
        method, MotionSet.from_clips([recording(60, 2.0, k) for k in range(4)], ACTIONS), TRAIN, 4, 0
    )
    method.meet(source)
    method.fit_statistics(source.random)
    terms = method.losses(source.batch(0), torch.Generator().manual_seed(0))
    assert ("kl" in terms) is settings.get("variational", True)
    assert ("position" in terms) is bool(settings.get("lambda_position"))
    assert all(torch.isfinite(value).all() for value in terms.values())


def test_integrated_waves_are_averaged_over_the_spacing_of_the_instants_asked_for() -> None:
    method = nerm(integrated=True, time_encoding="fourier", linear_path=False).eval()
    latents = torch.randn(2, method.config.latent, generator=torch.Generator().manual_seed(0))
    slow = torch.arange(10, dtype=torch.float64) / 10
    fast = torch.arange(91, dtype=torch.float64) / 100  # the same instants among others
    with torch.no_grad():
        apart, close = method.poses(latents, slow), method.poses(latents, fast)[..., ::10][..., :10]
        told = method.poses(latents, slow, fps=10.0)
    assert (apart - close).abs().max() > 1e-4
    functions = [
        method.field.basis(2 * slow.float()[None] / method.axis_s - 1, spacing)
        for spacing in (torch.tensor([2 / (10 * method.axis_s)]), None)
    ]
    assert (functions[0] - functions[1]).abs().max() > 1e-4
    assert told.shape == apart.shape
    plain = nerm(integrated=False, time_encoding="fourier", linear_path=False).eval()
    with torch.no_grad():
        torch.testing.assert_close(plain.poses(latents, slow), plain.poses(latents, fast)[..., ::10][..., :10])


def test_an_instant_asked_for_twice_changes_no_other() -> None:
    """Also not with integrated waves, whose width is the spacing of the instants."""
    method = nerm(integrated=True, time_encoding="fourier").eval()
    latents = torch.randn(2, method.config.latent, generator=torch.Generator().manual_seed(0))
    times_s = torch.arange(10, dtype=torch.float64) / 10
    order = torch.tensor([3, 9, 0, *range(10), 9, 9, 9])
    with torch.no_grad():
        once, again = method.poses(latents, times_s), method.poses(latents, times_s[order])
        torch.testing.assert_close(again, once[..., order], atol=1e-5, rtol=0)
        single, apart = method.poses(latents, times_s[:1]), method.poses(latents, times_s[[0, 0]])
    torch.testing.assert_close(apart, single.expand_as(apart), atol=1e-5, rtol=0)
