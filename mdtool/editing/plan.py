"""From a request to goals: frames, joints and spaces become numbers, and what cannot be had is said."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from mdtool.editing.condition import strays
from mdtool.editing.detour import detour
from mdtool.editing.document import Document, Key, Problem, Problems
from mdtool.editing.feasibility import infeasible
from mdtool.editing.frames import frame_indices, held
from mdtool.editing.goals import Bound, Clear, Facing, Goal, Near, Places, Planted, Speed, Still
from mdtool.editing.joints import joint_index, joint_indices
from mdtool.editing.keyposes import blend_goal, pose_goal
from mdtool.editing.obstacles import build_obstacle
from mdtool.editing.paths import path_goals
from mdtool.editing.placement import Placement, stands_at
from mdtool.editing.request import EditRequest, Limit, Target
from mdtool.editing.source import Source
from mdtool.errors import MdtoolError
from mdtool.motion.contacts import SOLE_HEIGHTS
from mdtool.motion.skeleton import FEET

TaskName = Literal["edit", "generate", "refine", "complete", "in-between", "blend"]


@dataclass(frozen=True)
class TaskDefaults:
    """What a task searches with unless the request says otherwise (Karunratanakul et al. 2024, section 4)."""

    steps: int
    random: bool
    """Whether it begins with new noise; otherwise with the input's."""
    decorrelate: bool
    content: float
    planted: float


DEFAULTS: dict[TaskName, TaskDefaults] = {
    "edit": TaskDefaults(300, False, False, 0.002, 0.3),
    "generate": TaskDefaults(300, False, False, 0.002, 0.3),
    "refine": TaskDefaults(500, True, True, 0.0, 0.0),
    "complete": TaskDefaults(500, True, True, 0.0, 0.0),
    "in-between": TaskDefaults(1000, True, True, 0.0, 0.0),
    "blend": TaskDefaults(1000, True, True, 0.0, 0.0),
}
CONTENT = {"off": 0.0, "soft": 0.0005, "normal": 0.002, "strong": 0.01}
"""`keep.content` in words; normal is the released code's weight, strong the paper's."""


@dataclass
class Plan:
    """A request made of numbers."""

    request: EditRequest
    document: Document
    task: TaskName
    source: Source
    frames: int
    fps: float
    goals: list[Goal] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    @property
    def defaults(self) -> TaskDefaults:
        """The task's settings."""
        return DEFAULTS[self.task]

    @property
    def steps(self) -> int:
        """Steps of the search."""
        return self.defaults.steps if self.request.run.steps == "auto" else self.request.run.steps

    @property
    def random(self) -> bool:
        """Whether the search begins with new noise."""
        return self.defaults.random if self.request.run.init == "auto" else self.request.run.init == "random"

    @property
    def free(self) -> bool:
        """Whether the result may be anywhere on the ground: it is placed where it fits its targets best."""
        return self.defaults.random

    @property
    def content(self) -> float:
        """Weight of the content term, for the paper's size of latent."""
        run, keep = self.request.run, self.request.keep
        if run.content is not None:
            return run.content
        if self.random or (keep is None and self.defaults.random):
            return 0.0
        return CONTENT[keep.content] if keep else self.defaults.content

    @property
    def tells_action(self) -> bool:
        """Whether the network is told the input's action, if it knows it."""
        condition = self.request.run.condition
        return condition == "keep" or (condition == "auto" and self.strays is None)

    @property
    def action_told(self) -> str:
        """What the network is told of the input's action, in words."""
        if self.tells_action:
            return "told"
        if self.request.run.condition == "none" or self.strays is None:
            return "not told"
        away, travels = self.strays
        return f"not told: a target is {away:.2f} m off the input's way, and the input moves {travels:.2f} m"

    @cached_property
    def strays(self) -> tuple[float, float] | None:
        """(metres that the targets lie off the input's way, metres that it travels) where that is out of its way."""
        return None if self.random else strays(self.source, self.goals)

    @property
    def habits(self) -> list[Goal]:
        """What a search minds beside its goals: feet that carry the body stand still."""
        weight = self.request.run.planted
        weight = self.defaults.planted if weight is None else weight
        if not weight or not self.goals:  # an edit that wants nothing changes nothing
            return []
        return [Planted((), weight, None, np.arange(self.frames - 1), FEET, hard=False)]


def task_of(request: EditRequest) -> TaskName:
    """What a request asks for, by the sections that are there."""
    if request.blend is not None:
        return "blend"
    if request.mask is not None:
        observed = request.mask.observed
        whole = joint_indices(observed.joints) == joint_indices("all") and observed.frames in ("*", "all")
        return "refine" if whole else "complete"
    if any(target.pose for target in request.targets) and request.keep is None:
        return "in-between"
    return "generate" if request.input.generate is not None else "edit"


