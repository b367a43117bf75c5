"""Progress: lines for a log, a bar for a terminal, times as people write them."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mdtool.training import progress as module
from mdtool.training.progress import StepProgress, duration


class Clock:
    """A clock that goes only when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (59.4, "0:59"),
        (59.6, "1:00"),
        (61, "1:01"),
        (3599.7, "1:00:00"),
        (3723, "1:02:03"),
        (90000, "25:00:00"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_log_gets_a_line_now_and_then_and_one_at_the_end(clock: Clock) -> None:
    console = Console(file=io.StringIO(), width=40)
    with StepProgress(total=100, done=20, console=console) as progress:
        for step in range(21, 101):
            clock.now_s += 0.5
            progress.step(step)
            if step % 10 == 0:
                progress.terms({"loss": step / 1000, "velocity": 2.0})
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.split()[1] for line in lines] == ["70/100", "100/100"]
    assert lines[0] == "step 70/100  2.00 steps/s  0:15 left  loss 0.07 velocity 2"
    assert lines[1] == "step 100/100  2.00 steps/s  0:00 left  loss 0.1 velocity 2"


def test_speed_counts_this_process_only(clock: Clock) -> None:
    progress = StepProgress(total=1000, done=900, console=Console(quiet=True))
    assert progress.steps_per_s == 0
    clock.now_s += 4
    progress.step(910)
    assert progress.steps_per_s == 2.5


def test_a_terminal_gets_one_bar(clock: Clock) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with StepProgress(total=10, done=4, console=console) as progress:
        clock.now_s += 1
        progress.step(10)
        progress.terms({"loss": 0.25})
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "10/10" in shown
    assert "6.00 steps/s  loss 0.25" in shown
    assert "step 10/10" not in shown
