"""`mdtool evaluate`: run or motion file → results.json."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdtool.cli.evaluate_checkpoints import ALL, LAST, evaluate_checkpoints
from mdtool.cli.evaluate_edits import evaluate_edits
from mdtool.cli.numbers import finite
from mdtool.cli.options import Device, DiffusionSteps, Guidance, Sampler, Threads, Weights
from mdtool.cli.refusals import refuse_given
from mdtool.cli.scoring import Scoring, by_action, load_tested
from mdtool.cli.terminal import say, say_next

if TYPE_CHECKING:
    from rich.console import Console

    from mdtool.training.distributed import Ranks
    from mdtool.training.run import LoadedRecogniser

DEFAULT_DATA, DEFAULT_OUT = Path("motions.h5"), Path("results.json")


def evaluate(
    target: Annotated[
        Path | None,
        typer.Argument(metavar="TARGET", help="Run folder, or motion file; the newest run under runs/ by default."),
    ] = None,
    data: Annotated[Path, typer.Option(help="Motion file of recordings to compare with.")] = DEFAULT_DATA,
    recogniser: Annotated[
        Path | None, typer.Option(help="Recogniser's run folder; the newest under runs/ by default.")
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            help="ours, unconditional, thesis, mdm or actor: whose rules; repeat for several, each with its own file."
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repetitions; the protocol's 20 by default.")] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Motions per set and seed; the protocol's 1000 (actor: 3000) by default.")
    ] = None,
    fid_infinity: Annotated[
        bool, typer.Option("--fid-infinity", help="Also extend FID to infinitely many motions (Chong & Forsyth 2020).")
    ] = False,
    split: Annotated[str, typer.Option(help="Recordings to compare with: train, test, or both.")] = "both",
    before: Annotated[
        Path | None, typer.Option(help="What an edited TARGET was made of: compare clip by clip, without a recogniser.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Results file to write.")] = DEFAULT_OUT,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            metavar="STEP|all|last",
            help="A kept step; or all steps, or the last, with all weights: into RUN/evaluations, and once only.",
        ),
    ] = None,
    weights: Weights = None,
    steps: DiffusionSteps = None,
    sampler: Sampler = None,
    guidance: Guidance = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            callback=finite, min=0, max=1, help="Scale of the noise that steps add; the preset's own by default."
        ),
    ] = None,
    body: Annotated[
        Path | None,
        typer.Option(
            envvar="MDTOOL_BODY", help="SMPL, SMPL-H or SMPL-X file or folder, for the limbs of a run's raw shapes."
        ),
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Score motions: distribution metrics through a recogniser, and a physical card.

    TARGET may be a run (it is asked for motions), a file of samples, or the recordings themselves (their own scores
    and card). A motion file gets its card alone when there is no recogniser. What has no actions is compared with all
    recordings as one set (protocol unconditional). Stopped while it scores a run, the same command goes on: OUT.parts
    holds what there is until then.
    """
    from rich.console import Console

    from mdtool.atomic import require_name, require_writable
    from mdtool.body.choice import named_body
    from mdtool.errors import MdtoolError
    from mdtool.evaluation.rules import OURS, UNCONDITIONAL, rules_named
    from mdtool.evaluation.tables import protocol_table, result_tables
    from mdtool.motion.file import read_motions
    from mdtool.motion.motion import splits_named
    from mdtool.training.distributed import join
    from mdtool.training.run import newest_run

    where, ranks = join(device, threads)
    console = Console(markup=False, quiet=not ranks.first)
    splits = splits_named(split)
    into_run = checkpoint in (ALL, LAST)
    if checkpoint is not None and not into_run and not checkpoint.isdecimal():
        raise MdtoolError(f"--checkpoint must be a step, {ALL} or {LAST}, not {checkpoint!r}")
    if into_run:
        refuse_given(
            {"--out": out != DEFAULT_OUT}, f"means nothing with --checkpoint {checkpoint}: results go into RUN"
        )
    if not data.exists() and data != DEFAULT_DATA:
        raise MdtoolError(f"no such file: {data}; give the recordings to compare with as --data")
    chosen = [rules_named(name) for name in dict.fromkeys(protocol or [OURS.name])]
    require_name(out)
    places = {rules.name: out if len(chosen) == 1 else out.with_stem(f"{out.stem}-{rules.name}") for rules in chosen}
    for place in () if into_run else places.values():
        require_writable(place)
    given = {"steps": steps, "sampler": sampler, "guidance": guidance, "temperature": temperature}
    of_runs = {"--weights": weights, "--checkpoint": checkpoint, **{f"--{name}": given[name] for name in given}}
    if before is not None:
        if target is None or target.is_dir():
            raise MdtoolError("--before goes with an edited motion file: name it as TARGET")
        of_draws = {
            "--data": data != DEFAULT_DATA, "--recogniser": recogniser, "--protocol": protocol, "--seeds": seeds,
            "--count": count, "--fid-infinity": fid_infinity, "--split": split != "both",
        }  # fmt: skip
        refuse_given(
            {**of_draws, **of_runs},
            "means nothing with --before, which compares clip by clip, without draws or a recogniser: leave it out",
        )
        evaluate_edits(target, before, out, console)
        return
    target = target or newest_run(Path("runs"), makes_motion=True, console=console)
    tested: Any = None
    details: dict[str, Any] = {}
    parents: list[str | Path] = [data]
    if target.is_file():
        refuse_given(of_runs, f"goes with a run, and {target} is a motion file: leave it out")
    if target.is_dir():
        if not into_run:
            step = None if checkpoint is None else int(checkpoint)
            if step is None:
                _tell_unfinished(target, console)
            tested, details = load_tested(target, weights, where, ranks, step)
    elif data.exists() and target.exists() and not data.samefile(target):
        tested = read_motions(target)
        parents.append(target)
    else:
        data, parents = target, [target]
    judge = _recogniser(recogniser, target.is_dir() or bool(protocol) or fid_infinity, ranks, console)
    recordings = read_motions(data)
    if not protocol and not by_action(target, tested, recordings):
        chosen = [UNCONDITIONAL]
        places = {UNCONDITIONAL.name: out}
    work = Scoring(
        console=console,
        target=target,
        data=data,
        parents=parents,
        recordings=recordings,
        judge=judge,
        splits=splits,
        seeds=seeds,
        count=count,
        fid_infinity=fid_infinity,
        given=given,
        body=named_body(body) if body is not None and target.is_dir() else None,
        writes=ranks.first,
    )
    if into_run:
        evaluate_checkpoints(work, chosen, weights, checkpoint == LAST, where, ranks)
        ranks.leave()
        return
    found = []
    for place in places.values():
        _tell_replaced(place, target, console)
    say(console, f"{target} against {data if data != target else 'itself'}")
    for rules in chosen:
        results = work.run(rules, tested, details, places[rules.name])
        work.write(results, places[rules.name])
        found.append(results)
        for table in result_tables(results):
            console.print(table)
        for note in results.notes:
            say(console, f"note: {note}")
    ranks.leave()
    if len(found) > 1:
        console.print(protocol_table(found))
    say(console, f"wrote {', '.join(map(str, places.values()))}")
    if target.is_dir():
        say_next(console, "mdtool", "report", *places.values(), "--out", "report.html")
    else:
        say_next(console, "mdtool", "render", target, "--out", "video.mp4")


