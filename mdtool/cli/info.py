"""`mdtool info`: what a file or a run is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdtool.cli.terminal import say, say_next
from mdtool.wording import counted

if TYPE_CHECKING:
    from rich.console import Console


def info(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Motion file, run, folder of runs, or results.json.")],
) -> None:
    """Describe any of mdtool's files."""
    from rich.console import Console

    from mdtool.errors import MdtoolError

    console = Console(markup=False)
    if not path.exists():
        raise MdtoolError(f"no such file: {path}")
    if path.is_dir():
        runs = [] if (path / "config.toml").exists() else sorted(found.parent for found in path.glob("*/config.toml"))
        if runs:
            _runs(path, runs, console)
        else:
            _run(path, console)
    elif path.suffix == ".json":
        _results(path, console)
    else:
        _motions(path, console)


def _motions(path: Path, console: Console) -> None:
    import numpy as np
    from rich.table import Table

    from mdtool.motion.file import read_motions
    from mdtool.motion.motion import SPLITS

    motions = read_motions(path)
    lengths, seconds = motions.lengths, float((motions.lengths / motions.fps).sum())
    rates = ", ".join(f"{rate:g}" for rate in sorted(set(motions.fps.tolist())))
    size = f"{counted(len(motions), 'clip')}, {counted(len(motions.rot6d), 'frame')}"
    say(console, f"{path}: motion file, {size}, {seconds:.1f} s")
    say(
        console,
        f"frame rate {rates} fps; {lengths.min()} to {lengths.max()} frames a clip, median {np.median(lengths):g}",
    )
    extras = [name for name in ("text", "betas", "gender", "noise") if getattr(motions, name) is not None]
    say(
        console,
        f"subjects: {len(set(motions.subject)) if motions.subject else 0}; with {', '.join(extras) or 'no extras'}",
    )
    table = Table("action", *SPLITS, "frames")
    for label in [*range(len(motions.actions)), -1]:
        chosen = motions.action == label
        if chosen.any():
            counts = [str(int((chosen & (motions.split == split)).sum())) for split in range(len(SPLITS))]
            name = motions.actions[label] if label >= 0 else "(none)"
            table.add_row(name, *counts, str(int(lengths[chosen].sum())))
    console.print(table)
    if motions.provenance.get("command"):
        made_by = f"made by: {motions.provenance['command']} (mdtool {motions.provenance.get('mdtool', '?')})"
        say(console, made_by)


def _runs(path: Path, runs: list[Path], console: Console) -> None:
    """A row per run; what is wrong with a damaged one stands under the table."""
    from rich.table import Table

    from mdtool.training.checkpoint import readable_runs

    damaged: list[str] = []
    table = Table("run", "method", "preset", "steps", title=f"{path}: {counted(len(runs), 'run')}")
    whole = []
    for folder, config in readable_runs(runs, damaged.append):
        steps = f"{folder.newest_step() if folder.steps() else 0:,} of {config.train.steps:,}"
        table.add_row(folder.path.name, config.method, config.preset, steps)
        whole.append(folder.path)
    console.print(table)
    for problem in damaged:
        say(console, problem, "yellow")
    if whole:
        say_next(console, "mdtool", "info", whole[0])


def _run(path: Path, console: Console) -> None:
    from mdtool.training.checkpoint import RunFolder
    from mdtool.training.run import load_method

    folder = RunFolder(path)
    config = folder.read_config()
    say(console, f"{path}: run of {config.method}, preset {config.preset}")
    source = f"data: {config.data}" if config.imported is None else f"imported from {config.imported}"
    say(console, f"{source}, {counted(len(config.actions), 'action')} at {config.fps:g} fps")
    if not folder.steps():
        say(console, "no weights yet")
        return
    say(console, f"step {folder.newest_step()} of {config.train.steps}; weights: {', '.join(folder.tracks())}")
    method, _, sha256 = load_method(path)
    say(console, f"{sum(p.numel() for p in method.parameters()):,} parameters; weights sha256 {sha256[:12]}")
    say(console, f"actions: {', '.join(config.actions)}")


def _results(path: Path, console: Console) -> None:
    from mdtool.evaluation.results import read_results
    from mdtool.evaluation.tables import result_tables

    results = read_results(path)
    say(console, f"{path}: results of {results.target} against {results.data}")
    for table in result_tables(results):
        console.print(table)
