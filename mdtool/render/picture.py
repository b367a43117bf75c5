"""One call from clips to a finished file; the file's suffix says which kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdtool.body.mannequin import mannequin
from mdtool.errors import MdtoolError
from mdtool.motion.motion import Motion
from mdtool.render.film import Film
from mdtool.render.framing import CameraMode
from mdtool.render.strip import strip_picture
from mdtool.render.video import gif_fps, write_gif, write_mp4, write_png

SUFFIXES = (".mp4", ".gif", ".png")
_PALETTE_EXAMPLES = 5

Progress = Callable[[int, int], None]
"""Called with (pieces done, pieces in all)."""


@dataclass(frozen=True)
class RenderOptions:
    """How to draw; None means what suits the kind of file."""

    size: tuple[int, int] | None = None
    """Width and height in pixels: 1280 × 720, or 640 × 360 for a GIF. A strip has its own."""
    fps: float | None = None
    """Frames per second: 30, or 20 for a GIF."""
    camera: CameraMode = "track"
    strip_every: int | None = None
    """Step between the tiles of a strip, frames."""
    frame: int | None = None
    """A picture of this frame instead of a strip."""
    captions: bool = True
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


def render_motions(path: str | Path, motions: Sequence[Motion], options: RenderOptions, progress: Progress) -> Rendered:
    """Draw clips as mannequins into a .mp4, .gif or .png file.

    Raises:
        MdtoolError: an unknown suffix, options that do not fit it, a frame that the clips do not have, or a place
            that cannot be written.
    """
    path = Path(path)
    suffix = check_output(path, options)
    body = mannequin()
    if suffix == ".png" and options.frame is None:
        strip = strip_picture(motions, body, options.strip_every, options.workers, options.captions, progress)
        write_png(path, strip)
        return Rendered(strip.shape[1], strip.shape[0], 1, None)
    fps = options.fps or {".mp4": 30.0, ".gif": 20.0, ".png": motions[0].fps}[suffix]
    if suffix == ".gif":
        fps = gif_fps(fps)
    width, height = options.size or ((640, 360) if suffix == ".gif" else (1280, 720))
    film = Film(motions, body, width, height, fps, options.camera, options.captions)
    if options.frame is not None:
        if not 0 <= options.frame < film.frames:
            raise MdtoolError(f"no frame {options.frame}: the longest clip has frames 0 to {film.frames - 1}")
        write_png(path, next(film.pictures(1, [options.frame])))
        return Rendered(width, height, 1, None)
    frames = _counted(film.pictures(options.workers), film.frames, progress)
    if suffix == ".mp4":
        write_mp4(path, frames, fps)
    else:
        examples = np.unique(np.linspace(0, film.frames - 1, _PALETTE_EXAMPLES).astype(int)).tolist()
        write_gif(path, frames, fps, film.pictures(1, examples))
    return Rendered(width, height, film.frames, fps)


def check_output(path: Path, options: RenderOptions) -> str:
    """The suffix of `path`, when it is one we write and the options fit it.

    Raises:
        MdtoolError: they do not.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise MdtoolError(f"cannot tell what to write to {path}: end its name in {', '.join(SUFFIXES)}")
    if suffix != ".png" and (options.strip_every is not None or options.frame is not None):
        raise MdtoolError(f"a strip or a single frame is a picture, and {path} is not: name a .png file as --out")
    if options.strip_every is not None and options.frame is not None:
        raise MdtoolError("a strip shows several frames and --frame one: give --strip-every or --frame, not both")
    if options.size is not None:
        width, height = options.size
        if min(width, height) < 64 or max(width, height) > 7680:
            raise MdtoolError(f"cannot draw {width}x{height} pixels: choose 64 to 7680 on each side")
        if suffix == ".mp4" and (width % 2 or height % 2):
            raise MdtoolError(f"H.264 needs even sizes, not {width}x{height}: try {width // 2 * 2}x{height // 2 * 2}")
    return suffix


def _counted(frames: Iterable[np.ndarray], total: int, progress: Progress) -> Iterator[np.ndarray]:
    """The frames, telling `progress` after each."""
    progress(0, total)
    for done, frame in enumerate(frames, start=1):
        yield frame
        progress(done, total)
