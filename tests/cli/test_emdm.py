"""EMDM as typed: from an MDM run to a few-step generator, its ablation, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from mdtool.motion.file import read_motions, write_motions
from mdtool.training.checkpoint import RunFolder
from tests.cli.command_line import done, refused
from tests.motion.smooth_motion import smooth_clips

ONE = ("--threads", 1)
SHORT = ("--preset", "emdm-debug", "--steps", 6, "--set", "train.save_every=3", "--set", "train.log_every=3")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with motions, the run of an MDM and one of an EMDM that started from it."""
    folder = tmp_path_factory.mktemp("emdm")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_motions("motions.h5", smooth_clips(12, tested=2))
        done("train", "--preset", "debug", *ONE)
        done("train", *SHORT, "--init-from", "runs/debug", "--out", "runs/warm", *ONE)
    return folder


@pytest.fixture(autouse=True)
def _in_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


def test_a_warm_start_takes_the_network_and_says_so() -> None:
    config = RunFolder("runs/warm").read_config()
    assert (config.method, config.init_from) == ("emdm", "runs/debug")
    model = config.model
    assert (model["width"], model["prediction"], model["time_steps"], model["diffusion_steps"]) == (
        32,
        "spectral",
        10,
        2,
    )
    assert "from the weights ema:0.9 of runs/debug" in Path("runs/warm/log").read_text()
    theirs = RunFolder("runs/debug").load_weights("ema:0.9")[0]
    assert torch.equal(RunFolder("runs/warm").load_weights("raw")[0]["spectrum.mean"], theirs["spectrum.mean"])
    last = json.loads(Path("runs/warm/metrics.jsonl").read_text().splitlines()[-1])
    assert {"real", "fake", "adversarial", "speed_ratio", "code_effect", "generator_gradient"} <= last.keys()


def test_samples_keep_their_packs() -> None:
    done("sample", "runs/warm", "--count", 3, "--guidance", 2, "--out", "made.h5", *ONE)
    motions = read_motions("made.h5")
    assert motions.noise is not None
    assert motions.noise.shape == (3, 2 * (25 * 6 * 60 + 16))


def test_without_gan() -> None:
    done("train", *SHORT, "--no-gan", "--out", "runs/plain", *ONE)
    names = RunFolder("runs/plain").load_weights("raw")[0]
    assert not [name for name in names if name.startswith("discriminator.") or "z_transform" in name]
    assert "--no-gan is for --method emdm" in refused("train", "--preset", "debug", "--no-gan", *ONE)


def test_what_cannot_be_is_told_in_a_sentence() -> None:
    assert "cannot take 5: leave --steps out" in refused("sample", "runs/warm", "--steps", 5, *ONE)
    assert "choose few-step or dpm++" in refused("sample", "runs/warm", "--sampler", "ddpm", *ONE)
    assert "is not a run" in refused("train", *SHORT, "--init-from", "runs/none", *ONE)
    assert "starts from no other run" in refused("train", "--preset", "debug", "--init-from", "runs/debug", *ONE)
    assert "holds a run with another init_from" in refused("train", *SHORT, "--out", "runs/warm", *ONE)


@pytest.mark.slow
def test_killed_and_resumed_it_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    words = ["train", "--preset", "emdm-debug", "--init-from", "runs/debug", "--steps", "60", "--threads", "1"]
    words += ["--set", "train.save_every=5", "--set", "train.log_every=5"]
    command = [sys.executable, "-m", "mdtool", *words]
    subprocess.run([*command, "--out", str(tmp_path / "whole")], check=True, capture_output=True)
    killed = RunFolder(tmp_path / "killed")
    for target in (2, 6):
        process = subprocess.Popen([*command, "--out", str(killed.path)], stdout=subprocess.DEVNULL)
        while process.poll() is None and _logged(killed) < target:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run([*command, "--out", str(killed.path)], check=True, capture_output=True)
    for track in ("raw", "ema:0.9"):
        whole, resumed = (RunFolder(tmp_path / name).load_weights(track)[0] for name in ("whole", "killed"))
        assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items()), track
    assert (killed.path / "log").read_text().count("resumed") == 2


def _logged(folder: RunFolder) -> int:
    path = folder.path / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0
