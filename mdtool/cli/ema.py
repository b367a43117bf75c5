"""`mdtool ema`: averages of weights over other lengths of a run, after it was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdtool.cli.numbers import finite
from mdtool.cli.terminal import say, say_next


def ema(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder that tracked power-function averages.")],
    more: Annotated[
        list[float] | None, typer.Argument(callback=finite, metavar="LENGTH", help="Further lengths.")
    ] = None,
    length: Annotated[
        list[float] | None,
        typer.Option(callback=finite, help="Width of an average as a share of the run: 0.05 remembers the last 10 %."),
    ] = None,
    step: Annotated[int | None, typer.Option(min=1, help="Kept step to end at; the newest by default.")] = None,
) -> None:
    """Make averages of lengths that were not tracked, from the steps that a run kept (Karras et al. 2024).

    mdtool ema runs/edm-tiny --length 0.03 0.07 0.15
    """
    from rich.console import Console

    from mdtool.errors import MdtoolError
    from mdtool.training.checkpoint import RunFolder
    from mdtool.training.post_hoc import reconstruct

    lengths = [*(length or []), *(more or [])]
    if not lengths:
        raise MdtoolError("which lengths? for example --length 0.03 0.07 0.15")
    made = reconstruct(RunFolder(run), lengths, step)
    console = Console(markup=False)
    at = RunFolder(run).newest_step() if step is None else step
    asked = list(dict.fromkeys(f"ema:{width:g}" for width in lengths))
    tracked = [name for name in asked if name not in made]
    if tracked:
        say(console, f"note: {', '.join(tracked)} averaged while it trained: there already")
    if made:
        say(console, f"wrote {run}: weights {', '.join(made)} of step {at}")
    say_next(console, "mdtool", "sample", run, "--weights", asked[0])
