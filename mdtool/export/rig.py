"""Every bone that moves a skin: the 24 joints, then what a body has beyond them (fingers, face, twist helpers)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mdtool.body.skinning import Body
from mdtool.export.bones import Skeleton, standing, with_ground_root
from mdtool.motion.amass import BODY_JOINTS
from mdtool.motion.skeleton import JOINT_NAMES

_FACE = ("jaw", "left_eye", "right_eye")
_FINGERS = tuple(
    f"{side}_{finger}{number}"
    for side in ("left", "right")
    for finger in ("index", "middle", "pinky", "ring", "thumb")
    for number in (1, 2, 3)
)


@dataclass(frozen=True)
class Rig:
    """N bones, parents before children; the first are those of the skeleton."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    rest: np.ndarray
    """[N, 3] positions in the rest pose, metres."""
    bone_of: np.ndarray
    """[J + H] bone of every joint and helper of the body: of every column of its weights."""

    @property
    def offsets(self) -> np.ndarray:
        """[N, 3] from the parent; from the world's origin for bone 0."""
        return self.rest - np.concatenate([np.zeros((1, 3)), self.rest])[[parent + 1 for parent in self.parents]]


def rig_of(body: Body, skeleton: Skeleton, betas: np.ndarray | None = None) -> Rig:
    """The bones of a body in a shape (betas [S]) on top of its skeleton."""
    joints = standing(body, betas)[1]
    names, parents, rest = list(skeleton.names), list(skeleton.parents), list(skeleton.rest)
    bones = []
    for joint, own in enumerate(_own_joints(body)):
        if own:
            bones.append(joint + skeleton.ground_root)
            continue
        bones.append(len(names))
        names.append((*_FACE, *_FINGERS)[joint - len(body.parents) + len(_FACE) + len(_FINGERS)])
        parents.append(bones[body.parents[joint]])
        rest.append(joints[joint])
    for helper in body.helpers:
        followed = bones[helper.joint]
        bones.append(len(names))
        twin = sum(name.startswith(f"{names[followed]}_twist") for name in names)
        names.append(f"{names[followed]}_twist{twin + 1}")
        parents.append(followed)
        rest.append(rest[followed])
    return Rig(tuple(names), tuple(parents), np.array(rest), np.array(bones))


def rig_turns(body: Body, skeleton: Skeleton, matrices: np.ndarray) -> np.ndarray:
    """Local rotations [T, N, 3, 3] of all bones from those of a motion's joints [T, 24, 3, 3]."""
    parts = [with_ground_root(matrices) if skeleton.ground_root else matrices]
    extra = [joint for joint, own in enumerate(_own_joints(body)) if not own]
    if extra:
        local = body.local_rotations(torch.from_numpy(matrices).to(body.vertices.dtype))
        parts.append(local[:, extra].numpy().astype(np.float64))
    if body.helpers:
        parts.append(body.helper_rotations(torch.from_numpy(matrices)).numpy())
    return np.concatenate(parts, axis=1)


def _own_joints(body: Body) -> list[bool]:
    """Of every joint of the body, whether it is one of the 24 itself and not a part of a hand or a face."""
    if body.sources is None:
        return [True] * len(JOINT_NAMES)
    return [source == joint < BODY_JOINTS for joint, source in enumerate(body.sources)]
