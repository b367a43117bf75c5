"""`mdtool train` as typed."""

from __future__ import annotations

import json
import os
import signal
import tomllib
from pathlib import Path

import numpy as np
import pytest

from mdtool.config import load_preset
from mdtool.motion.file import file_sha256, write_motions
from mdtool.training.checkpoint import RunFolder
from mdtool.training.loop import Trainer
from tests.cli.command_line import done, mdtool, refused
from tests.motion.smooth_motion import smooth_clips

DEBUG = ("--preset", "debug", "--threads", 1)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a motions.h5."""
    monkeypatch.chdir(tmp_path)
    write_motions("motions.h5", smooth_clips(12, tested=2))
    return tmp_path


def config(run: str = "runs/debug") -> dict:
    return tomllib.loads(Path(run, "config.toml").read_text())


def stop_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Ctrl-C arrive when so many steps are done."""
    train_step = Trainer.train_step

    def interrupted(self: Trainer) -> None:
        train_step(self)
        if self.step == steps:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Trainer, "train_step", interrupted)


def test_the_readme_line_works_as_typed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        ran = mdtool("train", "--ema", "0.9995", "--sampler", "loss-aware")
    assert ran.code == 130
    assert "the same command goes on from there" in ran.out
    resolved = config("runs/small")
    assert (resolved["data"], resolved["preset"]) == ("motions.h5", "small")
    assert resolved["train"]["ema"] == [0.9995]
    assert resolved["model"]["timestep_sampler"] == "loss-aware"
    assert RunFolder("runs/small").tracks() == ["ema:0.9995", "raw"]
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        again = mdtool("train", "--ema", "0.9995", "--sampler", "loss-aware")
    assert again.code == 130
    assert f"resuming runs/small at step 2 of {load_preset('small')['train']['steps']}" in again.out
    assert RunFolder("runs/small").newest_step() == 3


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_precision_is_what_the_hardware_multiplies_and_stays_with_the_run(
    place: Path, monkeypatch: pytest.MonkeyPatch, native: bool, expected: str
) -> None:
    monkeypatch.setattr("mdtool.training.device.bf16_is_native", lambda device: native)
    typed = ("train", *DEBUG, "--precision", "auto", "--steps", 2)
    done(*typed)
    assert config()["train"]["precision"] == expected
    monkeypatch.setattr("mdtool.training.device.bf16_is_native", lambda device: not native)
    done(*typed)
    assert config()["train"]["precision"] == expected


def test_the_recogniser_of_positions_is_trained_and_judges(place: Path) -> None:
    small = ("--set", "model.width=8", "--set", "model.frames=20", "--set", "train.warmup_steps=0", "--threads", 1)
    printed = done("train", "--method", "gru-recogniser", "--steps", 2, "--batch", 4, *small)
    assert printed.rstrip().endswith("next: mdtool evaluate")
    assert config("runs/gru-recogniser")["method"] == "gru-recogniser"
    done("evaluate", "motions.h5", "--seeds", 1, "--count", 6, "--split", "train", "--threads", 1)
    assert json.loads(Path("results.json").read_text())["scores"]["fid_real_train"]["mean"] >= 0


def test_every_option_reaches_the_settings(place: Path) -> None:
    done(
        "train", "motions.h5", *DEBUG, "--out", "elsewhere/mine", "--steps", 6, "--ema", 0.5, "--ema", 0.99,
        "--precision", "bf16", "--batch", 5, "--seed", 3, "--weighting", "min-snr",
        "--switch-ema", 4, "--set", "model.layers=1", "--set", "train.lr=2e-3",
        "--set", "model.foot_space=world",
    )  # fmt: skip
    resolved = config("elsewhere/mine")
    expected = {"steps": 6, "ema": [0.5, 0.99], "precision": "bf16", "batch": 5, "seed": 3, "lr": 2e-3}
    expected |= {"ema_switch_every": 4}
    assert resolved["model"]["step_weighting"] == "min-snr"
    assert {key: resolved["train"][key] for key in expected} == expected
    assert (resolved["model"]["layers"], resolved["model"]["foot_space"]) == (1, "world")
    assert resolved["actions"] == ["hop", "sway", "wave"]
    assert (resolved["fps"], resolved["data_sha256"]) == (20.0, file_sha256("motions.h5"))
    assert RunFolder("elsewhere/mine").tracks() == ["ema:0.5", "ema:0.99", "raw"]


