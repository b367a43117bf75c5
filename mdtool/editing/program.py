"""The goals of one edit as the task of a search: features in, losses out, only the joints that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mdtool.editing.document import key_name
from mdtool.editing.goals import BodyMotion, Clear, Goal, Places
from mdtool.editing.moments import poses_between
from mdtool.editing.optimiser import Judged
from mdtool.editing.placement import Placement, fitted
from mdtool.editing.shapes import turned
from mdtool.motion.kinematics import positions_frames_last

_NEAR = 10.0
"""Tolerances within which a target is near."""


@dataclass(frozen=True)
class Program:
    """What one edit wants of motions in the model's own space."""

    goals: Sequence[Goal]
    frames: int
    """Frames of the edit; the model may make more, which then do not count."""
    fps: float
    placement: Placement | None
    """From the model's space to the request's; None: wherever it fits the targets best."""
    between: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """[E] frames with fractions that goals are about."""
    made_between: bool = False
    """Whether motions come with their poses there, as their last E; otherwise these are interpolated."""

    @property
    def joints(self) -> list[int]:
        """All that any goal is about."""
        found = {0} if not self.goals else set()
        return sorted(found.union(*(goal.joints for goal in self.goals)))

    def judge(self, rot6d: Tensor, root: Tensor) -> Judged:
        """Losses of motions [b, T, 24, 6], [b, T, 3] in the model's space."""
        body = self.body(rot6d, root)
        losses = self._losses(body)
        nothing = root.new_zeros(len(root))
        terms: dict[str, Tensor] = {}
        for goal, loss in zip(self.goals, losses, strict=True):
            name = key_name(goal.key) or goal.term
            terms[name] = terms[name] + loss if name in terms else loss
        with torch.no_grad():
            hard = [goal for goal in self.goals if goal.hard]
            errors = {id(goal): goal.error(body) for goal in hard}
            missed = [errors[id(goal)].flatten(1).amax(1) / max(goal.tolerance, 1e-6) for goal in hard]
            furthest = torch.stack(missed).amax(0) if missed else torch.full_like(nothing, torch.inf)
            aims = [each for each, goal in zip(missed, hard, strict=True) if isinstance(goal, Places | Clear)]
            off = torch.stack(aims).amax(0) if aims else torch.zeros_like(nothing)
            places: list[Goal] = [goal for goal in hard if isinstance(goal, Places)]
            told = places or [goal for goal in hard if goal.unit == "m"]
            if told:
                error = torch.cat([errors[id(goal)].flatten(1) for goal in told], dim=1).mean(1)
            else:  # observed places, which have weight 1
                seen = zip(self.goals, losses, strict=True)
                error = sum((loss for goal, loss in seen if isinstance(goal, Places) and goal.group == "pose"), nothing)
        return Judged(sum(losses, nothing), terms, error, furthest <= 1, furthest <= _NEAR, off)

    def body(self, rot6d: Tensor, root: Tensor) -> BodyMotion:
        """The joints that goals are about, in the request's space."""
        joints = self.joints
        rot6d, root = self._with_moments(rot6d, root)
        places = positions_frames_last(rot6d.permute(0, 2, 3, 1), joints=joints).permute(0, 3, 1, 2)
        places = places + root[:, :, None]
        columns = {joint: column for column, joint in enumerate(joints)}
        raw = BodyMotion(places, columns, rot6d, self.fps, self.between)
        placement = self.place(raw) if self.placement is None else self.placement
        if not np.any(placement.yaw) and not np.any(placement.x) and not np.any(placement.z):
            return raw
        return BodyMotion(placement.done(places), columns, _turned_pelvis(rot6d, placement), self.fps, self.between)

    def _with_moments(self, rot6d: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
        """The edit's frames of motions, and behind them the poses between frames."""
        own = rot6d[:, : self.frames], root[:, : self.frames]
        count = len(self.between)
        if not count:
            return own
        if self.made_between:
            more = rot6d[:, -count:], root[:, -count:]
        else:
            more = poses_between(*own, self.between)
        return torch.cat([own[0], more[0]], dim=1), torch.cat([own[1], more[1]], dim=1)

    def place(self, raw: BodyMotion) -> Placement:
        """Where motions fit their targets best; the model's own place without targets on the ground."""
        parts = [goal for goal in self.goals if isinstance(goal, Places) and goal.group == "pose"]
        if not parts:
            return Placement()
        like = raw.positions
        points = torch.cat([raw.of(goal.joints, goal.frames).flatten(1, 2) for goal in parts], dim=1)
        wanted = torch.cat([like.new_tensor(goal.values).flatten(0, 1) for goal in parts])
        weight = torch.cat([like.new_tensor(goal.mask).flatten(0, 1) for goal in parts])
        return fitted(points, wanted, weight)

    def _losses(self, body: BodyMotion) -> list[Tensor]:
        """Each goal's part of the loss [b]: coordinates share one mean, Σ w M |J - C| / Σ M, as in the paper."""
        counts, losses = {"pose": 0.0, "keep": 0.0}, []
        for goal in self.goals:
            if isinstance(goal, Places):
                total, count = goal.total(body)
                counts[goal.group] += count
                losses.append(total)
            else:
                losses.append(goal.residual(body).mean(-1))
        return [
            goal.weight * (loss / max(counts[goal.group], 1.0) if isinstance(goal, Places) else loss)
            for goal, loss in zip(self.goals, losses, strict=True)
        ]


def _turned_pelvis(rot6d: Tensor, placement: Placement) -> Tensor:
    """Local rotations whose pelvis is turned with the space: row 0 becomes cos · row 0 + sin · row 2."""
    first, second = rot6d[..., 0, :3], rot6d[..., 0, 3:]
    third = torch.linalg.cross(first, second)
    yaw = placement.yaw if np.ndim(placement.yaw) == 0 else np.asarray(placement.yaw)[:, None, None]
    row, _ = turned(first, third, yaw)
    pelvis = torch.cat([row, second], dim=-1).unsqueeze(-2)
    return torch.cat([pelvis, rot6d[..., 1:, :]], dim=-2)