def _tell_replaced(place: Path, target: Path, console: Console) -> None:
    """Say so where another run's or file's results are about to be replaced."""
    from mdtool.errors import MdtoolError
    from mdtool.evaluation.results import read_results

    if place.exists():
        try:
            before = read_results(place).target
        except MdtoolError:
            return
        if before and before != str(target):
            say(console, f"note: {place} is about {before} and gets replaced; another --out keeps both")


def _tell_unfinished(run: Path, console: Console) -> None:
    """Say so where a run's training stopped before its end: its scores are not those that it is to have."""
    from mdtool.training.checkpoint import RunFolder

    folder = RunFolder(run)
    step, steps = folder.newest_step(), folder.read_config().train.steps
    if folder.state_path.exists() and step < steps:
        say(console, f"note: {run} stopped at step {step:,} of {steps:,}; `mdtool train` goes on")


def _recogniser(path: Path | None, needed: bool, ranks: Ranks, console: Console) -> LoadedRecogniser | None:
    """The recogniser at `path`, or the newest; None when there is none and none is needed."""
    from mdtool.errors import MdtoolError
    from mdtool.training.run import load_recogniser, newest_run

    if path is None:
        try:
            path = newest_run(Path("runs"), makes_motion=False, console=console)
        except MdtoolError:
            if needed:
                raise
            return None
    judge = load_recogniser(path, ranks)
    _tell_unfinished(path, console)
    return judge
