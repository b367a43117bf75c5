"""`mdtool render`: motion file → video, GIF, strip, storyboard, picture or page."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from mdtool.cli.numbers import finite
from mdtool.cli.refusals import refuse_given
from mdtool.cli.render_page import CLIPS_IN_PAGE, is_page, page_start, render_page
from mdtool.cli.terminal import progress_bar, say, say_next
from mdtool.wording import counted, file_size

if TYPE_CHECKING:
    from mdtool.motion.motion import Motion
    from mdtool.render.picture import Rendered

_MOST_CLIPS, _MOST_ROWS, _MOST_PAIRS = 9, 5, 4
"""Clips in a grid, in a strip, and pairs side by side, when the caller does not say how many."""


class CameraChoice(StrEnum):
    """How the camera moves."""

    track = "track"
    fixed = "fixed"
    orbit = "orbit"


class StyleChoice(StrEnum):
    """What a picture of whole clips looks like."""

    STRIP = "strip"  # in capitals, since every text has a method strip
    STORYBOARD = "storyboard"


class RendererChoice(StrEnum):
    """Who draws the triangles."""

    auto = "auto"
    soft = "soft"
    pyrender = "pyrender"


def render(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Motion file.")] = Path("sample.h5"),
    out: Annotated[
        Path | None,
        typer.Option(help="File to write: .mp4, .webm, .gif, .webp, .png or .html; FILE's name + .mp4 by default."),
    ] = None,
    clip: Annotated[list[int] | None, typer.Option(help="Index of a clip; repeat for several, side by side.")] = None,
    action: Annotated[list[str] | None, typer.Option(help="Only clips of this action; repeat for several.")] = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="Clips to show, over all actions; 9, 5 in a strip, 4 --beside, 24 in a page."),
    ] = None,
    beside: Annotated[Path | None, typer.Option(help="Another motion file to compare with, clip by clip.")] = None,
    ghost: Annotated[bool, typer.Option("--ghost", help="Draw --beside as a ghost over the clip.")] = False,
    size: Annotated[str | None, typer.Option(help="Pixels; 1280x720, or 640x360 for .gif and .webp.")] = None,
    fps: Annotated[
        float | None,
        typer.Option(callback=finite, min=1, max=120, help="Frames per second; 30, or 20 for .gif and .webp."),
    ] = None,
    camera: Annotated[
        CameraChoice, typer.Option(help="Follow the body, show the whole path, or go round.")
    ] = CameraChoice.track,
    show: Annotated[
        str,
        typer.Option(
            help="Also draw: contacts, trails, targets (of an edit); several with commas. In a page: at first."
        ),
    ] = "",
    seconds: Annotated[
        float | None, typer.Option(callback=finite, min=0.01, help="Show at most so much of every clip.")
    ] = None,
    style: Annotated[
        StyleChoice, typer.Option(help="A .png of whole clips: every k-th frame, or key poses.")
    ] = StyleChoice.STRIP,
    strip_every: Annotated[int | None, typer.Option(min=1, help="In a .png strip: every k-th frame.")] = None,
    panels: Annotated[int | None, typer.Option(min=1, max=64, help="Key poses in a storyboard; 8.")] = None,
    frame: Annotated[int | None, typer.Option(min=0, help="A .png of this one frame instead of a strip.")] = None,
    body: Annotated[
        Path | None,
        typer.Option(
            envvar="MDTOOL_BODY",
            help="SMPL, SMPL-H or SMPL-X file, or a folder of them, for the clips' gender; else the mannequin.",
        ),
    ] = None,
    renderer: Annotated[
        RendererChoice, typer.Option(help="auto: pyrender on a graphics card's driver, soft elsewhere.")
    ] = RendererChoice.auto,
    captions: Annotated[bool, typer.Option(help="Write the actions' names into the picture.")] = True,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; all cores by default.")] = None,
) -> None:
    """Draw motions as people on a floor: a video, a GIF, a strip, a storyboard or a picture.

    An .html page has a 3D player: one file that works offline.
    """
    import time

    from rich.console import Console

    from mdtool.atomic import require_name, require_writable
    from mdtool.body.choice import named_body
    from mdtool.errors import MdtoolError
    from mdtool.motion.marks import KEY, marks_to_show
    from mdtool.render.exhibit import compared, exhibits, with_marks
    from mdtool.render.picture import RenderOptions, check_output, render_exhibits

    out = out or require_name(file).with_suffix(".mp4")
    options = RenderOptions(
        size=_size(size),
        fps=fps,
        camera=camera.value,
        style=style.value,
        strip_every=strip_every,
        panels=panels,
        frame=frame,
        captions=captions,
        show=tuple(filter(None, (word.strip() for word in show.split(",")))),
        renderer=renderer.value,
        workers=jobs,
    )
    page = is_page(out, options)
    start = page_start(options, ghost)
    targets = "targets" in options.show
    tiles = not page and check_output(out, options) == ".png" and frame is None
    if tiles:
        films = {"--size": size, "--fps": fps, "--camera": camera != CameraChoice.track, "--show": bool(options.show)}
        refuse_given(films, f"means nothing in a {style}: add --frame for one picture, or name a film as --out")
    if ghost and beside is None:
        raise MdtoolError("--ghost needs a second motion file: name it with --beside OTHER.h5")
    if tiles and ghost:
        raise MdtoolError("a strip or storyboard has no ghosts: add --frame, or name a film as --out")
    usual = CLIPS_IN_PAGE if page else _MOST_PAIRS if beside else _MOST_ROWS if tiles else _MOST_CLIPS
    pick = _pick(file, beside, clip or [], action or [], count or usual, seconds)
    require_writable(out)
    person = named_body(body, pick.clips)

    console = Console(markup=False)
    if page:
        edited = targets or KEY in pick.history
        marks = marks_to_show(pick.history, pick.indices, str(file)) if edited else [None] * len(pick.indices)
        say(console, render_page(out, (file, beside), pick.indices, pick.clips, pick.others, marks, person, start))
        say_next(console, "open", out)
        return
    shown = exhibits(pick.clips) if beside is None else compared(pick.pairs, _names(file, beside), ghost)
    if targets:
        shown = with_marks(shown, pick.history, pick.indices, str(file))
    started_s = time.monotonic()
    with progress_bar(console, "drawing") as progress:
        rendered = render_exhibits(out, shown, person, options, progress)
    took_s = time.monotonic() - started_s
    told = counted(len(pick.indices), "clip") if len(pick.indices) > 1 else _named(pick.indices[0], pick.clips[0])
    if beside is not None:
        told += f" {'with ghosts' if ghost else 'beside those'} of {beside}"
    say(console, f"wrote {out}: {told}, {_extent(rendered)}, {file_size(out.stat().st_size)}, {took_s:.1f} s")
    following = out.with_suffix(".mp4") if rendered.fps is None else "strip.png"
    say_next(console, "mdtool", "render", file, "--clip", pick.indices[0], "--out", following)


class _Pick(NamedTuple):
    """What to show."""

    indices: list[int]
    clips: list[Motion]
    others: list[Motion]
    """The clips of the other file to compare them with; none without one."""
    same_world: bool
    """Whether a clip and its other share one world, as before and after an edit."""
    history: dict
    """The file's provenance."""

    @property
    def pairs(self) -> list[tuple[Motion, Motion, bool]]:
        """Each clip with its other."""
        return [(one, other, self.same_world) for one, other in zip(self.clips, self.others, strict=True)]