def test_logs_weights_and_draws(place: Path) -> None:
    printed = done("train", *DEBUG)
    records = [json.loads(line) for line in Path("runs/debug/metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [5, 10, 15, 20]
    assert records[-1].keys() >= {"lr", "steps_per_s", "loss", "reconstruction"}
    assert records[-1]["loss"] == pytest.approx(records[-1]["reconstruction"]), "uniform timesteps weigh 1"
    assert records[0]["lr"] > records[-1]["lr"] > 1e-5
    with np.load("runs/debug/timesteps.npz") as arrays:
        assert arrays["draws"].shape == (1, 10)
        assert arrays["draws"].sum() == 20 * 8
    log = Path("runs/debug/log").read_text().splitlines()
    assert "started: mdm, preset debug, 20 steps" in log[0]
    assert log[-1].endswith("saved step 20")
    assert "step 20/20" in printed
    assert "loss " in printed
    assert printed.rstrip().endswith("next: mdtool sample runs/debug")
    assert RunFolder("runs/debug").steps() == [20], "older weights make room"


def test_a_finished_run_is_left_as_it_is(place: Path) -> None:
    done("train", *DEBUG)
    run = RunFolder("runs/debug")
    before = [run.load_weights(track)[2] for track in run.tracks()]
    metrics = Path("runs/debug/metrics.jsonl").read_text()
    assert "resuming runs/debug at step 20 of 20" in done("train", *DEBUG)
    assert [run.load_weights(track)[2] for track in run.tracks()] == before
    assert Path("runs/debug/metrics.jsonl").read_text() == metrics


def test_another_setting_does_not_resume(place: Path) -> None:
    done("train", *DEBUG)
    told = refused("train", *DEBUG, "--seed", 4)
    assert "runs/debug holds a run with another train.seed" in told
    assert "--out" in told


def test_the_same_data_under_another_name_resumes(place: Path) -> None:
    done("train", *DEBUG)
    Path("motions.h5").rename("moved.h5")
    assert "resuming" in done("train", "moved.h5", *DEBUG)
    write_motions("moved.h5", smooth_clips(11))
    assert "another data_sha256" in refused("train", "moved.h5", *DEBUG)


def test_a_preset_of_ones_own(place: Path) -> None:
    Path("plain.toml").write_text("[train]\nsteps = 2\nbatch = 4\n[model]\nframes = 20\nwidth = 8\n")
    done("train", "--preset", "plain.toml", "--method", "gru-recogniser", "--threads", 1)
    assert config("runs/plain")["method"] == "gru-recogniser"
    Path("mine.toml").write_text(
        'method = "recogniser"\n[train]\nsteps = 2\nbatch = 4\nlr = 1e-3\n[model]\nframes = 20\nwidth = 8\n'
    )
    printed = done("train", "--preset", "mine.toml", "--threads", 1)
    assert "wrote runs/mine" in printed
    assert printed.rstrip().endswith("next: mdtool evaluate")
    assert (config("runs/mine")["method"], config("runs/mine")["preset"]) == ("recogniser", "mine.toml")


def test_a_preset_of_another_method_is_refused(place: Path) -> None:
    told = refused("train", "--method", "emdm", "--preset", "debug")
    assert "preset debug is one of mdm and not of emdm" in told
    assert not Path("runs").exists()


def test_damaged_runs_are_told(place: Path) -> None:
    done("train", *DEBUG, "--steps", 20)
    state = Path("runs/debug/checkpoints/state.pt")
    whole = state.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"PK not a checkpoint"):
        state.write_bytes(content)
        assert "state.pt is damaged" in refused("train", *DEBUG)
    state.write_bytes(whole)
    Path("runs/debug/config.toml").write_text("train = ")
    assert "config.toml is not a TOML file" in refused("train", *DEBUG)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--steps", 1, "--set", "train.warmup_steps=5"), "warmup_steps"),
        (("--set", "model.width=30"), "must be a multiple of heads"),
        (("--set", "model.frames"), "write it as section.key=value"),
        (("--set", "models.frames=3"), "there is no section 'models'"),
        (("--ema", 0.9, "--ema", 0.9), "the same ema decay is given twice"),
        (("--seed", -4), "train.seed"),
        (("--preset", "recogniser-debug", "--set", "model.width=4"), "greater than or equal to 8"),
        (("--weighting", "max-snr"), "step_weighting"),
        (("--set", "train.ema=[]", "--switch-ema", 5), "needs an ema decay to switch to"),
        (("--precision", "fp8"), "train.precision"),
        (("--set", "model.novel=3"), "mdm settings: novel: there is no such setting"),
    ],
)
def test_mistakes(place: Path, words: tuple, sentence: str) -> None:
    assert sentence in refused("train", *DEBUG, *words)
    assert not Path("runs").exists()


def test_a_place_that_cannot_be_written_is_refused_before_any_work(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mdtool.methods.mdm.MDM.fit_statistics", None)
    assert "cannot write motions.h5/config.toml" in refused("train", *DEBUG, "--out", "motions.h5")


def test_components_that_would_copy_the_clips_are_left_out_and_told(place: Path) -> None:
    wanted = ("--set", "model.prediction=spectral", "--set", "model.standardise=true", "--set", "model.components=3")
    told = done("train", *DEBUG, "--steps", 3, *wanted)
    assert "note: 3 components are too many for " in told
    again = done("train", *DEBUG, "--steps", 3, *wanted, "--set", "model.components=1", "--out", "runs/plain")
    assert "components" not in again


def test_data_of_several_frame_rates_is_refused(place: Path) -> None:
    motions = smooth_clips(4)
    motions.fps[1] = 30.0
    write_motions("mixed.h5", motions)
    assert "mixed.h5 mixes frame rates (20, 30): preprocess again with --fps" in refused("train", "mixed.h5", *DEBUG)
