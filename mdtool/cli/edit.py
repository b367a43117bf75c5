"""`mdtool edit`: motion file + request → edited motion file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdtool.cli.edit_requests import Asked, Request, compiled, of_values, read_all, tell
from mdtool.cli.numbers import finite
from mdtool.cli.options import Device, Threads, Weights
from mdtool.cli.terminal import progress_bar, say, say_next
from mdtool.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from mdtool.config import RunConfig
    from mdtool.editing.edited import Edited
    from mdtool.editing.plan import Plan

MISSED = 3
"""Exit code when a `must` is not met."""
INTERRUPTED = 130


def edit(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE | refine FILE | complete FILE | inbetween FILE OTHER | blend FILE OTHER | path FILE CSV",
            help="Motion file with a --request, or a short form that needs none; CSV has columns frame,x,z, in metres.",
        ),
    ] = None,
    request: Annotated[list[Path] | None, typer.Option(help="Edit request (YAML or JSON); repeat for several.")] = None,
    run: Annotated[
        Path | None, typer.Option(help="Generator's run; by default the one that made FILE, or the newest.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Motion file to write.")] = Path("edited.h5"),
    clip: Annotated[list[int] | None, typer.Option(min=0, help="Clip of FILE to edit; repeat for several.")] = None,
    frames: Annotated[str | None, typer.Option(help="Part of the clip to edit, as 0-59.")] = None,
    joints: Annotated[
        str | None, typer.Option(help="For complete: joints that FILE shows; names or groups. [default: six]")
    ] = None,
    variations: Annotated[int | None, typer.Option(min=1, help="Results per edit.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of the search; by the task when not given.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of new noise.")] = None,
    seconds: Annotated[
        float | None,
        typer.Option(callback=finite, min=1, help="Budget: search so long and give the best result so far."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Also write the report, as JSON.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Explain the request, draw it from above, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print problems, plan and report as JSON.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Try what seems infeasible.")] = False,
    weights: Weights = None,
    device: Device = "auto",
    threads: Threads = None,
    compiles: Annotated[
        bool,
        typer.Option("--compile", help="Compile the network first: minutes, for long searches on a GPU."),
    ] = False,
) -> None:
    """Edit generated or recorded motion: search for the noise whose motion does what a request says (DNO).

    Exit code 3: a target with `must` is missed. Ctrl-C keeps the best result so far.
    """
    from rich.console import Console

    from mdtool.atomic import require_name, require_writable
    from mdtool.editing.document import Problems
    from mdtool.editing.short_forms import read_words
    from mdtool.errors import MdtoolError
    from mdtool.motion.file import require_place

    console = Console(markup=False, stderr=as_json)
    file, short = read_words(words or [])
    if (short is None) == (not request):
        raise MdtoolError("give either a --request, or a short form such as `mdtool edit refine FILE`")
    if short is None and joints is not None:
        raise MdtoolError("--joints is for `mdtool edit complete FILE`: in a request write `mask: {observed: …}`")
    if short is not None and short.word == "inbetween" and clip and len(clip) > 1:
        raise MdtoolError("mdtool edit inbetween begins with one clip of FILE: give one --clip")
    given = {"variations": variations, "steps": steps, "seed": seed}
    asked = Asked(file, clip, frames, given, force, compiles)
    run = run or _maker(file, console)
    try:
        requests = read_all(request or [])
        if short is not None:
            requests = [of_values(short.request(joints, (clip or [0])[0]), f"mdtool edit {short.word}")]
        if dry_run:
            _dry_run(console, asked, requests, run, require_name(out).with_suffix(".plan.png"), as_json)
            return
        require_place(out)
        if report is not None:
            require_writable(report)
        ended = _edit(console, asked, requests, run, out, seconds, report, as_json, weights, device, threads)
    except Problems as found:
        tell(found, as_json)
        raise typer.Exit(2) from found
    if ended:
        raise typer.Exit(ended)


def _maker(file: Path | None, console: Console) -> Path | None:
    """The run that made a motion file, where the file tells and the run is still there; None otherwise."""
    from mdtool.errors import MdtoolError
    from mdtool.motion.file import read_provenance

    if file is None or file.suffix != ".h5":
        return None
    try:
        run = read_provenance(file).get("run")
    except MdtoolError:
        return None  # who reads the file to edit it will say what is wrong
    if not run or not (Path(run) / "config.toml").exists():
        return None
    say(console, f"by {run}, which made {file}")
    return Path(run)


def _dry_run(
    console: Console, asked: Asked, requests: list[Request], run: Path | None, picture: Path, as_json: bool
) -> None:
    """Table, warnings and a picture of what would be searched for; no network is loaded."""
    import json

    from mdtool.editing.explain import plan_json, plan_table
    from mdtool.editing.preview import write_preview
    from mdtool.methods.lengths import longest

    most, fps = longest(_config(run, console))
    plans, _ = compiled(asked, requests, fps, most, None)
    for place, plan in enumerate(plans):
        drawn = picture if not place else picture.with_stem(f"{picture.stem}-{place}")
        write_preview(drawn, plan)
        if as_json:
            continue
        say(console, _headline(plan))
        console.print(plan_table(plan))
        _warn(console, [problem.told() for problem in plan.warnings])
        say(console, f"wrote {drawn}: the plan from above")
    if as_json:
        typer.echo(json.dumps({"plans": [plan_json(plan) for plan in plans]}, indent=1))
    say(console, "next: the same command without --dry-run")


def _config(run: Path | None, console: Console) -> RunConfig:
    """A run's settings, read without loading torch."""
    from mdtool.config import read_run_config

    if run is None:
        from mdtool.training.run import newest_run

        run = newest_run(Path("runs"), makes_motion=True, console=console)
    return read_run_config(run)


