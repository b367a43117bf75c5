"""From exhibits to the frames of a film: output frame rate, cameras, colours, captions and overlays."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from mdtool.body.skinning import Body, posed_joints, posed_vertices
from mdtool.motion.contacts import foot_contacts
from mdtool.motion.motion import Motion
from mdtool.motion.resample import resample_at
from mdtool.motion.skeleton import FEET
from mdtool.render.captions import Caption, caption
from mdtool.render.exhibit import Exhibit
from mdtool.render.framing import CameraMode, frame_motions
from mdtool.render.grid import Cell, arrange, halved
from mdtool.render.overlay import TRAIL_JOINTS, Overlay
from mdtool.render.painter import Pose, Sheet, Tile, painted
from mdtool.render.props import props_at
from mdtool.render.scene import Renderer
from mdtool.render.shading import Look

_CHUNK = 16
"""Frames whose skin is held at a time."""
_ORBIT_S = 12.0
"""Time of one round of an orbiting camera, seconds."""
_TRAIL_S = 1.0
"""How far back trails reach, seconds."""


class Film:
    """Clips side by side at one frame rate; clips that end early hold their last pose."""

    def __init__(
        self,
        exhibits: Sequence[Exhibit],
        body: Body,
        width: int,
        height: int,
        fps: float,
        mode: CameraMode = "track",
        captions: bool = True,
        show: Collection[str] = (),
        renderer: Renderer = "soft",
    ) -> None:
        """One tile per exhibit in a picture of width × height pixels.

        Args:
            show: "contacts" marks where feet stand, "trails" the way of hands and feet in the last second,
                "targets" what the edit that made a clip was told.
        """
        self.fps = fps
        self.frames = max(max(1, round(exhibit.motion.seconds * fps)) for exhibit in exhibits)
        self._body, self._mode = body, mode
        # The poses are taken at the output's own times, so the longest clip sets how many there are.
        times_s = np.arange(self.frames) / fps
        self._motions = [_at(exhibit.motion, times_s, fps, body) for exhibit in exhibits]
        self._ghosts = [None if each.ghost is None else _at(each.ghost, times_s, fps, body) for each in exhibits]
        cells = _cells(exhibits, width, height)
        leaders = [k - 1 if exhibit.same_place else k for k, exhibit in enumerate(exhibits)]
        shots = frame_motions(self._motions, cells[0].width / cells[0].height, mode, leaders, self._ghosts)
        self._centres = [centres for _, centres in shots]
        wants_joints = "contacts" in show or "trails" in show
        self._marks = [each.marks.drawable() if "targets" in show and each.marks else None for each in exhibits]
        self._rates = [exhibit.motion.fps for exhibit in exhibits]
        self._joints = [posed_joints(body, motion) if wants_joints else None for motion in self._motions]
        self._contacts = [_contacts(each.motion, times_s) if "contacts" in show else None for each in exhibits]
        self._trail_frames = max(2, round(_TRAIL_S * fps)) if "trails" in show else 0
        self.sheet = Sheet(
            width,
            height,
            tuple(
                Tile(
                    cell,
                    camera,
                    Look(body.faces, exhibit.colour, body.accent, body.openness),
                    _heading(exhibit.caption, cell) if captions else (),
                    Look(body.faces, exhibit.ghost_colour, body.accent, body.openness) if exhibit.ghost else None,
                )
                for exhibit, cell, (camera, _) in zip(exhibits, cells, shots, strict=True)
            ),
            renderer=renderer,
        )

    def pictures(self, workers: int | None = None, chosen: Sequence[int] | None = None) -> Iterator[np.ndarray]:
        """The frames [height, width, 3] uint8 in order, or those of the indices `chosen`."""
        frames = range(self.frames) if chosen is None else chosen
        return painted(self.sheet, self._poses(frames), len(frames), workers)

    def _poses(self, frames: Sequence[int]) -> Iterator[list[Pose]]:
        for begin in range(0, len(frames), _CHUNK):
            chunk = np.asarray(frames[begin : begin + _CHUNK])
            skins = [posed_vertices(self._body, motion, chunk) for motion in self._motions]
            ghosts = [None if ghost is None else posed_vertices(self._body, ghost, chunk) for ghost in self._ghosts]
            for k, frame in enumerate(chunk):
                turn = 2 * np.pi * frame / self.fps / _ORBIT_S if self._mode == "orbit" else 0.0
                yield [
                    Pose(skin[k], centres[frame], turn, self._overlay(tile, frame, None if ghost is None else ghost[k]))
                    for tile, (skin, ghost, centres) in enumerate(zip(skins, ghosts, self._centres, strict=True))
                ]

    def _overlay(self, tile: int, frame: int, ghost: np.ndarray | None) -> Overlay:
        joints, contacts = self._joints[tile], self._contacts[tile]
        marks = trails = None
        if joints is not None and contacts is not None:
            standing = np.flatnonzero(contacts[frame])
            marks = joints[frame, [FEET[k] for k in standing]][:, [0, 2]]
        if joints is not None and self._trail_frames:
            trails = joints[max(0, frame - self._trail_frames) : frame + 1, TRAIL_JOINTS].swapaxes(0, 1)
        told = self._marks[tile]
        props = () if told is None else props_at(told, frame / self.fps * self._rates[tile], self._rates[tile])
        return Overlay(marks, trails, ghost, props)


def _at(motion: Motion, times_s: np.ndarray, fps: float, body: Body) -> Motion:
    """The poses of a motion at the output's times, on the legs of the body that is drawn."""
    return body.fitted(replace(resample_at(motion, times_s), fps=fps))


def _contacts(motion: Motion, times_s: np.ndarray) -> np.ndarray:
    """Which foot joints are in contact at the given times, judged at the motion's own rate; [n, 4] bool."""
    contacts = foot_contacts(motion.positions(), motion.fps)
    return contacts[np.clip(np.rint(times_s * motion.fps).astype(int), 0, len(motion) - 1)]


def _cells(exhibits: Sequence[Exhibit], width: int, height: int) -> list[Cell]:
    """A cell per exhibit; the two halves of a comparison share one."""
    cells = []
    groups = [k for k, exhibit in enumerate(exhibits) if not exhibit.beside]
    for cell, begin, end in zip(arrange(len(groups), width, height), groups, [*groups[1:], len(exhibits)], strict=True):
        cells += halved(cell) if end - begin == 2 else [cell]
    return cells


def _heading(words: str, cell: Cell) -> tuple[Caption, ...]:
    margin = max(6, cell.height // 28)
    size_px = max(11.0, min(cell.height / 17, 30.0))
    first, _, second = words.partition("\n")
    below = margin + round(1.25 * size_px)
    width = cell.width - 2 * margin
    lines = ((first, margin, size_px), (second, below, 0.75 * size_px))
    return tuple(caption(text, margin, top, letters_px, width) for text, top, letters_px in lines if text)
