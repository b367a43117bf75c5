"""Several optimisers in one loop, and steps without a finite gradient: a toy of two weights shows both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from mdtool.config import RunConfig, TrainConfig
from mdtool.errors import MdtoolError
from mdtool.methods.contract import Batch, Minimise, Optimised, Trainable
from mdtool.training.batches import WindowSource
from mdtool.training.checkpoint import RunFolder
from mdtool.training.loop import Trainer, fit, save
from tests.motion.smooth_motion import ACTIONS, smooth_clips


class Pair(Trainable):
    """Weight a goes to 1, weight b to -1, each by its own optimiser; at the `bad` steps b's gradient is NaN."""

    frames, fps, guards_steps = 20, 20.0, True

    def __init__(self, bad: set[int]) -> None:
        super().__init__()
        self.actions, self.bad = list(ACTIONS), bad
        self.a, self.b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        return {"loss": (self.a - 1).square().expand(len(batch.action))}

    def optimised(self) -> dict[str, Optimised]:
        return {"a": Optimised([self.a]), "b": Optimised([self.b], lr=0.02)}

    def averaged(self) -> dict[str, nn.Parameter]:
        return {"a": self.a}

    def training_step(self, batch: Batch, rng: torch.Generator, step: int, minimise: Minimise) -> dict[str, Tensor]:
        other = (self.b + 1).square().expand(len(batch.action))
        minimise(other * (torch.nan if step in self.bad else 1.0), "b")
        terms = self.losses(batch, rng)
        minimise(terms["loss"], "a")
        return terms

    def diagnose(self) -> tuple[dict[str, float], list[str]]:
        return {"b": self.b.item()}, ["b is below -0.1"] if self.b.item() < -0.1 else []


SOURCE = WindowSource(smooth_clips(4), 0, 20, 4, 0)


def made(*bad: int, steps: int = 12) -> Trainer:
    config = TrainConfig(steps=steps, lr=0.01, ema=[0.5], ema_kind="plain", save_every=4, log_every=4)
    return Trainer(Pair(set(bad)), SOURCE, config, torch.device("cpu"))


def settings(trainer: Trainer) -> RunConfig:
    return RunConfig(
        method="pair",
        preset="",
        data="",
        data_sha256="",
        actions=list(ACTIONS),
        fps=20.0,
        train=trainer.config,
        model={},
    )


def test_each_optimiser_has_its_rate_and_only_what_is_averaged_has_a_track() -> None:
    trainer = made()
    trainer.train_step()
    assert trainer.method.a.item() == pytest.approx(0.01)  # Adam's first step is the learning rate
    assert trainer.method.b.item() == pytest.approx(-0.02)
    assert trainer.tracks()["ema:0.5"]["a"].item() == pytest.approx(0.005)
    assert trainer.tracks()["ema:0.5"]["b"].item() == pytest.approx(-0.02)
    assert list(trainer.ema.weights(0.5)) == ["a"]


def test_a_bad_gradient_is_left_out_and_spoils_nothing() -> None:
    trainer, clean = made(1), made()
    for _ in range(3):
        trainer.train_step()
    clean.train_step()
    clean.train_step()
    assert trainer.guard is not None
    assert (trainer.guard.left_out, trainer.guard.in_a_row, trainer.summed) == (1, 0, 2)
    assert torch.equal(trainer.method.b, clean.method.b), "b made two steps of three"
    assert trainer.method.a.item() == pytest.approx(0.03, rel=1e-2)
    assert all(torch.isfinite(torch.tensor(value)) for value in trainer.read_terms(trainer.summed).values())


def test_three_in_a_row_bring_the_saved_weights_back_at_half_the_rate(tmp_path: Path) -> None:
    trainer, folder = made(5, 6, 7), RunFolder(tmp_path / "run")
    save(trainer, folder, trainer.config)
    assert fit(trainer, folder, settings(trainer), Console(quiet=True))
    assert trainer.guard is not None
    assert (trainer.guard.left_out, trainer.guard.restored, trainer.guard.rate) == (3, 1, 0.5)
    log = (folder.path / "log").read_text()
    assert "back to the weights of step 4, learning rate times 0.5" in log
    assert "warning at step 8: 3 steps left out: a gradient was not finite" in log
    assert "warning at step 8: b is below" not in log
    assert "warning at step 12: b is below -0.1" in log
    # 4 steps at the full rate, the weights of step 4 again after step 8, then 4 steps at half of it.
    assert trainer.method.b.item() == pytest.approx(-0.02 * 4 - 0.01 * 4, rel=0.02)
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    assert [line for line in lines if '"lr": 0.005' in line]
    assert [json.loads(line)["left_out"] for line in lines][-1] == 3


def test_two_halves_equal_one_whole_with_two_optimisers(tmp_path: Path) -> None:
    whole, first = made(2, 5), made(2, 5)
    for _ in range(8):
        whole.train_step()
    for _ in range(3):
        first.train_step()
    folder = RunFolder(tmp_path)
    folder.save_state(first.state())
    second = made(2, 5)
    state = folder.load_state()
    assert state is not None
    second.load_state(state)
    for _ in range(5):
        second.train_step()
    assert all(torch.equal(x, y) for x, y in zip(whole.method.parameters(), second.method.parameters(), strict=True))
    assert torch.equal(whole.ema.weights(0.5)["a"], second.ema.weights(0.5)["a"])
    assert whole.guard is not None
    assert second.guard is not None
    assert whole.guard.state_dict() == second.guard.state_dict()


def test_a_training_that_no_rate_saves_ends_in_a_sentence(tmp_path: Path) -> None:
    trainer, folder = made(*range(100), steps=100), RunFolder(tmp_path / "run")
    save(trainer, folder, trainer.config)
    with pytest.raises(MdtoolError, match="no gradient is finite near step 33") as caught:
        fit(trainer, folder, settings(trainer), Console(quiet=True))
    assert caught.value.exit_code == 1
