"""Lines for the terminal, as they are: never broken, coloured or read as markup; and a bar for long work."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console


class ShowProgress(Protocol):
    """What a bar is told."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Pieces done, pieces in all, and a word on how they go."""
        ...


def say(console: Console, text: str, style: str = "") -> None:
    """Print one line; a path in it stays in one piece, so that it can be copied, and its brackets stay brackets."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def say_next(console: Console, *words: object) -> None:
    """Print the command to try next, as it can be typed."""
    say(console, f"next: {typed(*words)}")


def typed(*words: object) -> str:
    """A command line whose words are quoted where the shell needs it."""
    return shlex.join(map(str, words))


@contextmanager
def progress_bar(console: Console, what: str) -> Iterator[ShowProgress]:
    """A bar with the time left and a note, gone when the work is done; yields what to call with progress."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    note_column = TextColumn("{task.fields[note]}")
    silent = not console.is_terminal  # where a bar would leave an empty line
    with Progress(TextColumn(what), *columns, note_column, console=console, transient=True, disable=silent) as bar:
        task = bar.add_task(what, total=None, note="")

        def show(done: int, total: int, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield show
