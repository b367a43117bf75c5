"""`mdtool evaluate`: run or motion file → results.json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdtool.cli.evaluate_edits import evaluate_edits
from mdtool.cli.numbers import finite
from mdtool.cli.options import Device, DiffusionSteps, Guidance, Sampler, Threads, Weights
from mdtool.cli.refusals import refuse_given
from mdtool.cli.terminal import say, say_next
from mdtool.wording import counted

if TYPE_CHECKING:
    import torch
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from mdtool.body.skinning import Body
    from mdtool.evaluation.kept import Kept
    from mdtool.evaluation.results import Results
    from mdtool.evaluation.rules import Rules
    from mdtool.methods.generate import Generator
    from mdtool.motion.motion import MotionSet
    from mdtool.training.distributed import Ranks
    from mdtool.training.run import LoadedRecogniser


DEFAULT_DATA, DEFAULT_OUT = Path("motions.h5"), Path("results.json")
ALL, LAST = "all", "last"
"""Words for every checkpoint, and for those of the newest step; each result goes into the run's folder."""


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
        typer.Option(callback=finite, min=0, max=1, help="Scale of ddpm's step noise; the preset's own by default."),
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
            tested, details = _load(target, weights, where, ranks, step)
    elif data.exists() and target.exists() and not data.samefile(target):
        tested = read_motions(target)
        parents.append(target)
    else:
        data, parents = target, [target]
    judge = _recogniser(recogniser, target.is_dir() or bool(protocol) or fid_infinity, ranks, console)
    recordings = read_motions(data)
    if not protocol and not _by_action(target, tested, recordings):
        chosen = [UNCONDITIONAL]
        places = {UNCONDITIONAL.name: out}
    person = named_body(body) if body is not None and target.is_dir() else None
    work = _Work(
        console,
        target,
        data,
        parents,
        recordings,
        judge,
        splits,
        seeds,
        count,
        fid_infinity,
        given,
        person,
        ranks.first,
    )
    if into_run:
        _evaluate_all(work, chosen, weights, checkpoint == LAST, where, ranks)
        ranks.leave()
        return
    found = []
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
    follow = ("sample", target) if target.is_dir() else ("render", target, "--out", "video.mp4")
    say_next(console, "mdtool", *follow)


@dataclass(frozen=True)
class _Work:
    """What stays the same between all that one command scores."""

    console: Console
    target: Path
    data: Path
    parents: list[str | Path]
    recordings: MotionSet
    judge: LoadedRecogniser | None
    splits: tuple[int, ...]
    seeds: int | None
    count: int | None
    fid_infinity: bool
    given: dict[str, Any]
    body: Body | None
    """Whose limbs are measured in a run's raw shapes."""
    writes: bool
    """Whether this process writes files."""

    def seeds_of(self, rules: Rules) -> range | None:
        """The seeds asked for, counted from the protocol's first; None for its own."""
        return None if self.seeds is None else range(rules.seeds[0], rules.seeds[0] + self.seeds)

    def run(self, rules: Rules, tested: Any, details: dict[str, Any], place: Path) -> Results:
        """Score one generator or set; `details` go into the provenance, the results to `place`."""
        from dataclasses import replace
        from functools import partial

        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        from mdtool.errors import MdtoolError
        from mdtool.evaluation.protocol import evaluate_card
        from mdtool.evaluation.published import evaluate_by, sample_by
        from mdtool.evaluation.raw_output import CLIPS, raw_card
        from mdtool.motion.file import provenance

        if rules.by_action and not _by_action(self.target, tested, self.recordings):
            raise MdtoolError(f"{self.target} has no actions: evaluate it with --protocol unconditional")
        if self.judge is None:
            results = evaluate_card(self.recordings, tested)
            advice = "the physical card alone; `mdtool train --method recogniser` makes one"
            say(self.console, f"no recogniser under runs/: {advice}")
        else:
            self.judge.follow_publication(rules.published)
            departures = []
            if self.target.is_dir():
                departures = sample_by(rules, tested, self.given)
                details = {**details, **tested.options}
            columns = (TextColumn("evaluating"), BarColumn(), TimeElapsedColumn(), TextColumn("left"))
            silent = not self.console.is_terminal
            with Progress(
                *columns, TimeRemainingColumn(), console=self.console, transient=True, disable=silent
            ) as progress:
                task = progress.add_task("evaluating", total=1.0)
                results = evaluate_by(
                    rules,
                    self.recordings,
                    self.judge,
                    tested,
                    self.seeds_of(rules),
                    self.count,
                    self.splits,
                    partial(_show, progress, task),
                    self.fid_infinity,
                    self._kept(rules, details, place) if self.target.is_dir() else None,
                )
            results = replace(results, departures=[*results.departures, *departures])
        if self.target.is_dir():
            lengths = None if self.body is None else self.body.bone_lengths
            shapes = self.recordings.betas
            raw = raw_card(tested, results.seeds[0], min(CLIPS, results.count), shapes, lengths)
            results = replace(results, raw=raw)
        record = provenance(self.parents, **details)
        return replace(results, target=str(self.target), data=str(self.data), provenance=record)

    def write(self, results: Results, place: Path) -> None:
        """Write results on the first rank; what was kept on the way to them is no longer needed."""
        from mdtool.evaluation.kept import forget
        from mdtool.evaluation.results import write_results

        if self.writes:
            write_results(place, results)
            forget(place)

    def _kept(self, rules: Rules, details: dict[str, Any], place: Path) -> Kept:
        """Where a run's scored samples are kept until all are: `details` and the files tell them from others'."""
        from mdtool.evaluation.checkpoints import setup_key
        from mdtool.evaluation.kept import Kept
        from mdtool.motion.file import file_sha256
        from mdtool.training.checkpoint import RunFolder

        files = [file_sha256(path) for path in (self.data, RunFolder(self.target).config_path)]
        judge = "" if self.judge is None else self.judge.sha256
        setup = {"protocol": rules.title, "judge": judge, "files": files, "count": self.count, **details}
        return Kept(place, setup_key(setup), self.writes)


