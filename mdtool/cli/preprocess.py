"""`mdtool preprocess`: recordings in, one motion file out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdtool.cli.numbers import finite
from mdtool.cli.terminal import progress_bar, say, say_next, typed
from mdtool.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from mdtool.data.bvh_reader import BvhBatch
    from mdtool.data.gather import Reading
    from mdtool.data.motion_files import FileBatch
    from mdtool.motion.motion import ClipTable, MotionSet

app = typer.Typer(no_args_is_help=True, help="Make a motion file from recordings, or from nothing.")

DEFAULT_OUT = Path("motions.h5")
Out = Annotated[Path, typer.Option("--out", "-o", help="Motion file to write.")]
Fps = Annotated[
    float | None, typer.Option(callback=finite, help="Resample to this frame rate; native rates otherwise.")
]
Maps = Annotated[
    list[Path] | None, typer.Option("--map", help="Skeleton map (TOML) tried before the built-in ones; repeatable.")
]
WriteMap = Annotated[Path | None, typer.Option(help="Write a map to fill in for the first unknown skeleton, and stop.")]
TestFraction = Annotated[float, typer.Option(callback=finite, help="Share of each action's clips that is for testing.")]


class Split(StrEnum):
    """Which clips are for testing."""

    auto = "auto"
    fraction = "fraction"
    train = "train"
    test = "test"


@app.command()
def bvh(
    sources: Annotated[list[Path], typer.Argument(metavar="SRC", help="Folders, .zip, .tar.xz, .tar.gz or .bvh.")],
    labels: Annotated[
        list[Path] | None,
        typer.Option(help="CSV with columns path and action (and split, subject, skip_first, quality); repeatable."),
    ] = None,
    out: Out = DEFAULT_OUT,
    fps: Fps = None,
    maps: Maps = None,
    write_map: WriteMap = None,
    split: Annotated[
        Split, typer.Option(help="auto: as labelled, else by fraction; fraction; or all clips to one split.")
    ] = Split.auto,
    test_fraction: TestFraction = 0.2,
    keep_defects: Annotated[bool, typer.Option("--keep-defects", help="Keep clips labelled as defective.")] = False,
) -> None:
    """Read BVH recordings of any skeleton that a map describes.

    Actions come from --labels, else from a label file beside the recordings, else from folder names.
    """
    from rich.console import Console

    from mdtool.data.bvh_map import load_map
    from mdtool.data.bvh_reader import BvhBatch

    batch = BvhBatch.open(sources, labels or [], [load_map(path) for path in maps or []], keep_defects)
    if write_map is None:
        gather_into(out, batch, "bvh", fps, split, test_fraction, [*(labels or []), *(maps or [])])
        return
    start_map(batch, write_map, sources, Console(markup=False), "bvh", {"--labels": labels, "--map": maps})


def gather_into(
    out: Path,
    batch: BvhBatch | FileBatch,
    verb: str,
    fps: float | None,
    split: Split,
    test_fraction: float,
    parents: list[Path],
) -> None:
    """Read a batch and write the motion file.

    Args:
        verb: `mdtool preprocess VERB`.
        parents: files beside the recordings that decided what was read.
    """
    from rich.console import Console

    from mdtool.data.gather import gather
    from mdtool.motion.file import provenance, require_place, write_motions
    from mdtool.motion.motion import MotionSet

    console = Console(markup=False)
    require_place(out)
    with reading_bar(console, len(batch)) as show:
        gathered = gather(batch, fps, split.value, test_fraction, on_reading=show)
    files = [path for path in (*(box.path for box in batch.containers), *parents) if path.is_file()]
    record = provenance([*files], reader=verb, fps=fps, skipped=len(gathered.skipped))
    motions = MotionSet.from_clips(gathered.clips, provenance=record)
    write_motions(out, motions)
    summarise(console, motions, out, gathered.source_frames, gathered.elapsed_s, len(gathered.skipped))


class Layout(StrEnum):
    """Data sets whose raw files can be made."""

    uestc = "uestc"
    humanact12 = "humanact12"
    amass = "amass"


@app.command()
def synthetic(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="With --as: an empty folder for the raw files.")
    ] = None,
    clips: Annotated[int, typer.Option(help="Clips per action.", min=1)] = 60,
    seed: Annotated[int, typer.Option(help="Seed of all variation.")] = 0,
    fps: Annotated[float | None, typer.Option(callback=finite, help="Frames per second; 30 by default.", min=1)] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(callback=finite, help="Share of each action's clips that is for testing; 0.2 by default."),
    ] = None,
    layout: Annotated[
        Layout | None,
        typer.Option("--as", help="Write raw files as users of that data set have them, for a try without it."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Motion file to write; motions.h5 by default, with --as only when given."),
    ] = None,
) -> None:
    """Make procedural clips of ten everyday exercises: data for a first try, without any recording.

    With --as they become stand-ins for the 40 actions of UESTC or the 12 of HumanAct12, or recordings of subjects with
    bodies of their own for AMASS, and are written to DIR in the raw layout of that data set; --out is then what went
    in, to compare with what is read back.
    """
    import time

    from rich.console import Console

    from mdtool.data.synthetic import synthesise
    from mdtool.errors import MdtoolError
    from mdtool.motion.file import require_place, write_motions

    console = Console(markup=False)
    if layout is not None:
        if folder is None or fps is not None or test_fraction is not None:
            raise MdtoolError("--as needs a DIR, and goes without --fps and --test-fraction: the data set has its own")
        _write_raw(console, layout, folder, clips, seed, out)
        return
    if folder is not None:
        raise MdtoolError(
            f"{folder}: a folder goes with --as uestc, humanact12 or amass; name the motion file by --out"
        )
    out = out or DEFAULT_OUT
    require_place(out)
    started = time.perf_counter()
    motions = synthesise(
        clips_per_action=clips,
        seed=seed,
        fps=30.0 if fps is None else fps,
        test_fraction=0.2 if test_fraction is None else test_fraction,
    )
    write_motions(out, motions)
    summarise(console, motions, out, len(motions.rot6d), time.perf_counter() - started, 0)


def _write_raw(console: Console, layout: Layout, folder: Path, clips: int, seed: int, out: Path | None) -> None:
    """Make the raw files of a data set, and the motions that went into them if asked for."""
    from itertools import count

    from mdtool.data.synthetic.raw_amass import write_raw_amass
    from mdtool.data.synthetic.raw_humanact12 import write_raw_humanact12
    from mdtool.data.synthetic.raw_uestc import write_raw_uestc
    from mdtool.motion.action_names import HUMANACT12_ACTIONS, UESTC_ACTIONS
    from mdtool.motion.file import provenance, require_place, write_motions
    from mdtool.motion.motion import MotionSet

    if out is not None:
        require_place(out)
    actions = UESTC_ACTIONS if layout is Layout.uestc else HUMANACT12_ACTIONS
    done = count(1)
    with progress_bar(console, "performing") as show:

        def performed() -> None:
            show(next(done), len(actions) * clips)

        if layout is Layout.uestc:
            motions = [video.motion for video in write_raw_uestc(folder, clips, seed, performed)]
        elif layout is Layout.amass:
            motions = write_raw_amass(folder, clips, seed, performed)
        else:
            motions = write_raw_humanact12(folder, clips, seed, performed)
    say(
        console,
        f"wrote {folder}: {counted(len(motions), 'clip')} of stand-ins for {len(actions)} actions, "
        f"as {layout.value} has them",
    )
    if out is not None:
        write_motions(
            out, MotionSet.from_clips(motions, actions, provenance(source=f"synthetic {layout.value}", seed=seed))
        )
        say(console, f"wrote {out}: the motions that went in")
    say_next(console, "mdtool", "preprocess", layout.value, folder)
    if layout is Layout.uestc:
        say(console, f"or:   {typed('mdtool', 'preprocess', 'uestc', folder, '--from-vibe-tracks')}")


@contextmanager
def reading_bar(console: Console, total: int) -> Iterator[Callable[[Reading], None]]:
    """A bar over all recordings; what is skipped, odd or decided is told in a line above it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from mdtool.data.gather import Clip, Note, Skipped

    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=total)

        def show(reading: Reading) -> None:
            if isinstance(reading, Note):
                say(console, reading.text)
                return
            if isinstance(reading, Skipped):
                say(console, f"skipped {reading.name}: {reading.reason}", "yellow")
            elif isinstance(reading, Clip) and reading.warnings:
                say(console, f"warning {reading.motion.name}: {'; '.join(reading.warnings)}", "yellow")
            bar.advance(task)

        yield show


