"""Goals about which way joints are turned: facing a direction, and rotations as in a pose or a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mdtool.editing.goals import BodyMotion, Goal
from mdtool.editing.shapes import Coordinate, like, off_axis, root
from mdtool.motion.skeleton import PARENTS, chains_to

M_PER_RADIAN = 0.1
"""What a radian of a joint's rotation counts, beside a metre of a joint's place."""


@dataclass(frozen=True)
class Facing(Goal):
    """The pelvis faces a direction."""

    angle: float = 0.0
    """Radians; 0 is +z."""
    term = "facing"
    unit = "rad"

    def residual(self, body: BodyMotion) -> Coordinate:
        """1 - cos of the angle between, as an angle near 0: √(2 - 2 cos)."""
        six = body.turns(self.frames)[..., 0, :]
        x, z = six[..., 2], six[..., 0] * six[..., 4] - six[..., 1] * six[..., 3]
        length = off_axis(x, z)
        a, b = x / length - float(np.sin(self.angle)), z / length - float(np.cos(self.angle))
        return root(a**2 + b**2)

    @property
    def tolerance(self) -> float:
        """Two degrees."""
        return float(np.radians(2))


@dataclass(frozen=True)
class Turns(Goal):
    """Rotations of joints, each against its parent or in the world: the angle between, by the chord of the matrices."""

    rot6d: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 6)))
    """[n, K, 6]."""
    world: bool = False
    """Whether they are those of the joints in the world (in the space `start`), and not against their parents."""
    term = "rotations"
    unit = "rad"

    @property
    def wish(self) -> str:  # type: ignore[override]
        """Bent or turned."""
        return "turned as given in the world" if self.world else "bent as given"

    def residual(self, body: BodyMotion) -> Coordinate:
        """Geodesic angle of each joint, averaged: 2 asin(‖R - Q‖_F / √8)."""
        own = body.turns(self.frames)
        turned = world_rotations(own, self.joints) if self.world else rotations(own[..., list(self.joints), :])
        squared = (turned - rotations(like(self.rot6d, body.rot6d))) ** 2
        chord = root(squared.sum((-1, -2))) / 8**0.5
        return (2 * _arcsine(chord.clip(0, 1 - 1e-6))).mean(-1)

    @property
    def tolerance(self) -> float:
        """Five degrees."""
        return float(np.radians(5))


@dataclass(frozen=True)
class Channels(Goal):
    """Rotations of joints as features hold them, six numbers each: DNO's loss on observed feature channels."""

    rot6d: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 6)))
    """[n, K, 6]."""
    hard = False
    term = "features"
    wish = "bent as observed"
    unit = "6D"

    def residual(self, body: BodyMotion) -> Coordinate:
        """Mean |f - g| over the six numbers of each joint, in the units of MDM's features."""
        own = body.turns(self.frames)[..., list(self.joints), :]
        return abs(own - like(self.rot6d, body.rot6d)).mean((-1, -2))


def rotations(rot6d: Any) -> Any:
    """Matrices [..., 3, 3] of their first two rows [..., 6], orthonormal ones; numpy or torch."""
    a, b = rot6d[..., :3], rot6d[..., 3:]
    if isinstance(rot6d, np.ndarray):
        return np.stack([a, b, np.cross(a, b)], axis=-2)
    import torch

    return torch.stack([a, b, torch.linalg.cross(a, b)], dim=-2)


def world_rotations(rot6d: Any, joints: Sequence[int]) -> Any:
    """World rotations [..., K, 3, 3] of some joints, of local ones [..., 24, 6]: G_j = G_parent R_j; numpy or torch."""
    local = rotations(rot6d)
    turned: dict[int, Any] = {}
    for joint in chains_to(joints):
        own = local[..., joint, :, :]
        turned[joint] = turned[PARENTS[joint]] @ own if joint else own
    each = [turned[joint] for joint in joints]
    if isinstance(rot6d, np.ndarray):
        return np.stack(each, axis=-3)
    import torch

    return torch.stack(each, dim=-3)


def _arcsine(chord: Any) -> Any:
    return np.arcsin(chord) if isinstance(chord, np.ndarray) else chord.asin()
