"""What an edit reached, and what else it changed: per target, and before against after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mdtool.editing.document import key_name
from mdtool.editing.edited import Edited
from mdtool.editing.frames import in_words
from mdtool.editing.goals import BodyMotion, Clear, Goal, Places, describe
from mdtool.editing.placement import Placement
from mdtool.editing.plan import Plan
from mdtool.editing.stages import Reached
from mdtool.editing.trace import Course
from mdtool.evaluation.control import locality
from mdtool.evaluation.physical import foot_skating, jitter, penetration, skating_ratio
from mdtool.motion.motion import Motion
from mdtool.motion.resample import resample_at

_NEAR_FRAMES = 15
"""Frames around a target in which an edit is expected to change the motion."""


@dataclass(frozen=True)
class TargetRow:
    """One goal, and how near the motion came."""

    key: str
    what: str
    frames: str
    unit: str
    before: float | None
    """Mean error of the input, where it has one."""
    error: float
    """Mean error over the goal's frames."""
    worst: float
    must: float | None
    keyframes: int = 0
    """Frames at which joints should be in places; 0 for goals of other kinds."""

    @property
    def missed(self) -> bool:
        """Whether a requirement is not met."""
        return self.must is not None and not self.worst <= self.must  # a NaN is a miss


@dataclass(frozen=True)
class ChangeRow:
    """One measure of the whole motion, before and after."""

    measure: str
    unit: str
    before: float | None
    after: float


@dataclass(frozen=True)
class EditReport:
    """The report of one motion that an edit made."""

    name: str
    loss: float
    targets: list[TargetRow]
    changes: list[ChangeRow]
    course: Course | None = None
    """How the search went; None for a motion that was not searched for."""
    stages: Sequence[Reached] = ()
    """What each stage of the fit came to."""
    restarts: Sequence[float] = ()
    """What the searches came to, of which this is the least."""

    @property
    def missed(self) -> list[TargetRow]:
        """Requirements that are not met."""
        return [row for row in self.targets if row.missed]

    @property
    def objective_error(self) -> float:
        """DNO's objective error: mean over the key frames of targets, metres; NaN without any."""
        keyframes = [row.keyframes for row in self.targets]
        if not any(keyframes):
            return float("nan")
        return float(np.average([row.error for row in self.targets], weights=keyframes))


def reports(edited: Edited) -> list[EditReport]:
    """A report per variation."""
    return [
        replace(
            report(edited.plan, motion, edited.before, edited.losses[k], edited.between[k]),
            course=edited.courses[k],
            stages=edited.stages[k],
            restarts=edited.restarts[k],
        )
        for k, motion in enumerate(edited.motions)
    ]


def report(
    plan: Plan, motion: Motion, before: Motion | None, loss: float = float("nan"), between: Motion | None = None
) -> EditReport:
    """Measure a motion against the goals of a plan, and against the motion that it was.

    Args:
        motion: in the world of the plan's input.
        between: its poses at the moments between frames, where a field made them; interpolated by default.
    """
    after_body = seen(plan, motion, between)
    # A blend goes on after its input: there is nothing to hold its goals against.
    before_body = None if before is None or len(before) < plan.frames else seen(plan, before)
    rows = [_row(plan, goal, after_body, before_body) for goal in plan.goals]
    return EditReport(motion.name, loss, rows, _changes(plan, motion, before, after_body, before_body))


def seen(plan: Plan, motion: Motion, between: Motion | None = None) -> BodyMotion:
    """A motion of the input's world as goals see it, with its poses `between` frames, which are interpolated if not
    given."""
    world, moments = plan.source.world, plan.between
    if len(moments):
        if between is None:
            between = resample_at(motion, moments / motion.fps)
        motion = replace(
            motion,
            rot6d=np.concatenate([motion.rot6d, between.rot6d]),
            root=np.concatenate([motion.root, between.root]),
        )
    home = _home(plan, motion)
    places = world.undone(motion.positions().astype(np.float64))
    return BodyMotion(
        places, {joint: joint for joint in range(places.shape[1])}, home.rot6d.astype(np.float64), plan.fps, moments
    )


def _home(plan: Plan, motion: Motion) -> Motion:
    """The motion in the request's space."""
    world = plan.source.world
    return Placement(-world.yaw).motion(motion)


