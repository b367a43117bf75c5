"""One call from clips to a finished file; the file's suffix says which kind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mdtool.body.skinning import Body
from mdtool.errors import MdtoolError
from mdtool.render.exhibit import Exhibit
from mdtool.render.film import Film
from mdtool.render.framing import CameraMode
from mdtool.render.hardware import chosen_renderer
from mdtool.render.storyboard import PANELS, storyboard_picture
from mdtool.render.strip import strip_picture
from mdtool.render.video import gif_fps, write_gif, write_mp4, write_png, write_webm, write_webp

SUFFIXES = (".mp4", ".webm", ".gif", ".webp", ".png")
OVERLAYS = ("contacts", "trails", "targets")
_LOOPS = (".gif", ".webp")
"""Kinds of file that are looked at in a page, and smaller by default."""
_WHOLE_PAIRS = (".mp4", ".webm", ".webp")
"""Kinds whose colours are stored for two pixels at a time, so that sizes must be even."""
_PALETTE_EXAMPLES = 5

Progress = Callable[[int, int], None]
"""Called with (pieces done, pieces in all)."""
RendererChoice = Literal["auto", "soft", "pyrender"]


@dataclass(frozen=True)
class RenderOptions:
    """How to draw; None means what suits the kind of file."""

    size: tuple[int, int] | None = None
    """Width and height in pixels: 1280 × 720, or 640 × 360 for a GIF or a WebP. A strip has its own."""
    fps: float | None = None
    """Frames per second: 30, or 20 for a GIF or a WebP."""
    camera: CameraMode = "track"
    style: Literal["strip", "storyboard"] = "strip"
    """What a picture of whole clips looks like."""
    strip_every: int | None = None
    """Step between the tiles of a strip, frames."""
    panels: int | None = None
    """Key poses in a storyboard; 8."""
    frame: int | None = None
    """A picture of this frame instead of a strip."""
    captions: bool = True
    show: Collection[str] = ()
    """What else to draw, of `OVERLAYS`."""
    renderer: RendererChoice = "auto"
    workers: int | None = None
    """Processes; all cores by default."""


@dataclass(frozen=True)
class Rendered:
    """What was written."""

    width: int
    height: int
    frames: int
    fps: float | None
    """None for a picture that does not move."""


def render_exhibits(
    path: str | Path, exhibits: Sequence[Exhibit], body: Body, options: RenderOptions, progress: Progress
) -> Rendered:
    """Draw clips as people into a file of one of the kinds in `SUFFIXES`.

    Raises:
        MdtoolError: an unknown suffix, options that do not fit it, a frame that the clips do not have, a renderer
            that does not work here, or a place that cannot be written.
    """
    path = Path(path)
    suffix = check_output(path, options)
    renderer = chosen_renderer(options.renderer)
    if suffix == ".png" and options.frame is None:
        if options.style == "storyboard":
            picture = storyboard_picture(
                exhibits, body, options.panels or PANELS, options.workers, options.captions, renderer, progress
            )
        else:
            picture = strip_picture(
                exhibits, body, options.strip_every, options.workers, options.captions, renderer, progress
            )
        write_png(path, picture)
        return Rendered(picture.shape[1], picture.shape[0], 1, None)
    loops = suffix in _LOOPS
    fps = options.fps or (20.0 if loops else 30.0 if suffix != ".png" else exhibits[0].motion.fps)
    if suffix == ".gif":
        fps = gif_fps(fps)
    width, height = options.size or ((640, 360) if loops else (1280, 720))
    film = Film(exhibits, body, width, height, fps, options.camera, options.captions, options.show, renderer)
    if options.frame is not None:
        if not 0 <= options.frame < film.frames:
            raise MdtoolError(f"no frame {options.frame}: the longest clip has frames 0 to {film.frames - 1}")
        write_png(path, next(film.pictures(1, [options.frame])))
        return Rendered(width, height, 1, None)
    frames = _counted(film.pictures(options.workers), film.frames, progress)
    if suffix == ".gif":
        examples = np.unique(np.linspace(0, film.frames - 1, _PALETTE_EXAMPLES).astype(int)).tolist()
        write_gif(path, frames, fps, film.pictures(1, examples))
    else:
        {".mp4": write_mp4, ".webm": write_webm, ".webp": write_webp}[suffix](path, frames, fps)
    return Rendered(width, height, film.frames, fps)


def check_show(show: Collection[str]) -> None:
    """Refuse words that name nothing to draw beside the body.

    Raises:
        MdtoolError: there is one.
    """
    unknown = sorted(set(show) - set(OVERLAYS))
    if unknown:
        raise MdtoolError(f"cannot show {unknown[0]!r}: choose from {', '.join(OVERLAYS)}")


def check_output(path: Path, options: RenderOptions) -> str:
    """The suffix of `path`, when it is one we write and the options fit it.

    Raises:
        MdtoolError: they do not.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise MdtoolError(f"cannot tell what to write to {path}: end its name in {', '.join(SUFFIXES)} or .html")
    still = {
        "--strip-every": options.strip_every,
        "--panels": options.panels,
        "--style storyboard": options.style == "storyboard" or None,
        "--frame": options.frame,
    }
    given = [name for name, value in still.items() if value is not None]
    if suffix != ".png" and given:
        raise MdtoolError(f"{given[0]} makes a picture, and {path} is a film: name a .png file as --out")
    if options.frame is not None and len(given) > 1:
        raise MdtoolError(f"{given[0]} shows several frames and --frame one: give one of the two, not both")
    if options.style == "storyboard" and options.strip_every is not None:
        raise MdtoolError("a storyboard chooses its frames: give --panels, or --style strip with --strip-every")
    if options.style == "strip" and options.panels is not None:
        raise MdtoolError("a strip has no panels: give --strip-every, or --style storyboard with --panels")
    check_show(options.show)
    if options.size is not None:
        width, height = options.size
        if min(width, height) < 64 or max(width, height) > 7680:
            raise MdtoolError(f"cannot draw {width}x{height} pixels: choose 64 to 7680 on each side")
        if suffix in _WHOLE_PAIRS and (width % 2 or height % 2):
            raise MdtoolError(
                f"a {suffix} file needs even sizes, not {width}x{height}: try {width // 2 * 2}x{height // 2 * 2}"
            )
    return suffix


def _counted(frames: Iterable[np.ndarray], total: int, progress: Progress) -> Iterator[np.ndarray]:
    """The frames, telling `progress` after each."""
    progress(0, total)
    for done, frame in enumerate(frames, start=1):
        yield frame
        progress(done, total)
