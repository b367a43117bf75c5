"""Loss terms and the gradient of every weight."""

from __future__ import annotations

import torch

from mdtool.losses.geometric import feature_positions, motion_losses
from mdtool.motion.skeleton import FEET, PARENTS
from tests.golden.tiny_denoiser import Golden, assert_close, process_of_the_set, tensors, tiny_denoiser

NAMES = {"reconstruction": "rot_mse", "position": "rcxyz_mse", "velocity": "vel_mse", "foot": "fc", "loss": "loss"}


def offsets_of(rest: torch.Tensor) -> torch.Tensor:
    """Parent-to-child vectors [24, 3] of rest positions."""
    return rest - rest[[max(parent, 0) for parent in PARENTS]]


def test_training_losses(golden: Golden) -> None:
    g = tensors(golden("training_losses"))
    assert g["parents"].tolist() == list(PARENTS)
    x0, timestep = g["x_start"], g["t"]
    network = tiny_denoiser(golden)
    x_t = process_of_the_set(golden).diffuse(x0, timestep, g["noise"]).x_t
    terms = motion_losses(
        network(x_t, timestep, g["action"][:, 0]),
        x0,
        {"reconstruction": 1.0, "position": 1.0, "velocity": 1.0, "foot": 1.0},
        g["mask"][:, 0, 0],
        offsets=offsets_of(g["rest_joints"]),
    )
    for name, reference in NAMES.items():
        assert_close(terms[name], g[f"terms/{reference}"], atol=0, rtol=1e-4)
    terms["loss"].mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert_close(parameter.grad, g[f"grad/{name}"], atol=1e-5, rtol=1e-3)


def test_positions(golden: Golden) -> None:
    g = tensors(golden("training_losses"))
    joints = feature_positions(g["x_start"], offsets_of(g["rest_joints"]))
    assert_close(joints, g["target_xyz"], atol=2e-6)
    speed = joints[:, list(FEET)].diff(dim=-1).norm(dim=2)
    assert_close(speed, g["target_foot_velocity"], atol=2e-6)
    assert torch.equal(speed <= 0.01, g["fc_contact"])
    root = g["x_start"][:, 24:, :3]
    world = (joints + root - root[..., :1]) * g["mask"]
    assert_close(world, g["target_xyz_masked_with_translation"] * g["mask"], atol=2e-6)
