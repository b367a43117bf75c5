"""`mdtool sample`: run → motion file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdtool.cli.grids import asked_grids
from mdtool.cli.numbers import finite
from mdtool.cli.options import Device, DiffusionSteps, Guidance, Sampler, Threads, Weights
from mdtool.cli.terminal import progress_bar, say, say_next
from mdtool.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from mdtool.methods.generate import Generator


def sample(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="Run folder; the newest under runs/ by default.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Motion file to write.")] = Path("sample.h5"),
    action: Annotated[
        list[str] | None, typer.Option(help="Action to make; repeat for several; all by default.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of motions, spread evenly over the actions.")] = 16,
    seed: Annotated[int, typer.Option(help="Sample i of a seed is the same motion in any batch.")] = 0,
    first: Annotated[int, typer.Option(min=0, help="Index of the first sample of the seed.")] = 0,
    steps: DiffusionSteps = None,
    sampler: Sampler = None,
    guidance: Guidance = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            callback=finite,
            min=0,
            max=1,
            help="Scale of the noise that steps add; below 1: likelier, less various motion.",
        ),
    ] = None,
    churn: Annotated[
        float | None,
        typer.Option(callback=finite, min=0, help="S_churn of heun: noise added and removed on the way; 0 is the ODE."),
    ] = None,
    autoguidance: Annotated[
        float | None,
        typer.Option(callback=finite, help="Scale of guidance by an earlier step of the run; 1 is off. Needs --guide."),
    ] = None,
    guide: Annotated[
        int | None, typer.Option(min=1, help="Kept step to guide away from, such as a quarter of the training.")
    ] = None,
    guide_between: Annotated[
        tuple[float, float] | None,
        typer.Option(
            callback=finite, metavar="LOW HIGH", help="Noise levels σ at which --guide is asked; at all by default."
        ),
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames per motion; as trained by default.")] = None,
    fps: Annotated[
        list[float] | None,
        typer.Option(callback=finite, min=1, help="Frame rate, of a run with a time axis; repeat for several files."),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(callback=finite, min=0.01, help="Length instead of --frames; beyond the time axis it is chained."),
    ] = None,
    times: Annotated[
        Path | None, typer.Option(help="File of instants in seconds, in any order, to make the poses of.")
    ] = None,
    weights: Weights = None,
    batch: Annotated[int, typer.Option(min=1, help="Motions per network call.")] = 64,
    stream: Annotated[
        bool, typer.Option("--stream", help="One motion at a time, each into a file of its own as it comes; timed.")
    ] = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Make motions with a trained run.

    `torchrun --nproc-per-node 4 -m mdtool sample …` shares the batches among four processes; the motions are the same.
    """
    import time
    from functools import partial
    from itertools import cycle, islice

    from rich.console import Console

    from mdtool.errors import MdtoolError
    from mdtool.methods.generate import require_memory
    from mdtool.motion.file import provenance, require_place, write_motions
    from mdtool.training.distributed import join
    from mdtool.training.run import load_generator, newest_run

    guided = _wants_guide(autoguidance, guide, guide_between)
    grids = asked_grids(out, frames, fps or [], seconds, times)
    for grid in grids:
        require_place(grid.out)
    where, ranks = join(device, threads)
    console = Console(markup=False, quiet=not ranks.first)
    run = run or newest_run(Path("runs"), makes_motion=True, console=console)
    generator = load_generator(run, weights, where, ranks)
    sampling: dict[str, Any] = {
        "steps": steps,
        "sampler": sampler,
        "guidance": guidance,
        "temperature": temperature,
        "churn": churn,
    }
    generator.options = {**sampling}
    if guided:
        if not generator.method.autoguides:
            raise MdtoolError(f"{run}: its method takes no --autoguidance")
        weaker = load_generator(run, weights, where, step=guide).method
        generator.method.guide_by(lambda: weaker)
        generator.options |= {"autoguidance": autoguidance, "guide_between": guide_between}
    wanted = islice(cycle(_labels(generator, run, action or [])), count)
    if count <= batch * (ranks.world - 1):
        few = f"{counted(count, 'motion')} in batches of {batch}"
        say(console, f"note: {few} leave ranks idle; a smaller --batch gives them work")
    origin = provenance(
        run=str(run), weights=generator.weights, checkpoint_sha256=generator.sha256, seed=seed, first=first,
        **sampling, autoguidance=autoguidance, guide=guide, guide_between=guide_between,
    )  # fmt: skip
    if stream:
        if fps or seconds is not None or times is not None:
            raise MdtoolError("--stream makes motions of --frames at the run's own rate: leave out the other lengths")
        if ranks.world > 1:
            raise MdtoolError("--stream makes one motion at a time: run it without torchrun")
        try:
            _stream(console, generator, wanted, seed, first, frames, out, origin)
        except MdtoolError as error:
            raise error.at(run) from error
        return
    lengths = [
        grid.frames if seconds is None else max(round(seconds * (grid.fps or generator.fps)), 1) for grid in grids
    ]
    require_memory(count, max(length or generator.frames for length in lengths))
    actions = list(wanted)
    for grid, length in zip(grids, lengths, strict=True):
        started_s = time.monotonic()
        with progress_bar(console, "sampling") as show:
            try:
                motions = generator.sample(
                    actions,
                    seed,
                    first,
                    batch,
                    length,
                    keep_noise=True,
                    progress=partial(show, total=count),
                    fps=grid.fps,
                    times_s=grid.times_s,
                )
            except MdtoolError as error:
                raise error.at(run) from error
        motions.provenance = origin if grid.times_s is None else {**origin, "times_s": grid.times_s.tolist()}
        if ranks.first:
            write_motions(grid.out, motions)
        took_s = time.monotonic() - started_s
        say(
            console,
            f"wrote {grid.out}: {counted(count, 'motion')} of {counted(int(motions.lengths[0]), 'frame')} "
            f"at {motions.fps[0]:g} fps from {run} ({generator.weights}), {took_s:.1f} s",
        )
    ranks.leave()
    say_next(console, "mdtool", "render", grids[0].out, "--out", "video.mp4")


