"""`mdtool phase` and `mdtool report` as typed, on a study small enough for a test; interrupted and taken up again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from PIL import Image

from mdtool.evaluation import checkpoints as evaluated
from mdtool.evaluation import results as written
from mdtool.study import plan
from mdtool.training.checkpoint import RunFolder
from mdtool.training.loop import Trainer
from tests.cli.command_line import done, mdtool, refused

WORDS = ("phase", 3, "--steps", "small", "--count", 5, "--seeds", 2, "--device", "cpu", "--threads", 1)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """STEPS=small, smaller still; the current folder is a fresh one."""
    network = ("train.batch=4", "model.layers=1", "model.width=16", "model.heads=2", "model.feedforward=16")
    monkeypatch.setattr(plan, "SMALL_STEPS", 20)
    monkeypatch.setattr(plan, "SMALL_NETWORK", (*network, "model.diffusion_steps=4"))
    monkeypatch.setattr(plan, "SMALL_EVALUATION", ("--steps", "2"))
    monkeypatch.setattr(plan, "SMALL_CLIPS", 5)
    monkeypatch.setattr(plan, "STRIP_SAMPLES", 2)
    monkeypatch.setattr(plan, "SMALL_JUDGE", "recogniser-debug")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stop_training_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C in that step of a training."""
    train_step = Trainer.train_step

    def interrupted(trainer: Trainer) -> None:
        train_step(trainer)
        if trainer.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    patch.setattr(Trainer, "train_step", interrupted)


def stop_evaluating_at(count: int, patch: pytest.MonkeyPatch) -> None:
    """Die before the results of that evaluation are on disk."""
    write, seen = written.write_results, []

    def killed(path: Path, results: written.Results) -> None:
        seen.append(path)
        if len(seen) == count:
            raise KeyboardInterrupt
        write(path, results)

    patch.setattr(written, "write_results", killed)


def test_a_phase_goes_on_wherever_it_was_interrupted(tiny: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_training_at(13, patch)
        stopped = mdtool(*WORDS)
    assert stopped.code == 130
    assert RunFolder("phases/runs/phase1-100").newest_step() == 13
    assert not Path("phases/runs/phase3").exists()

    with pytest.MonkeyPatch.context() as patch:
        stop_evaluating_at(4, patch)
        stopped = mdtool(*WORDS)
    assert stopped.code == 130
    assert "phases/motions.h5 is there already" in stopped.out
    kept = {path: path.stat().st_mtime_ns for path in Path("phases").glob("runs/*/evaluations/*.json")}
    assert len(kept) == 3

    out = done(*WORDS)
    assert "phases/runs/phase1-100: 5 evaluations, 3 are there already" in out
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "what was there was not done again"
    base, best = (evaluated.read_evaluations(f"phases/runs/{name}") for name in ("phase1-100", "phase3"))
    assert [entry.checkpoint.step for entry in base] == [entry.checkpoint.step for entry in best] == [*range(4, 21, 4)]
    assert {entry.results.protocol for entry in base} == {"thesis 1"}
    assert {entry.checkpoint.track for entry in best} == {"ema:0.13793"}
    assert best[0].results.seeds == [1, 2]

    report = Path("phases/report/report.md").read_text()
    assert "| P1-100 (100 diffusion steps) |" in report
    assert "| P3 (loss-aware, EMA 0.13793) |" in report
    assert "model.layers 1 (preset: 8)" in report
    assert "**cannot be judged**" in report
    made = {path.name for path in Path("phases/report").iterdir()}
    assert made == {
        *("report.md", "claims.md", "figure-4.2a.svg", "figure-4.2a.png", "figure-4.2b.svg", "figure-4.2b.png"),
        *("figure-4.3.png", *(f"table-4.{k}.{kind}" for k in (1, 3) for kind in ("md", "tex"))),
    }
    with Image.open("phases/report/figure-4.3.png") as strip:
        assert strip.height == 2 * 380, "two actions were sampled"
    command = base[0].results.provenance["command"]
    assert command.startswith("mdtool evaluate phases/runs/phase1-100 --checkpoint all"), "as if it had been typed"

    assert "holds a study with steps small (now 100)" in refused("phase", 3, "--steps", 100)


def test_mistakes_are_told_in_one_sentence(tiny: Path) -> None:
    assert "no generator's run in" in refused("report", tiny)
    assert "no such file or folder: nowhere" in refused("phase", 1, "nowhere")
    assert not Path("phases").exists()
    assert "--checkpoint must be a step, all or last" in refused("evaluate", "--checkpoint", "newest")
