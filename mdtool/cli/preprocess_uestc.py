"""`mdtool preprocess uestc`: VIBE's poses of the UESTC videos, as MDM and ACTOR have them → motion file."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdtool.cli.preprocess import DEFAULT_OUT, Out, _progress, _summarise
from mdtool.cli.terminal import say

if TYPE_CHECKING:
    from rich.console import Console

    from mdtool.data.uestc import Selection


Align = Annotated[
    bool, typer.Option("--align-first-frame", help="Turn each clip so that it starts upright and facing +z.")
]


class Cameras(StrEnum):
    """Which videos are taken."""

    all = "all"
    front = "front"


def uestc(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Folder of UESTC; dataset/uestc or data/uestc by default.")
    ] = None,
    out: Out = DEFAULT_OUT,
    view: Annotated[
        Cameras, typer.Option(help="all: both cameras, turned to the front; front: the front one alone.")
    ] = Cameras.all,
    frames: Annotated[
        int, typer.Option(min=0, help="Window to be learnt: training clips under three quarters of it are left out.")
    ] = 60,
    align_first_frame: Align = False,
) -> None:
    """Read the UESTC data set: 40 actions, 118 people, up to 8 views, with the cross-subject split.

    The cache of VIBE's poses is read without running anything in it, and stays on the disk: memory is needed for
    an index and one clip.
    """
    import time

    from rich.console import Console

    from mdtool.atomic import require_writable
    from mdtool.data.gather import Clip, Skipped
    from mdtool.data.threads import one_thread
    from mdtool.data.uestc import CACHE, clips_from_vibe, find_uestc, read_actions, read_uestc_cache, select_videos
    from mdtool.motion.file import provenance
    from mdtool.motion.motion import Motion
    from mdtool.motion.writer import write_clips

    console = Console(markup=False)
    place = find_uestc(folder)
    require_writable(out)
    actions, difference = read_actions(place)
    if difference:
        say(console, f"warning: {difference}", "yellow")
    say(console, f"reading {place / CACHE}")
    selection = select_videos(read_uestc_cache(place, actions), view.value, frames)
    _counts(console, selection, len(actions), view.value)
    files = [place / CACHE, *(path for path in sorted((place / "info").glob("*.txt")) if path.is_file())]
    record = provenance([*files], reader="uestc", view=view.value, frames=frames, align_first_frame=align_first_frame)
    started, skipped = time.perf_counter(), list[Skipped]()
    with one_thread(), _progress(console, len(selection.videos)) as show:

        def clips() -> Iterator[Motion]:
            for reading in clips_from_vibe(selection.videos, actions, align_first_frame):
                show(reading)
                if isinstance(reading, Clip):
                    yield reading.motion
                else:
                    skipped.append(reading)

        table = write_clips(out, clips(), actions, record, selection.frames, len(selection.videos))
    _summarise(console, table, out, int(table.lengths.sum()), time.perf_counter() - started, len(skipped))


def _counts(console: Console, selection: Selection, actions: int, view: str) -> None:
    """What is there beside what the protocol says."""
    from rich.table import Table

    from mdtool.motion.motion import TEST, TRAIN

    cameras = 15 if view == "all" else 8  # videos of each person and action that are kept
    train = selection.count(TRAIN)
    rows = [
        ("actions", actions, 40),
        ("videos", selection.listed, 25_600),
        ("without those of the moving camera", selection.listed - selection.moving, 24_000),
        ("training clips, short ones included", train + selection.short, 710 * cameras),
        ("training clips", train, None),
        ("test clips", selection.count(TEST), 890 * cameras),
    ]
    table = Table("", "here", "protocol")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, here, expected in rows:
        known = f"{expected:,}" if expected is not None else f"at most {710 * cameras:,}"
        table.add_row(name, f"{here:,}", known)
    console.print(table)
    different = [name for name, here, expected in rows if expected not in (None, here)]
    if different:
        say(console, f"note: this is not the whole data set; it differs in: {'; '.join(different)}", "yellow")
