"""`mdtool evaluate` as typed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from mdtool.cli.evaluate import evaluate
from mdtool.cli.sample import sample
from mdtool.cli.train import train
from mdtool.errors import MdtoolError
from mdtool.methods.generate import Generator
from mdtool.motion.file import file_sha256, write_motions
from mdtool.motion.motion import Motion, MotionSet
from mdtool.motion.skeleton import STANDING_PELVIS_HEIGHT

app = typer.Typer()
for verb in (evaluate, sample, train):
    app.command()(verb)


def turning(action: str, joint: int, seed: int, split: int) -> Motion:
    """Seventy frames of a standing body that swings one joint about its z axis."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0.4, 0.8) * np.sin(np.arange(70) * rng.uniform(0.15, 0.25))
    rot6d = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (70, 24, 1))
    rot6d[:, joint] = np.stack(
        [np.cos(angle), -np.sin(angle), 0 * angle, np.sin(angle), np.cos(angle), 0 * angle], axis=-1
    )
    root = np.tile(np.array([0.0, STANDING_PELVIS_HEIGHT, 0.0], np.float32), (70, 1))
    return Motion(rot6d, root, 30.0, action, split)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings, a recogniser and a generator (both barely trained) and a file of samples."""
    folder = tmp_path_factory.mktemp("evaluate")
    joints = {"nod": 12, "wave": 16}
    clips = [turning(a, j, 10 * j + k, split=int(k > 6)) for a, j in joints.items() for k in range(10)]
    write_motions(folder / "motions.h5", MotionSet.from_clips(clips))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run("train", "--method", "recogniser", "--preset", "recogniser-debug", "--threads", "1")
        run("train", "--preset", "debug", "--threads", "1")
        run("sample", "--count", "12", "--threads", "1")
    return folder


@pytest.fixture
def place(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh folder that sees the trained one's files, and is the current one."""
    for name in ("motions.h5", "runs", "sample.h5"):
        (tmp_path / name).symlink_to(trained / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    result = CliRunner().invoke(app, list(words))
    if isinstance(result.exception, MdtoolError):
        raise result.exception
    assert result.exception is None, result.output
    return result


def results(path: str = "results.json") -> dict:
    return json.loads(Path(path).read_text())


def test_a_run_is_asked_for_motions_and_scored(place: Path) -> None:
    output = run("evaluate", "--seeds", "2", "--count", "16", "--threads", "1").output
    table = results()
    assert table["target"] == "runs/debug"
    assert (table["count"], table["seeds"], table["frames"], table["fps"]) == (16, [0, 1], 60, 30.0)
    for split in ("train", "test"):
        for who in ("gen", "real"):
            assert len(table["scores"][f"fid_{who}_{split}"]["values"]) == 2
    assert table["recogniser_sha256"][:12] in output
    assert table["provenance"]["weights"] == "ema:0.9"
    assert table["provenance"]["parents"] == {"motions.h5": file_sha256("motions.h5")}
    assert {row["action"] for row in table["card"]["actions"]} == {"nod", "wave"}
    assert [row["metric"] for row in table["raw"]] == ["raw columns, length", "raw columns, angle"]
    assert "raw columns" in output
    assert "wrote results.json" in output
    assert "runs/debug against motions.h5" in output
    assert "stopped at step" not in output
    assert output.rstrip().endswith("next: mdtool report results.json --out report.html")
    assert "note: results.json is about runs/debug and gets replaced" in run("evaluate", "sample.h5").output


def test_scores_of_an_unfinished_training_are_called_so(place: Path) -> None:
    shutil.copytree("runs/debug", "half")
    config = Path("half/config.toml")
    config.write_text(config.read_text().replace("steps = 20\n", "steps = 40\n", 1))
    output = run("evaluate", "half", "--seeds", "1", "--count", "8", "--split", "train", "--threads", "1").output
    assert "note: half stopped at step 20 of 40; `mdtool train` goes on" in output


def test_the_same_command_gives_the_same_numbers(place: Path) -> None:
    words = ("evaluate", "runs/debug", "--seeds", "1", "--count", "8", "--split", "train", "--threads", "1")
    run(*words, "--out", "first.json")
    run(*words, "--out", "second.json")
    assert results("first.json")["scores"] == results("second.json")["scores"]
    run(*words, "--weights", "raw", "--steps", "3", "--out", "raw.json")
    assert results("raw.json")["provenance"]["steps"] == 3
    assert results("raw.json")["scores"]["fid_gen_train"] != results("first.json")["scores"]["fid_gen_train"]
    assert results("raw.json")["scores"]["fid_real_train"] == results("first.json")["scores"]["fid_real_train"]


def test_a_file_of_samples_is_scored_beside_the_recordings(place: Path) -> None:
    output = run("evaluate", "sample.h5", "--seeds", "2", "--threads", "1").output
    assert results()["count"] == 12
    assert "12 different windows" in output
    assert set(results()["provenance"]["parents"]) == {"motions.h5", "sample.h5"}


def test_a_kept_step_can_be_scored(place: Path) -> None:
    words = ("evaluate", "--seeds", "1", "--count", "8", "--split", "train", "--threads", "1")
    run(*words, "--checkpoint", "20")
    assert (results()["provenance"]["step"], results()["provenance"]["weights"]) == (20, "ema:0.9")
    with pytest.raises(MdtoolError, match="no weights of step 7: choose from 20"):
        run(*words, "--checkpoint", "7")
    with pytest.raises(MdtoolError, match="--checkpoint goes with a run"):
        run("evaluate", "sample.h5", "--checkpoint", "all")


def test_recordings_are_their_own_measure(place: Path) -> None:
    run("evaluate", "motions.h5", "--seeds", "2", "--count", "8", "--threads", "1")
    assert "accuracy_real_test" in results()["scores"]
    assert not [name for name in results()["scores"] if "_gen_" in name]
    assert results()["raw"] == []
    assert results()["card"]["names"] == ["test", "train"]


def test_without_a_recogniser_a_file_gets_its_card_alone(place: Path) -> None:
    (place / "runs").unlink()
    output = run("evaluate", "sample.h5", "--threads", "1").output
    assert results()["scores"] == {}
    assert results()["card"]["clips"] == 12
    assert "mdtool train --method recogniser" in output
    rows = {row["metric"]: row for row in results()["card"]["rows"]}
    assert rows["foot skating"]["reference_mean"] == 0  # the recordings stand still
    assert rows["bone length deviation"]["mean"] < 1e-6
    with pytest.raises(MdtoolError, match="no trained generator"):
        run("evaluate", "--threads", "1")


def test_protocols_side_by_side_have_a_file_each(place: Path) -> None:
    words = ("evaluate", "runs/debug", "--seeds", "2", "--count", "12", "--threads", "1", "--split", "train")
    output = run(*words, "--protocol", "thesis", "--protocol", "ours", "--fid-infinity").output
    assert "wrote results-thesis.json, results-ours.json" in output
    ours, thesis = results("results-ours.json"), results("results-thesis.json")
    assert (ours["protocol"], ours["seeds"], ours["plus_minus"]) == ("action-to-motion 1", [0, 1], "ci95")
    assert (thesis["protocol"], thesis["seeds"], thesis["plus_minus"]) == ("thesis 1", [1, 2], "std")
    assert "2 seeds instead of 20" in thesis["departures"]
    assert thesis["provenance"]["sampler"] == "ddpm"
    assert ours["provenance"]["sampler"] is None
    assert set(ours["extrapolation"]) == {"gen_train", "real_train"}
    assert not Path("results.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.h5"], "no such file: missing.h5"),
        (["--checkpoint", "last", "--out", "some.json"], "--out means nothing with --checkpoint last"),
        (["sample.h5", "--steps", "4"], "--steps goes with a run, and sample.h5 is a motion file"),
        (["runs/deubg", "--steps", "4"], "no such file: runs/deubg"),
        (["--split", "validation"], "train, test or both"),
        (["sample.h5", "--protocol", "emdm"], "no protocol 'emdm': choose from ours"),
        (["runs/debug", "--weights", "ema:0.5"], "ema:0.5"),
        (["runs/recogniser-debug"], "makes no motion"),
        (["sample.h5", "--recogniser", "runs/debug"], "not a recogniser"),
        (["sample.h5", "--data", "sample.h5", "--split", "test"], "no test clip"),
        (["runs/debug", "--count", "100000000000"], "100,000,000,000 motions of 60 frames need .* lower --count"),
        (["sample.h5", "--count", "3"], "5 motions per set"),
        (["sample.h5", "--seeds", "1", "--count", "8", "--out", "motions.h5/results.json"], "cannot write"),
    ],
)
def test_mistakes_are_told_in_one_sentence(place: Path, words: list[str], message: str) -> None:
    with pytest.raises(MdtoolError, match=message):
        run("evaluate", *words, "--threads", "1")


def test_a_stopped_evaluation_of_a_run_goes_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("evaluate", "runs/debug", "--seeds", "3", "--count", "6", "--split", "train", "--threads", "1")
    run(*words, "--out", "whole.json")
    original, asked = Generator.sample, []

    def stopped(self: Generator, actions: Sequence[int], seed: int, *rest: int, **more: Any) -> MotionSet:
        if len(asked) == 2:
            raise MdtoolError("the lights went out", exit_code=1)
        asked.append(seed)
        return original(self, actions, seed, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Generator, "sample", stopped)
        with pytest.raises(MdtoolError, match="the lights went out"):
            run(*words, "--out", "parts.json")
    assert len(list(Path("parts.json.parts").iterdir())) == 2
    run(*words, "--out", "parts.json")
    assert results("whole.json")["scores"] == results("parts.json")["scores"]
    assert not Path("parts.json.parts").exists()
