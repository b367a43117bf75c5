"""Limbs that end where they should: two-bone inverse kinematics for legs and arms, and the roll of the foot."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mdtool.data.synthetic.pose import Arm, Foot
from mdtool.motion.rotations import axis_angle_to_matrix
from mdtool.motion.skeleton import ANKLE_HEIGHT, JOINT_INDEX, OFFSETS

HEEL_BEHIND_ANKLE = 0.050
"""How far the point of the heel on which the foot rolls lies behind the ankle, metres."""

_LEG = tuple(float(-OFFSETS[JOINT_INDEX[name]][1]) for name in ("left_knee", "left_ankle"))
_ARM = tuple(float(OFFSETS[JOINT_INDEX[name]][0]) for name in ("left_elbow", "left_wrist"))
_COLLAR = torch.tensor(OFFSETS[JOINT_INDEX["left_collar"]])
_SHOULDER = torch.tensor(OFFSETS[JOINT_INDEX["left_shoulder"]])
_TOE = torch.tensor(OFFSETS[JOINT_INDEX["left_foot"]])
_X, _Y, _Z = torch.eye(3, dtype=torch.float64)

_ARM_REACH, _ARM_SOFTNESS = 0.99, 0.02
"""Longest shoulder-to-wrist distance as a share of the arm, and the metres over which it is approached."""
_TOES_RELAX_AT = 0.04
"""Lift in metres at which the toes have stopped lying flat on the floor."""


def about(axis: Tensor, angle_deg: Tensor) -> Tensor:
    """Rotation about one axis [3] by angles [T] in degrees; [T, 3, 3]."""
    return axis_angle_to_matrix(torch.deg2rad(angle_deg).unsqueeze(-1) * axis)


def tilt(angles: Tensor) -> Tensor:
    """Bend, turn and lean [T, 3] in degrees as one rotation about the axis that they add up to; [T, 3, 3]."""
    return axis_angle_to_matrix(torch.deg2rad(angles) * angles.new_tensor([1.0, 1.0, -1.0]))


def orientation(angles: Tensor) -> Tensor:
    """Bend, turn and lean [T, 3] in degrees, the turn outermost, so that it may be large; [T, 3, 3]."""
    bend, turn, lean = angles.unbind(-1)
    return about(_Y, turn) @ about(_X, bend) @ about(_Z, -lean)


def place_foot(foot: Foot) -> tuple[Tensor, Tensor, Tensor]:
    """World position of the ankle [T, 3], world rotation of the foot [T, 3, 3], local rotation of the toes."""
    heel_rise, toe_rise = torch.from_numpy(foot.heel_rise), torch.from_numpy(foot.toe_rise)
    turn = about(_Y, torch.from_numpy(foot.turn))
    ankle_from_heel = torch.tensor([0.0, ANKLE_HEIGHT, HEEL_BEHIND_ANKLE], dtype=torch.float64)
    # Each roll moves the ankle about its own pivot. Adding the two keeps the path smooth where one takes over.
    rolled = (
        about(_X, heel_rise) @ -_TOE + _TOE + about(_X, -toe_rise) @ ankle_from_heel - ankle_from_heel
    ) + ANKLE_HEIGHT * _Y
    floor = torch.from_numpy(np.stack([foot.x, foot.lift, foot.z], -1))
    ankle = floor + (turn @ rolled.unsqueeze(-1)).squeeze(-1)
    on_floor = torch.exp(-((torch.from_numpy(foot.lift) / _TOES_RELAX_AT) ** 2))
    return ankle, turn @ about(_X, heel_rise - toe_rise), about(_X, -heel_rise * on_floor)


def lower_to_reach(
    hips_y: Tensor, hips: list[Tensor], ankles: list[Tensor], leg_reach: float, softness: float
) -> Tensor:
    """The wished height of the hip midpoint [T], eased down to where both legs reach their ankles.

    Args:
        hips: left and right hip joint relative to the midpoint [T, 3] (x and z in the world, y the difference).
        ankles: left and right ankle in the world [T, 3].
        leg_reach, softness: see Pose.
    """
    longest = leg_reach * sum(_LEG)
    heights = [hips_y]
    for hip, ankle in zip(hips, ankles, strict=True):
        across = (ankle - hip)[:, [0, 2]].square().sum(-1)
        heights.append(ankle[:, 1] + (longest**2 - across).clamp_min(1e-4).sqrt() - hip[:, 1])
    return _soft_minimum(torch.stack(heights), softness)


def bend_leg(hip: Tensor, ankle: Tensor, forward: Tensor) -> tuple[Tensor, Tensor]:
    """World rotation of the thigh [T, 3, 3] and flexion of the knee [T] (degrees) between a hip and an ankle.

    Args:
        hip, ankle: world positions [T, 3].
        forward: direction in which the knee points [T, 3]; not along the leg.
    """
    line = hip - ankle
    distance = line.norm(dim=-1).clamp_max(0.99999 * sum(_LEG))
    raised, flexed = _two_bone_angles(distance, *_LEG)
    up = _unit(line)
    hinge = _unit(torch.linalg.cross(up, forward, dim=-1))
    frame = torch.stack([hinge, up, torch.linalg.cross(hinge, up, dim=-1)], dim=-1)
    return frame @ about(_X, -raised), flexed


def bend_arm(arm: Arm, target: Tensor | None, elbow: Tensor | None) -> list[Tensor]:
    """Local rotations of collar, shoulder, elbow, wrist and fingers of a LEFT arm; five of [T, 3, 3].

    Args:
        target: wrist position in the axes of the chest, from the chest joint [T, 3]; the arm's angles when None.
        elbow: direction in which the elbow points [T, 3], in the axes of the chest; with `target` only.
    """
    if target is None or elbow is None:
        upper = (
            about(_Y, -torch.from_numpy(arm.across))
            @ about(_X, -torch.from_numpy(arm.flex))
            @ about(_Z, torch.from_numpy(arm.abduct) - 90)
            @ about(_X, -torch.from_numpy(arm.axial))
        )
        collar = _carry_shoulder(upper[..., 0])
        flexed = torch.from_numpy(arm.elbow)
    else:
        collar = _carry_shoulder(_unit(target - _COLLAR - _SHOULDER))
        line = target - _COLLAR - (collar @ _SHOULDER)
        distance = _soft_minimum(
            torch.stack([line.norm(dim=-1), torch.full_like(line[:, 0], _ARM_REACH * sum(_ARM))]), _ARM_SOFTNESS
        )
        raised, flexed = _two_bone_angles(distance, *_ARM)
        along = _unit(line)
        hinge = _unit(torch.linalg.cross(along, elbow, dim=-1))
        frame = torch.stack([along, hinge, torch.linalg.cross(along, hinge, dim=-1)], dim=-1)
        upper = frame @ about(_Y, raised)
    half = about(_X, -torch.from_numpy(arm.supinate) / 2)
    return [
        collar,
        collar.transpose(-1, -2) @ upper,
        about(_Y, -flexed) @ half,
        half @ about(_Z, -torch.from_numpy(arm.wrist)),
        about(_Z, -torch.from_numpy(arm.curl)),
    ]


def _carry_shoulder(direction: Tensor) -> Tensor:
    """Rotation of the left collar that goes with an upper arm in `direction` [T, 3], chest axes; [T, 3, 3].

    The shoulder blade takes part in every large movement of the arm: it rises with an arm above the horizontal
    and comes forward with an arm that reaches forward.
    """
    height = (direction[:, 1] + 1) / 2
    elevation = 24 * height**2 - 1
    protraction = 11 * direction[:, 2] * (1 - 0.4 * height)
    return about(_Y, -protraction) @ about(_Z, elevation)


def _two_bone_angles(distance: Tensor, upper: float, lower: float) -> tuple[Tensor, Tensor]:
    """Angle between the first bone and the line to the target, and flexion of the joint between; [T], degrees."""
    at_root = (upper**2 + distance**2 - lower**2) / (2 * upper * distance)
    between = (upper**2 + lower**2 - distance**2) / (2 * upper * lower)
    return torch.rad2deg(at_root.clamp(-1, 1).acos()), 180 - torch.rad2deg(between.clamp(-1, 1).acos())


def _soft_minimum(values: Tensor, softness: float) -> Tensor:
    """Smooth lower bound of the minimum over the first dimension; [n, T] → [T]."""
    return -softness * torch.logsumexp(-values / softness, dim=0)


def _unit(vector: Tensor) -> Tensor:
    return vector / vector.norm(dim=-1, keepdim=True)
