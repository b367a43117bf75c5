"""`mdtool render`: motion file → video, GIF, strip, picture or page."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdtool.cli.render_page import CLIPS_IN_PAGE, is_page, render_page
from mdtool.cli.terminal import say

if TYPE_CHECKING:
    from mdtool.motion.motion import Motion, MotionSet
    from mdtool.render.picture import Rendered

_MOST_CLIPS, _MOST_ROWS = 9, 5
"""Clips in a grid, and in a strip, when the caller does not say how many."""


class CameraChoice(StrEnum):
    """How the camera moves."""

    track = "track"
    fixed = "fixed"


def render(
    file: Annotated[Path, typer.Argument(help="Motion file.")] = Path("sample.h5"),
    out: Annotated[
        Path | None, typer.Option(help="File to write: .mp4, .gif, .png or .html; FILE's name + .mp4 by default.")
    ] = None,
    clip: Annotated[list[int] | None, typer.Option(help="Index of a clip; repeat for several, side by side.")] = None,
    action: Annotated[list[str] | None, typer.Option(help="Only clips of this action; repeat for several.")] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Clips to show, spread over the actions; 9, 5 in a strip, 24 in a page.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Pixels; 1280x720, or 640x360 for a GIF.")] = None,
    fps: Annotated[float | None, typer.Option(min=1, max=120, help="Frames per second; 30, or 20 for a GIF.")] = None,
    camera: Annotated[CameraChoice, typer.Option(help="Follow the body, or show the whole path.")] = CameraChoice.track,
    seconds: Annotated[float | None, typer.Option(min=0.01, help="Show at most so much of every clip.")] = None,
    strip_every: Annotated[int | None, typer.Option(min=1, help="In a .png strip: every k-th frame.")] = None,
    frame: Annotated[int | None, typer.Option(min=0, help="A .png of this one frame instead of a strip.")] = None,
    captions: Annotated[bool, typer.Option(help="Write the actions' names into the picture.")] = True,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; all cores by default.")] = None,
    beside: Annotated[Path | None, typer.Option(help="In an .html page: another file, clip beside clip.")] = None,
) -> None:
    """Draw motions as people on a floor: a video, a GIF, a .png strip, or an .html page with a 3D player."""
    import time

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from mdtool.atomic import require_writable
    from mdtool.motion.file import read_motions
    from mdtool.render.picture import RenderOptions, check_output, render_motions

    out = out or file.with_suffix(".mp4")
    options = RenderOptions(_size(size), fps, camera.value, strip_every, frame, captions, jobs)
    page = is_page(out, options, beside)
    picture = not page and check_output(out, options) == ".png"
    motions = read_motions(file)
    require_writable(out)
    most = count or (CLIPS_IN_PAGE if page else _MOST_ROWS if picture and frame is None else _MOST_CLIPS)
    chosen = _choose(file, motions, clip, action, most)
    clips = [motions[index] for index in chosen]
    if seconds is not None:
        clips = [motion.slice(0, max(1, round(seconds * motion.fps))) for motion in clips]

    console = Console(markup=False)
    if page:
        follow = camera is CameraChoice.track
        say(console, render_page(out, file, chosen, clips, beside, follow, captions, seconds))
        return
    started_s = time.monotonic()
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(TextColumn("drawing"), *columns, console=console, transient=True) as bar:
        task = bar.add_task("drawing", total=None)
        rendered = render_motions(
            out, clips, options, lambda done, total: bar.update(task, completed=done, total=total)
        )
    took_s = time.monotonic() - started_s
    line = f"wrote {out}: {_clips(chosen, clips)}, {_extent(rendered)}, {_file_size(out)}, {took_s:.1f} s"
    say(console, line)
    if picture:
        following = f"mdtool render {file} --clip {chosen[0]} --out {out.with_suffix('.mp4')}"
    else:
        following = f"mdtool render {file} --clip {chosen[0]} --out strip.png"
    say(console, f"next: {following}")


def _size(text: str | None) -> tuple[int, int] | None:
    """'1280x720' → (1280, 720)."""
    from mdtool.errors import MdtoolError

    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise MdtoolError(f"cannot read --size {text!r}: write it as 1280x720")
    return int(width), int(height)


def _choose(file: Path, motions: MotionSet, clip: list[int] | None, action: list[str] | None, most: int) -> list[int]:
    """Indices of the clips to draw."""
    import numpy as np

    from mdtool.errors import MdtoolError
    from mdtool.render.grid import spread_over_labels

    for index in clip or []:
        if not 0 <= index < len(motions):
            raise MdtoolError(f"{file} has no clip {index}: it has clips 0 to {len(motions) - 1}")
    if clip:
        return clip
    labels = motions.action
    candidates = np.arange(len(motions))
    if action:
        candidates = np.flatnonzero(np.isin(labels, [motions.action_index(name) for name in action]))
        if not len(candidates):
            raise MdtoolError(f"{file} has no clip of {', '.join(action)}")
    return candidates[spread_over_labels(labels[candidates], most)].tolist()


def _clips(chosen: list[int], clips: list[Motion]) -> str:
    """'clip 3 (walk)' or '9 clips'."""
    if len(clips) > 1:
        return f"{len(clips)} clips"
    return f"clip {chosen[0]}" + (f" ({clips[0].action})" if clips[0].action else "")


def _extent(rendered: Rendered) -> str:
    """Picture size and, for a film, its length."""
    size = f"{rendered.width}x{rendered.height}"
    return size if rendered.fps is None else f"{rendered.frames / rendered.fps:.1f} s at {rendered.fps:g} fps, {size}"


def _file_size(path: Path) -> str:
    """Bytes as kB or MB."""
    size = path.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