def _edit(
    console: Console,
    asked: Asked,
    requests: list[Request],
    run: Path | None,
    out: Path,
    seconds: float | None,
    report: Path | None,
    as_json: bool,
    weights: str | None,
    device: str,
    threads: int | None,
) -> int:
    """The edits, their files and their reports; the exit code."""
    import json

    from mdtool.atomic import write_text
    from mdtool.editing.output import write_edits
    from mdtool.editing.report import chain_reports, to_json
    from mdtool.editing.report_tables import change_table, search_line, target_table
    from mdtool.editing.search import search_all
    from mdtool.editing.session import Session
    from mdtool.training.device import prepare
    from mdtool.training.run import load_generator, newest_run

    run = run or newest_run(Path("runs"), makes_motion=True, console=console)
    generator = load_generator(run, weights, prepare(device, threads))
    most = generator.method.describe().frames[1]
    session = Session(generator, asked.force, lambda line: _warn(console, [line]))
    plans, chains = compiled(asked, requests, generator.fps, most, generator)
    for plan in plans:
        say(console, _headline(plan))
        _warn(console, [problem.told() for problem in plan.warnings])
    if asked.compiles:
        say(console, "compiling the network …")
        for plan in {plan.request.run.precision: plan for plan in plans}.values():
            session.decoder.compile(plan)

    def save(edits: list[Edited]) -> None:
        write_edits(out, edits, generator, str(run))

    edits = search_all(session, plans, chains, seconds, lambda title: _bar(console, title), save)
    save(edits)
    found = [chain_reports(edited) for edited in edits]
    each_report = [one for chain in found for variations in chain for one in variations]
    if not as_json:
        for one in each_report:
            console.print(target_table(one))
            console.print(change_table(one))
            if line := search_line(one):
                say(console, line if report else f"{line}; --report FILE tells each of its losses")
    table = {"run": str(run), "out": str(out), "edits": [to_json(e, r) for e, r in zip(edits, found, strict=True)]}
    if report is not None:
        write_text(report, json.dumps(table, indent=1) + "\n")
    if as_json:
        typer.echo(json.dumps(table, indent=1))
    missed = [row for one in each_report for row in one.missed]
    for row in missed:
        unit = "cm" if row.unit == "m" else row.unit
        scale = 100 if row.unit == "m" else 1
        say(
            console,
            f"missed: {row.key} ({row.what}) by {scale * row.worst:.1f} {unit}, and at most "
            f"{scale * (row.must or 0):.1f} was allowed",
            style="red",
        )
    _warn(console, [f"{edited.plan.source.name}: {line}" for edited in edits for line in edited.advice])
    count, steps = sum(len(edited.motions) for edited in edits), max(edited.steps for edited in edits)
    took_s, ended = max(edited.seconds for edited in edits), {edited.ended for edited in edits}
    made = f"{counted(count, 'motion')}, {counted(steps, 'step')}"
    say(console, f"wrote {out}: {made}, {', '.join(sorted(ended))}, {took_s:.1f} s")
    say_next(console, *_next(edits, out))
    return MISSED if missed else INTERRUPTED if "interrupted" in ended else 0


@contextmanager
def _bar(console: Console, title: str) -> Iterator[Callable[[int, int, float], None]]:
    """A bar with the error of the best motion so far; yields what to call with progress."""
    with progress_bar(console, title) as show:
        yield lambda done, total, metres: show(done, total, f"off by {100 * metres:.1f} cm")


def _headline(plan: Plan) -> str:
    """'path.yaml: edit of walk, 60 frames, 300 steps', and whether the network is told that it is a walk."""
    told = "" if plan.tells_action else f"; action {plan.action_told}"
    length = f"{counted(plan.frames, 'frame')}, {counted(plan.steps, 'step')}"
    return f"{plan.document.file}: {plan.task} of {plan.source.name}, {length}{told}"


def _warn(console: Console, warnings: list[str]) -> None:
    for warning in warnings:
        say(console, f"note: {warning.replace('warning: ', '')}", style="yellow")


def _next(edits: list[Edited], out: Path) -> list[object]:
    """The command that shows what an edit changed."""
    first = edits[0]
    path = first.plan.source.path
    whole = first.before is not None and path is not None and path.suffix == ".h5"
    ghosts = ["--beside", path, "--ghost"] if whole and len(first.plan.source) == first.plan.frames else []
    return ["mdtool", "render", out, *ghosts, "--show", "targets", "--out", "video.mp4"]
