"""From clips to the frames of a film: output frame rate, cameras, colours and captions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from mdtool.body.skinning import Body, posed_vertices
from mdtool.motion.motion import Motion
from mdtool.motion.resample import resample_at
from mdtool.render.captions import caption, readable
from mdtool.render.framing import CameraMode, frame_motions
from mdtool.render.grid import arrange
from mdtool.render.painter import Pose, Sheet, Tile, painted
from mdtool.render.palette import body_colours
from mdtool.render.scene import Look

_CHUNK = 16
"""Frames whose skin is held at a time."""


class Film:
    """Clips side by side at one frame rate; clips that end early hold their last pose."""

    def __init__(
        self,
        motions: Sequence[Motion],
        body: Body,
        width: int,
        height: int,
        fps: float,
        mode: CameraMode = "track",
        captions: bool = True,
    ) -> None:
        """One tile per motion in a picture of width × height pixels."""
        self.fps = fps
        self.frames = max(max(1, round(motion.seconds * fps)) for motion in motions)
        self._body = body
        # The poses are taken at the output's own times, so the longest clip sets how many there are.
        times_s = np.arange(self.frames) / fps
        self._motions = [replace(resample_at(motion, times_s), fps=fps) for motion in motions]
        cells = arrange(len(motions), width, height)
        shots = frame_motions(self._motions, cells[0].width / cells[0].height, mode)
        self._centres = [centres for _, centres in shots]
        colours = body_colours([motion.action for motion in motions])
        tiles = []
        for motion, cell, (camera, _), colour in zip(motions, cells, shots, colours, strict=True):
            look = Look(body.faces, colour, body.accent, body.openness)
            margin = max(6, cell.height // 28)
            words = readable(motion.action or motion.name) if captions else ""
            size_px = max(11.0, min(cell.height / 17, 30.0))
            lines = (caption(words, margin, margin, size_px, cell.width - 2 * margin),) if words else ()
            tiles.append(Tile(cell, camera, look, lines))
        self.sheet = Sheet(width, height, tuple(tiles))

    def pictures(self, workers: int | None = None, chosen: Sequence[int] | None = None) -> Iterator[np.ndarray]:
        """The frames [height, width, 3] uint8 in order, or those of the indices `chosen`."""
        frames = range(self.frames) if chosen is None else chosen
        return painted(self.sheet, self._poses(frames), len(frames), workers)

    def _poses(self, frames: Sequence[int]) -> Iterator[list[Pose]]:
        for begin in range(0, len(frames), _CHUNK):
            chunk = np.asarray(frames[begin : begin + _CHUNK])
            skins = [posed_vertices(self._body, motion, chunk) for motion in self._motions]
            for k, frame in enumerate(chunk):
                yield [Pose(skin[k], centres[frame]) for skin, centres in zip(skins, self._centres, strict=True)]
