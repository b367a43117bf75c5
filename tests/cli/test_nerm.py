"""NeRM from the command line: its parts, training at mixed rates, samples at any instants, lifting, scores by rate."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mdtool.motion.file import read_motions, write_motions
from mdtool.motion.motion import MotionSet
from mdtool.motion.resample import resample
from mdtool.training.checkpoint import RunFolder
from tests.cli.command_line import done, mdtool, refused
from tests.motion.smooth_motion import ACTIONS, smooth_clips

RATES = (20.0, 30.0, 60.0, 119.88)
DEBUG = ("--preset", "nerm-debug", "--threads", 1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with clips of four frame rates, two of them for testing, and a run trained on the others."""
    before, here = Path.cwd(), tmp_path_factory.mktemp("nerm")
    os.chdir(here)
    clips = [resample(clip, RATES[k % 4]) for k, clip in enumerate(smooth_clips(12))]
    clips = [replace(clip, split=int(k >= 8)) for k, clip in enumerate(clips)]
    write_motions("motions.h5", MotionSet.from_clips(clips, ACTIONS))
    printed = done("train", "motions.h5", *DEBUG, "--out", "runs/field")
    assert "wrote runs/field  (step 30" in printed
    yield here
    os.chdir(before)


def weights(run: str) -> dict[str, torch.Tensor]:
    return RunFolder(run).load_weights("raw")[0]


