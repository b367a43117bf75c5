"""How a camera keeps a motion in the picture: where it stands, how far away, and how it follows the pelvis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from mdtool.motion.kinematics import positions_of
from mdtool.motion.motion import Motion
from mdtool.motion.skeleton import JOINT_INDEX
from mdtool.render.camera import Camera

CameraMode = Literal["track", "fixed", "orbit"]

_AZIMUTH_DEG = 32.0
"""How far the camera stands to the left of the direction the person faces."""
_FOLLOW_S = 0.5
"""Standard deviation of the smoothing of the tracked path, seconds."""
_FLESH = np.array([[0.14, 0, 0], [-0.14, 0, 0], [0, 0.12, 0], [0, 0, 0.14], [0, 0, -0.14]])
"""How far flesh reaches beyond the joints (the hand joints above all), metres."""
_MARGIN, _MARGIN_ACROSS = 0.90, 0.96
"""Shares of the picture's half-height and half-width that the motion may fill; a caption wants room at the top."""
_FIRST_HEIGHT, _FIRST_DISTANCE = 1.0, 5.0
_FITTING_ROUNDS = 4
_KEPT = 0.999
"""Share of the points that must be in the picture: a few broken frames should not make everybody a dot."""
_MOST_FRAMES = 500
"""Frames looked at per motion, so that framing an hour costs no more than framing a minute."""
_ORBIT_VIEWS = 12
"""Directions from which an orbiting camera must see everything."""
_STANDING = np.array([[x, y, z] for x in (-0.35, 0.35) for y in (0.0, 1.72) for z in (-0.35, 0.35)])
"""Corners of a standing person, which every framing holds so that quiet clips share one scale."""


def frame_motions(
    motions: Sequence[Motion],
    aspect: float,
    mode: CameraMode,
    leaders: Sequence[int] | None = None,
    ghosts: Sequence[Motion | None] | None = None,
) -> list[tuple[Camera, np.ndarray]]:
    """One camera per motion, all from the same height and distance, so that bodies side by side share one scale.

    Args:
        aspect: width / height of every picture.
        mode: track follows the pelvis smoothly over the floor, fixed stands still and shows the whole path, orbit
            follows like track from a place that may go round.
        leaders: index of the motion whose direction, and place if fixed, the camera of each motion takes; its own
            when not given.
        ghosts: per motion another of as many frames that should be in the picture too, or None.

    Returns:
        Per motion: (camera, floor points (x, z) it looks at, one per frame [T, 2] float32).
    """
    leaders = leaders if leaders is not None else range(len(motions))
    groups = [
        [motion] if ghost is None else [motion, ghost]
        for motion, ghost in zip(motions, ghosts or [None] * len(motions), strict=True)
    ]
    centres = [_centres(group, mode) for group in groups]
    if mode == "fixed":
        centres = [
            np.tile(centres[leader][0], (len(motion), 1)) for leader, motion in zip(leaders, motions, strict=True)
        ]
    azimuths = [_heading(motions[leader]) + np.radians(_AZIMUTH_DEG) for leader in leaders]
    clouds = [
        np.concatenate([_cloud(motion, centre) for motion in group])
        for group, centre in zip(groups, centres, strict=True)
    ]
    if mode == "orbit":
        clouds = [_from_all_sides(cloud) for cloud in clouds]
    cameras = [Camera(azimuth, _FIRST_HEIGHT, _FIRST_DISTANCE) for azimuth in azimuths]
    for _ in range(_FITTING_ROUNDS):
        cameras = _fitted(cameras, clouds, aspect)
    return [(camera, centre.astype(np.float32)) for camera, centre in zip(cameras, centres, strict=True)]


def natural_aspect(motion: Motion) -> float:
    """Width / height of the narrowest upright picture that suits a tracked motion, within 0.45 and 1.2."""
    camera, centres = frame_motions([motion], 1.0, "track")[0]
    seen = (_cloud(motion, centres) - [0.0, camera.height, 0.0]) @ camera.axes.T
    half_width, half_height = np.quantile(np.abs(seen[:, :2]), _KEPT, axis=0)
    return float(np.clip(half_width / half_height, 0.45, 1.2))


