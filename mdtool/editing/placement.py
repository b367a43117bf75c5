"""Where a motion stands on the ground: a turn about the vertical and a shift, and how to find them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mdtool.editing.shapes import like, turned
from mdtool.motion.motion import Motion


@dataclass(frozen=True)
class Placement:
    """p ↦ R_y(yaw) p + (x, 0, z). Numbers, or arrays [B] for a batch of motions [B, T, K, 3]."""

    yaw: Any = 0.0
    """Radians; 90° take +z to +x."""
    x: Any = 0.0
    z: Any = 0.0

    def done(self, points: Any) -> Any:
        """Points [..., 3] moved; numpy or torch."""
        x, z = turned(points[..., 0], points[..., 2], self._wide(self.yaw))
        return _stacked(x + self._like(self.x, points), points[..., 1], z + self._like(self.z, points))

    def undone(self, points: Any) -> Any:
        """The inverse of `done`."""
        x, z = points[..., 0] - self._like(self.x, points), points[..., 2] - self._like(self.z, points)
        x, z = turned(x, z, -self._wide(self.yaw))
        return _stacked(x, points[..., 1], z)

    def motion(self, motion: Motion) -> Motion:
        """A motion moved."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        rows = motion.rot6d[:, 0].reshape(-1, 2, 3).astype(np.float64)
        matrix = turn @ np.stack([rows[:, 0], rows[:, 1], np.cross(rows[:, 0], rows[:, 1])], axis=1)
        rot6d = motion.rot6d.copy()
        rot6d[:, 0] = matrix[:, :2].reshape(-1, 6)
        root = self.done(motion.root.astype(np.float64))
        return replace(motion, rot6d=rot6d, root=root.astype(np.float32))

    def after(self, other: Placement) -> Placement:
        """`other` first, then this."""
        x, z = turned(np.asarray(other.x, float), np.asarray(other.z, float), self.yaw)
        return Placement(self.yaw + other.yaw, float(x + self.x), float(z + self.z))

    def inverse(self) -> Placement:
        """What takes it back."""
        return Placement(-self.yaw).after(Placement(0.0, -self.x, -self.z))

    def of(self, sample: int) -> Placement:
        """One sample's placement of a batch's."""
        return Placement(*(float(np.asarray(part).reshape(-1)[sample]) for part in (self.yaw, self.x, self.z)))

    @staticmethod
    def _wide(number: Any) -> Any:
        return number if np.ndim(number) == 0 else np.asarray(number)[:, None, None]

    def _like(self, number: Any, points: Any) -> Any:
        return like(self._wide(number), points)


def stands_at(motion: Motion, frame: int = 0) -> Placement:
    """Where a motion's pelvis is at a frame and how far it is turned: from the space `pelvis@frame` to the world."""
    return Placement(heading(motion.rot6d[frame, 0]), float(motion.root[frame, 0]), float(motion.root[frame, 2]))


def heading(rot6d: np.ndarray) -> float:
    """Direction about the vertical in which a pelvis of orientation [6] faces, radians; 0 is +z, 90° is +x."""
    first, second = rot6d[:3].astype(np.float64), rot6d[3:].astype(np.float64)
    return float(np.arctan2(first[2], np.cross(first, second)[2]))


def facing_of_points(points: np.ndarray) -> float:
    """Direction in which a body of joint places [..., 24 or 22, 3] faces on average, from its hips and shoulders."""
    across = (points[..., 1, :] - points[..., 2, :]) + (points[..., 16, :] - points[..., 17, :])
    left = across.reshape(-1, 3).mean(0)
    return float(np.arctan2(-left[2], left[0]))


def fitted(points: Any, wanted: Any, weight: Any) -> Placement:
    """The placement that takes points to wanted ones best, by least squares over the ground; no gradient.

    Procrustes in the plane: yaw = atan2(Σ w p × q, Σ w p · q) of the centred points.

    Args:
        points: [B, n, 3] torch.
        wanted: [n, 3] torch.
        weight: [n, 3] torch, per coordinate; a point without x and z tells nothing.
    """
    p, q = points.detach().double()[..., (0, 2)], wanted.double()[..., (0, 2)]
    w = weight.double()[..., (0, 2)].amin(-1)
    total = w.sum().clamp_min(1e-9)
    centre_p, centre_q = (p * w[..., None]).sum(-2) / total, (q * w[..., None]).sum(-2) / total
    a, b = p - centre_p[:, None], q - centre_q
    # R_y(θ) takes (x, z) to (x cos θ + z sin θ, z cos θ - x sin θ).
    cross = (w * (a[..., 1] * b[..., 0] - a[..., 0] * b[..., 1])).sum(-1)
    dot = (w * (a * b).sum(-1)).sum(-1)
    yaw = np.arctan2(cross.cpu().numpy(), dot.cpu().numpy())
    centre_p, centre_q = centre_p.cpu().numpy(), centre_q.cpu().numpy()
    x, z = turned(centre_p[:, 0], centre_p[:, 1], yaw)
    return Placement(yaw, centre_q[0] - x, centre_q[1] - z)


def _stacked(x: Any, y: Any, z: Any) -> Any:
    if isinstance(x, np.ndarray | float | np.floating):
        return np.stack(np.broadcast_arrays(x, y, z), axis=-1)
    import torch

    return torch.stack((x, y, z), dim=-1)
