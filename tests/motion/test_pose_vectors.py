"""Poses as vectors: there and back, and how much each number's error matters."""

from __future__ import annotations

import torch

from mdtool.motion.kinematics import joint_positions
from mdtool.motion.pose_vectors import POSE, importance_by_reach, poses_to_vectors, vectors_to_poses
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d
from mdtool.motion.skeleton import JOINTS, STANDING_PELVIS_HEIGHT


def standing(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    rot6d = torch.tensor([1.0, 0, 0, 0, 1, 0]).expand(count, JOINTS, 6)
    return rot6d, torch.tensor([0.0, STANDING_PELVIS_HEIGHT, 0.0]).expand(count, 3)


def test_there_and_back() -> None:
    rot6d, root = torch.randn(5, JOINTS, 6), torch.randn(5, 3)
    again = vectors_to_poses(poses_to_vectors(rot6d, root, 0.7), 0.7)
    torch.testing.assert_close(again[0], rot6d)
    torch.testing.assert_close(again[1], root)


def test_importance_by_reach_is_the_error_of_joints() -> None:
    """Small random turns of all joints but the ends, and steps of the root, cost what the joints' own errors are."""
    torch.manual_seed(0)
    importance = importance_by_reach(0.7)
    rot6d, root = standing(400)
    turns = 0.05 * torch.randn(400, JOINTS, 3)
    turns[:, [10, 11, 15, 22, 23]] = 0
    turned = matrix_to_rot6d(axis_angle_to_matrix(turns))
    moved = root + 0.03 * torch.randn(400, 3)
    for other in ((turned, root), (rot6d, moved), (turned, moved)):
        wrong = poses_to_vectors(*other, 0.7) - poses_to_vectors(rot6d, root, 0.7)
        told = (wrong.square() * importance).sum(-1).mean()
        true = (joint_positions(*other) - joint_positions(rot6d, root)).square().sum(-1).mean()
        assert 0.7 < told / true < 1.3
    assert (importance[:POSE] > 0).all()