def _row(plan: Plan, goal: Goal, after: BodyMotion, before: BodyMotion | None) -> TargetRow:
    error = np.atleast_1d(goal.error(after))
    own = None if before is None else float(np.mean(goal.error(before)))
    return TargetRow(
        key_name(goal.key),
        describe(goal),
        in_words(goal.frames, plan.frames),
        goal.unit,
        own,
        float(error.mean()),
        float(error.max()),
        goal.must,
        len(error) if isinstance(goal, Places) and goal.hard else 0,
    )


def _changes(
    plan: Plan, motion: Motion, before: Motion | None, after_body: BodyMotion, before_body: BodyMotion | None
) -> list[ChangeRow]:
    after = motion.positions().astype(np.float64)
    own = None if before is None else before.positions().astype(np.float64)
    rows = [
        ChangeRow(name, unit, None if own is None else scale * measure(own), scale * measure(after))
        for name, unit, scale, measure in (
            ("jitter", "m/s³", 1.0, lambda p: jitter(p, plan.fps)),
            ("skating ratio (GMD)", "% of steps", 100.0, lambda p: skating_ratio(p, plan.fps).ratio),
            ("foot skating", "% of steps", 100.0, lambda p: foot_skating(p, plan.fps)),
            ("floor penetration", "cm", 100.0, lambda p: penetration(p, plan.fps)),
        )
    ]
    for clear in (goal for goal in plan.goals if isinstance(goal, Clear)):
        depth = [
            None if body is None else float((-clear.clearance(body)).max().clip(0))
            for body in (before_body, after_body)
        ]
        rows.append(
            ChangeRow(
                "deepest in an obstacle", "cm", None if depth[0] is None else 100 * depth[0], 100 * (depth[1] or 0)
            )
        )
    if own is not None and own.shape == after.shape:
        placed = [goal for goal in plan.goals if isinstance(goal, Places) and goal.hard]
        targets = [int(frame) for goal in placed for frame in np.rint(goal.frames)]
        rows.append(ChangeRow("change of all joints (RMS)", "cm", None, 100 * locality(own, after, [], 0)))
        if targets:
            far = locality(own, after, targets, _NEAR_FRAMES)
        if targets and not np.isnan(far):
            rows.append(ChangeRow(f"change beyond {_NEAR_FRAMES} frames of a target (RMS)", "cm", None, 100 * far))
    return rows


def chain_reports(edited: Edited) -> list[list[EditReport]]:
    """The reports of each edit of a chain, this one's last."""
    return [reports(each) for each in (*edited.history, edited)]


def to_json(edited: Edited, found: Sequence[list[EditReport]]) -> dict[str, Any]:
    """Everything that an edit found, as plain types; `found` as `chain_reports` gives it."""
    *earlier, own = found
    return {
        "task": edited.plan.task,
        "input": edited.plan.source.name,
        "ended": edited.ended,
        "steps": edited.steps,
        "seconds": round(edited.seconds, 2),
        "earlier": [to_json(each, [its]) for each, its in zip(edited.history, earlier, strict=True)],
        "start": edited.start.how,
        "reconstruction_m": edited.start.reconstruction_m,
        "reconstruction_unfitted_m": edited.start.unfitted_m,
        "noise": asdict(edited.start.health),
        "action": edited.plan.action_told,
        "warnings": [*edited.warnings, *edited.advice, *(problem.told() for problem in edited.plan.warnings)],
        "variations": [
            {
                "name": each.name,
                "loss": each.loss,
                "restarts": [None if np.isnan(loss) else loss for loss in each.restarts],
                "objective_error_m": None if np.isnan(each.objective_error) else each.objective_error,
                "missed": [row.key for row in each.missed],
                "targets": [asdict(row) for row in each.targets],
                "changes": [
                    {**asdict(row), "after": None if np.isnan(row.after) else row.after} for row in each.changes
                ],
                "stages": [stage._asdict() for stage in each.stages],
                "search": None if each.course is None else _course_json(each.course),
            }
            for each in own
        ],
    }


def _course_json(course: Course) -> dict[str, Any]:
    """The steps and the losses of a search at each; what is no number is null."""

    def plain(values: list[float]) -> list[float | None]:
        return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]

    losses = {name: plain(values) for name, values in course.losses.items()}
    return {"steps": course.steps, "losses": losses, "objective_error_m": plain(course.error_m)}
