"""Stills of one clip, all of the same size and seen by the same camera: what strips and storyboards are made of."""

from __future__ import annotations

import numpy as np

from mdtool.body.skinning import Body, posed_vertices
from mdtool.motion.motion import Motion
from mdtool.render.camera import Camera
from mdtool.render.exhibit import Exhibit
from mdtool.render.grid import Cell
from mdtool.render.painter import Pose, Sheet, Tile, painted
from mdtool.render.scene import Renderer
from mdtool.render.shading import Look

_SAMPLES = 3


def stills(
    exhibit: Exhibit,
    body: Body,
    motion: Motion,
    frames: np.ndarray,
    shot: tuple[Camera, np.ndarray],
    size: tuple[int, int],
    workers: int | None = None,
    renderer: Renderer = "soft",
    checker: bool = True,
) -> list[np.ndarray]:
    """Draw frames of a clip.

    Args:
        motion: the exhibit's, fitted to the body.
        frames: which frames.
        shot: the camera, and where it looks in every frame of the clip.
        size: width and height in pixels.
        checker: draw the pattern of the floor.

    Returns:
        One [height, width, 3] uint8 per frame.
    """
    camera, centres = shot
    width, height = size
    look = Look(body.faces, exhibit.colour, body.accent, body.openness)
    tile = Tile(Cell(0, 0, width, height), camera, look)
    sheet = Sheet(width, height, (tile,), _SAMPLES, checker=checker, renderer=renderer)
    skins = posed_vertices(body, motion, frames)
    poses = ([Pose(skin, centres[frame])] for skin, frame in zip(skins, frames, strict=True))
    return list(painted(sheet, poses, len(frames), workers))
