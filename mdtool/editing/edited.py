"""What edits make: motions in the world of their input, and how the searches for them went."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mdtool.editing.inversion import Start
from mdtool.editing.plan import Plan
from mdtool.editing.stages import Reached
from mdtool.editing.trace import Course
from mdtool.motion.motion import Motion

INTERRUPTED = "interrupted"
"""How an edit ended that Ctrl-C stopped."""
STOPPED_EARLY = "stopped early"
"""How an edit ended whose searches had met their targets or came no nearer."""


@dataclass
class Edited:
    """What an edit made: one motion per variation, in the world of its input."""

    plan: Plan
    motions: list[Motion]
    between: list[Motion | None]
    """What a field makes of each at the moments between frames that its goals are about; None by other methods."""
    before: Motion | None
    """The input, cut to the edit's frames; None for joint places."""
    losses: list[float]
    errors: list[float]
    """Objective error of each, metres."""
    near: list[bool]
    """Whether each has every target within reach of a little more search."""
    courses: list[Course]
    """How the search for each of them went."""
    stages: list[list[Reached]]
    """What the stages of the fit to each came to: one, or up to three over a field."""
    restarts: list[list[float]]
    """What the searches for each of them came to, of which it is the least."""
    steps: int
    """That its longest search took, in all stages."""
    start: Start
    seconds: float
    ended: str
    """finished, stopped early, out of time, or interrupted."""
    warnings: list[str] = field(default_factory=list)
    history: tuple[Edited, ...] = ()
    """The edits of a chain before this one, oldest first, each with the motion that the next began with."""

    @property
    def stuck(self) -> bool:
        """Whether it ended far from its targets although it had time left."""
        return self.ended == STOPPED_EARLY and any(goal.hard for goal in self.plan.goals) and not any(self.near)

    def alone(self, place: int) -> Edited:
        """The edit with one of its motions, and without those before it."""
        one = slice(place, place + 1)
        return replace(
            self,
            motions=self.motions[one],
            between=self.between[one],
            losses=self.losses[one],
            errors=self.errors[one],
            near=self.near[one],
            courses=self.courses[one],
            stages=self.stages[one],
            restarts=self.restarts[one],
            history=(),
        )
