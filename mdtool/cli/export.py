"""`mdtool export`: motion file → GLB, BVH, AMASS-style npz or a table, for other programs."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdtool.cli.refusals import refuse_given
from mdtool.cli.terminal import say, say_next
from mdtool.wording import counted, file_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mdtool.export.target import Target
    from mdtool.motion.motion import Motion


class Program(StrEnum):
    """Where the file goes."""

    blender = "blender"
    unity = "unity"
    unreal = "unreal"


class Unit(StrEnum):
    """Of lengths."""

    m = "m"
    cm = "cm"


class Columns(StrEnum):
    """What a table holds."""

    positions = "positions"
    rotations = "rotations"
    both = "both"


class Model(StrEnum):
    """Whose joints an npz file has."""

    smplh = "smplh"
    smpl = "smpl"


_SUFFIXES = (".glb", ".bvh", ".npz", ".csv")
_ONLY_FOR = {
    "--order": (".bvh",),
    "--units": (".bvh", ".csv"),
    "--columns": (".csv",),
    "--model": (".npz",),
    "--for": (".glb", ".bvh", ".csv"),
    "--body": (".glb", ".bvh", ".npz"),
}


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Motion file.")] = Path("sample.h5"),
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write: .glb, .bvh, .npz or .csv; FILE's name + .glb.")
    ] = None,
    clip: Annotated[list[int] | None, typer.Option(help="Index of a clip; repeat for several. All by default.")] = None,
    program: Annotated[
        Program | None,
        typer.Option("--for", help="Axes, units, Euler order and root bone as this program expects them."),
    ] = None,
    order: Annotated[
        str | None, typer.Option(metavar="ZXY|XYZ|...", help="BVH: order of the rotation channels; ZXY.")
    ] = None,
    units: Annotated[Unit | None, typer.Option(help="BVH and CSV: of lengths; cm in BVH, m in CSV.")] = None,
    columns: Annotated[
        Columns | None,
        typer.Option(help="CSV: joint positions, rotations (quaternions, which reading it back needs), or both; both."),
    ] = None,
    body: Annotated[
        Path | None,
        typer.Option(
            help="GLB, BVH and npz: SMPL, SMPL-H or SMPL-X file, or a folder of them; MDTOOL_BODY, else the mannequin."
        ),
    ] = None,
    model: Annotated[Model | None, typer.Option(help="npz: poses [T, 156] as in AMASS, or [T, 72]; smplh.")] = None,
) -> None:
    """Write motions for other programs: a skinned body (GLB), joints (BVH), SMPL parameters (npz) or a table (CSV).

    A GLB holds all clips as named animations; of the other formats every clip gets a file of its own. Frame rates
    stay native. `mdtool preprocess` reads every one of them back.
    """
    import time

    from rich.console import Console
    from rich.progress import track

    from mdtool.atomic import require_name, require_writable
    from mdtool.body.choice import named_body
    from mdtool.data.threads import one_thread
    from mdtool.errors import MdtoolError
    from mdtool.export.clips import file_per_clip, require_exportable
    from mdtool.export.target import ANY, TARGETS
    from mdtool.motion.file import read_motions

    out = out or require_name(file).with_suffix(".glb")
    kind = out.suffix.lower()
    if kind not in _SUFFIXES:
        fbx = "; Blender makes FBX of a .glb" if kind == ".fbx" else ""
        raise MdtoolError(f"cannot tell the format of {out}: end its name in {', '.join(_SUFFIXES)}{fbx}")
    given = {
        "--order": order,
        "--units": units,
        "--columns": columns,
        "--model": model,
        "--for": program,
        "--body": body,
    }
    for option, kinds in _ONLY_FOR.items():
        if kind not in kinds:
            refuse_given({option: given[option]}, f"means nothing to a {kind} file: it is for {' and '.join(kinds)}")
    motions = read_motions(file)
    motions.require_clips(clip or [], str(file))
    chosen = list(dict.fromkeys(clip or range(len(motions))))
    clips = [motions[index] for index in chosen]
    require_exportable(clips)
    target = TARGETS[program.value] if program else ANY
    files = [out] if kind == ".glb" else file_per_clip(out, clips, chosen)
    for path in files:
        require_writable(path)
    named = body or (Path(os.environ["MDTOOL_BODY"]) if os.environ.get("MDTOOL_BODY") else None)
    console = Console(markup=False)
    started_s = time.perf_counter()
    with one_thread():
        if kind == ".glb":
            from mdtool.export.glb import write_glb

            write_glb(out, clips, named_body(named, clips), target.ground_root)
        else:
            write = _writer(kind, target, named, clips, order, units, columns, model)
            pairs = list(zip(files, clips, strict=True))
            hidden = not console.is_terminal
            for path, motion in track(pairs, "writing", console=console, transient=True, disable=hidden):
                write(path, motion)
    took_s = time.perf_counter() - started_s
    frames, size = sum(map(len, clips)), sum(path.stat().st_size for path in files)
    name = f"{out}" if len(files) == 1 else f"{files[0]} … {files[-1].name}"
    told = f"{counted(len(clips), 'clip')}, {counted(frames, 'frame')}, {file_size(size)}"
    say(console, f"wrote {name}: {told}, {took_s:.2f} s")
    read_back: list[object] = [files[0] if len(files) == 1 else out.parent]
    if kind == ".bvh" and len(files) > 1:
        from mdtool.export.bvh import write_labels

        labels = out.with_name(f"{out.stem}-labels.csv")
        write_labels(labels, files, clips)
        say(console, f"wrote {labels}: the actions of the clips, which BVH cannot say")
        read_back += ["--labels", labels]
    clicks = {".glb": target.glb_clicks, ".bvh": target.bvh_clicks}.get(kind)
    if program and clicks:
        say(console, f"in {program.value.capitalize()}: {clicks}")
    if columns is Columns.positions:
        say_next(console, "mdtool", "export", file, "--out", out, "--columns", "both")
    else:
        say_next(console, "mdtool", "preprocess", kind[1:], *read_back)


def _writer(
    kind: str,
    target: Target,
    named: Path | None,
    clips: Sequence[Motion],
    order: str | None,
    units: Unit | None,
    columns: Columns | None,
    model: Model | None,
) -> Callable[[Path, Motion], None]:
    """The function that writes one clip to one file of a kind."""
    if kind == ".bvh":
        from mdtool.body.choice import named_body
        from mdtool.export.bvh import write_bvh

        body, turns = named_body(named, clips), (order or target.order).upper()
        length = units.value if units else target.bvh_unit
        return lambda path, motion: write_bvh(path, motion, body, turns, length, target.ground_root)
    if kind == ".npz":
        from mdtool.body.choice import named_body
        from mdtool.export.npz import write_npz

        person = named_body(named, clips) if named else None
        return lambda path, motion: write_npz(path, motion, (model or Model.smplh).value, person)
    from mdtool.export.csv import write_csv

    measure = units.value if units else target.csv_unit
    return lambda path, motion: write_csv(path, motion, (columns or Columns.both).value, target.axes, measure)