def test_a_dry_run_knows_the_time_axis(place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The axis holds 81 frames, and a sample has 60 unless told otherwise: a clip of 70 is edited whole."""
    monkeypatch.chdir(tmp_path)
    words = ("edit", place / "motions.h5", "--run", place / "runs" / "field", "--dry-run", "--json", "--request")
    for frame, code in ((65, 0), (75, 2)):
        Path("edit.yaml").write_text(
            f"version: 1\ninput: {{clip: 0, frames: '*'}}\ntargets:\n  - {{at: {frame}, joint: pelvis, y: 0.9}}\n"
        )
        ran = mdtool(*words, "edit.yaml")
        assert ran.code == code, ran.out
        told = json.loads(ran.out)
        if not code:
            assert told["plans"][0]["frames"] == 70


@pytest.mark.parametrize("stop", [5, 12, 27])
def test_a_run_resumes_exactly_in_every_stage(
    place: Path, stop: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mdtool.training.loop import Trainer

    take = Trainer.train_step

    def stopping(self: Trainer) -> None:
        take(self)
        if self.step == stop:
            os.kill(os.getpid(), signal.SIGINT)

    words = ("train", "motions.h5", *DEBUG, "--out", tmp_path / "halves")
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "train_step", stopping)
        assert mdtool(*words).code == 130
    assert f"at step {stop} of 30" in " ".join(done(*words).split())  # however wide the terminal is
    whole, halves = weights("runs/field"), weights(str(tmp_path / "halves"))
    assert whole.keys() == halves.keys()
    assert all(torch.equal(whole[name], halves[name]) for name in whole)
    assert len(whole["table.mean"]) == 8


def test_samples_at_any_rate_and_at_any_instants_are_one_motion(place: Path) -> None:
    printed = done("sample", "runs/field", "--fps", 20, "--fps", 60, "--seconds", 2, "--count", 3)
    assert "sample-20fps.h5: 3 motions of 40 frames" in printed
    assert "sample-60fps.h5: 3 motions of 120 frames" in printed
    slow, fast = (read_motions(f"sample-{rate}fps.h5") for rate in (20, 60))
    for one, other in zip(slow, fast, strict=True):
        np.testing.assert_allclose(one.rot6d, other.rot6d[::3], atol=2e-4)
        np.testing.assert_allclose(one.root, other.root[::3], atol=2e-5)
    Path("times.txt").write_text("1.5, 0 0.05\n0.7")
    done("sample", "runs/field", "--times", "times.txt", "--count", 3, "--out", "instants.h5")
    picked = read_motions("instants.h5")
    assert picked.lengths.tolist() == [4, 4, 4]
    np.testing.assert_allclose(picked[1].root, slow[1].root[[30, 0, 1, 14]], atol=2e-5)
    assert picked.provenance["times_s"] == [1.5, 0.0, 0.05, 0.7]


def test_long_samples_are_chained_without_a_jump(place: Path) -> None:
    done("sample", "runs/field", "--seconds", 9, "--count", 2, "--out", "long.h5")
    motions = read_motions("long.h5")
    assert motions.lengths.tolist() == [180, 180]
    done("sample", "runs/field", "--seconds", 3, "--count", 2, "--out", "short.h5")
    for clip, short in zip(motions, read_motions("short.h5"), strict=True):
        np.testing.assert_allclose(clip.root[:60], short.root, atol=1e-5)
        step = np.abs(np.diff(clip.positions(), axis=0)).max((1, 2))
        assert step[60:].max() < 3 * max(step[:60].max(), 0.05)
        assert np.abs(np.diff(clip.rot6d[90:170], axis=0)).max() > 1e-5


def test_recordings_are_lifted(place: Path) -> None:
    printed = done("resample", "motions.h5", "--clip", 0, "--fps", 60, "--method", "nerm", "--run", "runs/field")
    assert "mm from the recorded frames on average" in printed
    lifted = read_motions("resampled.h5")[0]
    assert (len(lifted), lifted.fps) == (208, 60.0)
    done("resample", "motions.h5", "--clip", 0, "--fps", 60, "--out", "slerped.h5")
    drawn = read_motions("slerped.h5")[0]
    assert len(drawn) == len(lifted)
    np.testing.assert_array_equal(drawn.rot6d[::3], read_motions("motions.h5")[0].rot6d)


def test_parts_are_trained_and_used(place: Path) -> None:
    sizes = ("--set", "model.code_width=16", "--set", "model.width=16", "--set", "model.codes=16")
    few = ("--steps", 4, "--batch", 6, "--set", "train.warmup_steps=1", "--threads", 1)
    assert "model.codebook=runs/nerm-codebook" in done("train", "--method", "nerm-codebook", *few, *sizes)
    use = ("--set", "model.time_encoding=cca", "--set", "model.codebook=runs/nerm-codebook")
    done("train", *DEBUG, *use, "--out", "runs/cca")
    made = weights("runs/cca")
    assert torch.equal(made["field.basis.codebook"], weights("runs/nerm-codebook")["network.quantizer.codebook"])
    sha256 = RunFolder("runs/nerm-codebook").load_weights()[2]
    assert bytes(made["codebook_sha256"].tolist()).hex() == sha256
    wrong = refused("train", *DEBUG, *use, "--set", "model.codes=17", "--out", "runs/wrong")
    assert "has 16 codes of width 16, and this run needs 17" in wrong
    done("train", "--method", "clip-features", *few, "--set", "model.width=16", "--set", "model.frames=16")
    printed = done(
        "rates", "runs/field", "--features", "runs/clip-features", "--fps", 20, "--fps", 60, "--count", 40,
        "--fits", 1,
    )  # fmt: skip
    assert "clip-FID" in printed
    assert "jerk, m/s³: made / recorded" in printed
    found = json.loads(Path("rates.json").read_text())
    assert [row["fps"] for row in found["clip_fid"]] == [20, 60]
    assert all(row["clip_fid"] > 0 for row in found["clip_fid"])
    assert found["clip_fid"][0]["recordings"] > found["clip_fid"][1]["recordings"]
    assert 0 < found["reconstruction_test"][0]["mpjpe_m"] < 2
    assert found["reconstruction_test"][0]["learnt_m"] is None
    assert 0 < found["reconstruction_train"][0]["learnt_m"] < 2
    twice = ("--features", "runs/clip-features", "--fps", 60, "--count", 40, "--repeats", 2, "--lift-from", 20)
    printed = done("rates", "runs/field", *twice, "--fits", 0, "--out", "lifted.json")
    assert "ci95" in printed
    assert printed.endswith("next: mdtool sample runs/field --fps 60\n")
    lifted = json.loads(Path("lifted.json").read_text())
    assert lifted["lift_from"] == 20
    assert lifted["clip_fid"][0]["clip_fid_ci95"] > 0
    assert "reconstruction_train" not in lifted
    assert "is asked for no reconstruction" in refused("rates", "runs/field", "--fits", 0)
    for words in (("--count", 40), ("--repeats", 2), ("--lift-from", 20), ("--split", "test")):
        assert f"{words[0]} is of clip-FID, which needs --features" in refused("rates", "runs/field", *words)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("sample", "runs/field", "--frames", 3, "--seconds", 1), "--frames and --seconds both say how long"),
        (("sample", "runs/field", "--times", "none.txt"), "cannot read none.txt"),
        (("sample", "runs/field", "--times", "words.txt"), "must hold seconds, as numbers"),
        (("sample", "runs/field", "--times", "times.txt", "--fps", 20), "--times names every instant"),
        (("resample", "motions.h5", "--fps", 60, "--method", "nerm"), "--method nerm and --run go together"),
        (("resample", "motions.h5", "--fps", 60, "--method", "spline"), "--method must be slerp or nerm"),
        (("resample", "motions.h5", "--fps", 60, "--clip", 99), "has no clip 99"),
        (("train", *DEBUG, "--set", "model.time_encoding=cca"), 'time_encoding "cca" needs codebook'),
        (("train", *DEBUG, "--set", "model.native_from=99"), "must not exceed field_steps"),
    ],
)
def test_mistakes(place: Path, words: tuple, sentence: str) -> None:
    Path("words.txt").write_text("soon, later")
    Path("times.txt").write_text("0 1")
    assert sentence in refused(*words)


def test_a_run_without_its_second_stage_or_without_a_time_axis_is_refused(place: Path) -> None:
    done("train", *DEBUG, "--steps", 20, "--out", "runs/half")
    assert "runs/half: this run has learnt its field only" in refused("sample", "runs/half")
    write_motions("plain.h5", smooth_clips(6))
    done("train", "plain.h5", "--preset", "debug", "--steps", 2, "--set", "train.warmup_steps=0", "--threads", 1)
    assert "makes motion at 20 fps only" in refused("sample", "runs/debug", "--fps", 60)
    assert "no time axis" in refused("resample", "motions.h5", "--fps", 60, "--method", "nerm", "--run", "runs/debug")
    sizes = ("--set", "model.width=16", "--set", "model.frames=16", "--set", "train.warmup_steps=1", "--threads", 1)
    done("train", "--method", "clip-features", "--steps", 4, "--batch", 6, *sizes)
    asked = ("--features", "runs/clip-features", "--fps", 20, "--count", 40)
    assert "lifted by slerp as it is" in refused("rates", "runs/debug", *asked, "--lift-from", 20)
    assert done("rates", "runs/debug", *asked).endswith("next: mdtool sample runs/debug\n")
