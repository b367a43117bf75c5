"""`mdtool preprocess uestc`: VIBE's poses of the UESTC videos, as MDM and ACTOR have them → motion file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdtool.cli.preprocess import DEFAULT_OUT, Out, reading_bar, summarise
from mdtool.cli.terminal import say

if TYPE_CHECKING:
    from rich.console import Console

    from mdtool.data.uestc import Selection, UestcVideo
    from mdtool.data.uestc_tracks import TrackedVideo
    from mdtool.data.vibe_tracks import GapFill


Align = Annotated[
    bool, typer.Option("--align-first-frame", help="Turn each clip so that it starts upright and facing +z.")
]


class Gap(StrEnum):
    """How frames are filled in which the performer was lost."""

    linear = "linear"
    slerp = "slerp"


class Cameras(StrEnum):
    """Which videos are taken."""

    all = "all"
    front = "front"


def uestc(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Folder of UESTC; dataset/uestc or data/uestc by default.")
    ] = None,
    out: Out = DEFAULT_OUT,
    view: Annotated[
        Cameras, typer.Option(help="all: both cameras, turned to the front; front: the front one alone.")
    ] = Cameras.all,
    frames: Annotated[
        int, typer.Option(min=0, help="Window to be learnt: training clips under three quarters of it are left out.")
    ] = 60,
    align_first_frame: Align = False,
    from_vibe_tracks: Annotated[
        bool,
        typer.Option(
            "--from-vibe-tracks",
            help="Read vibe_cache_all_tracks.pkl and mat_from_skeleton.tar, and find the performer among the tracks.",
        ),
    ] = False,
    gap: Annotated[
        Gap | None,
        typer.Option(help="With --from-vibe-tracks, rotations across lost frames: linear, as published, or slerp."),
    ] = None,
) -> None:
    """Read the UESTC data set: 40 actions, 118 people, up to 8 views, with the cross-subject split.

    The cache of VIBE's poses is read without running anything in it, and stays on the disk: memory is needed for
    an index and one clip.
    """
    import time

    from rich.console import Console

    from mdtool.data.gather import Clip, Skipped
    from mdtool.data.threads import one_thread
    from mdtool.data.uestc import CACHE, clips_from_vibe, find_uestc, read_actions, read_uestc_cache, select_videos
    from mdtool.data.uestc_tracks import SKELETONS, TRACKS
    from mdtool.errors import MdtoolError
    from mdtool.motion.file import provenance, require_place
    from mdtool.motion.motion import Motion
    from mdtool.motion.writer import write_clips

    console = Console(markup=False)
    if gap is not None and not from_vibe_tracks:
        raise MdtoolError("--gap is for --from-vibe-tracks: the cache of chosen poses has no gaps left")
    source = TRACKS if from_vibe_tracks else CACHE
    place = find_uestc(folder, source)
    require_place(out)
    actions, difference = read_actions(place)
    if difference:
        say(console, f"warning: {difference}", "yellow")
    say(console, f"reading {place / source}")
    filling: GapFill | None = None
    if from_vibe_tracks:
        filling = "slerp" if gap is Gap.slerp else "linear"
    videos: Sequence[UestcVideo] = (
        read_uestc_cache(place, actions) if filling is None else _tracked(console, place, actions, filling)
    )
    selection = select_videos(videos, view.value, frames)
    _counts(console, selection, len(actions), view.value)
    files = [place / source, *(path for path in sorted((place / "info").glob("*.txt")) if path.is_file())]
    if from_vibe_tracks and (place / SKELETONS).is_file():
        files.append(place / SKELETONS)
    record = provenance(
        [*files], reader="uestc", view=view.value, frames=frames, align_first_frame=align_first_frame, gap=filling
    )
    started, skipped = time.perf_counter(), list[Skipped]()
    with one_thread(), reading_bar(console, len(selection.videos)) as show:

        def clips() -> Iterator[Motion]:
            for reading in clips_from_vibe(selection.videos, actions, align_first_frame):
                show(reading)
                if isinstance(reading, Clip):
                    yield reading.motion
                else:
                    skipped.append(reading)

        table = write_clips(out, clips(), actions, record, selection.frames, len(selection.videos))
    summarise(console, table, out, int(table.lengths.sum()), time.perf_counter() - started, len(skipped))


def _tracked(console: Console, place: Path, actions: list[str], gap: GapFill) -> list[TrackedVideo]:
    """The performer of each video, and how much there was to choose and to fill."""
    from mdtool.data.uestc_tracks import read_uestc_tracks

    videos = read_uestc_tracks(place, actions, gap)
    several = sum(video.people > 1 for video in videos)
    joined = sum(len(video.performer.keys) > 1 for video in videos)
    frames = sum(video.performer.frames for video in videos)
    lost = frames - sum(video.performer.found for video in videos)
    late = sum(video.performer.first_frame > 0 for video in videos)
    say(
        console,
        f"{several:,} of {len(videos):,} videos have several tracks; {joined:,} performers are joined from several, "
        f"{late:,} are found after the first frame; {lost:,} of {frames:,} frames are filled in ({gap})",
    )
    return videos


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