def _centres(group: list[Motion], mode: CameraMode) -> np.ndarray:
    """Floor points (x, z) to look at so that all motions of a tile are seen; [T, 2]."""
    paths = np.stack([motion.root[:, [0, 2]].astype(np.float64) for motion in group])
    if mode != "fixed":
        return _smoothed(paths.mean(0), group[0].fps * _FOLLOW_S)
    return np.tile((paths.min((0, 1)) + paths.max((0, 1))) / 2, (paths.shape[1], 1))


def _cloud(motion: Motion, centres: np.ndarray) -> np.ndarray:
    """Points that the picture should hold, relative to where the camera looks: joints with flesh, and a stander."""
    every = max(1, len(motion) // _MOST_FRAMES)
    ground = np.insert(centres[::every], 1, 0, axis=1)[:, None]
    joints = positions_of(motion.rot6d[::every], motion.root[::every]) - ground
    feet = motion.root[::every, None] * [1.0, 0.0, 1.0] - ground
    fleshy = joints[..., None, :] + _FLESH
    return np.concatenate([fleshy.reshape(-1, 3), (feet + _STANDING).reshape(-1, 3)])


def _from_all_sides(cloud: np.ndarray) -> np.ndarray:
    """A cloud's outermost points seen by a camera that goes round; [n, 3] → [m, 3]."""
    away = np.hypot(cloud[:, 0], cloud[:, 2])
    away = np.minimum(away, np.quantile(away, _KEPT))
    angles = np.arange(_ORBIT_VIEWS) * 2 * np.pi / _ORBIT_VIEWS
    # Only how far and how high a point lies matters, so one in many does for each direction.
    every = max(1, len(cloud) // 4000)
    away, height = away[::every, None], np.broadcast_to(cloud[::every, 1, None], (len(away[::every]), len(angles)))
    return np.stack([away * np.sin(angles), height, away * np.cos(angles)], axis=-1).reshape(-1, 3)


def _fitted(cameras: list[Camera], clouds: list[np.ndarray], aspect: float) -> list[Camera]:
    """The cameras moved so that all clouds, seen together, are centred and just fit into the picture."""
    seen = np.concatenate(
        [(cloud - [0.0, camera.height, 0.0]) @ camera.axes.T for cloud, camera in zip(clouds, cameras, strict=True)]
    )
    half = np.tan(cameras[0].fov / 2) * np.array([aspect * _MARGIN_ACROSS, _MARGIN])
    distance = float(np.quantile(seen[:, 2] + (np.abs(seen[:, :2]) / half).max(axis=1), _KEPT))
    slope = seen[:, 1] / np.maximum(distance - seen[:, 2], 0.1)
    off_centre = 0.5 * float(np.quantile(slope, _KEPT) + np.quantile(slope, 1 - _KEPT))
    height = cameras[0].height + distance * off_centre
    return [replace(camera, height=height, distance=distance) for camera in cameras]


def _heading(motion: Motion) -> float:
    """Mean direction about the vertical that the pelvis faces, radians; 0 is +z."""
    facing = _pelvis_forward(motion)
    return float(np.arctan2(facing[:, 0].mean(), facing[:, 2].mean()))


def _pelvis_forward(motion: Motion) -> np.ndarray:
    """The pelvis' forward direction in the world; [T, 3], not normalised."""
    rows = motion.rot6d[:, JOINT_INDEX["pelvis"]].reshape(-1, 2, 3)
    third = np.cross(rows[:, 0], rows[:, 1])
    return np.stack([rows[:, 0, 2], rows[:, 1, 2], third[:, 2]], axis=1)


def _smoothed(path: np.ndarray, deviation: float) -> np.ndarray:
    """Gaussian smoothing of a path [T, 2] over frames; the ends are held."""
    reach = max(1, int(3 * deviation))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(deviation, 1e-3)) ** 2)
    padded = np.pad(path, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, k], kernel / kernel.sum(), mode="valid") for k in range(2)], axis=1)
