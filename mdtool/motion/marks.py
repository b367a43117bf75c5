"""What an edit was told, as things in the world that can be drawn: target points, lines on the floor, solids.

Kept in a motion file's provenance as JSON, one entry per clip, so that a picture needs nothing but the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from mdtool.errors import MdtoolError

KEY = "marks"
"""Where provenance has them."""
_MOST_AT_ONCE, _MOST = 3, 60
"""Targets of one frame, and of all, that are drawn at most."""


@dataclass(frozen=True)
class Point:
    """A joint's target."""

    frame: int
    at: tuple[float, float, float]
    """Metres; on the floor when only the ground was asked for."""
    joint: int = 0
    axes: str = "xz"
    """Which of x, y and z were asked for."""


@dataclass(frozen=True)
class Solid:
    """An upright prism or a ball that stands for an obstacle."""

    outline: list[tuple[float, float]]
    """Corners (x, z) around its own origin, metres; one corner is the centre of a ball."""
    low: float
    high: float
    """Heights of its ends; half their distance is the radius of a ball."""
    places: list[tuple[float, float, float, float, float]]
    """(frame, x, y, z, yaw in radians): shifted and turned so, linearly between these frames."""

    def at(self, frame: float) -> tuple[np.ndarray, float]:
        """(shift [3], yaw) at a frame."""
        table = np.array(self.places, dtype=float)
        found = [float(np.interp(frame, table[:, 0], table[:, column])) for column in range(1, 5)]
        return np.array(found[:3]), found[3]


@dataclass(frozen=True)
class Marks:
    """Of one clip, in the world of its file."""

    points: list[Point] = field(default_factory=list)
    lines: list[list[tuple[float, float]]] = field(default_factory=list)
    """Ways over the floor, (x, z) in metres."""
    solids: list[Solid] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    def drawable(self) -> Marks:
        """Those targets alone that have a place on the ground; of whole poses, which are hundreds, none."""
        found = [point for point in self.points if {"x", "z"} <= set(point.axes)]
        at_once = Counter(point.frame for point in found)
        return replace(self, points=[point for point in found if at_once[point.frame] <= _MOST_AT_ONCE][:_MOST])


def marks_of(provenance: dict[str, Any], clip: int) -> Marks:
    """The marks of a clip; none when the file has none.

    Raises:
        MdtoolError: they are damaged.
    """
    tables = provenance.get(KEY)
    if tables is None:
        return Marks()
    try:
        table = tables[clip]
        points = [_point(point) for point in table["points"]]
        solids = [Solid(**solid) for solid in table["solids"]]
        return Marks(points, [[(float(x), float(z)) for x, z in line] for line in table["lines"]], solids)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise MdtoolError(f"the marks of clip {clip} in the file's provenance are damaged ({error!r})") from error


def marks_to_show(provenance: dict[str, Any], clips: Sequence[int], where: str) -> list[Marks]:
    """The marks of some clips of a file that must have them.

    Args:
        where: what to call the file in a refusal.

    Raises:
        MdtoolError: no edit made the file, or its marks are damaged.
    """
    if KEY not in provenance:
        raise MdtoolError(f"{where} has no targets to show: `mdtool edit` writes them into its files")
    return [marks_of(provenance, clip) for clip in clips]


def _point(table: dict[str, Any]) -> Point:
    x, y, z = (float(number) for number in table["at"])
    return Point(int(table["frame"]), (x, y, z), int(table["joint"]), str(table["axes"]))
