"""`mdtool preprocess amass`: AMASS, by the index of HumanML3D or whole → motion file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mdtool.cli.preprocess import DEFAULT_OUT, Fps, Out, TestFraction, reading_bar, summarise
from mdtool.cli.refusals import refuse_given
from mdtool.cli.terminal import say


class HeldOut(StrEnum):
    """Which split of HumanML3D is for testing."""

    test = "test"
    val = "val"


class Stride(StrEnum):
    """How a segment of the index becomes 20 fps."""

    exact = "exact"
    humanml3d = "humanml3d"


class Gender(StrEnum):
    """Whose recordings to read."""

    neutral = "neutral"
    male = "male"
    female = "female"


def amass(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="AMASS's tree of SMPL-H npz files, or an archive.")],
    index: Annotated[
        Path | None, typer.Option(help="HumanML3D's index.csv; that in DIR by default, without one whole recordings.")
    ] = None,
    splits: Annotated[
        Path | None, typer.Option(help="Folder of train.txt, val.txt, test.txt; beside the index by default.")
    ] = None,
    held_out: Annotated[
        HeldOut, typer.Option(help="Which of HumanML3D's splits is for testing; the other is left out.")
    ] = HeldOut.test,
    stride: Annotated[
        Stride,
        typer.Option(help="exact: resampled to 20 fps; humanml3d: every int(fps/20)-th frame, called 20 fps."),
    ] = Stride.exact,
    gender: Annotated[
        Gender | None,
        typer.Option(help="Read one body model's recordings, with shapes; all by default, with neutral shapes only."),
    ] = None,
    out: Out = DEFAULT_OUT,
    fps: Fps = None,
    test_fraction: TestFraction = 0.2,
) -> None:
    """Read AMASS, motion and body shape: HumanML3D's segments (20 fps, 32 to 200 frames) where its index is given."""
    from rich.console import Console

    from mdtool.data.amass import EXPECTED, INDEX_FPS, AmassTree, read_index, segment_counts
    from mdtool.data.gather import gather
    from mdtool.errors import MdtoolError
    from mdtool.motion.file import provenance, require_place, write_motions
    from mdtool.motion.motion import MotionSet

    console = Console(markup=False)
    require_place(out)
    if index is None and (folder / "index.csv").is_file():
        index = folder / "index.csv"
    segments = None
    if index is None:
        of_index = {"--splits": splits, "--held-out": held_out != HeldOut.test, "--stride": stride != Stride.exact}
        refuse_given(of_index, f"is for HumanML3D's segments, and {folder} has no index.csv: name it with --index")
    else:
        if fps is not None and fps != INDEX_FPS:
            raise MdtoolError(f"the index counts frames at {INDEX_FPS} fps: leave out --fps, or --index")
        segments = read_index(index, splits or index.parent)
        counts = segment_counts(segments)
        told = ", ".join(f"{count:,} {split}" for split, count in counts.items())
        whole = "as in all of HumanML3D" if counts == EXPECTED else "all of HumanML3D has 10,626, 665 and 1,997"
        say(console, f"{index}: {told} segments of 32 frames or more, without mirrored copies ({whole})")
    tree = AmassTree(folder, segments, held_out.value, stride.value, None if gender is None else gender.value)
    with reading_bar(console, len(tree)) as show:
        gathered = gather(tree, fps, "auto", test_fraction, on_reading=show)
    record = provenance(
        [] if index is None else [index], reader="amass", fps=INDEX_FPS if segments else fps,
        skipped=len(gathered.skipped),
        stride=stride.value if segments else None, held_out=held_out.value if segments else None,
        gender=None if gender is None else gender.value,
    )  # fmt: skip
    motions = MotionSet.from_clips(gathered.clips, provenance=record)
    write_motions(out, motions)
    summarise(console, motions, out, gathered.source_frames, gathered.elapsed_s, len(gathered.skipped))
