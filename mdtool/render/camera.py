"""Where the picture is taken from: a pinhole camera, its framing of a motion, and how it follows the pelvis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from mdtool.motion.motion import Motion
from mdtool.motion.skeleton import JOINT_INDEX

CameraMode = Literal["track", "fixed"]

_FOV_DEG = 30.0
_PITCH_DEG = 11.0
_AZIMUTH_DEG = 32.0
"""How far the camera stands to the left of the direction the person faces."""
_FOLLOW_S = 0.5
"""Standard deviation of the smoothing of the tracked path, seconds."""
_FLESH = 0.14
"""How far flesh reaches beyond the joints (the hand joints above all), metres."""
_STANDING = np.array([[x, y, z] for x in (-0.35, 0.35) for y in (0.0, 1.72) for z in (-0.35, 0.35)])
"""Corners of a standing person, which every framing holds so that quiet clips share one scale."""


@dataclass(frozen=True)
class Camera:
    """Looks at the point (centre x, height, centre z) from `distance` metres; the centre may differ per frame."""

    azimuth: float
    """Direction from the target to the camera about the vertical, radians; 0 looks at a body that faces +z."""
    height: float
    """Height of the target above the floor, metres."""
    distance: float
    pitch: float = np.radians(_PITCH_DEG)
    """How far the camera looks down, radians."""
    fov: float = np.radians(_FOV_DEG)
    """Vertical field of view, radians."""

    @cached_property
    def axes(self) -> np.ndarray:
        """[3, 3] float32, rows right, up and back (towards the viewer) in world coordinates."""
        sin_a, cos_a = np.sin(self.azimuth), np.cos(self.azimuth)
        sin_p, cos_p = np.sin(self.pitch), np.cos(self.pitch)
        right = [cos_a, 0.0, -sin_a]
        back = [sin_a * cos_p, sin_p, cos_a * cos_p]
        return np.array([right, np.cross(back, right), back], dtype=np.float32)

    def eye(self, centre: np.ndarray) -> np.ndarray:
        """Position of the camera [3] float32 for a target over the floor point (x, z)."""
        target = np.array([centre[0], self.height, centre[1]], dtype=np.float32)
        return target + np.float32(self.distance) * self.axes[2]

    def focal(self, height: int) -> float:
        """Focal length in pixels of a picture `height` pixels tall."""
        return height / 2 / float(np.tan(self.fov / 2))

    def project(
        self, points: np.ndarray, centre: np.ndarray, width: int, height: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """World points [n, 3] to (pixels [n, 2] with y down, 1 / depth in 1/metres [n]); float32."""
        seen = (points - self.eye(centre)) @ self.axes.T
        nearness = 1 / np.maximum(-seen[:, 2], np.float32(0.05))
        scale = np.float32(self.focal(height)) * nearness
        pixels = np.stack([np.float32(width / 2) + scale * seen[:, 0], np.float32(height / 2) - scale * seen[:, 1]], 1)
        return pixels, nearness


def frame_motion(motion: Motion, aspect: float, mode: CameraMode) -> tuple[Camera, np.ndarray]:
    """A camera that keeps the whole motion in the picture.

    Args:
        aspect: width / height of the picture.
        mode: track follows the pelvis smoothly over the floor, fixed stands still and shows the whole path.

    Returns:
        (camera, floor points (x, z) it looks at, one per frame [T, 2] float32).
    """
    positions = motion.positions()
    path = positions[:, 0][:, [0, 2]]
    if mode == "track":
        centres = _smoothed(path, motion.fps * _FOLLOW_S)
    else:
        centres = np.tile((path.min(0) + path.max(0)) / 2, (len(path), 1))
    camera = Camera(azimuth=_heading(motion) + np.radians(_AZIMUTH_DEG), height=0.9, distance=4.0)
    relative = positions - np.insert(centres, 1, 0, axis=1)[:, None]
    standing = (_STANDING + np.insert(path - centres, 1, 0, axis=1)[:: max(1, len(path) // 200), None]).reshape(-1, 3)
    return _fitted(camera, relative.reshape(-1, 3), standing, aspect), centres.astype(np.float32)


def common_camera(cameras: list[Camera]) -> list[Camera]:
    """The same cameras from the largest of their distances, so that bodies in a grid share one scale."""
    distance = max(camera.distance for camera in cameras)
    height = float(np.mean([camera.height for camera in cameras]))
    return [replace(camera, distance=distance, height=height) for camera in cameras]


def _fitted(camera: Camera, joints: np.ndarray, standing: np.ndarray, aspect: float) -> Camera:
    """Set height and distance so that joints (with flesh around them) and standing boxes fill the picture."""
    head = np.array([0.0, 0.10, 0.0])
    spread = _FLESH * np.array([[1, 0, 0], [-1, 0, 0], [0, 0, 1], [0, 0, -1]])
    points = np.concatenate([joints + head, *(joints + way for way in spread), standing])
    top = float(np.quantile(points[:, 1], 0.999))
    camera = replace(camera, height=0.5 * (top - 0.04))
    seen = (points - [0.0, camera.height, 0.0]) @ camera.axes.T.astype(np.float64)
    half_height = 0.90 * np.tan(camera.fov / 2)
    half_width = 0.94 * aspect * np.tan(camera.fov / 2)
    needed = seen[:, 2] + np.maximum(np.abs(seen[:, 0]) / half_width, np.abs(seen[:, 1]) / half_height)
    # A clip with a few broken frames should not make everybody a dot: the last 0.1 % may leave the picture.
    return replace(camera, distance=float(np.quantile(needed, 0.999)))


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
