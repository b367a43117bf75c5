"""`mdtool render … --out page.html`: motions in one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mdtool.cli.refusals import refuse_given
from mdtool.wording import counted, file_size

if TYPE_CHECKING:
    from mdtool.body.skinning import Body
    from mdtool.motion.marks import Marks
    from mdtool.motion.motion import Motion
    from mdtool.page.motions import Start
    from mdtool.render.picture import RenderOptions

CLIPS_IN_PAGE = 24
"""Motions in a page when the caller does not say how many."""


def is_page(out: Path, options: RenderOptions) -> bool:
    """Whether `out` is a page.

    Raises:
        MdtoolError: it is, and options for films were given.
    """
    if out.suffix.lower() != ".html":
        return False
    films = {
        "--size": options.size,
        "--fps": options.fps,
        "--strip-every": options.strip_every,
        "--panels": options.panels,
        "--frame": options.frame,
        "--jobs": options.workers,
        "--style": options.style != "strip",
        "--renderer": options.renderer != "auto",
    }
    refuse_given(films, "means nothing in a page, which draws as the reader likes: leave it out")
    return True


def page_start(options: RenderOptions, ghost: bool) -> Start:
    """What is switched on when the page opens: planted feet and targets, or what --show names.

    Raises:
        MdtoolError: --show names what nobody can draw.
    """
    from mdtool.page.motions import Start
    from mdtool.render.picture import check_show

    check_show(options.show)
    switched = {name: name in options.show for name in ("contacts", "trails", "targets")} if options.show else {}
    return Start(options.camera == "track", options.captions, overlay=ghost, **switched)


def render_page(
    out: Path,
    files: tuple[Path, Path | None],
    chosen: Sequence[int],
    clips: Sequence[Motion],
    others: Sequence[Motion],
    marks: Sequence[Marks | None],
    body: Body,
    start: Start,
) -> str:
    """Write the page; what to tell about it.

    Args:
        files: the motion file, and the one beside it.
        chosen: indices of `clips` in the first.
        others: clips of the second to play beside them; none without one.
        marks: what the edits of `clips` were told; None where no edit made them.
        start: what is switched on when the page opens.

    Raises:
        MdtoolError: the page would be too large, or cannot be written.
    """
    from mdtool.page.motions import Row, write_motion_page

    file, beside = files
    columns = [file.name] if beside is None else _told_apart(file, beside)
    pairs = [list(pair) for pair in zip(clips, others, strict=True)] if others else [[clip] for clip in clips]
    rows = [
        Row(pair[0].action.replace("_", " ") or f"clip {index}", _note(index, pair[0]), pair, told)
        for index, pair, told in zip(chosen, pairs, marks, strict=True)
    ]
    write_motion_page(out, file.stem, columns, rows, body, start)
    count = len(clips) * len(columns)
    size = out.stat().st_size
    return f"wrote {out}: {counted(count, 'motion')}, {file_size(size)}, plays in any browser, offline"


def _told_apart(first: Path, second: Path) -> list[str]:
    """Names of two files: their own, or their folders', or their whole paths, whatever differs."""
    pairs = ([path.name for path in (first, second)], [path.parent.name for path in (first, second)])
    return next((pair for pair in pairs if pair[0] != pair[1]), [str(first), str(second)])


def _note(index: int, motion: Motion) -> str:
    """'clip 3, subject', as short as it can be."""
    return f"clip {index}" + (f", {motion.subject}" if motion.subject else "")
