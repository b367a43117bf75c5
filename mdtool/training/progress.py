"""Progress of long work: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class StepProgress:
    """Shows step, steps per second, time left and the loss terms of a training run."""

    def __init__(self, total: int, done: int, console: Console, line_every_s: float = 20.0) -> None:
        self.total, self.first, self.console = total, done, console
        self.line_every_s = line_every_s
        self.started_s = self.last_line_s = time.monotonic()
        self.bar: Progress | None = None
        if console.is_terminal:
            self.bar = Progress(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[terms]}"),
                console=console,
            )
            self.task = self.bar.add_task("training", total=total, completed=done, terms="")

    def __enter__(self) -> Self:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar:
            self.bar.stop()

    @property
    def steps_per_s(self) -> float:
        """Mean speed since this process began."""
        return 0.0 if self._done <= self.first else (self._done - self.first) / (time.monotonic() - self.started_s)

    _done = 0

    def step(self, done: int) -> None:
        """Tell that `done` steps are finished."""
        self._done = done
        if self.bar:
            self.bar.update(self.task, completed=done)

    def terms(self, terms: dict[str, float]) -> None:
        """Show the newest loss terms."""
        text = " ".join(f"{name} {value:.4g}" for name, value in terms.items())
        now = time.monotonic()
        if self.bar:
            self.bar.update(self.task, terms=f"{self.steps_per_s:.2f} steps/s  {text}")
        elif now - self.last_line_s > self.line_every_s or self._done == self.total:
            self.last_line_s = now
            left_s = (self.total - self._done) / max(self.steps_per_s, 1e-9)
            self.console.print(
                f"step {self._done}/{self.total}  {self.steps_per_s:.2f} steps/s  {duration(left_s)} left  {text}",
                highlight=False,
                soft_wrap=True,
            )

    def warn(self, text: str) -> None:
        """Show one sentence that asks for attention, and keep the bar below it."""
        self.console.print(f"warning: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """1:02:03 for an hour and so, 2:03 for minutes."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
