"""clip-FID rises with what it must punish: slerp from 20 fps, sliding feet, and shaking."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mdtool.config import TrainConfig
from mdtool.errors import MdtoolError
from mdtool.evaluation import rates
from mdtool.evaluation.distribution import fid
from mdtool.evaluation.rates import clip_fid, clips_at
from mdtool.methods.clip_features import BANDS, ClipFeatures, clip_joints, jerk_power, log_spectrum
from mdtool.motion.joining import Stance, placed
from mdtool.motion.motion import TEST, TRAIN, Motion, MotionSet
from mdtool.motion.resample import resample
from mdtool.motion.rotations import axis_angle_to_matrix
from mdtool.training.loop import Trainer
from mdtool.training.sequences import SequenceSource
from tests.methods.test_nerm import nerm, recording
from tests.motion.smooth_motion import ACTIONS

FRAMES = 32


def lively(seed: int) -> Motion:
    """A recording at 120 fps with a little movement at 12 Hz in its hands, as real ones have."""
    clip = recording(120.0, 2.0, seed)
    time_s = np.arange(len(clip)) / 120
    shake = 0.08 * np.sin(2 * np.pi * 12 * time_s + seed)[:, None].astype(np.float32)
    rot6d = clip.rot6d.copy()
    rot6d[:, 16:22, 0] += shake
    return replace(clip, rot6d=rot6d)


@pytest.fixture(scope="module")
def extractor() -> ClipFeatures:
    torch.manual_seed(0)
    method = ClipFeatures({"frames": FRAMES, "width": 32, "features": 32}, list(ACTIONS), 20.0)
    clips = [lively(seed) for seed in range(24)]
    source = SequenceSource(method, MotionSet.from_clips(clips, ACTIONS), TRAIN, 24, 0)
    method.fit_statistics(source.random)
    trainer = Trainer(method, source, TrainConfig(steps=60, batch=24, lr=2e-3), torch.device("cpu"))
    while trainer.step < 60:
        trainer.train_step()
    assert trainer.terms["found"] / 60 > 0.08  # chance is 0.02
    return method.eval()


def test_clip_fid_rises_with_slerp_slide_and_noise(extractor: ClipFeatures) -> None:
    clips = [lively(seed) for seed in range(40)]
    rng = np.random.default_rng(0)

    def features(motions: list[Motion]) -> np.ndarray:
        found = clips_at(motions, 120.0, extractor, 200, np.random.default_rng(1))
        assert found is not None
        return found.features

    def slid(speed: float) -> list[Motion]:
        way = np.arange(241, dtype=np.float32)[:, None] / 120 * np.array([speed, 0, 0], np.float32)
        return [replace(clip, root=clip.root + way) for clip in clips]

    def shaken(size: float) -> list[Motion]:
        made = []
        for clip in clips:
            wave = np.sin(2 * np.pi * rng.uniform(10, 30, 24) * np.arange(len(clip))[:, None] / 120)
            rot6d = clip.rot6d.copy()
            rot6d[..., 1] += (size * wave).astype(np.float32)
            made.append(replace(clip, rot6d=rot6d))
        return made

    real = features(clips)
    floor = fid(features(clips[:20]), features(clips[20:]))
    for changed in (
        [[resample(resample(c, fps), 120.0) for c in clips] for fps in (40.0, 20.0)],
        [slid(speed) for speed in (0.3, 1.0, 2.0)],
        [shaken(size) for size in (0.01, 0.05, 0.2)],
    ):
        distances = [0.0, *(fid(features(motions), real) for motions in changed)]
        assert distances == sorted(distances), distances
    assert distances[-1] > floor


def test_a_band_hears_its_own_frequencies() -> None:
    clip = lively(0)
    still = replace(clip, rot6d=recording(120.0, 2.0, 0).rot6d)
    heard = []
    for motion in (clip, still):
        joints = clip_joints(torch.from_numpy(motion.rot6d[None, :120]), torch.from_numpy(motion.root[None, :120]))
        heard.append(log_spectrum(joints, torch.tensor([120.0]))[0])
    louder = heard[0] - heard[1]
    assert BANDS[3] == (10.0, 20.0)
    assert louder.argmax() == 3
    assert louder[3] > 0.5
    # One swinging joint of 24: mean square of a(2πf)³ sin is a²(2πf)⁶/2, and finite differences see a little less.
    time_s = torch.arange(121) / 120
    swing = torch.zeros(1, 121, 24, 3)
    swing[0, :, 20, 1] = 0.01 * torch.sin(2 * torch.pi * 12 * time_s)
    jerk = jerk_power(swing, torch.tensor([120.0]))[0]
    assert jerk[3] == pytest.approx((0.01 * (2 * np.pi * 12) ** 3) ** 2 / 2 / 24, rel=0.2)
    assert jerk[3] > 0.95 * jerk.sum()
    # At 20 fps nothing above 10 Hz can be heard.
    slow = clip_joints(torch.from_numpy(clip.rot6d[None, ::6]), torch.from_numpy(clip.root[None, ::6]))
    silent = log_spectrum(slow, torch.tensor([20.0]))[0]
    assert silent[4] == pytest.approx(np.log(1e-3), abs=1e-5)


@pytest.mark.parametrize("frames", [63, 64])
def test_the_bands_share_out_the_mean_square(frames: int) -> None:
    """A steady walk of 1 m/s is 1 m/s in the lowest band, and all bands together are the mean square of the vectors."""
    fps = torch.tensor([60.0])
    walk = torch.zeros(1, frames + 1, 24, 3)
    walk[..., 2] = torch.arange(frames + 1)[:, None] / 60
    spectrum = log_spectrum(walk, fps)[0].exp()
    assert spectrum.tolist() == pytest.approx([1, 1e-3, 1e-3, 1e-3, 1e-3], rel=1e-3)
    joints = torch.randn(1, frames + 3, 24, 3, generator=torch.Generator().manual_seed(0))
    jerk = joints.diff(n=3, dim=1) * 60**3
    assert float(jerk_power(joints, fps).sum()) == pytest.approx(float(jerk.square().sum(-1).mean()), rel=1e-4)


def test_where_a_clip_stands_and_faces_changes_no_feature(extractor: ClipFeatures) -> None:
    clips = [lively(seed) for seed in range(4)]
    elsewhere = Stance(axis_angle_to_matrix(torch.tensor([[0.0, 2.0, 0.0]])).float(), torch.tensor([[3.0, 0.0, -5.0]]))
    moved = []
    for clip in clips:
        rot6d, root = placed(torch.from_numpy(clip.rot6d)[None], torch.from_numpy(clip.root)[None], elsewhere)
        moved.append(replace(clip, rot6d=rot6d[0].numpy(), root=root[0].numpy()))
    found = [clips_at(some, 120.0, extractor, 40, np.random.default_rng(0)) for some in (clips, moved)]
    for name in ("features", "spectrum"):
        one, other = (getattr(some, name) for some in found)
        np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(one).max())


def test_a_rate_counts_the_recordings_that_are_as_fast(extractor: ClipFeatures) -> None:
    """And what is made beside them is as long as each of them, at that rate."""
    method, made = nerm(axis_s=2.0), []

    def sample(labels: list[int], seed: int, fps: float, frames: int) -> list[Motion]:
        made.append((len(labels), fps, frames))
        return [resample(lively(k), fps) for k in range(len(labels))]

    generator: Any = SimpleNamespace(conditional=False, sample=sample, method=method)
    slow, short = [resample(lively(k), 40.0) for k in range(4)], [lively(k).slice(0, 150) for k in range(5)]
    recordings = MotionSet.from_clips([*slow, *short])
    rows = clip_fid(generator, recordings, extractor, [20.0, 40.0, 60.0, 120.0], 40)
    assert [row["recordings"] for row in rows] == [4, 9, 5, 5], "1.25 s at 20 fps hold no 32 poses"
    assert made == [(4, 20.0, 41), (9, 40.0, 81), (5, 60.0, 121), (5, 120.0, 241)]
    fast = rates._made(generator, short, 120.0, FRAMES, 0)
    assert [len(motion) for motion in fast] == [150] * 5


def test_reconstruction_tells_apart_what_is_seen_what_is_between_and_what_the_rate_changes() -> None:
    """The linear path knows its motions, and slerp between even frames has its own error; metres."""
    method = nerm(
        axis_s=2.0, hold_last=False, encoder_steps=0, native_from=0, time_encoding="fourier", frequencies=32,
        frequency_scale=3.0, linear_path=True, by_reach=True, fit_steps=1, fit_lr=1e-6,
    )  # fmt: skip
    clips = [replace(recording(60.0, 2.0, seed), name=f"clip {seed}") for seed in range(6)]
    motions = MotionSet.from_clips(clips, ACTIONS)
    source = SequenceSource(method, motions, TRAIN, 8, 0)
    method.meet(source)
    method.fit_statistics(source.random)
    learnt = rates.learnt_latents(method.eval(), motions)
    (row,) = rates.reconstruction(method, motions, TRAIN, [60.0], 6, learnt=learnt)
    assert row["recordings"] == 6
    assert 0 < row["learnt_m"] < 0.01
    assert 0 < row["mpjpe_m"] < 0.01
    assert 0 < row["held_out_m"] < 0.015
    pieces = source.pieces
    drawn = [
        rates.joint_distance(resample(resample(piece, 30.0), 60.0).positions()[1::2], piece.positions()[1:-1:2])
        for piece in pieces
    ]
    assert row["held_out_slerp_m"] == pytest.approx(np.mean(drawn), rel=1e-4)
    assert row["s_consistency_m"] == 0, "layers that begin as a correction of 0 hear no rate"
    with torch.no_grad():
        method.field.pose.weight += 0.01 * torch.randn_like(method.field.pose.weight)
    (row,) = rates.reconstruction(method, motions, TRAIN, [60.0], 6, learnt=learnt)
    times_s = np.arange(121) / 60
    told = [
        rates.joint_distance(*(rates.positions_at(method, latent, times_s, fps) for fps in (20.0, 60.0)))
        for latent in (rates._fit(method, piece, times_s, slice(None)) for piece in pieces)
    ]
    assert row["s_consistency_m"] == pytest.approx(np.mean(told), rel=1e-4)
    assert row["s_consistency_m"] > 1e-4
    (untaught,) = rates.reconstruction(method, motions, TRAIN, [60.0], 6)
    assert untaught["learnt_m"] is None


@pytest.mark.parametrize(("action", "told"), [("climb", "of the action 'climb'"), ("", "without an action")])
def test_recordings_of_actions_that_the_run_does_not_know_are_refused(action: str, told: str) -> None:
    generator: Any = SimpleNamespace(conditional=True, actions=["hop", "wave"])
    recordings = MotionSet.from_clips([replace(lively(0), action="hop"), replace(lively(1), action=action)])
    with pytest.raises(MdtoolError, match=f"{told}, and the run knows hop, wave only"):
        clip_fid(generator, recordings, ClipFeatures.__new__(ClipFeatures), [20.0], 40)


def test_made_motions_are_as_long_as_their_recordings() -> None:
    """A run that makes 2 s of everything, beside recordings of 1 s and 2 s."""
    recordings = [lively(k).slice(0, 120 if k % 2 else 240) for k in range(6)]
    sampled = [resample(lively(k).slice(0, 240), 20.0) for k in range(6)]
    generator: Any = SimpleNamespace(conditional=False, sample=lambda *_: sampled, method=None)
    made = rates._made(generator, recordings, 20.0, 15, 0)
    assert [len(motion) for motion in made] == [40, 20] * 3


def test_a_rate_without_clip_fid_says_why() -> None:
    recordings = MotionSet.from_clips([lively(k) for k in range(6)])
    short = [resample(lively(k).slice(0, 120), 20.0) for k in range(6)]
    generator: Any = SimpleNamespace(conditional=False, sample=lambda *_: short, method=None)
    torch.manual_seed(0)
    (row,) = clip_fid(generator, recordings, ClipFeatures({"frames": 70}, [], 20.0), [20.0], 40)
    assert (row["recordings"], row["why"]) == (0, "fewer than 4 recordings of 70 poses at that rate or faster")
    (row,) = clip_fid(generator, recordings, ClipFeatures({"frames": 36}, [], 20.0), [20.0], 40)
    assert (row["clip_fid"], row["jerk"], row["why"]) == (
        None,
        None,
        "the run makes no motion of 36 poses at that rate",
    )
    (row,) = clip_fid(generator, recordings, ClipFeatures({"frames": 36}, [], 20.0), [20.0], 40, splits=[TEST])
    assert row["recordings"] == 0


def test_repeats_have_motions_of_their_own_and_a_field_can_be_lifted_as_a_grid_is(extractor: ClipFeatures) -> None:
    method = nerm(axis_s=2.0)
    asked: list[tuple[int, float, int]] = []

    def sample(labels: list[int], seed: int, fps: float, frames: int) -> list[Motion]:
        asked.append((seed, fps, frames))
        return [resample(lively(seed + k), fps).slice(0, frames) for k in range(len(labels))]

    generator: Any = SimpleNamespace(conditional=False, sample=sample, method=method)
    recordings = MotionSet.from_clips([lively(k) for k in range(8)])
    (row,) = clip_fid(generator, recordings, extractor, [120.0], 40, seeds=(3, 5))
    assert [seed for seed, *_ in asked] == [3, 5]
    alone = [clip_fid(generator, recordings, extractor, [120.0], 40, seeds=(seed,))[0] for seed in (3, 5)]
    assert row["clip_fid"] == pytest.approx(np.mean([one["clip_fid"] for one in alone]))
    half_width = 1.96 * np.std([one["floor"] for one in alone], ddof=1) / np.sqrt(2)
    assert row["floor_ci95"] == pytest.approx(half_width)
    assert alone[0]["clip_fid_ci95"] is None
    (lifted,) = clip_fid(generator, recordings, extractor, [120.0], 40, seeds=(3,), lift_from=20.0)
    assert asked[-1] == (3, 20.0, 41)
    assert lifted["spectrum_gap"] > 2 * alone[0]["spectrum_gap"]  # 20 fps hold nothing of what the hands do at 12 Hz
    assert alone[0]["jerk"][3] == pytest.approx(alone[0]["jerk_real"][3], rel=0.3)
    assert lifted["jerk"][3] < 0.5 * lifted["jerk_real"][3]
    assert lifted["jerk"][4] > 1.5 * lifted["jerk_real"][4]  # slerp turns by a jerk at every frame that it was given
