"""Skin on bones: linear blend skinning with SMPL's shape and pose blend shapes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mdtool.motion.kinematics import forward_kinematics
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_quaternion, rot6d_to_matrix
from mdtool.motion.skeleton import PARENTS, STANDING_PELVIS_HEIGHT

_ALL = slice(None)


@dataclass(frozen=True)
class TwistJoint:
    """A helper joint that follows a joint but turns about the bone by only a share of its twist.

    Plain linear blending pinches a limb whose twist about its own axis is large (an arm raised forwards over the
    head is twisted by half a turn against the T pose). Skin that follows helpers of growing share twists gradually.
    """

    joint: int
    axis: tuple[float, float, float]
    """Unit direction of the bone in the rest pose."""
    share: float
    """0 keeps the swing alone, 1 would be the joint itself."""
    least: float = -math.pi
    """Least twist, radians; twists are read as least … least + 2 pi, so that the break lies where no limb goes."""


@dataclass(frozen=True)
class Body:
    """A mesh bound to J joints and H helper joints; V vertices, S shape coefficients. Lengths in metres."""

    vertices: Tensor
    """[V, 3] rest pose, the body facing +z."""
    faces: np.ndarray
    """[faces, 3] int32, counter-clockwise seen from outside."""
    weights: Tensor
    """[V, J + H] share of every joint, then of every helper, in every vertex; rows sum to 1."""
    joints: Tensor
    """[J, 3] joint positions of the rest pose."""
    parents: tuple[int, ...] = PARENTS
    sources: tuple[int, ...] | None = None
    """[J] joint of a motion whose rotation each of the body's joints takes, -1 none; the same joints when None."""
    rest_rotations: Tensor | None = None
    """[J, 3, 3] rotation of every joint before that of its source, such as relaxed fingers; identity when None."""
    helpers: tuple[TwistJoint, ...] = ()
    shape_directions: Tensor | None = None
    """[V, 3, S] displacement per unit of each shape coefficient; None for a body of one shape."""
    pose_directions: Tensor | None = None
    """[V, 3, 9 (J - 1)] displacement per entry of R - I of every joint but the root."""
    joint_regressor: Tensor | None = None
    """[J, V] joints of a shaped body from its vertices; needed with shape_directions."""
    accent: np.ndarray | None = None
    """[V] float32 signed distance to the edge of the markings (negative inside), in metres; for pictures only."""
    openness: np.ndarray | None = None
    """[V] float32 ambient light that reaches the vertex in the rest pose, 0..1; for pictures only."""

    def shaped(self, betas: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Rest vertices [..., V, 3] and joints [..., J, 3] of a body shape [..., S] (SMPL eq. 8 and 10)."""
        if betas is None or self.shape_directions is None or self.joint_regressor is None:
            return self.vertices, self.joints
        return self.vertices + _displaced(betas, self.shape_directions), self.shaped_joints(betas)

    def shaped_joints(self, betas: Tensor | None = None) -> Tensor:
        """Rest joints [..., J, 3] of a body shape [..., S], in its precision (SMPL eq. 10).

        They are linear in the shape, as the vertices are: what moves them is found once, and no vertices are made,
        which for the shapes of many frames would fill the memory.
        """
        if betas is None or self.shape_directions is None or self.joint_regressor is None:
            return self.joints if betas is None else self.joints.to(betas)
        return self.joints.to(betas) + _displaced(betas, self._joint_directions.to(betas))

    @cached_property
    def _joint_directions(self) -> Tensor:
        """[J, 3, S] displacement of the joints per unit of each shape coefficient, of a body that has shapes."""
        assert self.joint_regressor is not None
        assert self.shape_directions is not None
        return torch.einsum("jv,vcs->jcs", self.joint_regressor, self.shape_directions)

    def bone_lengths(self, betas: Tensor) -> Tensor:
        """Lengths [..., J - 1] of the bones from every joint but the root to its parent, of shapes [..., S]; metres."""
        joints = self.shaped_joints(betas)
        return (joints[..., 1:, :] - joints[..., list(self.parents[1:]), :]).norm(dim=-1)

    def fitted(self, motion: Motion) -> Motion:
        """A motion with its pelvis path scaled to this body's legs, so that its feet reach the floor without sliding.

        A motion that brings its own body shape was recorded on that body and stays as it is.
        """
        scale = self.path_scale(motion)
        return motion if scale == 1 else replace(motion, root=motion.root * np.float32(scale))

    def path_scale(self, motion: Motion) -> float:
        """By how much `fitted` scales the pelvis path of a motion; 1 where it stays as it is."""
        if self.shape_directions is None or motion.betas is not None:
            return 1.0
        height = float(self.joints[0, 1] - self.vertices[:, 1].min())
        return height / STANDING_PELVIS_HEIGHT

    def local_rotations(self, matrices: Tensor) -> Tensor:
        """Rotations [..., J, 3, 3] of the body's joints from those of a motion's joints [..., 24, 3, 3]."""
        if self.sources is not None:
            identity = torch.eye(3, dtype=matrices.dtype).expand(*matrices.shape[:-3], 1, 3, 3)
            matrices = torch.cat([matrices, identity], dim=-3)[..., list(self.sources), :, :]
        return matrices if self.rest_rotations is None else matrices @ self.rest_rotations

    def posed_joints(self, matrices: Tensor, root: Tensor, betas: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """World rotations [..., J, 3, 3] and positions [..., J, 3] of the joints; arguments as in `posed`."""
        joints = self.shaped_joints(betas)
        offsets = joints - joints[..., [max(parent, 0) for parent in self.parents], :]
        return forward_kinematics(matrices, root, offsets, self.parents)

    def posed(self, matrices: Tensor, root: Tensor, betas: Tensor | None = None) -> Tensor:
        """Vertices of poses (SMPL, Loper et al. 2015, eq. 2-6 and 9; helper joints are our own).

        Args:
            matrices: local rotations [..., J, 3, 3].
            root: position of joint 0 in the world [..., 3].
            betas: body shape [S], or [..., S] for one per pose; the rest shape when not given.

        Returns:
            [..., V, 3], metres.
        """
        vertices, joints = self.shaped(betas)
        if self.pose_directions is not None:
            bend = matrices[..., 1:, :, :] - torch.eye(3, dtype=matrices.dtype, device=matrices.device)
            vertices = vertices + torch.einsum("...p,vcp->...vc", bend.flatten(-3), self.pose_directions)
        rotations, positions = self.posed_joints(matrices, root, betas)
        if self.helpers:
            followed = [helper.joint for helper in self.helpers]
            rotations = torch.cat([rotations, rotations[..., followed, :, :] @ self.helper_rotations(matrices)], dim=-3)
            positions = torch.cat([positions, positions[..., followed, :]], dim=-2)
            joints = torch.cat([joints, joints[..., followed, :]], dim=-2)
        return blend_skin(vertices, self.weights, rotations, positions, joints)

    def helper_rotations(self, matrices: Tensor) -> Tensor:
        """Turns of the helpers against the joints they follow: back by the rest of the twist.

        Args:
            matrices: local rotations [..., J, 3, 3].

        Returns:
            [..., H, 3, 3].
        """
        axis, share, least = (
            matrices.new_tensor([getattr(helper, name) for helper in self.helpers])
            for name in ("axis", "share", "least")
        )
        quaternion = matrix_to_quaternion(matrices[..., [helper.joint for helper in self.helpers], :, :])
        twist = 2 * torch.atan2((quaternion[..., 1:] * axis).sum(-1), quaternion[..., 0])
        twist = least + torch.remainder(twist - least, 2 * math.pi)
        return axis_angle_to_matrix(axis * (twist * (share - 1)).unsqueeze(-1))


def _displaced(betas: Tensor, directions: Tensor) -> Tensor:
    """Displacement [..., n, 3] of n points by shapes [..., S], along directions [n, 3, S'] of as many coefficients."""
    coefficients = betas[..., : directions.shape[-1]]
    return torch.einsum("...s,vcs->...vc", coefficients, directions[..., : coefficients.shape[-1]])


def blend_skin(vertices: Tensor, weights: Tensor, rotations: Tensor, positions: Tensor, joints: Tensor) -> Tensor:
    """Linear blend skinning: v' = Σ_j w_j (G_j (v - rest_j) + p_j).

    Args:
        vertices: rest vertices [..., V, 3].
        weights: [V, J].
        rotations: world rotations [..., J, 3, 3].
        positions: world joint positions [..., J, 3].
        joints: rest joint positions [..., J, 3].

    Returns:
        [..., V, 3].
    """
    shift = positions - (rotations @ joints.unsqueeze(-1)).squeeze(-1)
    transforms = torch.cat([rotations, shift.unsqueeze(-1)], dim=-1).flatten(-2)
    blended = (weights @ transforms).unflatten(-1, (3, 4))
    return (blended[..., :3] @ vertices.unsqueeze(-1)).squeeze(-1) + blended[..., 3]


def posed_vertices(body: Body, motion: Motion, frames: np.ndarray | slice = _ALL) -> np.ndarray:
    """The skin at the given frames of a motion, all by default; [frames, V, 3] float32, metres."""
    with torch.no_grad():
        return body.posed(*_pose(body, motion, frames)).to(torch.float32).numpy()


def posed_joints(body: Body, motion: Motion, frames: np.ndarray | slice = _ALL) -> np.ndarray:
    """The joints of a body at the given frames of a motion, all by default; [frames, J, 3] float32, metres."""
    with torch.no_grad():
        return body.posed_joints(*_pose(body, motion, frames))[1].to(torch.float32).numpy()


def _pose(body: Body, motion: Motion, frames: np.ndarray | slice) -> tuple[Tensor, Tensor, Tensor | None]:
    """Joint rotations [frames, J, 3, 3], root positions [frames, 3] and shape of a motion, for `body.posed`."""
    dtype = body.vertices.dtype
    betas = None if motion.betas is None else torch.from_numpy(np.asarray(motion.betas)).to(dtype)
    matrices = rot6d_to_matrix(torch.from_numpy(np.array(motion.rot6d[frames])).to(dtype))
    root = torch.from_numpy(np.array(motion.root[frames])).to(dtype)
    return body.local_rotations(matrices), root, betas
