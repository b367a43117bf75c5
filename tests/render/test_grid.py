"""Layout of a grid and choice of clips."""

from __future__ import annotations

import numpy as np
import pytest

from mdtool.render.captions import caption, readable
from mdtool.render.grid import GAP_PX, arrange, spread_over_labels
from mdtool.render.palette import BODY_COLOURS, body_colours


@pytest.mark.parametrize(
    ("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 2, 2), (6, 3, 2), (9, 3, 3), (16, 4, 4)]
)
def test_wide_pictures_get_the_usual_grids(count: int, columns: int, rows: int) -> None:
    cells = arrange(count, 1280, 720)
    assert len({cell.left for cell in cells}) == columns
    assert len({cell.top for cell in cells}) == rows


@pytest.mark.parametrize("count", [1, 2, 5, 7, 9, 23])
def test_cells_fill_the_picture_without_overlap(count: int) -> None:
    width, height = 1283, 717
    covered = np.zeros((height, width), int)
    cells = arrange(count, width, height)
    assert len(cells) == count
    for cell in cells:
        covered[cell.top : cell.top + cell.height, cell.left : cell.left + cell.width] += 1
    assert covered.max() == 1
    assert max(cell.left + cell.width for cell in cells) == width
    assert max(cell.top + cell.height for cell in cells) <= height
    assert np.ptp([cell.width for cell in cells]) <= 1
    columns = len({cell.left for cell in cells})
    full_rows = count // columns
    assert covered[: cells[0].height].sum() == cells[0].height * (width - GAP_PX * (columns - 1)) or not full_rows


def test_tall_pictures_stack() -> None:
    assert len({cell.left for cell in arrange(3, 400, 1200)}) == 1


def test_clips_are_spread_over_labels() -> None:
    labels = np.array([0, 0, 0, 0, 1, 2, 2, 2])
    assert spread_over_labels(labels, 3) == [0, 4, 5]
    assert spread_over_labels(labels, 5) == [0, 1, 4, 5, 6]
    assert spread_over_labels(labels, 100) == list(range(8))
    many = np.arange(40)
    assert spread_over_labels(many, 4) == [0, 10, 20, 30]
    assert spread_over_labels(np.full(6, -1), 2) == [0, 1]


def test_colours_tell_labels_apart() -> None:
    colours = body_colours(["a", "b", "a", "c"])
    assert colours[0] == colours[2]
    assert len(set(colours)) == 3
    assert len(set(body_colours([str(k) for k in range(len(BODY_COLOURS))]))) == len(BODY_COLOURS)
    assert len(body_colours([str(k) for k in range(30)])) == 30


def test_captions_fit_and_are_seen() -> None:
    for text in ("jump", "a very long name of a recording that fits nowhere at all.bvh"):
        picture = np.full((60, 160, 3), 120, np.uint8)
        before = picture.copy()
        caption(text, 10, 8, 18.0, 140).stamp(picture)
        changed = np.argwhere((picture != before).any(axis=2))
        assert picture.min() < 70  # dark letters
        assert picture.max() > 180  # on a light halo
        assert changed[:, 1].min() >= 10
        assert changed[:, 1].max() < 150


def test_caption_beyond_the_border_is_cut_off() -> None:
    picture = np.full((20, 30, 3), 120, np.uint8)
    caption("jumping", 20, 10, 18.0, 100).stamp(picture)
    assert (picture[12:, 22:] != 120).any()


def test_labels_become_words() -> None:
    assert readable("rotation_clapping") == "rotation clapping"
