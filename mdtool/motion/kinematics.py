"""Forward kinematics of a joint tree."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from mdtool.motion.rotations import orthonormal, rot6d_to_matrix
from mdtool.motion.skeleton import OFFSETS, PARENTS, chains_to, levels


def forward_kinematics(
    matrices: Tensor,
    root: Tensor | None = None,
    offsets: Tensor | None = None,
    parents: tuple[int, ...] = PARENTS,
) -> tuple[Tensor, Tensor]:
    """World rotations and positions of every joint: G_i = G_parent R_i, p_i = p_parent + G_parent o_i.

    Args:
        matrices: local rotations [..., J, 3, 3].
        root: position of joint 0 [..., 3], metres; the offset of joint 0 when not given.
        offsets: parent-to-child vectors [J, 3], metres, or [..., J, 3]; the neutral skeleton when not given.
        parents: parent of every joint, parents before children, -1 for the root.

    Returns:
        (world rotations [..., J, 3, 3], positions [..., J, 3]).
    """
    if offsets is None:
        offsets = neutral_offsets(matrices.dtype, matrices.device)
    offsets = offsets.expand(*matrices.shape[:-2], 3)
    rotations = [matrices[..., :1, :, :]]
    positions = [offsets[..., :1, :] if root is None else root.unsqueeze(-2)]
    plan, rank = _plan(parents, matrices.device)
    for joints, pick in plan:
        parent_rotation = rotations[-1][..., pick, :, :]
        positions.append(
            positions[-1][..., pick, :] + (parent_rotation @ offsets[..., joints, :].unsqueeze(-1)).squeeze(-1)
        )
        rotations.append(parent_rotation @ matrices[..., joints, :, :])
    return torch.cat(rotations, dim=-3)[..., rank, :, :], torch.cat(positions, dim=-2)[..., rank, :]


def joint_positions(rot6d: Tensor, root: Tensor | None = None, offsets: Tensor | None = None) -> Tensor:
    """Positions [..., 24, 3] in metres of local 6D rotations [..., 24, 6] and pelvis positions [..., 3]."""
    return forward_kinematics(rot6d_to_matrix(rot6d), root, offsets)[1]


def positions_of(rot6d: np.ndarray, root: np.ndarray) -> np.ndarray:
    """`joint_positions` on the neutral skeleton for numpy arrays: [..., 24, 6], [..., 3] → [..., 24, 3]."""
    with torch.no_grad():
        return joint_positions(torch.from_numpy(rot6d), torch.from_numpy(root)).numpy()


def positions_frames_last(rot6d: Tensor, offsets: Tensor | None = None, joints: Sequence[int] | None = None) -> Tensor:
    """Joint positions relative to the pelvis, in the layout of networks; equal to `joint_positions`, and faster.

    Works in planes [B, T], one joint after the other, and only along the chains that lead to the asked joints.

    Args:
        rot6d: local rotations [B, 24, 6, T].
        offsets: parent-to-child vectors [24, 3] or [B, 24, 3], metres; the neutral skeleton when not given.
        joints: which joints to return, J of them; all 24 when not given.

    Returns:
        [B, J, 3, T], metres.
    """
    if offsets is None:
        offsets = neutral_offsets(rot6d.dtype, rot6d.device)
    wanted = range(len(PARENTS)) if joints is None else joints
    chain = chains_to(wanted)[1:]
    turning = sorted({PARENTS[joint] for joint in chain} | {0})
    parts = rot6d.unbind(1)
    x, y, z, u, v, w = torch.stack([parts[joint] for joint in turning], dim=1).unbind(2)
    triple = orthonormal((x, y, z), (u, v, w))
    matrices = torch.stack([component for vector in triple for component in vector], dim=2).unflatten(2, (3, 3))
    local = dict(zip(turning, matrices.unbind(1), strict=True))
    bones = offsets[..., None, None].unbind(-4)
    rotations = {0: local[0]}
    positions = {0: torch.zeros_like(local[0][:, :, 0])}
    for joint in chain:
        parent = PARENTS[joint]
        turn, (bone_x, bone_y, bone_z) = rotations[parent], bones[joint].unbind(-3)
        positions[joint] = positions[parent] + turn[:, :, 0] * bone_x + turn[:, :, 1] * bone_y + turn[:, :, 2] * bone_z
        if joint in local:
            rotations[joint] = _product(turn, local[joint])
    return torch.stack([positions[joint] for joint in wanted], dim=1)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Matrix product of [B, 3, 3, T] in every frame."""
    return (
        left[:, :, 0, None] * right[:, None, 0]
        + left[:, :, 1, None] * right[:, None, 1]
        + left[:, :, 2, None] * right[:, None, 2]
    )


@lru_cache(maxsize=16)
def neutral_offsets(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The neutral skeleton's offsets [24, 3] on `device`, made once."""
    return torch.from_numpy(np.array(OFFSETS)).to(device=device, dtype=dtype)


def of_joints(values: Tensor, joints: Sequence[int], dim: int) -> Tensor:
    """Some joints of values that have all of them in `dim`, in the order asked for.

    Without indices: those come from Python, and a device would have to wait for them.
    """
    each = values.unbind(dim)
    return torch.stack([each[joint] for joint in joints], dim=dim)


@lru_cache(maxsize=16)
def _plan(parents: tuple[int, ...], device: torch.device) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    """How a tree is walked, as indices on `device`, made once.

    Returns:
        (for every depth its joints and the places of their parents inside the depth above; where each joint stands
        when the joints are listed depth by depth).
    """
    order, places, plan = [0], {0: 0}, []
    for joints, above in levels(parents):
        plan.append((torch.tensor(joints, device=device), torch.tensor([places[p] for p in above], device=device)))
        places = {joint: place for place, joint in enumerate(joints)}
        order += joints
    return plan, torch.tensor([order.index(joint) for joint in range(len(parents))], device=device)
