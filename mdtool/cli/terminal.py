"""Lines for the terminal, as they are: never broken, coloured or read as markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def say(console: Console, text: str, style: str = "") -> None:
    """Print one line; a path in it stays in one piece, so that it can be copied, and its brackets stay brackets."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
