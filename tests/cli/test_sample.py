"""`mdtool sample` as typed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mdtool.motion.file import file_sha256, read_motions, write_motions
from mdtool.motion.motion import MotionSet
from tests.cli.command_line import done, refused
from tests.motion.smooth_motion import smooth_clips

ONE = ("--threads", 1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs of two generators and a recogniser."""
    folder = tmp_path_factory.mktemp("sample")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_motions("motions.h5", smooth_clips(12, tested=2))
        done("train", "--preset", "debug", "--out", "runs/older", "--seed", 1, *ONE)
        done("train", "--preset", "debug", *ONE)
        done("train", "--preset", "recogniser-debug", *ONE)
    return folder


@pytest.fixture(autouse=True)
def _place(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").symlink_to(trained / "runs")
    monkeypatch.chdir(tmp_path)


def sampled(*words: object) -> MotionSet:
    done("sample", *words, *ONE)
    return read_motions("sample.h5")


def test_defaults_take_the_newest_run_and_every_action() -> None:
    printed = done("sample", *ONE)
    motions = read_motions("sample.h5")
    assert motions.provenance["run"] == "runs/debug"
    assert len(motions) == 16
    assert [clip.action for clip in motions][:4] == ["hop", "sway", "wave", "hop"]
    assert "wrote sample.h5: 16 motions of 60 frames at 20 fps from runs/debug (ema:0.9)" in printed
    assert printed.rstrip().endswith("next: mdtool render sample.h5 --out video.mp4")


def test_labels_are_those_that_were_asked_for_in_their_order() -> None:
    motions = sampled("runs/debug", "--action", "wave", "--action", "hop", "--count", 5)
    assert [clip.action for clip in motions] == ["wave", "hop", "wave", "hop", "wave"]
    assert motions.actions == ["hop", "sway", "wave"]


def test_a_sample_is_the_same_in_any_batch_and_company() -> None:
    whole = sampled("--action", "sway", "--count", 5, "--seed", 9)
    for words in (("--batch", 1), ("--batch", 2)):
        again = sampled("--action", "sway", "--count", 5, "--seed", 9, *words)
        np.testing.assert_allclose(again.rot6d, whole.rot6d, atol=1e-5)
        np.testing.assert_allclose(again.root, whole.root, atol=1e-5)
    rest = sampled("--action", "sway", "--count", 2, "--seed", 9, "--first", 3)
    assert rest.name == ["seed 9 sample 3", "seed 9 sample 4"]
    np.testing.assert_allclose(rest.rot6d, whole.select([3, 4]).rot6d, atol=1e-5)
    other = sampled("--action", "sway", "--count", 5, "--seed", 10)
    assert np.abs(other.rot6d - whole.rot6d).max() > 1e-3


def test_the_same_command_writes_the_same_motions() -> None:
    first = sampled("--count", 3)
    np.testing.assert_array_equal(sampled("--count", 3).rot6d, first.rot6d)


@pytest.mark.parametrize(
    "words", [("--steps", 3), ("--sampler", "ddpm"), ("--guidance", 2.5), ("--weights", "raw"), ("--seed", 1)]
)
def test_every_option_changes_the_motion_and_is_recorded(words: tuple) -> None:
    plain, changed = sampled("--count", 3), sampled("--count", 3, *words)
    assert np.abs(plain.rot6d - changed.rot6d).max() > 1e-4
    assert changed.provenance[words[0].removeprefix("--")] == words[1]
    assert changed.provenance["command"] == f"mdtool sample --count 3 {words[0]} {words[1]} --threads 1"


def test_the_temperature_goes_with_ddpm() -> None:
    plain = sampled("--count", 3, "--sampler", "ddpm")
    cool = sampled("--count", 3, "--sampler", "ddpm", "--temperature", 0.5)
    assert np.abs(plain.rot6d - cool.rot6d).max() > 1e-4
    assert cool.provenance["temperature"] == 0.5


def test_defaults_spelt_out_change_nothing() -> None:
    plain = sampled("--count", 3)
    spelt = sampled("--count", 3, "--guidance", 1, "--steps", 10, "--sampler", "ddim", "--frames", 60)
    np.testing.assert_array_equal(spelt.rot6d, plain.rot6d)


def test_weights_are_recorded_by_their_hash() -> None:
    for track, name in (("raw", "step-000000020"), ("ema:0.9", "step-000000020-ema-0.9")):
        history = sampled("runs/older", "--count", 1, "--weights", track).provenance
        assert history["weights"] == track
        assert history["checkpoint_sha256"] == file_sha256(f"runs/older/checkpoints/{name}.safetensors")


def test_the_latent_of_every_motion_is_kept() -> None:
    motions = sampled("--count", 4, "--seed", 2)
    assert motions.noise is not None
    assert motions.noise.shape == (4, 25, 6, 60)
    assert abs(float(motions.noise.mean())) < 0.02
    assert abs(float(motions.noise.std()) - 1) < 0.02


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nowhere",), "nowhere is not a run"),
        (("runs/recogniser-debug",), "runs/recogniser-debug is a run of Recogniser and makes no motion"),
        (("--action", "fly"), "unknown action 'fly': runs/debug knows hop, sway, wave"),
        (("--steps", 11), "runs/debug: this run has 10 diffusion steps: --steps 11 is too many"),
        (("--sampler", "ddim", "--temperature", 0.5), "ddim adds no noise that a temperature could scale"),
        (("--churn", 2), "the method mdm takes no churn"),
        (("--sampler", "euler"), "no sampler 'euler': choose ddpm, ddim or dpm++"),
        (("--weights", "ema:0.5"), "no weights 'ema:0.5': choose from ema:0.9, raw"),
        (("--frames", 61), "runs/debug: this run was trained on 60 frames and cannot make 61"),
        (("--device", "cuda:7"), "--device cuda:7: not available"),
        (("--out", "runs"), "cannot write runs: it is a folder"),
    ],
)
def test_mistakes(words: tuple, sentence: str) -> None:
    assert sentence in refused("sample", *words, *ONE)
    assert not Path("sample.h5").exists()


def test_a_stream_is_the_same_motions_in_files_of_their_own() -> None:
    whole = sampled("runs/debug", "--count", 3, "--seed", 4)
    printed = done("sample", "runs/debug", "--count", 3, "--seed", 4, "--stream", "--out", "live.h5", *ONE)
    for place, clip in enumerate(whole):
        (alone,) = read_motions(f"live-{place:04d}.h5")
        assert (alone.action, alone.name) == (clip.action, clip.name)
        np.testing.assert_allclose(alone.rot6d, clip.rot6d, atol=1e-4)
    assert printed.count(" ms\n") == 3
    assert "latency at batch 1, to rotations and to joint positions: first " in printed
    assert "(median of 2)" in printed
    assert not Path("live.h5").exists()
