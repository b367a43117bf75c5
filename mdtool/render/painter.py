"""Frames painted by several processes, in order and in constant memory.

The painting side imports numpy and Pillow alone, so that a new process starts in a fraction of a second.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from mdtool.errors import MdtoolError
from mdtool.render.camera import Camera
from mdtool.render.captions import Caption
from mdtool.render.grid import Cell
from mdtool.render.overlay import Overlay
from mdtool.render.scene import Renderer, Scene
from mdtool.render.shading import Look

FEW_FRAMES = 6
"""Up to so many frames are painted in this process: another one would take longer to start."""
_AHEAD = 3
"""Frames per other process that may wait for their turn."""
_AT_MOST = 8
"""Frames per process that may be on their way at once."""


@dataclass(frozen=True)
class Tile:
    """One clip's place, camera and look."""

    cell: Cell
    camera: Camera
    look: Look
    captions: tuple[Caption, ...] = ()
    ghost: Look | None = None


@dataclass(frozen=True)
class Sheet:
    """Everything about a picture that stays the same from frame to frame."""

    width: int
    height: int
    tiles: tuple[Tile, ...]
    samples: int = 2
    """Samples per pixel side."""
    checker: bool = True
    """A checkered floor under a sky; otherwise one plain colour."""
    renderer: Renderer = "soft"


@dataclass(frozen=True)
class Pose:
    """What changes: one body at one moment."""

    vertices: np.ndarray
    """[V, 3] float32, metres."""
    centre: np.ndarray
    """Floor point (x, z) that the camera looks at."""
    turn: float = 0.0
    """How far the camera has gone round that point, radians."""
    overlay: Overlay = field(default_factory=Overlay)


class Painter:
    """Paints frames of one sheet."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.scenes = [
            Scene(
                tile.camera,
                tile.look,
                tile.cell.width,
                tile.cell.height,
                sheet.samples,
                sheet.checker,
                tile.ghost,
                sheet.renderer,
            )
            for tile in sheet.tiles
        ]

    def paint(self, poses: list[Pose]) -> np.ndarray:
        """One frame [height, width, 3] uint8 from one pose per tile."""
        frame = np.full((self.sheet.height, self.sheet.width, 3), 255, np.uint8)
        for tile, scene, pose in zip(self.sheet.tiles, self.scenes, poses, strict=True):
            cell = tile.cell
            box = frame[cell.top : cell.top + cell.height, cell.left : cell.left + cell.width]
            box[:] = scene.draw(pose.vertices, pose.centre, pose.turn, pose.overlay)
            for words in tile.captions:
                words.stamp(box)
        return frame


def painted(sheet: Sheet, frames: Iterable[list[Pose]], count: int, workers: int | None = None) -> Iterator[np.ndarray]:
    """Paint frames in parallel and give them back in order.

    This process is one of the painters: it paints whenever it would have to wait for the others, which take a second
    to start.

    Args:
        frames: one pose per tile for every frame; taken only a few frames ahead.
        count: how many frames there are.
        workers: processes, this one included; all cores by default. A hardware renderer paints in this process alone.

    Raises:
        MdtoolError: a painting process died, most likely for want of memory.
    """
    workers = 1 if sheet.renderer == "pyrender" else min(workers or _cores(), max(count, 1))
    rest = iter(frames)
    if workers == 1 or count <= FEW_FRAMES:
        painter = Painter(sheet)
        yield from (painter.paint(poses) for poses in rest)
        return
    # Spawned, not forked: a fork in the middle of torch's or the progress bar's threads can hang.
    pool = ProcessPoolExecutor(workers - 1, multiprocessing.get_context("spawn"), _start, (sheet,))
    try:
        waiting: deque[Future[np.ndarray]] = deque()

        def hand_out() -> None:
            given = sum(not future.done() for future in waiting)
            room = min(_AHEAD * (workers - 1) - given, _AT_MOST * workers - len(waiting))
            waiting.extend(pool.submit(_paint, poses) for poses in islice(rest, max(room, 0)))

        hand_out()
        painter = Painter(sheet)  # while the others start
        while waiting:
            while not waiting[0].done() and len(waiting) < _AT_MOST * workers and (own := next(rest, None)) is not None:
                waiting.append(Future())
                waiting[-1].set_result(painter.paint(own))
                hand_out()
            yield waiting.popleft().result()
            hand_out()
    except BrokenProcessPool as error:
        raise MdtoolError(
            "a process that painted frames was killed, probably for want of memory; use a smaller --size or --jobs 1",
            exit_code=1,
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _cores() -> int:
    """Cores that this process may use; a container may allow fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_painter: Painter | None = None


def _start(sheet: Sheet) -> None:
    """Prepare a painting process; Ctrl-C is the parent's to handle."""
    global _painter
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _painter = Painter(sheet)


def _paint(poses: list[Pose]) -> np.ndarray:
    assert _painter is not None
    return _painter.paint(poses)
