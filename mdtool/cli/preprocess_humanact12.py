"""`mdtool preprocess humanact12`: HumanAct12 as MDM and ACTOR have it → motion file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdtool.cli.numbers import finite
from mdtool.cli.preprocess import DEFAULT_OUT, Out, reading_bar, summarise
from mdtool.cli.preprocess_uestc import Align
from mdtool.cli.terminal import say
from mdtool.wording import counted


def humanact12(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Folder HumanAct12Poses; that in dataset or data by default."),
    ] = None,
    out: Out = DEFAULT_OUT,
    fps: Annotated[
        float,
        typer.Option(
            callback=finite, min=1, help="Frame rate to write: the data set does not state it, MDM plays it at 20."
        ),
    ] = 20.0,
    align_first_frame: Align = False,
) -> None:
    """Read the HumanAct12 data set: 12 actions, about 1,190 clips, all of them for training."""
    from rich.console import Console

    from mdtool.data.gather import gather
    from mdtool.data.humanact12 import CLIPS, find_humanact12, read_humanact12
    from mdtool.motion.action_names import HUMANACT12_ACTIONS
    from mdtool.motion.file import provenance, require_place, write_motions
    from mdtool.motion.motion import MotionSet

    console = Console(markup=False)
    path = find_humanact12(folder)
    require_place(out)
    data = read_humanact12(path)
    say(console, f"{path}: {counted(len(data), 'clip')} (the data set has about {CLIPS:,})")
    with reading_bar(console, len(data)) as show:
        gathered = gather(data.clips(fps, align_first_frame), on_reading=show)
    record = provenance(
        [path], reader="humanact12", fps=fps, align_first_frame=align_first_frame, skipped=len(gathered.skipped)
    )
    motions = MotionSet.from_clips(gathered.clips, HUMANACT12_ACTIONS, record)
    write_motions(out, motions)
    summarise(console, motions, out, gathered.source_frames, gathered.elapsed_s, len(gathered.skipped))
