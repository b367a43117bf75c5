"""`mdtool evaluate`: run or motion file → results.json."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdtool.cli.terminal import say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from mdtool.training.run import LoadedRecogniser


DEFAULT_DATA = Path("motions.h5")


def evaluate(
    target: Annotated[
        Path | None, typer.Argument(help="Run folder, or motion file; the newest run under runs/ by default.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Motion file of recordings to compare with.")] = DEFAULT_DATA,
    recogniser: Annotated[
        Path | None, typer.Option(help="Recogniser's run folder; the newest under runs/ by default.")
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(help="ours, thesis, mdm or actor: whose rules; repeat for several, each with its own file."),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repetitions; the protocol's 20 by default.")] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Motions per set and seed; the protocol's 1000 (actor: 3000) by default.")
    ] = None,
    fid_infinity: Annotated[
        bool, typer.Option("--fid-infinity", help="Also extend FID to infinitely many motions (Chong & Forsyth 2020).")
    ] = False,
    split: Annotated[str, typer.Option(help="Recordings to compare with: train, test, or both.")] = "both",
    out: Annotated[Path, typer.Option(help="Results file to write.")] = Path("results.json"),
    weights: Annotated[str | None, typer.Option(help="raw, or ema:DECAY; the slowest EMA by default.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Diffusion steps; fewer is faster.")] = None,
    sampler: Annotated[str | None, typer.Option(help="ddpm or ddim; the preset's own by default.")] = None,
    guidance: Annotated[
        float | None, typer.Option(help="Classifier-free guidance scale, 1 is off; the preset's own by default.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; all cores by default.")] = None,
) -> None:
    """Score motions: distribution metrics through a recogniser, and a physical card.

    TARGET may be a run (it is asked for motions), a file of samples, or the recordings themselves (their own scores
    and card). A motion file gets its card alone when there is no recogniser.
    """
    from dataclasses import replace
    from functools import partial

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from mdtool.atomic import require_writable
    from mdtool.errors import MdtoolError
    from mdtool.evaluation.protocol import evaluate_card
    from mdtool.evaluation.published import evaluate_by, sample_by
    from mdtool.evaluation.results import write_results
    from mdtool.evaluation.rules import OURS, rules_named
    from mdtool.evaluation.tables import protocol_table, result_tables
    from mdtool.motion.file import provenance, read_motions
    from mdtool.motion.motion import TEST, TRAIN
    from mdtool.training.device import prepare
    from mdtool.training.run import load_generator, newest_run

    console = Console(markup=False)
    splits = {"train": (TRAIN,), "test": (TEST,), "both": (TRAIN, TEST)}.get(split)
    if splits is None:
        raise MdtoolError(f"--split must be train, test or both, not {split!r}")
    if not data.exists() and data != DEFAULT_DATA:
        raise MdtoolError(f"no such file: {data}; give the recordings to compare with as --data")
    chosen = [rules_named(name) for name in dict.fromkeys(protocol or [OURS.name])]
    places = {rules.name: out if len(chosen) == 1 else out.with_stem(f"{out.stem}-{rules.name}") for rules in chosen}
    for place in places.values():
        require_writable(place)
    where = prepare(device, threads)
    target = target or newest_run(Path("runs"), makes_motion=True)
    tested: Any = None
    details: dict[str, Any] = {}
    parents: list[str | Path] = [data]
    given = {"steps": steps, "sampler": sampler, "guidance": guidance}
    if target.is_dir():
        tested = load_generator(target, weights, where)
        details = {"weights": tested.weights, "checkpoint_sha256": tested.sha256}
    elif (weights, steps, sampler, guidance) != (None, None, None, None):
        raise MdtoolError(f"--weights, --steps, --sampler and --guidance go with a run; {target} is a motion file")
    elif data.exists() and target.exists() and not data.samefile(target):
        tested = read_motions(target)
        parents.append(target)
    else:
        data, parents = target, [target]
    recordings = read_motions(data)
    judge = _recogniser(recogniser, needed=target.is_dir() or bool(protocol))
    columns = (TextColumn("evaluating"), BarColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    found = []
    for rules in chosen:
        if judge is None:
            results = evaluate_card(recordings, tested)
            advice = "the physical card alone; `mdtool train --method recogniser` makes one"
            say(console, f"no recogniser under runs/: {advice}")
        else:
            departures = []
            if target.is_dir():
                departures = sample_by(rules, tested, given)
                details |= tested.options
            wanted = None if seeds is None else range(rules.seeds[0], rules.seeds[0] + seeds)
            with Progress(*columns, console=console, transient=True) as progress:
                task = progress.add_task("evaluating", total=1.0)
                results = evaluate_by(
                    rules,
                    recordings,
                    judge,
                    tested,
                    wanted,
                    count,
                    splits,
                    partial(_show, progress, task),
                    fid_infinity,
                )
            results = replace(results, departures=[*results.departures, *departures])
        results = replace(results, target=str(target), data=str(data), provenance=provenance(parents, **details))
        write_results(places[rules.name], results)
        found.append(results)
        for table in result_tables(results):
            console.print(table)
        for note in results.notes:
            say(console, f"note: {note}")
    if len(found) > 1:
        console.print(protocol_table(found))
    say(console, f"wrote {', '.join(map(str, places.values()))}")
    follow = f"mdtool sample {target}" if target.is_dir() else f"mdtool render {target} --out video.mp4"
    say(console, f"next: {follow}")


def _show(progress: Progress, task: TaskID, done: float) -> None:
    """Move a bar of length 1."""
    progress.update(task, completed=done)


def _recogniser(path: Path | None, needed: bool) -> LoadedRecogniser | None:
    """The recogniser at `path`, or the newest; None when there is none and none is needed."""
    from mdtool.errors import MdtoolError
    from mdtool.training.run import load_recogniser, newest_run

    if path is None:
        try:
            path = newest_run(Path("runs"), makes_motion=False)
        except MdtoolError:
            if needed:
                raise
            return None
    return load_recogniser(path)
