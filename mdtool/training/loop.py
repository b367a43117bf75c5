"""The one training loop: every method, exact resume, nothing lost on Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from mdtool.config import RunConfig, TrainConfig
from mdtool.errors import MdtoolError
from mdtool.methods.contract import Trainable, step_generator
from mdtool.training.batches import WindowSource
from mdtool.training.checkpoint import RAW, RunFolder
from mdtool.training.distributed import Ranks
from mdtool.training.ema import EMA
from mdtool.training.optim import learning_rate, make_optimiser
from mdtool.training.progress import StepProgress


class Trainer:
    """Optimises a method's weights; its state at step k is a function of the settings and k alone.

    On several ranks it is the same state on each, up to the order in which gradients are added.
    """

    def __init__(
        self,
        method: Trainable,
        source: WindowSource,
        config: TrainConfig,
        device: torch.device,
        ranks: Ranks | None = None,
    ) -> None:
        self.method, self.source, self.config, self.device = method, source, config, device
        self.ranks = ranks or Ranks()
        self.step = 0
        self.parameters = [parameter for parameter in method.parameters() if parameter.requires_grad]
        self.optimiser = make_optimiser(self.parameters, config)
        self.ema = EMA(dict(method.named_parameters()), config.ema, kind=config.ema_kind)
        self.terms: dict[str, Tensor] = {}

    def train_step(self) -> None:
        """One optimiser step on the batch of `self.step`. No value is read back from the device here."""
        step, config = self.step, self.config
        # Dropout draws from the global generator: seeded per step, so that a resumed run draws the same, and per
        # rank, so that two ranks do not drop the same units. It alone depends on the number of ranks.
        torch.manual_seed(step_generator(config.seed, step).initial_seed() + self.ranks.rank)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(step, config)
        batch = self.source.batch(step)
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            terms = self.method.losses(batch, step_generator(config.seed, step, self.device))
        portion = len(batch.action) / self.source.batch_size
        (terms["loss"].mean() * portion).backward()
        self.ranks.sum_gradients(self.parameters)
        if config.grad_clip > 0:
            torch.nn.utils.clip_grad_norm_(self.parameters, config.grad_clip)
        self.optimiser.step()
        self.ema.update()
        if config.ema_switch_every and (step + 1) % config.ema_switch_every == 0:
            self.ema.switch(config.ema[0])
        for name, values in terms.items():
            mean = values.detach().float().mean() * portion
            self.terms[name] = self.terms[name] + mean if name in self.terms else mean
        self.step += 1

    def read_terms(self, steps: int) -> dict[str, float]:
        """Mean of every loss term over the last `steps` steps; the only place that waits for the device."""
        names, totals = list(self.terms), self.ranks.sum(torch.stack(list(self.terms.values())))
        self.terms = {}
        return {name: total / steps for name, total in zip(names, totals.tolist(), strict=True)}

    def tracks(self) -> dict[str, dict[str, Tensor]]:
        """Weights to publish by track: the raw ones, and each EMA's with the buffers of the raw ones."""
        raw = {name: tensor.detach().cpu().clone() for name, tensor in self.method.state_dict().items()}
        averaged = {
            f"ema:{decay:g}": {**raw, **{name: tensor.cpu() for name, tensor in self.ema.weights(decay).items()}}
            for decay in self.config.ema
        }
        return {RAW: raw, **averaged}

    def state(self) -> dict[str, Any]:
        """Everything an exact resume needs: plain types and tensors."""
        return {
            "step": self.step,
            "method": self.method.state_dict(),
            "method_training": self.method.training_state(),
            "optimiser": self.optimiser.state_dict(),
            "ema": self.ema.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was taken."""
        self.step = int(state["step"])
        self.method.load_state_dict(state["method"])
        self.method.load_training_state(state["method_training"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.ema.load_state_dict(state["ema"])


def fit(trainer: Trainer, folder: RunFolder, config: RunConfig, console: Console) -> bool:
    """Train to the last step, saving as it goes.

    Returns:
        True when finished, False when the user stopped it (Ctrl-C or SIGTERM, on any rank): then all is saved.

    Raises:
        MdtoolError: a loss stopped being finite (exit code 1); the last checkpoint is left as it was.
    """
    settings, ranks = config.train, trainer.ranks
    stopped = False
    with _stop_requests(ranks) as received, StepProgress(settings.steps, trainer.step, console) as progress:
        since_log = 0
        while trainer.step < settings.steps and not stopped:
            trainer.train_step()
            since_log += 1
            progress.step(trainer.step)
            last = trainer.step == settings.steps
            if trainer.step % settings.log_every == 0 or last:
                terms = trainer.read_terms(since_log)
                since_log = 0
                _require_finite(terms, trainer.step, folder.path)
                progress.terms(terms)
                rate = learning_rate(trainer.step - 1, settings)
                record = {"step": trainer.step, "lr": rate, "steps_per_s": round(progress.steps_per_s, 3), **terms}
                if ranks.first:
                    folder.append_metrics(record)
            stopped = ranks.any(bool(received))
            if trainer.step % settings.save_every == 0 or last or stopped:
                save(trainer, folder, settings)
        ranks.wait()  # until everything is written
    return trainer.step == settings.steps


def save(trainer: Trainer, folder: RunFolder, settings: TrainConfig) -> None:
    """Write weights, state and the timestep histogram; each file whole, and only on the first rank."""
    if not trainer.ranks.first:
        return
    folder.save_weights(trainer.step, trainer.tracks(), keep_older=False)
    if settings.keep_every and trainer.step % settings.keep_every == 0:
        folder.mark_kept(trainer.step)
    folder.save_state(trainer.state())
    histogram = getattr(trainer.method, "histogram", None)
    if histogram is not None:
        folder.save_histogram(histogram.counts, histogram.steps_per_row)
    folder.note(f"saved step {trainer.step}")


def _require_finite(terms: dict[str, float], step: int, path: Path) -> None:
    bad = [name for name, value in terms.items() if not abs(value) < float("inf")]
    if bad:
        raise MdtoolError(
            f"training diverged: {', '.join(bad)} is not finite near step {step}; the last checkpoint in {path} is "
            "good: train again from there with a lower --set train.lr=… into another --out",
            exit_code=1,
        )


@contextmanager
def _stop_requests(ranks: Ranks) -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM instead of dying, so that the step in progress ends and is saved.

    A second one means it, but not on several ranks: the terminal and torchrun both pass on the same Ctrl-C.
    """
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if received and ranks.world == 1:
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
