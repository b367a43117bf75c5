"""The bones that a file shows: where joints rest, where the last bones end, how joints move from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mdtool.body.skinning import Body
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import rot6d_to_matrix
from mdtool.motion.skeleton import JOINT_INDEX, JOINT_NAMES, JOINTS, PARENTS

ROOT = "root"
"""Name of the extra joint on the floor."""

_TIPS = {
    "head": ("head", (0.0, 1.0, 0.0)),
    "left_foot": ("left_foot", (0.0, 0.0, 1.0)),
    "right_foot": ("right_foot", (0.0, 0.0, 1.0)),
    "left_hand": ("left_wrist", (1.0, 0.0, 0.0)),
    "right_hand": ("right_wrist", (-1.0, 0.0, 0.0)),
}
"""Last joint of every chain → joint with the flesh at its end (its own or that of joints below), way to the tip."""
_SHORTEST_TIP = 0.01


@dataclass(frozen=True)
class Skeleton:
    """The joints of a file, parents before children; the 24 of SMPL, below a joint on the floor if wanted."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    rest: np.ndarray
    """[J, 3] positions in the rest pose, metres, soles on the floor."""
    tips: dict[int, np.ndarray]
    """Joint → [3] from it to the tip of its flesh, for joints without children."""
    ground_root: bool

    @property
    def offsets(self) -> np.ndarray:
        """[J, 3] from the parent; from the world's origin for joint 0."""
        above = [max(parent, 0) for parent in self.parents]
        return self.rest - np.where(np.array(self.parents)[:, None] < 0, 0.0, self.rest[above])

    def children(self, joint: int) -> list[int]:
        """The joints that hang from a joint."""
        return [child for child, parent in enumerate(self.parents) if parent == joint]


def standing(body: Body, betas: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [V, 3] and joints [J, 3] of the rest pose in a shape (betas [S]), float64, soles at y = 0."""
    shape = None if betas is None else torch.from_numpy(np.asarray(betas)).to(body.vertices.dtype)
    vertices, joints = (part.numpy().astype(np.float64) for part in body.shaped(shape))
    floor = np.array([0.0, vertices[:, 1].min(), 0.0])
    return vertices - floor, joints - floor


def skeleton_of(body: Body, betas: np.ndarray | None = None, ground_root: bool = False) -> Skeleton:
    """The 24 joints of a body in a shape (betas [S], the rest shape when not given), standing on the floor.

    A body with fingers has no joint for a whole hand: it lies in the middle of the fingers' roots, which follow it.
    """
    vertices, joints = standing(body, betas)
    sources = np.array(range(JOINTS) if body.sources is None else body.sources)
    rest = np.stack([joints[sources == joint].mean(axis=0) for joint in range(JOINTS)])
    tips = {}
    strongest = body.weights.numpy()[:, : len(body.parents)].argmax(axis=1)
    for name, (top, direction) in _TIPS.items():
        joint = JOINT_INDEX[name]
        fleshy = [each for each in _below(body.parents, JOINT_INDEX[top]) if name == top or each != JOINT_INDEX[top]]
        reach = (vertices[np.isin(strongest, fleshy)] - rest[joint]) @ direction
        tips[joint + ground_root] = max(float(reach.max(initial=0.0)), _SHORTEST_TIP) * np.array(direction)
    if not ground_root:
        return Skeleton(JOINT_NAMES, PARENTS, rest, tips, False)
    parents = (-1, *(parent + 1 for parent in PARENTS))
    return Skeleton((ROOT, *JOINT_NAMES), parents, np.concatenate([np.zeros((1, 3)), rest]), tips, True)


def local_matrices(*motions: Motion) -> np.ndarray:
    """Local rotations of one or several motions end to end; [T, 24, 3, 3] float64."""
    rot6d = np.concatenate([motion.rot6d for motion in motions]).astype(np.float64)
    return rot6d_to_matrix(torch.from_numpy(rot6d)).numpy()


def with_ground_root(matrices: np.ndarray) -> np.ndarray:
    """Local rotations with a joint that does not turn in front; [T, J, 3, 3] → [T, J + 1, 3, 3]."""
    still = np.broadcast_to(np.eye(3), (len(matrices), 1, 3, 3))
    return np.concatenate([still, matrices], axis=1)


def moving_joints(motion: Motion, skeleton: Skeleton) -> dict[int, np.ndarray]:
    """Joint → local position [T, 3] float64 of those that do not only turn: the pelvis, and the joint on the floor."""
    path = motion.root.astype(np.float64)
    if not skeleton.ground_root:
        return {0: path}
    return {0: path * [1, 0, 1], 1: path * [0, 1, 0]}


def _below(parents: tuple[int, ...], top: int) -> list[int]:
    """A joint and all that hang from it."""
    found = [top]
    for joint, parent in enumerate(parents):
        if parent in found:
            found.append(joint)
    return found
