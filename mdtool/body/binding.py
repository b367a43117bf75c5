"""Skinning weights of the mannequin: every joint takes the flesh beyond a soft plane from its parent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdtool.body.flesh import REST_JOINTS
from mdtool.body.skinning import TwistJoint
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


@dataclass(frozen=True)
class Limb:
    """How the flesh of a limb takes up the twist of its joint: not at all at the joint, fully further along."""

    axis: tuple[float, float, float]
    """Direction of the bone in the rest pose, the same for both sides."""
    reach: tuple[float, float]
    """Metres from the joint along the limb where the twist begins and where it is complete."""
    steps: int
    """Helper joints; each takes an equal part of the twist."""
    least_deg: float = -180.0
    """Least twist that the limb can have, degrees."""


LIMBS: dict[str, Limb] = {
    # An arm twists by -180 degrees when it is raised forwards over the head, and never beyond +110.
    "shoulder": Limb((1.0, 0.0, 0.0), (0.045, 0.235), steps=4, least_deg=-250.0),
    "elbow": Limb((1.0, 0.0, 0.0), (0.03, 0.21), steps=2),
    "hip": Limb((0.0, 1.0, 0.0), (0.08, 0.34), steps=2),
}
"""Limbs with helper joints, keyed by the joint's name without its side."""

_MIDDLE = 0.012
"""Half-width of the strip about x = 0 in which left and right blend, metres."""
_SMOOTHING_ROUNDS = 6


def twist_joints() -> tuple[TwistJoint, ...]:
    """The helper joints of the mannequin, in the order of the columns of `skinning_weights`."""
    return tuple(
        TwistJoint(JOINT_INDEX[f"{side}_{part}"], limb.axis, step / limb.steps, np.radians(limb.least_deg))
        for part, limb in LIMBS.items()
        for side in ("left", "right")
        for step in range(limb.steps)
    )


def skinning_weights(vertices: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Weights [V, 24 + H] of vertices [V, 3] of the rest pose, at most four joints each; edges [E, 2] both ways."""
    weights = np.zeros((len(vertices), JOINTS))
    weights[:, JOINT_INDEX["pelvis"]] = 1
    for joint in range(1, JOINTS):
        taken = _beyond(vertices, JOINT_NAMES[joint]) * weights[:, PARENTS[joint]]
        weights[:, joint] = taken
        weights[:, PARENTS[joint]] -= taken
    weights = np.concatenate([weights, *_twist_columns(vertices, weights)], axis=1)
    for _ in range(_SMOOTHING_ROUNDS):
        weights = 0.5 * weights + 0.5 * neighbour_mean(weights, edges)
    order = np.argsort(-weights, axis=1, kind="stable")
    np.put_along_axis(weights, order[:, MOST_JOINTS:], 0, axis=1)
    return weights / weights.sum(axis=1, keepdims=True)


def _twist_columns(vertices: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """Columns [V, steps] of the helpers of every limb; what they take is taken from `weights`, in place."""
    columns = []
    for part, limb in LIMBS.items():
        begin, end = limb.reach
        for side in ("left", "right"):
            joint = JOINT_INDEX[f"{side}_{part}"]
            bone = REST_JOINTS[PARENTS.index(joint)] - REST_JOINTS[joint]
            along = (vertices - REST_JOINTS[joint]) @ (bone / np.linalg.norm(bone))
            stage = np.clip((along - begin) / (end - begin), 0, 1) * limb.steps
            taken = np.maximum(1 - np.abs(stage[:, None] - np.arange(limb.steps)), 0) * weights[:, joint, None]
            weights[:, joint] -= taken.sum(axis=1)
            columns.append(taken)
    return columns


def _beyond(vertices: np.ndarray, name: str) -> np.ndarray:
    """Share [V] of every vertex that lies beyond the border of a joint."""
    side, _, part = name.partition("_")
    plane = PLANES[part or name]
    to_left = np.array([-1.0 if side == "right" else 1.0, 1.0, 1.0])
    points = vertices * to_left
    joint = REST_JOINTS[JOINT_INDEX[name]] * to_left + plane.shift
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
