"""From a request to its plan: frames, joints and spaces become numbers, and what cannot be had is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from mdtool.editing.detour import detour
from mdtool.editing.document import Document, Key, Problem, Problems
from mdtool.editing.feasibility import infeasible
from mdtool.editing.frames import frame_indices, held, moments
from mdtool.editing.goals import Bound, Clear, Near, Places, Planted, Speed, Still
from mdtool.editing.joints import joint_index, joint_indices
from mdtool.editing.keyposes import blend_goal, pose_goal
from mdtool.editing.obstacles import Setting, build_obstacle
from mdtool.editing.orientation import M_PER_RADIAN, Channels, Facing
from mdtool.editing.paths import path_goals
from mdtool.editing.placement import Placement, stands_at
from mdtool.editing.plan import Plan, TaskName, task_of
from mdtool.editing.request import EditRequest, Limit, Target
from mdtool.editing.source import Source
from mdtool.errors import MdtoolError
from mdtool.motion.contacts import SOLE_HEIGHTS
from mdtool.motion.skeleton import FEET


def compile_request(
    request: EditRequest, document: Document, source: Source, most_frames: int, force: bool = False
) -> Plan:
    """The plan of a request for a source.

    Args:
        request: may lack what the document calls broken; then everything else is checked.
        most_frames: the longest motion that the model makes.
        force: try what seems infeasible.

    Raises:
        Problems: all that is wrong, the document's own problems with it.
    """
    if document.is_broken(("input",)) or document.is_broken(("time",)):
        raise Problems(document.problems)  # which motion, and in which unit its frames are told, decides the rest
    task = task_of(request)
    frames, found = _length(request, document, source, task, most_frames)
    if task == "blend" and source.motion is not None:
        source = source.part(max(len(source) - frames // 2, 0), len(source))
    plan = Plan(request, document, task, source, frames, source.fps)
    maker = _Maker(plan)
    maker.make()
    found += [*document.problems, *maker.problems, *infeasible(plan)]
    wrong = [problem for problem in found if not problem.feasibility]
    impossible = [p for p in found if p.feasibility and not p.message.startswith("warning: ")]
    if wrong or (impossible and not force):
        raise Problems(wrong + impossible)
    plan.warnings = [problem for problem in found if problem.feasibility]
    return plan


def _length(
    request: EditRequest, document: Document, source: Source, task: TaskName, most: int
) -> tuple[int, list[Problem]]:
    """(frames of the edit, what is wrong with them); of a wrong length the longest possible one."""
    whole, free = len(source), task in ("blend", "in-between")
    if request.length is not None and not document.is_broken(("length",)):
        key: Key = ("length",)
        if request.length > most:
            return most, [document.problem(key, f"the model makes {most} frames at most, not {request.length}")]
        if request.length > whole and not free:
            return whole, [document.problem(key, f"the input has only {whole} frames, not {request.length}")]
        return request.length, []
    if free:
        return most, []
    unsure = any(document.is_broken((word,)) for word in ("length", "targets", "mask", "blend"))
    if whole > most and not unsure:
        advice = f"write `input: {{frames: 0-{most - 1}}}`, or --frames 0-{most - 1}"
        message = f"the input has {whole} frames and the model makes {most} at most: {advice}"
        return whole, [document.problem(("input",), message)]
    return whole, []


class _Maker:
    """Makes the goals of a plan, and collects what is wrong on the way."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.request, self.source = plan, plan.request, plan.source
        self.problems: list[Problem] = []

    def make(self) -> None:
        """All goals."""
        plan, request, written = self.plan, self.request, self.plan.document
        for place, target in enumerate(request.targets):
            key: Key = ("targets", place)
            self.section(key, (*key, "at"), partial(self.target, key, target))
        if request.path is not None:
            self.section(("path",), None, self.path)
        if request.keep is not None and (request.keep.frames is not None or written.is_broken(("keep",))):
            self.section(("keep", "frames"), ("keep", "frames"), self.keep)
        if request.mask is not None:
            self.section(("mask", "observed"), ("mask", "observed", "frames"), self.mask)
        if request.blend is not None:
            self.section(("blend",), None, lambda: plan.goals.append(blend_goal(plan)))
        self.avoid()
        for place, limit in enumerate(request.limits):
            key = ("limits", place)
            self.section(key, (*key, "frames"), partial(self.limit, key, limit))
        if not (plan.goals or self.problems or written.problems) and plan.content == 0:
            message = "the request wants nothing: add targets, path, avoid, limits, mask or blend"
            self.problems.append(written.problem((), message))

    def section(self, key: Key, frames: Key | None, work: Callable[[], object]) -> None:
        """Do a section or an entry of one; where it is partly broken, or in a broken space, only look at its frames.

        Args:
            frames: where it says them.
        """
        written = self.plan.document
        whole = key[: 2 if isinstance(key[-1], int) else 1]
        if not written.is_broken(whole) and not written.is_broken(("space",)):
            self.attempt(key, work)
        elif frames and frames not in written.broken:
            spec = written.written(frames)
            if spec is not None:
                self.attempt(key, lambda: self.frames(spec))

    def attempt(self, key: Key, work: Callable[[], object]) -> None:
        """Do something; an error becomes a problem at its key."""
        try:
            work()
        except (ValueError, MdtoolError) as error:
            self.problems.append(self.plan.document.problem(key, str(error)))

    @property
    def rate(self) -> float | None:
        """Frames per second where the request counts seconds; None where it counts frames."""
        return self.plan.fps if self.request.time == "seconds" else None

    def frames(self, spec: object) -> np.ndarray:
        """Frames of the result."""
        return frame_indices(spec, self.plan.frames, self.rate)

    # ---- sections -----------------------------------------------------------------------------------------------

    def target(self, key: Key, target: Target) -> None:
        """One entry of `targets`."""
        frames = moments(target.at, self.plan.frames, self.rate) if self.rate else self.frames(target.at)
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
            near = np.union1d(np.arange(self.plan.frames), frames)
            off = np.abs(near[:, None] - frames).min(1)
            shares = np.where(off <= target.spread, 0.5 + 0.5 * np.cos(np.pi * off / (target.spread + 1)), 0.0)
            frames, shares = near[shares > 0], shares[shares > 0]
            pick = np.abs(frames[:, None] - asked).argmin(1)
            values, mask = values[pick], mask[pick]
        shared["frames"] = frames
        self.plan.goals.append(Places(**shared, values=values, mask=mask, shares=shares, asked=asked))

    def path(self) -> None:
        """`path`."""
        spec = self.request.path
        assert spec is not None
        space = self.space(spec.space)
        self.plan.goals.extend(path_goals(spec, self.plan.frames, self.rate, self.plan.document.file, space))

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
        if seen.rotations is None:
            return
        if self.source.motion is None:
            raise ValueError("joint places show no rotations: leave `rotations` out, or edit a motion file")
        twisted = joint_indices(seen.rotations)
        channels = self.source.rot6d[frames][:, list(twisted)]
        key = ("mask", "observed", "rotations")
        self.plan.goals.append(Channels(key, M_PER_RADIAN, None, frames, twisted, channels))

    def observed(self, key: Key, frames: np.ndarray, joints: tuple[int, ...], group: str) -> Places:
        """Joints where the input has them."""
        values = self.source.positions[frames][:, list(joints)]
        mask = np.ones(values.shape, bool)
        return Places(key, 1.0, None, frames, joints, values, mask, group=group, hard=False)

    def avoid(self) -> None:
        """`avoid`: obstacles of the same distance and joints are one union."""
        plan, groups = self.plan, dict[tuple, list]()
        for place, spec in enumerate(self.request.avoid):
            key: Key = ("avoid", place)

            def build(spec=spec, key=key) -> None:  # type: ignore[no-untyped-def]
                file, world, seconds = plan.document.file, self.source.world, self.request.time == "seconds"
                setting = Setting(plan.frames, plan.fps, file, world, self.space(None), seconds)
                obstacle = build_obstacle(spec, setting)
                alike = (spec.safe, joint_indices(spec.joints), spec.weight, spec.must)
                groups.setdefault(alike, []).append((key, obstacle))

            self.section(key, None, build)
        everything = np.arange(self.plan.frames)
        for (safe, joints, weight, must), members in groups.items():
            obstacles = tuple(obstacle for _, obstacle in members)
            clear = Clear(members[0][0], weight, must, everything, joints, obstacles, safe)
            if 0 in joints and not self.plan.free:
                clear = replace(clear, around=detour(clear.margin, held(self.source.way, everything)))
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
            raise ValueError("`space: current` has no axes of its own: write it in the targets that it is for")
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