def _wants_guide(scale: float | None, step: int | None, between: tuple[float, float] | None) -> bool:
    """Whether an earlier step of the run is to guide.

    Raises:
        MdtoolError: --autoguidance, --guide and --guide-between do not go together.
    """
    from mdtool.errors import MdtoolError

    if (scale is None) != (step is None):
        raise MdtoolError("--autoguidance and --guide go together: a scale, and the step to guide away from")
    if between is not None and step is None:
        raise MdtoolError("--guide-between says where --guide is asked: name a step with --guide")
    if between is not None and not 0 <= between[0] < between[1]:
        raise MdtoolError("--guide-between needs two noise levels, the lower first, such as 0.1 5")
    return step is not None


def _labels(generator: Generator, run: Path, action: list[str]) -> list[int]:
    """Labels of the actions that were asked for, or of all; -1 where there are none.

    Raises:
        MdtoolError: an action that the run does not know.
    """
    from mdtool.errors import MdtoolError

    if not generator.conditional:
        if action:
            raise MdtoolError(f"{run} was trained without actions: leave out --action")
        return [-1]
    for name in action:
        if name not in generator.actions:
            raise MdtoolError(f"unknown action {name!r}: {run} knows {', '.join(generator.actions)}")
    return [generator.actions.index(name) for name in action or generator.actions]


def _stream(
    console: Console,
    generator: Generator,
    labels: Iterable[int],
    seed: int,
    first: int,
    frames: int | None,
    out: Path,
    origin: dict[str, Any],
) -> None:
    """Write every motion as soon as it is made, and tell how long one waits for one."""
    from statistics import median

    from mdtool.motion.file import write_motions

    made, posed, name = [], [], out
    for place, (motion, made_s, posed_s) in enumerate(generator.stream(labels, seed, first, frames)):
        name = out.with_name(f"{out.stem}-{first + place:04d}{out.suffix}")
        motion.provenance = origin
        write_motions(name, motion)
        made.append(1e3 * made_s)
        posed.append(1e3 * posed_s)
        say(console, f"{name}  {motion[0].action}  {made[-1]:.1f} ms")
    said = f"latency at batch 1, to rotations and to joint positions: first {made[0]:.1f} and {posed[0]:.1f} ms"
    if made[1:]:
        said += f", then {median(made[1:]):.1f} and {median(posed[1:]):.1f} ms (median of {len(made) - 1})"
    say(console, said)
    say_next(console, "mdtool", "render", name, "--out", "video.mp4")
