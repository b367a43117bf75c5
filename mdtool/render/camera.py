"""Where the picture is taken from: a pinhole camera that looks down at the floor and never rolls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

_FOV = math.radians(30.0)
_PITCH = math.radians(11.0)


@dataclass(frozen=True)
class Camera:
    """Looks at the point (centre x, height, centre z) from `distance` metres; the centre may differ per frame."""

    azimuth: float
    """Direction from the target to the camera about the vertical, radians; 0 looks at a body that faces +z."""
    height: float
    """Height of the target above the floor, metres."""
    distance: float
    pitch: float = _PITCH
    """How far the camera looks down, radians."""
    fov: float = _FOV
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

    def project(self, points: np.ndarray, centre: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """World points [n, 3] to (pixels [n, 2] with y down, 1 / depth in 1/metres [n]); float32."""
        seen = (points - self.eye(centre)) @ self.axes.T
        nearness = 1 / np.maximum(-seen[:, 2], np.float32(0.05))
        scale = np.float32(self.focal(height)) * nearness
        pixels = np.stack([np.float32(width / 2) + scale * seen[:, 0], np.float32(height / 2) - scale * seen[:, 1]], 1)
        return pixels, nearness
