"""`mdtool phase`: a phase of the thesis, from recordings to its tables and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdtool.cli.numbers import finite
from mdtool.cli.options import Device, Threads
from mdtool.cli.terminal import say, say_next, typed


def phase(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="1|2|3", min=1, max=3, help="Which phase.")],
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA", help="UESTC folder, BVH folders or archives, or a motion file; synthetic motion when none."
        ),
    ] = None,
    labels: Annotated[list[str] | None, typer.Option(help="CSV with the actions and splits of BVH clips.")] = None,
    steps: Annotated[
        str, typer.Option(help="Optimiser steps of the longest runs (all else in proportion), or small; 250,000.")
    ] = "",
    out: Annotated[Path, typer.Option(help="Folder for everything; the phases share it.")] = Path("phases"),
    recogniser: Annotated[str, typer.Option(help="Folder of a recogniser's run; one is trained otherwise.")] = "",
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds of every evaluation; 20, or 3 if shortened.")] = None,
    count: Annotated[
        int | None, typer.Option(min=5, help="Motions per set and seed; 1000, or 200 if shortened.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(callback=finite, min=1, help="Frame rate of BVH and synthetic motion; 20.")
    ] = None,
    beyond: Annotated[
        bool, typer.Option(help="In phase 2: min-SNR and decay weighting, and Switch EMA, beside the thesis's runs.")
    ] = True,
    ranks: Annotated[int, typer.Option(min=1, help="Processes that share training and evaluation (one per GPU).")] = 1,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Preprocess, train, evaluate every checkpoint, and write the tables and figures of a phase of the thesis.

    Every stage is a command that is printed before it runs. The same command goes on where it was interrupted; runs
    that phases share are trained once.
    """
    import time

    from rich.console import Console

    from mdtool.study.plan import Settings, remember, stages

    settings = Settings(out, tuple(data or ()), tuple(labels or ()), steps, recogniser, seeds, count, fps, beyond)
    todo = list(stages(number, settings, device, threads))
    remember(settings)
    console = Console(markup=False)
    started_s = time.monotonic()
    for place, stage in enumerate(todo, start=1):
        console.rule(f"{place}/{len(todo)} {stage.title}  ({time.monotonic() - started_s:.0f} s)", align="left")
        if stage.makes is not None and stage.makes.exists():
            say(console, f"{stage.makes} is there already")
            continue
        say(console, typed("mdtool", *stage.words))
        code = _in_ranks(stage.words, ranks) if stage.sharded and ranks > 1 else _here(context, stage.words)
        if code:
            raise typer.Exit(code)
    say_next(console, "open", out / "report" / "report.md")


def _here(context: typer.Context, words: tuple[str, ...]) -> int:
    """Run another verb of the table in this process, as if it had been typed; its exit code."""
    import sys

    before, sys.argv = sys.argv, ["mdtool", *words]
    try:
        return int(context.find_root().command.main(list(words), standalone_mode=False) or 0)
    finally:
        sys.argv = before


def _in_ranks(words: tuple[str, ...], ranks: int) -> int:
    """Run a command in several processes; its exit code."""
    import subprocess
    import sys

    launcher = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", "-m", "mdtool")
    return subprocess.run([sys.executable, *launcher, *words], check=False).returncode