def summarise(
    console: Console, motions: MotionSet | ClipTable, out: Path, source_frames: int, elapsed_s: float, skipped: int
) -> None:
    """Actions against splits, what was written, how fast, and what to type next."""
    import numpy as np
    from rich.table import Table

    from mdtool.motion.motion import SPLITS

    seconds = motions.lengths / motions.fps
    table = Table("action", *SPLITS, "seconds")
    for column in table.columns[1:]:
        column.justify = "right"
    for label in [*range(len(motions.actions)), -1]:
        chosen = motions.action == label
        if chosen.any():
            counts = [str(int((chosen & (motions.split == split)).sum())) for split in range(len(SPLITS))]
            name = motions.actions[label] if label >= 0 else "(no action)"
            table.add_row(name, *counts, f"{seconds[chosen].sum():,.1f}")
    totals = [str(int((motions.split == split).sum())) for split in range(len(SPLITS))]
    table.add_section()
    table.add_row("all", *totals, f"{seconds.sum():,.1f}")
    console.print(table)
    rates = ", ".join(f"{rate:g}" for rate in np.unique(motions.fps))
    left_out = f", {skipped} skipped" if skipped else ""
    speed = f"{source_frames:,} frames in {elapsed_s:.1f} s, {source_frames / max(elapsed_s, 1e-9):,.0f} frames/s"
    made = f"{counted(len(motions), 'clip')}{left_out}, {counted(int(motions.lengths.sum()), 'frame')}"
    say(console, f"wrote {out}: {made} at {rates} fps ({speed})")
    say_next(console, "mdtool", "train", *([] if out == DEFAULT_OUT else [out]))


def start_map(
    batch: BvhBatch | FileBatch,
    path: Path,
    sources: list[Path],
    console: Console,
    verb: str,
    options: dict[str, list[Path] | None],
) -> None:
    """Write a map to fill in for the first recording that no map fits, or for the first one.

    Args:
        options: those of the command that are to be typed again with the new map, and their files.
    """
    from mdtool.atomic import write_text
    from mdtool.data.bvh_template import map_template
    from mdtool.errors import MdtoolError

    if path.exists():
        raise MdtoolError(f"{path} exists already; give --write-map another name, so that no filled-in map is lost")
    recording = batch.unknown_recording()
    write_text(path, map_template(recording))
    say(console, f"wrote {path} for the {len(recording.joints)} joints of {recording.source}: check and complete it")
    given = [word for option, values in options.items() for value in values or [] for word in (option, value)]
    say_next(console, "mdtool", "preprocess", verb, *sources, *given, "--map", path)
