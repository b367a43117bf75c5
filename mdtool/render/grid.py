"""Several clips in one picture: which ones, and where."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

GAP_PX = 2
"""White line between tiles, pixels."""


@dataclass(frozen=True)
class Cell:
    """A tile's place in the picture, pixels."""

    left: int
    top: int
    width: int
    height: int


def arrange(count: int, width: int, height: int) -> list[Cell]:
    """Equal cells, row by row, with as many columns as make the bodies large and leave few cells empty."""

    def worth(columns: int) -> float:
        rows = -(-count // columns)
        return min(width / columns, height / rows) * (count / (columns * rows)) ** 1.5

    columns = max(range(1, count + 1), key=worth)
    across, down = _split(width, columns), _split(height, -(-count // columns))
    return [Cell(left, top, right - left, bottom - top) for top, bottom in down for left, right in across][:count]


def halved(cell: Cell) -> list[Cell]:
    """A cell as two side by side."""
    return [Cell(cell.left + begin, cell.top, end - begin, cell.height) for begin, end in _split(cell.width, 2)]


def _split(length: int, parts: int) -> list[tuple[int, int]]:
    """Begin and end of `parts` stretches, equal to a pixel, with gaps between them, that fill `length` exactly."""
    edges = [round(k * (length + GAP_PX) / parts) for k in range(parts + 1)]
    return [(begin, end - GAP_PX) for begin, end in pairwise(edges)]


def spread_over_labels(labels: np.ndarray, count: int) -> list[int]:
    """Indices of `count` clips, as many labels as possible: a first clip of each, then a second, and so on.

    When there are more labels than `count`, they are taken at equal steps over the list.
    """
    queues = [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]
    if len(queues) > count:
        queues = [queues[k * len(queues) // count] for k in range(count)]
    rounds = [queue[k] for k in range(max(map(len, queues))) for queue in queues if k < len(queue)]
    return sorted(rounds[:count], key=lambda index: (labels[index], index))
