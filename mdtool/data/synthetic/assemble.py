"""From the curves of a pose to the joint rotations and the pelvis path of the 24-joint skeleton."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mdtool.data.synthetic.limbs import about, bend_arm, bend_leg, lower_to_reach, orientation, place_foot, tilt
from mdtool.data.synthetic.pose import SIGNS, Arm, Pose
from mdtool.motion.ground import at_height
from mdtool.motion.kinematics import forward_kinematics
from mdtool.motion.rotations import matrix_to_rot6d
from mdtool.motion.skeleton import JOINT_INDEX, JOINTS, OFFSETS

_SIDES = ("left", "right")
_ARM_JOINTS = ("collar", "shoulder", "elbow", "wrist", "hand")
_PELVIS, _CHEST = JOINT_INDEX["pelvis"], JOINT_INDEX["spine3"]
_SPINE_SHARES = {"spine1": 0.34, "spine2": 0.36, "spine3": 0.30}
_HEAD_SHARES = {"neck": 0.5, "head": 0.5}
_FOOT_LEADS_KNEE = 0.75
"""How far the knee points where the foot points; the rest of the way it points with the pelvis."""
_HIPS_TO_PELVIS = torch.tensor([0.0, -OFFSETS[JOINT_INDEX["left_hip"]][1], 0.0], dtype=torch.float64)
_X, _Y, _ = torch.eye(3, dtype=torch.float64)
_MIRROR = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))


def assemble(pose: Pose, facing_deg: float, place: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Solve the limbs and set the performer into the world.

    Args:
        facing_deg: direction of the whole performance, to the left of +z.
        place: x and z of the performance's origin, metres.

    Returns:
        (local rotations [T, 24, 6] float32, pelvis positions [T, 3] float32).
    """
    local = torch.eye(3, dtype=torch.float64).repeat(len(pose.hips), JOINTS, 1, 1)
    local[:, _PELVIS] = orientation(torch.from_numpy(pose.pelvis))
    for shares, angles in ((_SPINE_SHARES, pose.spine), (_HEAD_SHARES, pose.head)):
        for name, share in shares.items():
            local[:, JOINT_INDEX[name]] = tilt(torch.from_numpy(angles) * share)
    to_pelvis = local[:, _PELVIS] @ _HIPS_TO_PELVIS
    torso, joints = forward_kinematics(local, root=to_pelvis)  # positions from the midpoint of the hip joints
    hips = _solve_legs(local, torso[:, _PELVIS], joints, pose)
    for side, name in enumerate(_SIDES):
        arm = _solve_arm(pose.arms[side], side, torso, joints)
        for joint, rotation in zip(_ARM_JOINTS, arm, strict=True):
            local[:, JOINT_INDEX[f"{name}_{joint}"]] = rotation
    turn = about(_Y, torch.tensor([facing_deg], dtype=torch.float64))
    root = (turn @ (hips + to_pelvis).unsqueeze(-1)).squeeze(-1) + torch.tensor([place[0], 0.0, place[1]])
    local[:, _PELVIS] = turn @ local[:, _PELVIS]
    return matrix_to_rot6d(local).numpy().astype(np.float32), root.numpy().astype(np.float32)


def _solve_legs(local: Tensor, pelvis: Tensor, joints: Tensor, pose: Pose) -> Tensor:
    """Fill in both legs; returns the midpoint of the hip joints [T, 3] after it was lowered where needed."""
    hips = torch.from_numpy(pose.hips).clone()
    sockets = [joints[:, JOINT_INDEX[f"{name}_hip"]] for name in _SIDES]
    feet = [place_foot(foot) for foot in pose.feet]
    over_ground = at_height(hips)
    hips[:, 1] = lower_to_reach(
        hips[:, 1],
        [socket + over_ground for socket in sockets],
        [ankle for ankle, _, _ in feet],
        pose.leg_reach,
        pose.softness,
    )
    for side, name in enumerate(_SIDES):
        ankle, foot, toes = feet[side]
        knee_turn = np.deg2rad(_FOOT_LEADS_KNEE * pose.feet[side].turn + (1 - _FOOT_LEADS_KNEE) * pose.pelvis[:, 1])
        forward = torch.from_numpy(np.stack([np.sin(knee_turn), np.zeros_like(knee_turn), np.cos(knee_turn)], -1))
        thigh, flexed = bend_leg(sockets[side] + hips, ankle, forward)
        shin_from_thigh = about(_X, flexed)
        local[:, JOINT_INDEX[f"{name}_hip"]] = pelvis.transpose(-1, -2) @ thigh
        local[:, JOINT_INDEX[f"{name}_knee"]] = shin_from_thigh
        local[:, JOINT_INDEX[f"{name}_ankle"]] = (thigh @ shin_from_thigh).transpose(-1, -2) @ foot
        local[:, JOINT_INDEX[f"{name}_foot"]] = toes
    return hips


def _solve_arm(arm: Arm, side: int, torso: Tensor, joints: Tensor) -> list[Tensor]:
    """Local rotations of one arm's five joints; the right arm is solved as the mirror image of a left one."""
    target = elbow = None
    if arm.reach is not None:
        flip = torch.tensor([SIGNS[side], 1.0, 1.0], dtype=torch.float64)
        to_chest = torso[:, _CHEST].transpose(-1, -2)
        reached = torso[:, _PELVIS] @ (torch.from_numpy(arm.reach.target) * flip).unsqueeze(-1)
        reached = reached + (joints[:, _PELVIS] - joints[:, _CHEST]).unsqueeze(-1)
        target = (to_chest @ reached).squeeze(-1) * flip
        points = torch.from_numpy(np.broadcast_to(arm.reach.elbow, arm.reach.target.shape).copy()) * flip
        elbow = (to_chest @ torso[:, _PELVIS] @ points.unsqueeze(-1)).squeeze(-1) * flip
    rotations = bend_arm(arm, target, elbow)
    return rotations if SIGNS[side] > 0 else [_MIRROR @ rotation @ _MIRROR for rotation in rotations]
