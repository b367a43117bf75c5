"""Bad input: one clear sentence, exit code 2, nothing half-written, nothing lost."""

from __future__ import annotations

import errno
import os
import re
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import typer

from mdtool.cli.app import app, main
from mdtool.cli.numbers import finite
from mdtool.motion.file import write_motions
from mdtool.motion.motion import Motion, MotionSet
from tests.cli.command_line import done, mdtool, refused
from tests.test_atomic import files_of_at_most

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in an empty folder and return its one sentence; everything else about failing is checked."""
    monkeypatch.chdir(tmp_path)

    def refused(*words: object) -> str:
        before = contents(tmp_path)
        monkeypatch.setattr(sys, "argv", ["mdtool", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        told = capsys.readouterr().err.strip()
        assert stop.value.code == 2
        assert told.startswith("mdtool: ")
        assert "\n" not in told
        assert "Traceback" not in told
        assert contents(tmp_path) == before, "a refused command must leave the folder as it was"
        return told

    return refused


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def motions(tmp_path: Path) -> Path:
    """A small, good motion file."""
    rng = np.random.default_rng(0)
    clips = []
    for k in range(8):
        rot6d = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (64, 24, 1))
        rot6d += 0.02 * rng.standard_normal(rot6d.shape).astype(np.float32)
        root = np.tile(np.array([0, 1, 0], np.float32), (64, 1))
        clips.append(Motion(rot6d, root, 20.0, action=("hop", "sway")[k % 2], split=int(k > 5)))
    path = tmp_path / "motions.h5"
    write_motions(path, MotionSet.from_clips(clips))
    return path


@pytest.fixture
def generator(motions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of the debug preset."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mdtool", "train", "--preset", "debug", "--steps", "2", "--threads", "1"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    return tmp_path / "runs" / "debug"


@pytest.mark.parametrize("verb", ["train", "render", "evaluate", "info"])
def test_missing_file(run: Run, verb: str) -> None:
    assert "nothing.h5" in run(verb, "nothing.h5")


@pytest.mark.parametrize("verb", ["train", "render", "info"])
def test_truncated_file(run: Run, motions: Path, verb: str) -> None:
    motions.write_bytes(motions.read_bytes()[:4000])
    assert "motions.h5 cannot be read as a motion file" in run(verb, "motions.h5")


def test_foreign_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "poem.h5").write_text("Shall I compare thee to a summer's day?")
    assert "poem.h5 cannot be read as a motion file" in run("train", "poem.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["pose"] = np.zeros(3)
    assert "other.h5 is an HDF5 file but not a motion file" in run("render", "other.h5")


def test_future_version(run: Run, motions: Path) -> None:
    with h5py.File(motions, "a") as file:
        file.attrs["version"] = 99
    told = run("train", motions)
    assert "version 99" in told
    assert "update mdtool" in told


def test_numbers_that_are_none(run: Run, motions: Path) -> None:
    with h5py.File(motions, "a") as file:
        file["rot6d"][200, 3, 1] = np.nan
    assert "NaN or infinite numbers in rot6d, first in clip 3" in run("train", motions)


def test_unknown_action(run: Run, generator: Path) -> None:
    told = run("sample", generator, "--action", "moonwalk")
    assert "unknown action 'moonwalk'" in told
    assert "hop, sway" in told


def test_length_the_model_was_not_trained_for(run: Run, generator: Path) -> None:
    told = run("sample", generator, "--frames", 90)
    assert "trained on 60 frames" in told
    assert "90" in told


def test_wrong_skeleton(run: Run, motions: Path) -> None:
    with h5py.File(motions, "a") as file:
        del file["rot6d"]
        file["rot6d"] = np.zeros((512, 22, 6), np.float32)
    assert "does not hold the 24-joint skeleton" in run("render", motions)
    with h5py.File(motions, "a") as file:
        file.attrs["skeleton"] = "mixamo-65"
    assert "skeleton 'mixamo-65'" in run("render", motions)


def test_unwritable_output(run: Run, motions: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    told = run("render", motions, "--out", tmp_path / "taken" / ".." / "motions.h5" / "strip.png")
    assert "cannot write" in told
    assert "cannot write" in run("preprocess", "synthetic", "--clips", 1, "--out", tmp_path / "taken")


def test_full_disk(run: Run, generator: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    (generator.parents[1] / "sample.h5").write_bytes(b"an older sample")
    assert "sample.h5: the disk is full" in run("sample", generator, "--count", 2)


def test_empty_data_set(run: Run, motions: Path) -> None:
    with h5py.File(motions, "a") as file:
        for name, shape in (("rot6d", (0, 24, 6)), ("root", (0, 3)), ("fps", (0,)), ("action", (0,)), ("split", (0,))):
            del file[name]
            file[name] = np.zeros(shape, "f4" if name in ("rot6d", "root") else "i4")
        del file["start"]
        file["start"] = np.zeros(1, np.int64)
    assert "holds no motion" in run("train", motions)


def test_no_training_clips(run: Run, motions: Path) -> None:
    with h5py.File(motions, "a") as file:
        file["split"][:] = 1
    assert "no train clips" in run("train", motions, "--preset", "debug")


def test_no_run_to_sample_from(run: Run) -> None:
    assert "no trained generator under runs/" in run("sample")


def test_wrong_kind_of_run(run: Run, generator: Path) -> None:
    assert "not a recogniser's run" in run("evaluate", generator, "--recogniser", generator, "--seeds", 1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--preset", "huge"], "no preset 'huge'"),
        (["--method", "vae"], "no method 'vae'"),
        (["--sampler", "clever", "--preset", "debug"], "timestep_sampler"),
        (["--ema", "1.5", "--preset", "debug"], "between 0 and 1"),
        (["--set", "model.depth=3", "--preset", "debug"], "depth"),
        (["--device", "tpu"], "--device tpu"),
    ],
)
def test_wrong_settings(run: Run, motions: Path, words: list[str], told: str) -> None:
    assert told in run("train", motions, *words)


def test_guidance_needs_training_for_it(run: Run, motions: Path, tmp_path: Path) -> None:
    assert "needs cond_mask_prob above 0" in run(
        "train", motions, "--preset", "debug", "--set", "model.cond_mask_prob=0.0", "--set", "model.guidance=2.0"
    )


@pytest.mark.parametrize("verb", ["sample", "evaluate", "bench"])
def test_a_place_that_cannot_be_written_is_told_before_the_work(
    run: Run, generator: Path, motions: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    def work(*_: object, **__: object) -> None:
        raise AssertionError("the work began")

    monkeypatch.setattr("mdtool.training.run.load_generator", work)
    monkeypatch.setattr("mdtool.evaluation.bench.bench", work)
    assert "cannot write" in run(verb, "--out", motions / "out.h5")


@pytest.mark.parametrize("words", ["sample --count 2", "render motions.h5 --jobs 1 --frame 0 --out a.png"])
def test_a_disk_that_fills_up_while_writing(run: Run, generator: Path, words: str) -> None:
    with files_of_at_most(2000):
        assert "cannot write" in run(*words.split())


def test_a_disk_that_fills_up_while_training_leaves_a_run_that_goes_on(
    motions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(motions.parent)
    words = ("train", "--preset", "debug", "--threads", 1)
    with files_of_at_most(5000):
        assert "cannot write runs/debug/checkpoints" in refused(*words)
    assert not list((motions.parent / "runs" / "debug" / "checkpoints").iterdir())
    assert "wrote runs/debug" in done(*words)


@pytest.mark.parametrize(
    "words", ["sample", "edit refine motions.h5", "resample motions.h5 --fps 10", "preprocess synthetic"]
)
def test_a_motion_file_is_not_called_a_film(run: Run, motions: Path, words: str) -> None:
    assert "walk.MP4 is to be a motion file: end its name in .h5" in run(*words.split(), "--out", "walk.MP4")


def test_recordings_that_do_not_exist_are_not_passed_over(run: Run, motions: Path) -> None:
    assert "no such file: nothing.h5" in run("evaluate", "motions.h5", "--data", "nothing.h5")


@pytest.mark.parametrize(
    "words", ["render", "export", "render .", "evaluate x.h5 --out", "sample --fps 20 --fps 40 --out"]
)
def test_a_file_without_a_name(run: Run, words: str) -> None:
    assert "'.' is no file: give its name" in run(*words.split(), *([] if words.endswith(".") else [""]))


@pytest.mark.parametrize(
    "words",
    [
        "sample --guidance nan",
        "sample --guide-between 1 nan",
        "sample --seconds inf",
        "evaluate --guidance inf",
        "train --ema nan",
        "ema runs/x nan",
        "preprocess bvh x --fps nan",
        "preprocess synthetic --test-fraction nan",
    ],
)
def test_numbers_that_are_not_finite(run: Run, words: str) -> None:
    told = run(*words.split())
    option = next((word for word in reversed(words.split()) if word.startswith("--")), "LENGTH")
    assert f"{option} must be a finite number, not {words.split()[-1]}" in told


@pytest.mark.parametrize("words", ["sample --temperature nan", "sample --fps nan", "edit x --seconds nan"])
def test_numbers_outside_of_their_range_are_named(words: str) -> None:
    ran = mdtool(*words.split())
    assert ran.code == 2
    assert words.split()[-2] in ran.err


def test_every_number_of_a_command_must_be_finite() -> None:
    def verbs(group: typer.Typer) -> Iterator[Callable[..., object]]:
        yield from (command.callback for command in group.registered_commands if command.callback is not None)
        for child in group.registered_groups:
            assert child.typer_instance is not None
            yield from verbs(child.typer_instance)

    checked = []
    for verb in verbs(app):
        for name, hint in typing.get_type_hints(verb, include_extras=True).items():
            if typing.get_origin(hint) is typing.Annotated and re.search(r"\bfloat\b", str(hint.__origin__)):
                checked.append((verb.__name__, name, [word.callback for word in hint.__metadata__] == [finite]))
    assert len(checked) > 20
    assert [each for each in checked if not each[-1]] == []


def test_settings_that_are_not_finite(run: Run, motions: Path) -> None:
    assert "train.lr" in run("train", motions, "--preset", "debug", "--set", "train.lr=nan")


def test_too_many_threads(run: Run, motions: Path, generator: Path) -> None:
    for words in (("sample", generator), ("evaluate", motions), ("train", motions)):
        assert "--threads 100000: give 1 to 1024" in run(*words, "--threads", 100_000)


def test_more_motions_than_memory(run: Run, motions: Path, generator: Path) -> None:
    many = "100,000,000,000 motions of 60 frames need"
    assert many in run("sample", generator, "--count", 10**11)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--precision fp16", "--precision must be fp32 or bf16, not 'fp16'"),
        ("--methods mdm --preset small", "--preset means nothing with --methods"),
        ("--methods mdm --device cuda", "--device cuda means nothing with --methods"),
        ("--methods ,", "--methods names no run"),
    ],
)
def test_what_bench_cannot_time(run: Run, words: str, told: str) -> None:
    assert told in run("bench", *words.split())


def test_ctrl_c_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mdtool.data.synthetic.synthesise", stopped)
    ran = mdtool("preprocess", "synthetic")
    assert (ran.code, ran.err) == (130, "mdtool: stopped; files written so far are whole\n")
    assert not list(tmp_path.iterdir())


def test_labels_of_a_demo_without_recordings(run: Run) -> None:
    assert "--labels is for BVH recordings" in run("demo", "--labels", "labels.csv")


def test_a_demo_of_no_preset_is_refused_before_it_begins(run: Run) -> None:
    assert "no preset 'nothing'" in run("demo", "--preset", "nothing")
    assert not Path("demo").exists()


def test_threads_count_for_every_way_of_resampling(run: Run, motions: Path) -> None:
    assert "--threads 100000: give 1 to 1024" in run("resample", motions, "--fps", 10, "--threads", 100_000)
