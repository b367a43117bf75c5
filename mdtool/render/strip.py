"""A motion in one picture: every k-th frame side by side, one row per clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mdtool.body.skinning import Body
from mdtool.render.captions import caption
from mdtool.render.exhibit import Exhibit
from mdtool.render.framing import frame_motions, natural_aspect
from mdtool.render.scene import Renderer
from mdtool.render.stills import stills

TILE_HEIGHT = 380
MOST_TILES = 14
"""Tiles per row when the caller does not say which frames to show."""
_HEADING_PX = 24
_TIME_PX = 14
_MARGIN = 0.12
"""Share of a tile's width over which it fades at either side."""


def strip_picture(
    exhibits: Sequence[Exhibit],
    body: Body,
    every: int | None = None,
    workers: int | None = None,
    captions: bool = True,
    renderer: Renderer = "soft",
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Draw every `every`-th frame of every clip, the camera moving with the body (figure 4.3 of the thesis).

    Args:
        every: step between tiles in frames; by default so that a row has at most 14 tiles.
        progress: called with (rows done, rows in all).

    Returns:
        [rows * 380, width, 3] uint8.
    """
    motions = [body.fitted(exhibit.motion) for exhibit in exhibits]
    width = round(TILE_HEIGHT * max(map(natural_aspect, motions)))
    shots = frame_motions(motions, width / TILE_HEIGHT, "track")
    rows = []
    size = (width, TILE_HEIGHT)
    for exhibit, motion, shot in zip(exhibits, motions, shots, strict=True):
        frames = np.arange(0, len(motion), every or -(-len(motion) // MOST_TILES))
        pictures = stills(exhibit, body, motion, frames, shot, size, workers, renderer, checker=False)
        rows.append(_row(exhibit.caption, pictures, frames / motion.fps, captions))
        if progress:
            progress(len(rows), len(exhibits))
    strip = np.empty((TILE_HEIGHT * len(rows), max(row.shape[1] for row in rows), 3), np.uint8)
    strip[:] = rows[0][0, -1]  # The background, where a row ends early.
    for k, row in enumerate(rows):
        strip[k * TILE_HEIGHT : (k + 1) * TILE_HEIGHT, : row.shape[1]] = row
    return strip


def _row(words: str, pictures: list[np.ndarray], times_s: np.ndarray, captions: bool) -> np.ndarray:
    """One clip's tiles from left to right with its name and their times; [380, width, 3] uint8."""
    row = np.concatenate([_faded(picture) for picture in pictures], axis=1)
    if captions:
        width = pictures[0].shape[1]
        for k, time_s in enumerate(times_s):
            left = k * width + 8
            caption(f"{time_s:.2f} s", left, TILE_HEIGHT - _TIME_PX - 8, _TIME_PX, width - 8).stamp(row)
        if words:
            caption(words.replace("\n", " · "), 12, 10, _HEADING_PX, row.shape[1] - 12).stamp(row)
    return row


def _faded(picture: np.ndarray) -> np.ndarray:
    """The tile, its left and right margins faded into the background: a long shadow has no edge."""
    width = picture.shape[1]
    place = np.arange(width)
    share = np.clip(np.minimum(place, width - 1 - place) / (_MARGIN * width), 0, 1)[:, None]
    background = picture[0, -1].astype(np.float64)
    return np.rint(background + share * (picture - background)).astype(np.uint8)
