"""Skinning by closed forms: rigid motion, one bone, shape, and twist spread along a limb."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mdtool.body.skinning import Body, TwistJoint, posed_vertices
from mdtool.motion.kinematics import forward_kinematics
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d
from mdtool.motion.skeleton import JOINTS, OFFSETS, rest_positions


def random_body(rows: int = 40, shapes: int = 3, seed: int = 0) -> Body:
    rng = torch.Generator().manual_seed(seed)
    joints = torch.from_numpy(rest_positions())
    weights = torch.rand(rows, JOINTS, generator=rng, dtype=torch.float64)
    regressor = torch.rand(JOINTS, rows, generator=rng, dtype=torch.float64)
    return Body(
        vertices=torch.randn(rows, 3, generator=rng, dtype=torch.float64),
        faces=np.zeros((0, 3), np.int32),
        weights=weights / weights.sum(1, keepdim=True),
        joints=joints,
        shape_directions=torch.randn(rows, 3, shapes, generator=rng, dtype=torch.float64),
        joint_regressor=regressor / regressor.sum(1, keepdim=True),
    )


def rotations(seed: int, *shape: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return axis_angle_to_matrix(torch.randn(*shape, 3, generator=rng, dtype=torch.float64))


def test_rest_pose_gives_the_rest_vertices() -> None:
    body = random_body()
    posed = body.posed(torch.eye(3, dtype=torch.float64).expand(JOINTS, 3, 3), body.joints[0])
    torch.testing.assert_close(posed, body.vertices)


def test_global_rotation_moves_the_body_rigidly() -> None:
    body = random_body()
    matrices = torch.eye(3, dtype=torch.float64).repeat(JOINTS, 1, 1)
    turn, root = rotations(1, 1)[0], torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    matrices[0] = turn
    torch.testing.assert_close(body.posed(matrices, root), (body.vertices - body.joints[0]) @ turn.T + root)


def test_a_vertex_of_one_joint_moves_with_it() -> None:
    body = random_body()
    body = Body(body.vertices[:JOINTS], body.faces, torch.eye(JOINTS, dtype=torch.float64), body.joints)
    matrices, root = rotations(2, 5, JOINTS), torch.randn(5, 3, dtype=torch.float64)
    turned, positions = forward_kinematics(matrices, root, torch.from_numpy(np.array(OFFSETS)))
    expected = (turned @ (body.vertices - body.joints).unsqueeze(-1)).squeeze(-1) + positions
    torch.testing.assert_close(body.posed(matrices, root), expected)


def test_shape_is_linear_and_per_pose() -> None:
    body = random_body()
    betas = torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, -1.0]], dtype=torch.float64)
    both, joints = body.shaped(betas)
    for k in range(2):
        one, joints_of_one = body.shaped(betas[k])
        torch.testing.assert_close(both[k], one)
        torch.testing.assert_close(joints[k], joints_of_one)
    plain, _ = body.shaped(torch.zeros(3, dtype=torch.float64))
    doubled, _ = body.shaped(2 * betas)
    torch.testing.assert_close(doubled - plain, 2 * (both - plain))
    assert body.joint_regressor is not None
    torch.testing.assert_close(joints - body.joints, body.joint_regressor @ (both - body.vertices))


@pytest.mark.parametrize("turn_deg", [-240.0, -170.0, -60.0, 30.0, 100.0])
def test_helpers_take_their_share_of_the_twist(turn_deg: float) -> None:
    """A pure twist of the shoulder turns each helper's skin by its share, also beyond half a turn."""
    shares, shoulder = (0.0, 0.25, 0.5, 0.75), 16
    least = float(np.radians(-250))
    helpers = tuple(TwistJoint(shoulder, (1.0, 0.0, 0.0), share, least) for share in shares)
    joints = torch.from_numpy(rest_positions())
    weights = torch.zeros(len(shares), JOINTS + len(shares), dtype=torch.float64)
    weights[range(len(shares)), range(JOINTS, JOINTS + len(shares))] = 1
    vertices = joints[shoulder] + torch.tensor([0.1, 0.05, 0.0], dtype=torch.float64).repeat(len(shares), 1)
    body = Body(vertices, np.zeros((0, 3), np.int32), weights, joints, helpers=helpers)
    matrices = torch.eye(3, dtype=torch.float64).repeat(JOINTS, 1, 1)
    matrices[shoulder] = axis_angle_to_matrix(torch.tensor([np.radians(turn_deg), 0.0, 0.0], dtype=torch.float64))
    offset = (body.posed(matrices, joints[0]) - joints[shoulder]).numpy()
    angles = np.radians(turn_deg) * np.array(shares)
    expected = np.stack([np.full(4, 0.1), 0.05 * np.cos(angles), 0.05 * np.sin(angles)], axis=1)
    np.testing.assert_allclose(offset, expected, atol=1e-9)


def test_a_swing_moves_helpers_like_their_joint() -> None:
    joints = torch.from_numpy(rest_positions())
    weights = torch.zeros(1, JOINTS + 1, dtype=torch.float64)
    weights[0, JOINTS] = 1
    helper = (TwistJoint(18, (1.0, 0.0, 0.0), 0.0),)
    vertices = joints[18:19] + torch.tensor([0.1, 0.02, 0.03], dtype=torch.float64)
    with_helper = Body(vertices, np.zeros((0, 3), np.int32), weights, joints, helpers=helper)
    plain = Body(vertices, np.zeros((0, 3), np.int32), torch.eye(JOINTS, dtype=torch.float64)[18:19], joints)
    matrices = torch.eye(3, dtype=torch.float64).repeat(JOINTS, 1, 1)
    matrices[18] = axis_angle_to_matrix(torch.tensor([0.0, -1.9, 0.4], dtype=torch.float64))
    torch.testing.assert_close(with_helper.posed(matrices, joints[0]), plain.posed(matrices, joints[0]))


def test_posed_vertices_of_chosen_frames() -> None:
    body = random_body()
    rot6d = matrix_to_rot6d(rotations(3, 6, JOINTS)).numpy().astype(np.float32)
    motion = Motion(rot6d, np.zeros((6, 3), np.float32), 20.0, betas=np.array([0.5, -1, 2], np.float32))
    everything = posed_vertices(body, motion)
    assert everything.shape == (6, 40, 3)
    assert everything.dtype == np.float32
    np.testing.assert_allclose(posed_vertices(body, motion, np.array([4, 1])), everything[[4, 1]], atol=1e-6)