def _evaluate_all(
    work: _Work, chosen: list[Rules], track: str | None, last: bool, where: torch.device, ranks: Ranks
) -> None:
    """Score every checkpoint of a run that is not scored yet; each result is written as soon as it is there."""
    from mdtool.atomic import require_writable
    from mdtool.errors import MdtoolError
    from mdtool.evaluation.checkpoints import checkpoints, is_evaluated, results_path, setup_key
    from mdtool.motion.file import file_sha256

    run, judge = work.target, work.judge
    if judge is None or not run.is_dir():
        raise MdtoolError(f"--checkpoint {LAST if last else ALL} goes with a run, and {run} is a file")
    data_sha256 = file_sha256(work.data)
    todo = []
    for rules in chosen:
        setup: dict[str, Any] = {
            "protocol": rules.title,
            "recogniser": judge.sha256,
            "data": data_sha256,
            "splits": work.splits,
        }
        setup |= {"count": work.count or rules.count, "seeds": list(work.seeds_of(rules) or rules.seeds)}
        key = setup_key({**setup, "sampling": work.given, "fid_infinity": work.fid_infinity})
        todo += [(rules, point, results_path(run, point, key)) for point in checkpoints(run, track, last)]
    total = len(todo)
    # Every rank must do the same list, and the first has begun to shorten it when the last one looks.
    missing = ranks.from_first(lambda: [not is_evaluated(run, point, path) for _, point, path in todo])
    todo = [entry for entry, is_missing in zip(todo, missing, strict=True) if is_missing]
    say(work.console, f"{run}: {counted(total, 'evaluation')}, {total - len(todo)} are there already")
    for place, (rules, point, path) in enumerate(todo, start=total - len(todo) + 1):
        require_writable(path)
        tested, details = _load(run, point.track, where, ranks, point.step)
        results = work.run(rules, tested, details, path)
        work.write(results, path)
        told = [
            f"{name.replace('_gen_', ' ')} {results.scores[name].mean:.3f}"
            for name in ("fid_gen_train", "fid_gen_test", "accuracy_gen_train")
            if name in results.scores
        ]
        head = f"{place}/{total} {rules.name} step {point.step} {point.track}"
        say(work.console, f"{head}: {', '.join(told)}  → {path}")
    say_next(work.console, "mdtool", "report", run)


def _load(
    run: Path, track: str | None, where: torch.device, ranks: Ranks, step: int | None
) -> tuple[Generator, dict[str, Any]]:
    """A run's generator, and what its results must tell of it."""
    from mdtool.training.checkpoint import RunFolder
    from mdtool.training.run import load_generator

    generator = load_generator(run, track, where, ranks, step)
    step = RunFolder(run).newest_step() if step is None else step
    return generator, {"weights": generator.weights, "step": step, "checkpoint_sha256": generator.sha256}


def _by_action(target: Path, tested: Any, recordings: MotionSet) -> bool:
    """Whether both sides have actions: the run, also before it is loaded, or the file; and the recordings."""
    from mdtool.methods.generate import Generator
    from mdtool.training.run import load_generator

    if tested is None and target.is_dir():
        tested = load_generator(target)
    if isinstance(tested, Generator):
        return tested.conditional
    made = recordings if tested is None else tested
    return bool((made.action >= 0).any()) and bool((recordings.action >= 0).any())


def _show(progress: Progress, task: TaskID, done: float) -> None:
    """Move a bar of length 1."""
    progress.update(task, completed=done)


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
    return load_recogniser(path, ranks)