def _pick(
    file: Path, beside: Path | None, clip: list[int], action: list[str], most: int, seconds: float | None
) -> _Pick:
    """The clips that were asked for, each cut to `seconds`."""
    from mdtool.motion.file import read_motions
    from mdtool.render.exhibit import choose_clips, in_step, partners

    def cut(motion: Motion) -> Motion:
        return motion if seconds is None else motion.slice(0, max(1, round(seconds * motion.fps)))

    motions = read_motions(file)
    chosen = choose_clips(motions, clip, action, most, str(file))
    clips = [cut(motions[index]) for index in chosen]
    if beside is None:
        return _Pick(chosen, clips, [], False, motions.provenance)
    others = read_motions(beside)
    second = [cut(others[index]) for index in partners(motions, chosen, others, str(beside))]
    return _Pick(chosen, clips, second, in_step(motions, others), motions.provenance)


def _names(file: Path, beside: Path) -> tuple[str, str]:
    """What to call two files: their names, or their folders' where the names are the same."""
    own, other = file.resolve(), beside.resolve()
    alike = own.stem == other.stem and own.parent != other.parent
    return (own.parent.name, other.parent.name) if alike else (own.stem, other.stem)


def _size(text: str | None) -> tuple[int, int] | None:
    """'1280x720' → (1280, 720)."""
    from mdtool.errors import MdtoolError

    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise MdtoolError(f"cannot read --size {text!r}: write it as 1280x720")
    return int(width), int(height)


def _named(index: int, motion: Motion) -> str:
    """'clip 3 (walk)'."""
    return f"clip {index}" + (f" ({motion.action})" if motion.action else "")


def _extent(rendered: Rendered) -> str:
    """Picture size and, for a film, its length."""
    size = f"{rendered.width}x{rendered.height}"
    return size if rendered.fps is None else f"{rendered.frames / rendered.fps:.1f} s at {rendered.fps:g} fps, {size}"
