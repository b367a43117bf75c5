"""The one training loop: every method, exact resume, nothing lost on Ctrl-C."""

from __future__ import annotations

import math
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
from mdtool.methods.contract import Trainable
from mdtool.methods.seeds import step_generator
from mdtool.training.batches import BatchSource
from mdtool.training.checkpoint import RAW, RunFolder
from mdtool.training.distributed import Ranks
from mdtool.training.ema import EMA
from mdtool.training.guard import LEAST_RATE, PATIENCE, StepGuard
from mdtool.training.optim import learning_rate, make_optimiser
from mdtool.training.progress import StepProgress
from mdtool.wording import counted


class Trainer:
    """Optimises a method's weights; its state at step k is a function of the settings and k alone.

    On several ranks it is the same state on each, up to the order in which gradients are added.
    """

    def __init__(
        self,
        method: Trainable,
        source: BatchSource,
        config: TrainConfig,
        device: torch.device,
        ranks: Ranks | None = None,
    ) -> None:
        self.method, self.source, self.config, self.device = method, source, config, device
        self.ranks = ranks or Ranks()
        self.step = 0
        self.optimised = method.optimised()
        self.optimisers = {name: make_optimiser(part.parameters, config) for name, part in self.optimised.items()}
        self.ema = EMA(method.averaged(), config.ema, kind=config.ema_kind)
        self.guard = StepGuard() if method.guards_steps else None
        self.terms: dict[str, Tensor] = {}
        self.summed = 0
        """Steps that `terms` adds up."""

    def train_step(self) -> None:
        """One training step on the batch of `self.step`. Only the guard reads a value back from the device here."""
        step, config = self.step, self.config
        # Dropout draws from the global generator: seeded per step, so that a resumed run draws the same, and per
        # rank, so that two ranks do not drop the same units. It alone depends on the number of ranks.
        torch.manual_seed(step_generator(config.seed, step).initial_seed() + self.ranks.rank)
        self._set_rates()
        batch = self.source.batch(step)
        self._portion = portion = len(batch.action) / batch.share.whole(len(batch.action))
        # Autocast keeps copies of the weights that it casts: with several optimisers they would be stale.
        keeps = len(self.optimisers) == 1
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16", cache_enabled=keeps):
            rng = step_generator(config.seed, step, self.device)
            terms = self.method.training_step(batch, rng, step, self._minimise)
        self.ema.update()
        if config.ema_switch_every and (step + 1) % config.ema_switch_every == 0:
            self.ema.switch(config.ema[0])
        self.step += 1
        if self.guard and not self.guard.end_step():
            return
        self.summed += 1
        for name, values in terms.items():
            mean = values.detach().float().mean() * portion
            self.terms[name] = self.terms[name] + mean if name in self.terms else mean

    def _set_rates(self) -> None:
        rate = learning_rate(self.step, self.config, self.method.stage_starts)
        rate *= self.guard.rate if self.guard else 1.0
        for name, optimiser in self.optimisers.items():
            own = self.optimised[name].lr
            for group in optimiser.param_groups:
                group["lr"] = rate if own is None else own * rate / self.config.lr

    def _minimise(self, values: Tensor, name: str = "network") -> Tensor | None:
        """One step of one optimiser; see `Minimise`."""
        optimiser, parameters, norm = self.optimisers[name], self.optimised[name].parameters, None
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, enabled=False):
            (values.mean() * self._portion).backward()
        self.ranks.sum_gradients(parameters)
        if self.guard:
            norm, finite = self.guard.norm(parameters)
            if not finite:
                return norm
        if self.config.grad_clip > 0:
            torch.nn.utils.clip_grad_norm_(parameters, self.config.grad_clip)
        optimiser.step()
        return norm

    def read_terms(self, steps: int) -> dict[str, float]:
        """Mean of every loss term over the last `steps` steps; waits for the device, as all that a log asks for."""
        if not self.terms:
            return {}
        names, totals = list(self.terms), self.ranks.sum(torch.stack(list(self.terms.values())))
        self.terms, self.summed = {}, 0
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
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "ema": self.ema.state_dict(),
            "guard": self.guard.state_dict() if self.guard else {},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was taken."""
        self.step = int(state["step"])
        self.method.load_training_state(state["method_training"])
        self._load_weights(state)
        if self.guard:
            self.guard.load_state_dict(state["guard"])

    def fall_back(self, state: dict[str, Any]) -> None:
        """Take the weights and moments of an earlier state, halve the learning rate, and go on with the next batch."""
        self._load_weights(state)
        if self.guard:
            self.guard.lower_rate()

    def _load_weights(self, state: dict[str, Any]) -> None:
        self.method.load_state_dict(state["method"])
        # A run that began before methods had several optimisers has its only one under "optimiser".
        for name, saved in state.get("optimisers", {"network": state.get("optimiser")}).items():
            self.optimisers[name].load_state_dict(saved)
        self.ema.load_state_dict(state["ema"])


def fit(trainer: Trainer, folder: RunFolder, config: RunConfig, console: Console) -> bool:
    """Train to the last step, saving as it goes.

    Returns:
        True when finished, False when the user stopped it (Ctrl-C or SIGTERM, on any rank): then all is saved.

    Raises:
        MdtoolError: a loss stopped being finite (exit code 1); the last checkpoint is left as it was.
    """
    settings, ranks = config.train, trainer.ranks
    stopped, left_out = False, trainer.guard.left_out if trainer.guard else 0
    with _stop_requests(ranks) as received, StepProgress(settings.steps, trainer.step, console) as progress:
        while trainer.step < settings.steps and not stopped:
            trainer.train_step()
            progress.step(trainer.step)
            if trainer.guard and trainer.guard.gives_up:
                _fall_back(trainer, folder, progress)
            last = trainer.step == settings.steps
            if trainer.step % settings.log_every == 0 or last:
                terms = trainer.read_terms(trainer.summed)
                _require_finite(terms, trainer.step, folder.path)
                progress.terms(terms)
                numbers, worries = trainer.method.diagnose()
                numbers = {
                    name: number
                    for name, number in {**numbers, **trainer.ema.distances()}.items()
                    if math.isfinite(number)
                }
                if trainer.guard:
                    numbers["left_out"] = trainer.guard.left_out
                    if trainer.guard.left_out > left_out:
                        new = counted(trainer.guard.left_out - left_out, "step")
                        worries = [*worries, f"{new} left out: a gradient was not finite"]
                    left_out = trainer.guard.left_out
                for worry in worries:
                    progress.warn(worry)
                    folder.note(f"warning at step {trainer.step}: {worry}")
                rate = learning_rate(trainer.step - 1, settings, trainer.method.stage_starts)
                rate *= trainer.guard.rate if trainer.guard else 1.0
                speed = round(progress.steps_per_s, 3)
                record = {"step": trainer.step, "lr": rate, "steps_per_s": speed, **terms, **numbers}
                if ranks.first:
                    folder.append_metrics(record)
            stopped = ranks.any(bool(received))
            guide = trainer.step == config.guide_step
            if trainer.step % settings.save_every == 0 or guide or last or stopped:
                save(trainer, folder, settings, keep=guide)
        ranks.wait()  # until everything is written
    return trainer.step == settings.steps


def _fall_back(trainer: Trainer, folder: RunFolder, progress: StepProgress) -> None:
    """Put the last saved weights back after too many steps in a row that had no finite gradient."""
    guard = trainer.guard
    state = trainer.ranks.from_first(folder.load_state)
    if guard is None or state is None or guard.rate <= LEAST_RATE:
        raise MdtoolError(
            f"training diverged: no gradient is finite near step {trainer.step}, whatever the learning rate; the last "
            f"checkpoint in {folder.path} is good",
            exit_code=1,
        )
    trainer.fall_back(state)
    told = (
        f"{PATIENCE} steps in a row had no finite gradient: back to the weights of step {state['step']}, learning rate "
        f"times {guard.rate:g}"
    )
    progress.warn(told)
    folder.note(f"step {trainer.step}: {told}")


def save(trainer: Trainer, folder: RunFolder, settings: TrainConfig, keep: bool = False) -> None:
    """Write weights, state and the timestep histogram; each file whole, and only on the first rank.

    Args:
        keep: keep these weights when later ones are written, whatever `keep_every` says.
    """
    if not trainer.ranks.first:
        return
    folder.save_weights(trainer.step, trainer.tracks(), keep_older=False)
    if keep or (settings.keep_every and trainer.step % settings.keep_every == 0):
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
