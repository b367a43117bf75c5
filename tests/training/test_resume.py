"""Exact resume: stopping, killing and going on change nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from mdtool.config import RunConfig, load_preset, override
from mdtool.errors import MdtoolError
from mdtool.methods.mdm import MDM
from mdtool.motion.file import read_motions, write_motions
from mdtool.motion.motion import Motion, MotionSet
from mdtool.training.checkpoint import RunFolder
from mdtool.training.run import load_generator, resolve, train

QUIET = Console(quiet=True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve noisy clips of two actions."""
    rng = np.random.default_rng(0)
    clips = []
    for k in range(12):
        rot6d = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (70 + k, 24, 1))
        rot6d += 0.05 * rng.standard_normal(rot6d.shape).astype(np.float32)
        root = np.array([0, 1, 0], np.float32) + 0.02 * rng.standard_normal((70 + k, 3)).astype(np.float32)
        clips.append(Motion(rot6d, root, 20.0, action=("hop", "sway")[k % 2]))
    path = tmp_path / "motions.h5"
    write_motions(path, MotionSet.from_clips(clips))
    return path


def settings(data: Path, *assignments: str) -> RunConfig:
    """The debug preset on `data`."""
    table = load_preset("debug")
    override(table, list(assignments))
    return resolve("debug", table, data, read_motions(data))


def run(config: RunConfig, data: Path, folder: Path) -> dict[str, torch.Tensor]:
    """Train and return the raw weights and those of the average."""
    train(config, read_motions(data), RunFolder(folder), torch.device("cpu"), QUIET)
    raw = RunFolder(folder).load_weights("raw")[0]
    averaged = RunFolder(folder).load_weights("ema:0.9")[0]
    return {**raw, **{f"ema/{name}": tensor for name, tensor in averaged.items()}}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_the_weights_that_guide_are_kept_and_loaded_when_asked(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(data, "model.guide_at=0.4", "model.guidance=2.0", "train.save_every=100")
    folder = RunFolder(tmp_path / "run")
    train(config, read_motions(data), folder, torch.device("cpu"), QUIET)
    assert config.guide_step == 8
    assert folder.steps() == [8, 20]
    method = load_generator(folder.path).method
    assert isinstance(method, MDM)
    with monkeypatch.context() as nothing_read:
        nothing_read.setattr("mdtool.training.run.load_method", None)
        method.decode(torch.zeros(1, 25, 6, 60), torch.tensor([0]), **method.smooth_options(2))
    assert method.weaker is not None
    guide = method.weaker()
    expected = folder.load_weights("ema:0.9", 8)[0]
    assert all(torch.equal(tensor, expected[name]) for name, tensor in guide.state_dict().items())
    at_the_guide = load_generator(folder.path, step=8).method
    assert isinstance(at_the_guide, MDM)
    assert at_the_guide.weaker is None, "nothing is guided by itself"


@pytest.mark.parametrize("sampler", ["uniform", "loss-aware"])
def test_two_halves_equal_one_whole(data: Path, tmp_path: Path, sampler: str) -> None:
    options = [f"model.timestep_sampler={sampler}", "train.batch=64", "model.dropout=0.1"]
    if sampler == "loss-aware":
        options += ["model.step_weighting=decay", "train.ema_switch_every=3"]
    whole = run(settings(data, *options), data, tmp_path / "whole")
    config = settings(data, *options)
    folder = RunFolder(tmp_path / "halves")
    stopped = _stop_after(10, config, data, folder)
    assert stopped == 10
    assert same(run(config, data, folder.path), whole)


def _stop_after(steps: int, config: RunConfig, data: Path, folder: RunFolder) -> int:
    """Train like `train`, but have Ctrl-C arrive when `steps` steps are done; the step at which it stopped."""
    import mdtool.training.run as module

    original = module.Trainer.train_step

    def interrupted(self: object) -> None:
        original(self)  # type: ignore[arg-type]
        if self.step == steps:  # type: ignore[attr-defined]
            os.kill(os.getpid(), signal.SIGINT)

    module.Trainer.train_step = interrupted  # type: ignore[method-assign]
    try:
        assert not train(config, read_motions(data), folder, torch.device("cpu"), QUIET)
    finally:
        module.Trainer.train_step = original  # type: ignore[method-assign]
    state = folder.load_state()
    assert state is not None
    return int(state["step"])


def test_kill_9_three_times_changes_nothing(data: Path, tmp_path: Path) -> None:
    options = [
        "--preset",
        "debug",
        "--sampler",
        "loss-aware",
        "--steps",
        "60",
        "--set",
        "train.batch=64",
        "--threads",
        "1",
    ]
    command = [sys.executable, "-c", "from mdtool.cli.app import main; main()", "train", str(data), *options]
    subprocess.run([*command, "--out", str(tmp_path / "whole")], check=True, capture_output=True)
    killed = RunFolder(tmp_path / "killed")
    for target in (7, 22, 41):
        process = subprocess.Popen([*command, "--out", str(killed.path)], stdout=subprocess.DEVNULL)
        while process.poll() is None and _logged_step(killed) < target:
            time.sleep(0.01)
        process.kill()
        process.wait()
    subprocess.run([*command, "--out", str(killed.path)], check=True, capture_output=True)
    for track in ("raw", "ema:0.9"):
        assert same(killed.load_weights(track)[0], RunFolder(tmp_path / "whole").load_weights(track)[0])
    assert "resumed" in (killed.path / "log").read_text()


def _logged_step(folder: RunFolder) -> int:
    path = folder.path / "metrics.jsonl"
    return path.read_text().count("\n") * 5 if path.exists() else 0


def test_another_setting_does_not_resume(data: Path, tmp_path: Path) -> None:
    run(settings(data), data, tmp_path / "run")
    with pytest.raises(MdtoolError, match=r"another train\.seed"):
        run(settings(data, "train.seed=11"), data, tmp_path / "run")


def test_a_folder_with_other_files_is_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.docx").write_text("precious")
    with pytest.raises(MdtoolError, match="holds files but no run"):
        run(settings(data), data, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.docx"]


def test_divergence_is_told_and_the_last_checkpoint_stays(data: Path, tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match="training diverged") as caught:
        run(settings(data, "train.lr=1e30", "train.warmup_steps=0"), data, tmp_path / "run")
    assert caught.value.exit_code == 1
    assert all(torch.isfinite(tensor).all() for tensor in RunFolder(tmp_path / "run").load_weights("raw")[0].values())
