"""`mdtool preprocess glb|npz|csv`: files that `mdtool export` or other programs wrote, read back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdtool.cli.preprocess import DEFAULT_OUT, Fps, Maps, Out, Split, TestFraction, WriteMap, gather_into, start_map

Sources = Annotated[list[Path], typer.Argument(metavar="SRC", help="Files, folders, .zip, .tar.xz or .tar.gz.")]
SplitOption = Annotated[
    Split,
    typer.Option("--split", help="auto: as the files say, else by fraction; fraction; or all clips to one split."),
]


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
    maps: Maps = None,
    write_map: WriteMap = None,
) -> None:
    """Read the animations of GLB files (glTF 2.0): mdtool's own exactly, others through a skeleton map."""
    from rich.console import Console

    from mdtool.data.bvh_map import load_map
    from mdtool.data.motion_files import FileBatch

    batch = FileBatch.glb(sources, [load_map(path) for path in maps or []])
    if write_map is None:
        gather_into(out, batch, "glb", fps, split, test_fraction, maps or [])
        return
    start_map(batch, write_map, sources, Console(markup=False), "glb", {"--map": maps})


def npz(
    sources: Sources,
    out: Out = DEFAULT_OUT,
    fps: Fps = None,
    split: SplitOption = Split.auto,
    test_fraction: TestFraction = 0.2,
) -> None:
    """Read SMPL parameters in the layout of AMASS: poses [T, 72] or [T, 156], trans, mocap_framerate; z up."""
    from mdtool.data.motion_files import FileBatch

    gather_into(out, FileBatch.npz(sources), "npz", fps, split, test_fraction, [])


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

    gather_into(out, FileBatch.csv(sources), "csv", fps, split, test_fraction, [])
