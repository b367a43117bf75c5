"""`mdtool resample`: motion file → motion file at another frame rate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdtool.cli.numbers import finite
from mdtool.cli.options import Threads
from mdtool.cli.terminal import progress_bar, say, say_next
from mdtool.wording import counted


def resample(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="Motion file.")],
    fps: Annotated[float, typer.Option(callback=finite, min=1, max=1000, help="Frames per second of the result.")],
    out: Annotated[Path, typer.Option(help="Motion file to write.")] = Path("resampled.h5"),
    method: Annotated[
        str, typer.Option(help="slerp: between the recorded frames. nerm: by the field of --run, fitted to each clip.")
    ] = "slerp",
    run: Annotated[Path | None, typer.Option(help="Run with a time axis, for --method nerm.")] = None,
    clip: Annotated[list[int] | None, typer.Option(help="Clip; repeat for several; all by default.")] = None,
    threads: Threads = None,
) -> None:
    """Change the frame rate of motions, by interpolation or through a field that has learnt how people move.

    Between two recorded frames slerp draws a straight line; the field draws what it has learnt from faster recordings.
    Above the fastest of those it interpolates too.
    """
    from dataclasses import replace

    import numpy as np
    from rich.console import Console

    from mdtool.errors import MdtoolError
    from mdtool.methods.contract import FieldMethod
    from mdtool.methods.timeline import lift
    from mdtool.motion.file import provenance, read_motions, require_place, write_motions
    from mdtool.motion.kinematics import positions_of
    from mdtool.motion.motion import MotionSet
    from mdtool.motion.resample import resample as by_slerp
    from mdtool.training.device import prepare, use_threads
    from mdtool.training.run import load_method

    if method not in ("slerp", "nerm"):
        raise MdtoolError(f"--method must be slerp or nerm, not {method!r}")
    if (method == "nerm") != (run is not None):
        raise MdtoolError("--method nerm and --run go together: the run whose field is to be used")
    if threads is not None:
        use_threads(threads)
    require_place(out)
    motions = read_motions(source)
    chosen = list(range(len(motions))) if clip is None else clip
    motions.require_clips(chosen, str(source))
    console = Console(markup=False)
    if run is None:
        made = [by_slerp(motions[index], fps) for index in chosen]
        say_of = "by slerp"
    else:
        where = prepare("auto", None)
        field, track, sha256 = load_method(run)
        if not isinstance(field, FieldMethod):
            raise MdtoolError(f"{run} has no time axis: give the run of a method such as nerm")
        field, made, off = field.to(where), [], []
        with progress_bar(console, "fitting") as show:
            for place, index in enumerate(chosen):
                motion = motions[index]
                times_s = np.arange(int((len(motion) - 1) / motion.fps * fps + 1e-6) + 1) / fps
                made.append(replace(lift(motion, field, times_s), fps=fps))
                again = lift(motion, field, np.arange(len(motion)) / motion.fps)
                gap = positions_of(again.rot6d, again.root) - motion.positions()
                off.append(float(np.linalg.norm(gap, axis=-1).mean()))
                show(place + 1, len(chosen))
        say_of = f"through {run} ({track}), {1000 * np.mean(off):.0f} mm from the recorded frames on average"
    result = MotionSet.from_clips(made, motions.actions)
    result.provenance = provenance(
        [source], method=method, fps=fps, run=None if run is None else str(run),
        checkpoint_sha256=None if run is None else sha256,
    )  # fmt: skip
    write_motions(out, result)
    say(console, f"wrote {out}: {counted(len(result), 'motion')} at {fps:g} fps, {say_of}")
    say_next(console, "mdtool", "render", out, "--out", "video.mp4")
