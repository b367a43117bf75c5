"""Forward kinematics against smplx's, and its gradient."""

from __future__ import annotations

import torch

from mdtool.motion.kinematics import forward_kinematics
from mdtool.motion.rotations import axis_angle_to_matrix
from mdtool.motion.skeleton import PARENTS
from tests.golden.tiny_denoiser import Golden, assert_close, tensors


def test_fk(golden: Golden) -> None:
    g = tensors(golden("fk"))
    assert g["parents"].tolist() == list(PARENTS)
    axis_angle = g["axis_angle"].clone().requires_grad_()
    matrices = axis_angle_to_matrix(axis_angle)
    assert_close(matrices, g["rotation_matrices"], atol=1e-5)
    rotations, joints = forward_kinematics(matrices, offsets=g["offsets"])
    assert_close(joints, g["joints"], atol=1e-5)
    assert_close(rotations, g["rel_transforms"][..., :3, :3], atol=1e-5)
    # The reference's transforms map rest positions to posed ones.
    moved = joints - (rotations @ g["rest_joints"].unsqueeze(-1)).squeeze(-1)
    assert_close(moved, g["rel_transforms"][..., :3, 3], atol=1e-5)
    (gradient,) = torch.autograd.grad((joints * g["grad_weight"]).sum(), axis_angle)
    # Row 0 is the zero pose, where the reference's gradient carries its epsilon.
    assert_close(gradient[1:], g["grad_axis_angle"][1:], atol=1e-4, rtol=1e-3)
    assert torch.isfinite(gradient).all()
