"""Linear blend skinning with shape and pose blend shapes against smplx on the synthetic body."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from mdtool.body.skinning import Body
from mdtool.motion.kinematics import forward_kinematics
from mdtool.motion.rotations import axis_angle_to_matrix


def test_smpl_forward(golden: Callable[[str], dict[str, np.ndarray]]) -> None:
    arrays, model = golden("smpl_forward"), golden("smpl_synthetic")
    template, regressor = torch.from_numpy(model["v_template"]), torch.from_numpy(model["J_regressor"])
    # The root's parent is stored as 2^32 - 1.
    parents = tuple(int(parent) for parent in model["kintree_table"][0].astype(np.int64))
    parents = (-1, *parents[1:])
    body = Body(
        vertices=template,
        faces=model["f"].astype(np.int32),
        weights=torch.from_numpy(model["weights"]),
        joints=regressor @ template,
        parents=parents,
        shape_directions=torch.from_numpy(model["shapedirs"]),
        pose_directions=torch.from_numpy(model["posedirs"]),
        joint_regressor=regressor,
    )
    betas = torch.from_numpy(arrays["betas"])
    pose = torch.from_numpy(np.concatenate([arrays["global_orient"], arrays["body_pose"]], axis=1))
    matrices = axis_angle_to_matrix(pose.reshape(-1, len(parents), 3))
    _, joints = body.shaped(betas)
    root = joints[:, 0] + torch.from_numpy(arrays["transl"])

    vertices = body.posed(matrices, root, betas)
    np.testing.assert_allclose(vertices, arrays["vertices"], atol=1e-5)
    offsets = joints - joints[:, [max(parent, 0) for parent in parents]]
    _, positions = forward_kinematics(matrices, root, offsets, parents)
    np.testing.assert_allclose(positions, arrays["joints"], atol=1e-5)
    np.testing.assert_allclose(body.joints, arrays["rest_joints"], atol=1e-5)
    np.testing.assert_allclose(body.vertices, arrays["rest_vertices"], atol=1e-5)
