"""Motions in one HTML page that plays them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdtool.atomic import write_text
from mdtool.body.skinning import Body
from mdtool.errors import MdtoolError
from mdtool.motion.marks import Marks
from mdtool.motion.motion import Motion
from mdtool.page.arrays import body_to_json, bytes_of_clip, motion_to_json
from mdtool.page.document import document
from mdtool.wording import counted

LARGEST_MB = 50
"""Pages beyond this take browsers seconds to open and phones out of memory."""
_EMPTY_PAGE_BYTES = 1_300_000
"""Player, style and mannequin."""


@dataclass(frozen=True)
class Row:
    """What is shown together: one motion, or the same one from several sources."""

    label: str
    note: str
    motions: Sequence[Motion | None]
    """One per column; None where a column has no such motion."""
    marks: Marks | None = None
    """What the edit was told that made the motion of the first column."""


@dataclass(frozen=True)
class Start:
    """What is switched on when the page opens."""

    follow: bool = True
    captions: bool = True
    contacts: bool = True
    trails: bool = False
    targets: bool = True
    overlay: bool = False


def player_data(columns: Sequence[str], rows: Sequence[Row], body: Body, start: Start | None = None) -> dict[str, Any]:
    """What the player reads: the body once, every motion once, and which are shown together.

    Args:
        columns: names of the sources; one, or several to compare.
    """
    clips: list[dict[str, Any]] = []
    shapes: dict[bytes, np.ndarray | None] = {}
    shown = []
    for row in rows:
        places: list[int | None] = []
        for column, motion in enumerate(row.motions):
            places.append(None if motion is None else len(clips))
            if motion is not None:
                clips.append(motion_to_json(motion, body, _shape(motion, body, shapes)))
                if column == 0 and row.marks is not None:
                    clips[-1]["marks"] = row.marks.drawable().plain()
        shown.append({"label": row.label, "note": row.note, "clips": places})
    start = start or Start()
    return {
        "body": body_to_json(body, list(shapes.values())),
        "columns": [{"name": name} for name in columns],
        "rows": shown,
        "clips": clips,
        "options": asdict(start),
    }


def _shape(motion: Motion, body: Body, shapes: dict[bytes, np.ndarray | None]) -> int:
    """Place of a motion's body shape among `shapes`, to which a new one is added."""
    betas = None if body.shape_directions is None else motion.betas
    key = b"" if betas is None else betas.tobytes()
    shapes.setdefault(key, betas)
    return list(shapes).index(key)


def check_size(rows: Sequence[Row], body: Body) -> None:
    """Refuse motions that would make a page nobody can open.

    Raises:
        MdtoolError: more than `LARGEST_MB`.
    """
    motions = [motion for row in rows for motion in row.motions if motion is not None]
    shapes: dict[bytes, np.ndarray | None] = {}
    for motion in motions:
        _shape(motion, body, shapes)
    size = _EMPTY_PAGE_BYTES + len(shapes) * len(body.vertices) * 3 * 4 * 4 // 3
    size += sum(bytes_of_clip(len(motion), len(body.parents)) for motion in motions)
    if size > LARGEST_MB * 1e6:
        raise MdtoolError(
            f"the page would have {size / 1e6:.0f} MB, and browsers open up to {LARGEST_MB} well: show fewer clips "
            "(--clip, --action, --count) or less of each (--seconds)"
        )


def write_motion_page(
    path: str | Path, title: str, columns: Sequence[str], rows: Sequence[Row], body: Body, start: Start | None = None
) -> None:
    """Write a page that plays motions, atomically.

    Raises:
        MdtoolError: it would be too large, or the place cannot be written.
    """
    check_size(rows, body)
    count = sum(motion is not None for row in rows for motion in row.motions)
    facts = [" beside ".join(columns) if len(columns) > 1 else "", counted(count, "motion")]
    words = " · ".join(html.escape(fact) for fact in facts if fact)
    content = f"""<header class="top"><h1>{html.escape(title)}</h1><p class="quiet">{words}</p></header>
<main><div class="player" data-player>{NO_SCRIPT}</div></main>"""
    write_text(path, document(title, content, player_data(columns, rows, body, start)))


NO_SCRIPT = '<noscript><p class="notice">This page needs JavaScript to play motions; it loads nothing.</p></noscript>'
"""What a browser without JavaScript shows in the player's place."""
