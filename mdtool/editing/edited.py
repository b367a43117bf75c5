"""What edits make: motions in the world of their input, and how the searches for them went."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mdtool.editing.goals import TOLERANCE_M
from mdtool.editing.inversion import Start
from mdtool.editing.plan import CONTENT, Plan
from mdtool.editing.stages import Reached
from mdtool.editing.trace import Course
from mdtool.motion.motion import Motion

INTERRUPTED = "interrupted"
"""How an edit ended that Ctrl-C stopped."""
FINISHED = "finished"
"""How an edit ended that took all its steps."""
STOPPED_EARLY = "stopped early"
"""How an edit ended whose searches had met their targets or came no nearer."""
_FAR = 2.0
"""Tolerances within which a place counts as near."""
_LONG = 100
"""Steps from which a search that takes all it was given is no mere try."""


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
    off: list[float]
    """How many tolerances the worst place of each is off, or the deepest obstacle inside."""
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
        """Whether no motion of it came near its places and clear of its obstacles, and nobody cut it short."""
        had_time = self.ended == STOPPED_EARLY or (self.ended == FINISHED and self.steps >= _LONG)
        return had_time and self.plan.request.run.stop != "never" and min(self.off) > _FAR

    @property
    def how_stuck(self) -> str:
        """What kept it from its targets, in words."""
        error = min(self.errors)
        return f"came no nearer than {error:.2f} m" if error > _FAR * TOLERANCE_M else "stayed inside an obstacle"

    @property
    def advice(self) -> list[str]:
        """What the request could ask for less of where all searches were stuck: a weight that was asked for is kept."""
        if not self.stuck or self.plan.content <= CONTENT["normal"]:
            return []
        asked = "keep: {content: normal}" if self.plan.request.run.content is None else f"content: {CONTENT['normal']}"
        return [f"it {self.how_stuck}, and the content term may hold it back: try `{asked}`"]

    def alone(self, place: int) -> Edited:
        """The edit with one of its motions, and without those before it."""
        one = slice(place, place + 1)
        return replace(
            self,
            motions=self.motions[one],
            between=self.between[one],
            losses=self.losses[one],
            errors=self.errors[one],
            off=self.off[one],
            courses=self.courses[one],
            stages=self.stages[one],
            restarts=self.restarts[one],
            history=(),
        )
