"""A motion told in a few panels: its most different poses in order, each in the room, numbered and timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mdtool.body.skinning import Body
from mdtool.motion.motion import Motion
from mdtool.render.captions import Caption, caption
from mdtool.render.exhibit import Exhibit
from mdtool.render.framing import frame_motions
from mdtool.render.grid import GAP_PX
from mdtool.render.scene import Renderer
from mdtool.render.stills import stills

PANELS = 8
_COLUMNS = 4
_WIDTH, _HEIGHT = 400, 400
_TEXT_PX = 18
_CLIP_M = 0.25
"""What the length of the clip counts for beside differences of pose, metres."""


def storyboard_picture(
    exhibits: Sequence[Exhibit],
    body: Body,
    panels: int = PANELS,
    workers: int | None = None,
    captions: bool = True,
    renderer: Renderer = "soft",
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Draw the key poses of every clip, four panels of 400 × 400 pixels in a row, the camera moving with the body.

    Args:
        panels: how many poses of each clip.
        progress: called with (clips done, clips in all).

    Returns:
        [height, width, 3] uint8.
    """
    motions = [body.fitted(exhibit.motion) for exhibit in exhibits]
    shots = frame_motions(motions, _WIDTH / _HEIGHT, "track")
    columns = min(_COLUMNS, panels)
    boards = []
    for exhibit, motion, shot in zip(exhibits, motions, shots, strict=True):
        frames = key_frames(motion, panels)
        pictures = stills(exhibit, body, motion, frames, shot, (_WIDTH, _HEIGHT), workers, renderer)
        if captions:
            for k, (picture, frame) in enumerate(zip(pictures, frames, strict=True)):
                for words in _words(k, exhibit.caption.replace("\n", " · "), frame / motion.fps):
                    words.stamp(picture)
        boards.append(_laid_out(pictures, columns))
        if progress:
            progress(len(boards), len(exhibits))
    return np.concatenate(
        [boards[0], *(np.pad(board, ((GAP_PX, 0), (0, 0), (0, 0)), constant_values=255) for board in boards[1:])]
    )


def key_frames(motion: Motion, count: int) -> np.ndarray:
    """The first frame and those farthest from the ones before them in pose and in time, in order of time.

    Farthest-point sampling (Gonzalez 1985); a pose is the joints relative to the pelvis' place on the floor, and the
    whole clip is as far in time as 0.25 m of all joints.

    Args:
        count: how many; all frames when there are fewer.
    """
    joints = motion.positions() - motion.root[:, None] * np.array([1, 0, 1], np.float32)
    time_m = np.arange(len(motion)) * (_CLIP_M / max(len(motion) - 1, 1))
    chosen = [0]
    nearest = np.full(len(motion), np.inf)
    while len(chosen) < min(count, len(motion)):
        last = chosen[-1]
        apart = np.linalg.norm(joints - joints[last], axis=-1).mean(-1) + np.abs(time_m - time_m[last])
        nearest = np.minimum(nearest, apart)
        chosen.append(int(np.argmax(nearest)))
    return np.sort(np.array(chosen))


def _words(number: int, title: str, time_s: float) -> list[Caption]:
    heading = f"{number + 1}  {title}" if number == 0 and title else str(number + 1)
    width = _WIDTH - 20
    return [
        caption(heading, 12, 10, _TEXT_PX, width),
        caption(f"{time_s:.2f} s", 12, _HEIGHT - _TEXT_PX - 14, 0.8 * _TEXT_PX, width),
    ]


def _laid_out(pictures: list[np.ndarray], columns: int) -> np.ndarray:
    """Panels row by row with white gaps; missing ones stay white."""
    rows = -(-len(pictures) // columns)
    board = np.full((rows * (_HEIGHT + GAP_PX) - GAP_PX, columns * (_WIDTH + GAP_PX) - GAP_PX, 3), 255, np.uint8)
    for k, picture in enumerate(pictures):
        top, left = k // columns * (_HEIGHT + GAP_PX), k % columns * (_WIDTH + GAP_PX)
        board[top : top + _HEIGHT, left : left + _WIDTH] = picture
    return board
