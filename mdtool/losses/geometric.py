"""MDM's geometric losses: joint positions, feature velocity, foot contact (Tevet et al. 2022, eq. 3 to 5).

All act on network tensors [B, 25, 6, T]: rows 0 … 23 are local 6D rotations, row 24 the root in metres. None
depends on which axis points up, because only lengths enter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from mdtool.losses.reconstruction import masked_l2
from mdtool.motion.kinematics import of_joints, positions_frames_last
from mdtool.motion.skeleton import FEET, JOINTS

FootSpace = Literal["root", "world"]
CONTACT_STEP_M = 0.01
"""A foot that moves at most so far from one frame to the next stands still, in the reference."""


def motion_losses(
    prediction: Tensor,
    target: Tensor,
    weights: Mapping[str, float],
    mask: Tensor | None = None,
    *,
    offsets: Tensor | None = None,
    foot_space: FootSpace = "root",
    contact_step_m: float = CONTACT_STEP_M,
) -> dict[str, Tensor]:
    """Every term with a weight, unweighted, and their weighted sum as "loss".

    Works in float32 whatever autocast says: forward kinematics in bf16 would be off by more than a contact step.

    Args:
        prediction, target: x̂_0 and x_0 [B, 25, 6, T].
        weights: λ by name: reconstruction, position, velocity, foot; a term whose λ is 0 is not computed.
        mask: [B, T] bool, true for real frames.
        offsets: bone vectors [24, 3] of the skeleton, metres; the neutral ones when not given.
        foot_space: root measures feet relative to the pelvis (as the reference, which leaves translation out);
            world adds the root row, so that a body that slides over planted feet is penalised too.

    Returns:
        Name → per-sample values [B].
    """
    active = {name: weight for name, weight in weights.items() if weight}
    terms: dict[str, Tensor] = {}
    with torch.autocast(prediction.device.type, enabled=False):
        prediction, target = _at_least_float(prediction), _at_least_float(target)
        if "reconstruction" in active:
            terms["reconstruction"] = masked_l2(prediction, target, mask)
        if "velocity" in active:
            terms["velocity"] = velocity_error(prediction, target, mask)
        if "position" in active or "foot" in active:
            needed = None if "position" in active else FEET
            joints = feature_positions(prediction, offsets, needed)
            with torch.no_grad():
                goal = feature_positions(target, offsets, needed)
            if "position" in active:
                terms["position"] = masked_l2(joints, goal, mask)
            if "foot" in active:
                feet, goal_feet = (joints, goal) if needed else (of_joints(joints, FEET, 1), of_joints(goal, FEET, 1))
                if foot_space == "world":
                    feet = feet + prediction[:, JOINTS, :3].unsqueeze(1)
                    goal_feet = goal_feet + target[:, JOINTS, :3].unsqueeze(1)
                terms["foot"] = foot_contact_error(feet, goal_feet, mask, contact_step_m)
        terms["loss"] = torch.stack([active[name] * values for name, values in terms.items()]).sum(0)
    return terms


def feature_positions(features: Tensor, offsets: Tensor | None = None, joints: Sequence[int] | None = None) -> Tensor:
    """Positions of joints relative to the pelvis [B, J, 3, T], metres, of features [B, 25, 6, T]; no translation.

    Args:
        offsets: bone vectors [24, 3], metres; the neutral ones when not given.
        joints: which joints; all 24 when not given.
    """
    return positions_frames_last(features[:, :JOINTS], offsets, joints)


def velocity_error(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Error of the first differences of the 24 rotations' features, the root row left out; [B].

    Not a velocity in space: MDM's eq. 5 is written for positions, its code takes the 6D features, as here.
    """
    difference = (prediction - target)[:, :JOINTS].diff(dim=-1)
    return masked_l2(difference, torch.zeros_like(difference), _without_first(mask))


def foot_contact_error(
    feet: Tensor, goal: Tensor, mask: Tensor | None = None, contact_step_m: float = CONTACT_STEP_M
) -> Tensor:
    """Mean squared step of predicted feet in the frames where the true foot stands still; [B].

    Frames without contact count in the denominator.

    Args:
        feet, goal: [B, 4, 3, T], metres.
    """
    contact = goal.diff(dim=-1).norm(dim=2, keepdim=True) <= contact_step_m
    moved = feet.diff(dim=-1) * contact
    return masked_l2(moved, torch.zeros_like(moved), _without_first(mask))


def _without_first(mask: Tensor | None) -> Tensor | None:
    """A step between two frames counts when its second frame is real."""
    return None if mask is None else mask[:, 1:]


def _at_least_float(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
