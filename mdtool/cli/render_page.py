"""`mdtool render … --out page.html`: motions in one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdtool.motion.motion import Motion, MotionSet
    from mdtool.render.picture import RenderOptions

CLIPS_IN_PAGE = 24
"""Motions in a page when the caller does not say how many."""


def is_page(out: Path, options: RenderOptions, beside: Path | None) -> bool:
    """Whether `out` is a page.

    Raises:
        MdtoolError: it is and options for films were given, or it is not and one for pages was.
    """
    from mdtool.errors import MdtoolError

    if out.suffix.lower() != ".html":
        if beside is not None:
            raise MdtoolError(f"--beside needs a page, and {out} is none: name an .html file as --out")
        return False
    films = {
        "--size": options.size,
        "--fps": options.fps,
        "--strip-every": options.strip_every,
        "--frame": options.frame,
        "--jobs": options.workers,
    }
    given = [name for name, value in films.items() if value is not None]
    if given:
        raise MdtoolError(f"{given[0]} means nothing in a page, which draws as the reader likes: leave it out")
    return True


def render_page(
    out: Path,
    file: Path,
    chosen: Sequence[int],
    clips: Sequence[Motion],
    beside: Path | None,
    follow: bool,
    captions: bool,
    seconds: float | None,
) -> str:
    """Write the page; what to tell about it.

    Args:
        chosen: indices of `clips` in `file`.
        beside: another motion file, whose clips of the same indices are played beside them.

    Raises:
        MdtoolError: `beside` cannot be read or lacks a clip, the page would be too large, or it cannot be written.
    """
    from mdtool.body.mannequin import mannequin
    from mdtool.page.motions import Row, Start, write_motion_page

    columns = [file.name]
    pairs: list[list[Motion]] = [[clip] for clip in clips]
    if beside is not None:
        columns = _told_apart(file, beside)
        for pair, other in zip(pairs, clips_beside(beside, chosen, seconds), strict=True):
            pair.append(other)
    rows = [
        Row(pair[0].action.replace("_", " ") or f"clip {index}", _note(index, pair[0]), pair)
        for index, pair in zip(chosen, pairs, strict=True)
    ]
    write_motion_page(out, file.stem, columns, rows, mannequin(), Start(follow, captions))
    count = len(clips) * len(columns)
    size = out.stat().st_size
    wrote = f"wrote {out}: {count} motion{'s' * (count != 1)}, {size / 1e6:.1f} MB, plays in any browser, offline"
    return f"{wrote}\nnext: open {out}"


def clips_beside(beside: Path, chosen: Sequence[int], seconds: float | None) -> list[Motion]:
    """The clips of another file with the same indices, each cut to `seconds`.

    Raises:
        MdtoolError: the file cannot be read, or has no such clip.
    """
    from mdtool.errors import MdtoolError
    from mdtool.motion.file import read_motions

    others: MotionSet = read_motions(beside)
    missing = [index for index in chosen if index >= len(others)]
    if missing:
        raise MdtoolError(
            f"{beside} has no clip {missing[0]} to show beside: it has clips 0 to {len(others) - 1}; choose with --clip"
        )
    clips = [others[index] for index in chosen]
    if seconds is None:
        return clips
    return [clip.slice(0, max(1, round(seconds * clip.fps))) for clip in clips]


def _told_apart(first: Path, second: Path) -> list[str]:
    """Names of two files: their own, or their folders', or their whole paths, whatever differs."""
    pairs = ([path.name for path in (first, second)], [path.parent.name for path in (first, second)])
    return next((pair for pair in pairs if pair[0] != pair[1]), [str(first), str(second)])


def _note(index: int, motion: Motion) -> str:
    """'clip 3, subject', as short as it can be."""
    return f"clip {index}" + (f", {motion.subject}" if motion.subject else "")
