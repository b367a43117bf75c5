"""Skinning weights of the mannequin: every joint takes the flesh beyond a soft plane from its parent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdtool.body.flesh import REST_JOINTS
from mdtool.body.surface import neighbour_mean
from mdtool.motion.skeleton import JOINT_INDEX, JOINT_NAMES, JOINTS, PARENTS

MOST_JOINTS = 4
"""Joints that one vertex may follow: what GPUs and file formats take."""


@dataclass(frozen=True)
class Plane:
    """The soft border between a joint and its parent, on the left half of the body."""

    shift: tuple[float, float, float]
    """From the joint to the middle of the border, metres."""
    normal: tuple[float, float, float]
    """Points to the flesh that follows the joint."""
    width: float
    """Half-width of the border, metres."""
    above: tuple[float, float] | None = None
    """Take nothing below the first height and fully above the second, metres above the floor."""
    within: tuple[float, float] | None = None
    """Take fully up to the first distance from the middle plane and nothing beyond the second, metres."""


PLANES: dict[str, Plane] = {
    "hip": Plane((0.0, -0.010, 0.0), (0.50, -0.87, 0.0), 0.075, within=(0.22, 0.32)),
    "spine1": Plane((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), 0.070),
    "knee": Plane((0.0, 0.0, 0.0), (0.0, -1.0, 0.0), 0.055),
    "spine2": Plane((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), 0.060),
    "ankle": Plane((0.0, 0.010, 0.0), (0.0, -0.93, 0.37), 0.040),
    "spine3": Plane((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), 0.050),
    "foot": Plane((0.0, 0.0, 0.0), (0.0, 0.0, 1.0), 0.025),
    "neck": Plane((0.0, 0.010, 0.0), (0.0, 1.0, 0.0), 0.040, within=(0.085, 0.125)),
    "collar": Plane((0.030, 0.0, 0.0), (1.0, 0.0, 0.0), 0.060, above=(1.19, 1.33)),
    "head": Plane((0.0, 0.012, 0.0), (0.0, 0.94, 0.34), 0.035),
    "shoulder": Plane((0.005, 0.0, 0.0), (0.90, 0.44, 0.0), 0.062),
    "elbow": Plane((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), 0.042),
    "wrist": Plane((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), 0.028),
    "hand": Plane((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), 0.025),
}
"""Border of every joint but the pelvis, keyed by the name without its side."""

_MIDDLE = 0.012
"""Half-width of the strip about x = 0 in which left and right blend, metres."""
_SMOOTHING_ROUNDS = 6


def skinning_weights(vertices: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Weights [V, 24] of vertices [V, 3] of the rest pose, at most four joints each; edges [E, 2] both ways."""
    weights = np.zeros((len(vertices), JOINTS))
    weights[:, JOINT_INDEX["pelvis"]] = 1
    for joint in range(1, JOINTS):
        taken = _beyond(vertices, JOINT_NAMES[joint]) * weights[:, PARENTS[joint]]
        weights[:, joint] = taken
        weights[:, PARENTS[joint]] -= taken
    for _ in range(_SMOOTHING_ROUNDS):
        weights = 0.5 * weights + 0.5 * neighbour_mean(weights, edges)
    order = np.argsort(-weights, axis=1, kind="stable")
    np.put_along_axis(weights, order[:, MOST_JOINTS:], 0, axis=1)
    return weights / weights.sum(axis=1, keepdims=True)


def _beyond(vertices: np.ndarray, name: str) -> np.ndarray:
    """Share [V] of every vertex that lies beyond the border of a joint."""
    side, _, part = name.partition("_")
    plane = PLANES[part or name]
    joint = REST_JOINTS[JOINT_INDEX[name]] + plane.shift
    points = vertices
    if part:
        if side == "right":
            points = vertices * [-1.0, 1.0, 1.0]
            joint = REST_JOINTS[JOINT_INDEX[f"left_{part}"]] + plane.shift
    share = _smooth_step((points - joint) @ np.array(plane.normal) / plane.width)
    if plane.above:
        low, high = plane.above
        share = share * _smooth_step((2 * points[:, 1] - low - high) / (high - low))
    if plane.within:
        full, none = plane.within
        share = share * _smooth_step((full + none - 2 * np.abs(points[:, 0])) / (none - full))
    if part:
        share = share * _smooth_step(points[:, 0] / _MIDDLE)
    return share


def _smooth_step(place: np.ndarray) -> np.ndarray:
    """0 at -1 and below, 1 at 1 and above, smooth between."""
    share = np.clip(0.5 + 0.5 * place, 0, 1)
    return share * share * (3 - 2 * share)
