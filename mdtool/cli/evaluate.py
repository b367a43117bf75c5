"""`mdtool evaluate`: run or motion file → results.json."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdtool.cli.terminal import say

if TYPE_CHECKING:
    from mdtool.training.distributed import Ranks
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
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions, with seeds 0, 1, …")] = 20,
    count: Annotated[int, typer.Option(min=1, help="Motions per set and seed.")] = 1000,
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

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from mdtool.atomic import require_writable
    from mdtool.errors import MdtoolError
    from mdtool.evaluation import protocol
    from mdtool.evaluation.results import write_results
    from mdtool.evaluation.tables import result_tables
    from mdtool.motion.file import provenance, read_motions
    from mdtool.motion.motion import TEST, TRAIN
    from mdtool.training.distributed import join
    from mdtool.training.run import load_generator, newest_run

    where, ranks = join(device, threads)
    console = Console(markup=False, quiet=not ranks.first)
    splits = {"train": (TRAIN,), "test": (TEST,), "both": (TRAIN, TEST)}.get(split)
    if splits is None:
        raise MdtoolError(f"--split must be train, test or both, not {split!r}")
    if not data.exists() and data != DEFAULT_DATA:
        raise MdtoolError(f"no such file: {data}; give the recordings to compare with as --data")
    require_writable(out)
    target = target or newest_run(Path("runs"), makes_motion=True)
    tested: Any = None
    details: dict[str, Any] = {}
    parents: list[str | Path] = [data]
    if target.is_dir():
        tested = load_generator(target, weights, where, ranks)
        tested.options = {"steps": steps, "sampler": sampler, "guidance": guidance}
        details = {"weights": tested.weights, "checkpoint_sha256": tested.sha256, **tested.options}
    elif (weights, steps, sampler, guidance) != (None, None, None, None):
        raise MdtoolError(f"--weights, --steps, --sampler and --guidance go with a run; {target} is a motion file")
    elif data.exists() and target.exists() and not data.samefile(target):
        tested = read_motions(target)
        parents.append(target)
    else:
        data, parents = target, [target]
    recordings = read_motions(data)
    judge = _recogniser(recogniser, target.is_dir(), ranks)
    if judge is None:
        results = protocol.evaluate_card(recordings, tested)
        advice = "the physical card alone; `mdtool train --method recogniser` makes one"
        say(console, f"no recogniser under runs/: {advice}")
    else:
        columns = (
            TextColumn("evaluating"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("evaluating", total=1.0)
            results = protocol.evaluate(
                recordings,
                judge,
                tested,
                range(seeds),
                count,
                splits,
                lambda done: progress.update(task, completed=done),
            )
    results = replace(results, target=str(target), data=str(data), provenance=provenance(parents, **details))
    if ranks.first:
        write_results(out, results)
    ranks.leave()
    for table in result_tables(results):
        console.print(table)
    for note in results.notes:
        say(console, f"note: {note}")
    say(console, f"wrote {out}")
    follow = f"mdtool sample {target}" if target.is_dir() else f"mdtool render {target} --out video.mp4"
    say(console, f"next: {follow}")


def _recogniser(path: Path | None, needed: bool, ranks: Ranks) -> LoadedRecogniser | None:
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
    return load_recogniser(path, ranks)
