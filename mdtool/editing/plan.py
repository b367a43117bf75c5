"""A request made of numbers: what is searched for, from where, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from mdtool.editing.condition import strays
from mdtool.editing.document import UNREADABLE, Document, Problem
from mdtool.editing.frames import fractional
from mdtool.editing.goals import BodyMotion, Calm, Goal, Planted, Smooth
from mdtool.editing.joints import joint_indices
from mdtool.editing.request import EditRequest
from mdtool.editing.source import Source
from mdtool.motion.skeleton import FEET

TaskName = Literal["edit", "generate", "refine", "complete", "in-between", "blend"]
Without = Literal["", "habits", "action"]


@dataclass(frozen=True)
class TaskDefaults:
    """What a task searches with unless the request says otherwise (Karunratanakul et al. 2024, section 4)."""

    steps: int
    random: bool
    """Whether it begins with new noise; otherwise with the input's."""
    decorrelate: bool
    content: float
    planted: float
    calm: float
    smooth: float


DEFAULTS: dict[TaskName, TaskDefaults] = {
    "edit": TaskDefaults(300, False, False, 0.002, 0.6, 0.1, 0.0),
    "generate": TaskDefaults(300, False, False, 0.002, 0.6, 0.1, 0.0),
    "refine": TaskDefaults(500, True, True, 0.0, 0.0, 0.0, 0.3),
    "complete": TaskDefaults(500, True, True, 0.0, 0.0, 0.0, 0.3),
    "in-between": TaskDefaults(1000, True, True, 0.0, 0.0, 0.0, 0.0),
    "blend": TaskDefaults(1000, True, True, 0.0, 0.0, 0.0, 0.0),
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
    without: Without = ""
    """What this search does without, because one before it was stuck: its habits, or telling the network the action."""
    stuck: str = ""
    """What became of that one."""

    @property
    def defaults(self) -> TaskDefaults:
        """The task's settings."""
        return DEFAULTS[self.task]

    @property
    def between(self) -> np.ndarray:
        """[E] frames with fractions: moments that goals are about and that are no frame's."""
        return fractional(np.concatenate([np.zeros(0), *(goal.frames for goal in self.goals)]))

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
        return condition == "keep" or (condition == "auto" and self.strays is None and self.without != "action")

    @property
    def stages(self) -> int:
        """Stages that a fit to a field may have. What a mask shows may be noise, which only the first smoothes away."""
        if self.request.run.stages != "auto":
            return self.request.run.stages
        return 3 if any(goal.hard for goal in self.goals) else 1

    @property
    def action_told(self) -> str:
        """What the network is told of the input's action, in words."""
        if self.tells_action:
            return "told"
        if self.without == "action":
            return f"not told: a search that told it {self.stuck}"
        if self.request.run.condition == "none" or self.strays is None:
            return "not told"
        away, travels = self.strays
        return f"not told: a target is {away:.2f} m off the input's way, and the input moves {travels:.2f} m"

    @cached_property
    def strays(self) -> tuple[float, float] | None:
        """(metres that the targets lie off the input's way, metres that it travels) where that is out of its way."""
        return None if self.random else strays(self.source, self.goals)

    @property
    def compromises(self) -> list[str]:
        """What this search does not mind although a search should, in words."""
        said = f"feet and jerks were not minded: a search that minded them {self.stuck}"
        return [said] if self.without == "habits" else []

    @property
    def habits(self) -> list[Goal]:
        """What a search minds beside its goals: feet that carry the body stand still, and noise is no movement."""
        run, found = self.request.run, list[Goal]()
        if not self.goals:  # an edit that wants nothing changes nothing
            return found
        defaults = (
            replace(self.defaults, planted=0.0, smooth=0.0, calm=0.0) if self.without == "habits" else self.defaults
        )
        planted = defaults.planted if run.planted is None else run.planted
        smooth = defaults.smooth if run.smooth is None else run.smooth
        calm = run.calm
        if calm is None:  # who stands and is sent elsewhere has to step
            calm = 0.0 if self.strays else defaults.calm
        frames = np.arange(self.frames)
        if planted:
            found.append(Planted((), planted, None, frames[:-1], FEET, hard=False))
        if calm and self.source.motion is not None and len(frames) > 3:
            found.append(Calm((), calm, None, frames, joint_indices("all"), input_m=self._shakes_m))
        if smooth and len(frames) > 3:
            found.append(Smooth((), smooth, None, frames, joint_indices("all")))
        return found

    @property
    def _shakes_m(self) -> float:
        """Mean third difference of the input's joints, metres at 20 frames per second."""
        joints = joint_indices("all")
        places = self.source.positions[: self.frames, list(joints)]
        body = BodyMotion(places, {joint: column for column, joint in enumerate(joints)}, None, self.fps)
        return float(Smooth((), 1.0, None, np.arange(len(places)), joints).residual(body).mean())


def task_of(request: EditRequest) -> TaskName:
    """What a request asks for, by the sections that are there."""
    if request.blend is not None:
        return "blend"
    if request.mask is not None:
        observed = request.mask.observed
        readable = observed.joints is not UNREADABLE
        whole = readable and joint_indices(observed.joints) == joint_indices("all") and observed.frames in ("*", "all")
        return "refine" if whole else "complete"
    if any(target.pose is not None for target in request.targets) and request.keep is None:
        return "in-between"
    return "generate" if request.input.generate is not None else "edit"
