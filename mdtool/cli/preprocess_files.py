"""`mdtool preprocess glb|npz|csv`: files that `mdtool export` or other programs wrote, read back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdtool.cli.preprocess import DEFAULT_OUT, Out, Split, _progress, _summarise, _write_map

if TYPE_CHECKING:
    from mdtool.data.motion_files import FileBatch

Sources = Annotated[list[Path], typer.Argument(metavar="SRC...", help="Files, folders, .zip, .tar.xz or .tar.gz.")]
Fps = Annotated[float | None, typer.Option(help="Resample to this frame rate; native rates otherwise.")]
SplitOption = Annotated[
    Split,
    typer.Option("--split", help="auto: as the files say, else by fraction; fraction; or all clips to one split."),
]
TestFraction = Annotated[float, typer.Option(help="Share of each action's clips that is for testing.")]


def register(app: typer.Typer) -> None:
    """Add the verbs to `mdtool preprocess`."""
    for verb in (glb, npz, csv):
        app.command()(verb)


def glb(
    sources: Sources,
    out: Out = DEFAULT_OUT,
    fps: Fps = None,
    split: SplitOption = Split.auto,
    test_fraction: TestFraction = 0.2,
    maps: Annotated[
        list[Path] | None, typer.Option("--map", help="Skeleton map (TOML) tried before the built-in ones; repeatable.")
    ] = None,
    write_map: Annotated[
        Path | None, typer.Option(help="Write a map to fill in for the first unknown skeleton, and stop.")
    ] = None,
) -> None:
    """Read the animations of GLB files (glTF 2.0): mdtool's own exactly, others through a skeleton map."""
    from rich.console import Console

    from mdtool.data.bvh_map import load_map
    from mdtool.data.motion_files import FileBatch

    batch = FileBatch.glb(sources, [load_map(path) for path in maps or []])
    if write_map is None:
        _gather(batch, "glb", out, fps, split, test_fraction, maps or [])
        return
    _write_map(batch, write_map, sources, Console(markup=False), "glb")


def npz(
    sources: Sources,
    out: Out = DEFAULT_OUT,
    fps: Fps = None,
    split: SplitOption = Split.auto,
    test_fraction: TestFraction = 0.2,
) -> None:
    """Read SMPL parameters in the layout of AMASS: poses [T, 72] or [T, 156], trans, mocap_framerate; z up."""
    from mdtool.data.motion_files import FileBatch

    _gather(FileBatch.npz(sources), "npz", out, fps, split, test_fraction)


def csv(
    sources: Sources,
    out: Out = DEFAULT_OUT,
    fps: Fps = None,
    split: SplitOption = Split.auto,
    test_fraction: TestFraction = 0.2,
) -> None:
    """Read motion tables that `mdtool export` wrote with rotations.

    Positions alone do not say how a bone is turned about itself, so a table without rotations is refused.
    """
    from mdtool.data.motion_files import FileBatch

    _gather(FileBatch.csv(sources), "csv", out, fps, split, test_fraction)


def _gather(
    batch: FileBatch,
    verb: str,
    out: Path,
    fps: float | None,
    split: Split,
    test_fraction: float,
    maps: list[Path] | None = None,
) -> None:
    """Read a batch and write the motion file."""
    from rich.console import Console

    from mdtool.atomic import require_writable
    from mdtool.data.gather import gather
    from mdtool.motion.file import provenance, write_motions
    from mdtool.motion.motion import MotionSet

    console = Console(markup=False)
    require_writable(out)
    with _progress(console, len(batch)) as show:
        gathered = gather(batch, fps, split.value, test_fraction, on_reading=show)
    inputs = [path for path in (*(box.path for box in batch.containers), *(maps or [])) if path.is_file()]
    record = provenance([*inputs], reader=verb, fps=fps, skipped=len(gathered.skipped))
    motions = MotionSet.from_clips(gathered.clips, provenance=record)
    write_motions(out, motions)
    _summarise(console, motions, out, gathered.source_frames, gathered.elapsed_s, len(gathered.skipped))