def compile_request(
    request: EditRequest, document: Document, source: Source, most_frames: int, force: bool = False
) -> Plan:
    """The plan of a request for a source.

    Args:
        most_frames: the longest motion that the model makes.
        force: try what seems infeasible.

    Raises:
        Problems: all that is wrong.
    """
    task = task_of(request)
    frames = _length(request, document, source, task, most_frames)
    if task == "blend" and source.motion is not None:
        source = source.part(max(len(source) - frames // 2, 0), len(source))
    plan = Plan(request, document, task, source, frames, source.fps)
    maker = _Maker(plan)
    maker.make()
    found = maker.problems + infeasible(plan)
    wrong = [problem for problem in found if not problem.feasibility]
    impossible = [p for p in found if p.feasibility and not p.message.startswith("warning: ")]
    if wrong or (impossible and not force):
        raise Problems(document.file, wrong + impossible)
    plan.warnings = [problem for problem in found if problem.feasibility]
    return plan


def _length(request: EditRequest, document: Document, source: Source, task: TaskName, most: int) -> int:
    whole = len(source)
    if request.length is None:
        if task in ("blend", "in-between"):
            return most
        if whole > most:
            advice = f"write `input: {{frames: 0-{most - 1}}}`, or --frames 0-{most - 1}"
            message = f"the input has {whole} frames and the model makes {most} at most: {advice}"
            raise Problems(document.file, [document.problem(("input",), message)])
        return whole
    if request.length > most:
        message = f"the model makes {most} frames at most, not {request.length}"
        raise Problems(document.file, [document.problem(("length",), message)])
    if request.length > whole and task not in ("blend", "in-between"):
        message = f"the input has only {whole} frames, not {request.length}"
        raise Problems(document.file, [document.problem(("length",), message)])
    return request.length


class _Maker:
    """Makes the goals of a plan, and collects what is wrong on the way."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.request, self.source = plan, plan.request, plan.source
        self.problems: list[Problem] = []

    def make(self) -> None:
        """All goals."""
        plan, request = self.plan, self.request
        for place, target in enumerate(request.targets):
            self.attempt(("targets", place), lambda t=target, k=place: self.target(("targets", k), t))
        if request.path is not None:
            self.attempt(("path",), self.path)
        if request.keep is not None and request.keep.frames is not None:
            self.attempt(("keep", "frames"), self.keep)
        if request.mask is not None:
            self.attempt(("mask", "observed"), self.mask)
        if request.blend is not None:
            self.attempt(("blend",), lambda: plan.goals.append(blend_goal(plan)))
        self.avoid()
        for place, limit in enumerate(request.limits):
            self.attempt(("limits", place), lambda bound=limit, k=place: self.limit(("limits", k), bound))
        if not plan.goals and not self.problems and plan.content == 0:
            message = "the request wants nothing: add targets, path, avoid, limits, mask or blend"
            self.problems.append(plan.document.problem((), message))

    def attempt(self, key: Key, work: object) -> None:
        """Do a section; a ValueError becomes a problem at its key."""
        try:
            work()  # type: ignore[operator]
        except ValueError as error:
            self.problems.append(self.plan.document.problem(key, str(error)))
        except Problems:
            raise
        except MdtoolError as error:
            self.problems.append(self.plan.document.problem(key, str(error)))

    def frames(self, spec: object) -> np.ndarray:
        """Frames of the result."""
        return frame_indices(spec, self.plan.frames, self.plan.fps if self.request.time == "seconds" else None)

    # ---- sections -----------------------------------------------------------------------------------------------

    def target(self, key: Key, target: Target) -> None:
        """One entry of `targets`."""
        frames = self.frames(target.at)
        pelvis = joint_index(target.joint or "pelvis")
        shared = {"key": key, "weight": target.weight, "must": target.must, "frames": frames, "joints": (pelvis,)}
        if target.pose is not None:
            self.plan.goals.append(pose_goal(self.plan, key, target, frames))
        elif target.facing is not None:
            angle = float(np.radians(target.facing)) + self.turn(target.space)
            self.plan.goals.append(Facing(**shared, angle=angle))  # type: ignore[arg-type]
        elif target.speed is not None:
            self.plan.goals.append(Speed(**shared, speed=target.speed))  # type: ignore[arg-type]
        elif target.near is not None:
            shared["joints"] = (pelvis, joint_index(target.near))
            self.plan.goals.append(Near(**shared, within=float(target.within or 0)))  # type: ignore[arg-type]
        else:
            self.place(shared, target, frames, pelvis)

    def place(self, shared: dict, target: Target, frames: np.ndarray, joint: int) -> None:
        """A joint at a place."""
        values, mask = self.coordinates(target.axes, target.space, frames, joint)
        shares = asked = None
        if target.spread:
            asked = frames
            near = np.arange(self.plan.frames)
            off = np.abs(near[:, None] - frames).min(1)
            shares = np.where(off <= target.spread, 0.5 + 0.5 * np.cos(np.pi * off / (target.spread + 1)), 0.0)
            frames = np.flatnonzero(shares)
            pick = np.abs(frames[:, None] - asked).argmin(1)
            values, mask, shares = values[pick], mask[pick], shares[frames]
        shared["frames"] = frames
        self.plan.goals.append(Places(**shared, values=values, mask=mask, shares=shares, asked=asked))

    def path(self) -> None:
        """`path`."""
        spec = self.request.path
        assert spec is not None
        seconds = self.plan.fps if self.request.time == "seconds" else None
        goals = path_goals(spec, self.plan.frames, seconds, self.plan.document.file, self.space(spec.space))
        self.plan.goals.extend(goals)

    def keep(self) -> None:
        """`keep.frames`."""
        keep = self.request.keep
        assert keep is not None
        frames, joints = self.frames(keep.frames), joint_indices(keep.joints)
        self.plan.goals.append(self.observed(("keep", "frames"), frames, joints, "keep"))

    def mask(self) -> None:
        """`mask`."""
        assert self.request.mask is not None
        seen = self.request.mask.observed
        frames, joints = self.frames(seen.frames), joint_indices(seen.joints)
        frames = frames[frames < len(self.source)]
        if not len(frames):
            raise ValueError("none of the observed frames is in the input")
        self.plan.goals.append(self.observed(("mask", "observed"), frames, joints, "pose"))

    def observed(self, key: Key, frames: np.ndarray, joints: tuple[int, ...], group: str) -> Places:
        """Joints where the input has them."""
        values = self.source.positions[frames][:, list(joints)]
        mask = np.ones(values.shape, bool)
        return Places(key, 1.0, None, frames, joints, values, mask, group=group, hard=False)

    def avoid(self) -> None:
        """`avoid`: obstacles of the same distance and joints are one union."""
        groups: dict[tuple, list] = {}
        for place, spec in enumerate(self.request.avoid):
            key: Key = ("avoid", place)

            def build(spec=spec, key=key) -> None:  # type: ignore[no-untyped-def]
                obstacle = build_obstacle(spec, self.plan.frames, self.plan.document.file, self.source.world)
                alike = (spec.safe, joint_indices(spec.joints), spec.weight, spec.must)
                groups.setdefault(alike, []).append((key, obstacle))

            self.attempt(key, build)
        everything = np.arange(self.plan.frames)
        for (safe, joints, weight, must), members in groups.items():
            obstacles = tuple(obstacle for _, obstacle in members)
            clear = Clear(members[0][0], weight, must, everything, joints, obstacles, safe)
            if 0 in joints and not self.plan.free:
                clear = replace(clear, around=detour(clear, held(self.source.way, everything)))
            self.plan.goals.append(clear)

    def limit(self, key: Key, limit: Limit) -> None:
        """One entry of `limits`."""
        frames = self.frames(limit.frames)
        if limit.pin is not None:
            self.plan.goals.append(Still(key, limit.weight, limit.must, frames, joint_indices(limit.pin)))
        elif limit.feet == "planted":
            self.plan.goals.append(Planted(key, limit.weight, limit.must, frames[frames < self.plan.frames - 1], FEET))
        elif limit.feet is not None:
            self.plan.goals.append(Bound(key, limit.weight, limit.must, frames, FEET, 1, SOLE_HEIGHTS))
        else:
            joints = joint_indices(limit.joints if limit.joints is not None else limit.joint or "pelvis")
            axis = "xyz".index(limit.axis)
            if axis != 1 and self.space(limit.space) != Placement():
                raise ValueError(
                    "a limit along x or z is in the space `start`: leave `space` out, or use an obstacle (wall)"
                )
            above = None if limit.above is None else np.full(len(joints), limit.above)
            self.plan.goals.append(Bound(key, limit.weight, limit.must, frames, joints, axis, above, limit.below))

    # ---- spaces -------------------------------------------------------------------------------------------------

    def space(self, name: str | None) -> Placement:
        """From a space to `start`; `current` has no place of its own."""
        name = name or self.request.space
        if name == "start":
            return Placement()
        world = self.source.world
        back = world.inverse()
        if name == "world":
            return back
        if name == "current":
            raise ValueError("`space: current` is for places of joints: it has no axes of its own")
        frame = int(frame_indices(int(name.removeprefix("pelvis@")), len(self.source))[0])
        if self.source.motion is None:
            raise ValueError(f"`space: {name}` needs an input with rotations")
        return back.after(stands_at(self.source.motion, frame))

    def turn(self, name: str | None) -> float:
        """How far a space is turned against `start`, radians."""
        return 0.0 if (name or self.request.space) == "current" else float(self.space(name).yaw)

    def coordinates(
        self, axes: dict[int, float], name: str | None, frames: np.ndarray, joint: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """(values, mask) [n, 1, 3] in the space `start` of wanted coordinates in a space."""
        values, mask = np.zeros((len(frames), 1, 3)), np.zeros((len(frames), 1, 3), bool)
        for axis, value in axes.items():
            values[..., axis], mask[..., axis] = value, True
        if (name or self.request.space) == "current":
            now = self.source.way if joint == 0 else self.source.positions[:, joint]
            return values + held(now, frames)[:, None], mask
        space = self.space(name)
        if space != Placement() and mask[0, 0, 0] != mask[0, 0, 2]:
            raise ValueError("x and z turn into each other in this space: give both, as xz, or use `space: start`")
        return space.done(values), mask
