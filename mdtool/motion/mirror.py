"""The motion seen in a mirror: left and right exchanged."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mdtool.motion.kinematics import of_joints
from mdtool.motion.motion import Motion
from mdtool.motion.skeleton import mirror_permutation

# M R M with M = diag(-1, 1, 1) changes the sign of the entries that hold exactly one x; first two rows of them.
_ROT6D_SIGNS = np.array([1, -1, -1, -1, 1, 1], dtype=np.float32)
_ROOT_SIGNS = np.array([-1, 1, 1], dtype=np.float32)
_SIDES = {"left": "right", "right": "left", "Left": "Right", "Right": "Left", "LEFT": "RIGHT", "RIGHT": "LEFT"}
_SIDE_WORD = re.compile(r"(?<![A-Za-z])(?:left|right|Left|Right|LEFT|RIGHT)(?![a-z])")
_SUFFIX = " (mirrored)"


def mirror(motion: Motion, action_map: Mapping[str, str] | None = None) -> Motion:
    """Mirror a motion about the plane x = 0; mirroring twice gives the motion back, bit for bit.

    Rotations become M R M with M = diag(-1, 1, 1), each left joint takes its right twin's, the root's x is negated.
    The latent of a generated clip is dropped: it no longer makes this motion.

    Args:
        action_map: action → action of the mirrored clip; one that is not listed has its words "left" and "right"
            exchanged, as the description has.
    """
    action = (action_map or {}).get(motion.action, swap_sides(motion.action))
    name = motion.name.removesuffix(_SUFFIX) if motion.name.endswith(_SUFFIX) else motion.name + _SUFFIX
    return replace(
        motion,
        rot6d=motion.rot6d[:, mirror_permutation()] * _ROT6D_SIGNS,
        root=motion.root * _ROOT_SIGNS,
        action=action,
        name=name,
        text=swap_sides(motion.text),
        noise=None,
    )


def _signed(values: Tensor, signs: np.ndarray) -> Tensor:
    """The last dimension's numbers times their signs, number by number: no device waits for numbers from Python."""
    return torch.stack([sign * part for sign, part in zip(signs.tolist(), values.unbind(-1), strict=True)], dim=-1)


def mirror_windows(rot6d: Tensor, root: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Windows [B, T, 24, 6], [B, T, 3] with those where `chosen` [B] is true mirrored, as `mirror` does."""
    flipped = _signed(of_joints(rot6d, mirror_permutation(), 2), _ROT6D_SIGNS)
    path = _signed(root, _ROOT_SIGNS)
    return torch.where(chosen[:, None, None, None], flipped, rot6d), torch.where(chosen[:, None, None], path, root)


def mirrored_labels(actions: Sequence[str]) -> Tensor:
    """Label of each action's mirror image, [actions]: with the sides exchanged where there is one, else its own."""
    twins = [swap_sides(name) for name in actions]
    places = [actions.index(twin) if twin in actions else place for place, twin in enumerate(twins)]
    return torch.tensor(places, dtype=torch.int64)


def swap_sides(text: str) -> str:
    """Exchange the words left and right: "raise-up-left-hand" → "raise-up-right-hand"; "bright" stays."""
    return _SIDE_WORD.sub(lambda match: _SIDES[match[0]], text)
