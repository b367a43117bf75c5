"""Edits from their plans to motions: start, search stage by stage, and always the best result so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from mdtool.editing.batch import OUT_OF_TIME, Batch
from mdtool.editing.decoding import Decoder
from mdtool.editing.edited import FINISHED, INTERRUPTED, Edited
from mdtool.editing.plan import Plan, Without
from mdtool.errors import MdtoolError
from mdtool.methods.contract import FieldMethod
from mdtool.methods.generate import Generator

_MEASURED = 5
"""Steps after which the time of one is known well enough to plan for a budget."""
_START_SHARE = 0.3
"""Of a budget, at most, for the noise that a search begins with."""

_LEAST_SHARE = 0.2
"""Of a budget: with less left, an edit that is stuck is not searched for again."""

Progress = Callable[[int, int, float], None]
"""Called with (steps done, steps in all, objective error in metres)."""
Save = Callable[[list[Edited]], None]


@dataclass(frozen=True)
class _Minded:
    """What is minded while searches go on: the budget, the progress, and the file."""

    seconds: float | None
    progress: Progress | None
    save: Save | None
    save_every_s: float


class Session:
    """Edits of one run. The network stays as it is; what is searched is its noise."""

    def __init__(self, generator: Generator, force: bool = False, tell: Callable[[str], None] | None = None) -> None:
        """
        Args:
            force: begin even where the model cannot rebuild the input.
            tell: given what a user should know of the noise that a search begins with, before it begins.
        """
        self.decoder, self.force, self.tell = Decoder(generator), force, tell
        self.method = generator.method

    def edit(
        self,
        plans: Sequence[Plan],
        seconds: float | None = None,
        progress: Progress | None = None,
        save: Save | None = None,
        save_every_s: float = 5.0,
        anchors: Sequence[Tensor | None] | None = None,
    ) -> list[Edited]:
        """Search for all plans in one batch; told to stop by Ctrl-C, the best so far.

        The plans must share how they search and decode (their `run` sections and tasks); see `alike`. What is stuck off
        its places or in an obstacle is searched for again without minding feet and jerks, then without telling the
        network the action, and the nearest counts.

        Args:
            seconds: budget; the schedule is shortened to fit.
            save: given what there is now and then.
            anchors: per plan the noise that the content term draws towards, of an edit before this one.

        Raises:
            MdtoolError: an edit cannot begin, or the memory does not suffice.
        """
        began_s = time.monotonic()
        minded = _Minded(seconds, progress, save, save_every_s)
        made = self._searched(plans, minded, anchors)
        reliefs: tuple[tuple[Without, Callable[[Plan], bool]], ...] = (("habits", _minds), ("action", self._bound))
        for without, may in reliefs:
            again = [place for place, edited in enumerate(made) if edited.stuck and may(edited.plan)]
            left_s = None if seconds is None else seconds - (time.monotonic() - began_s)
            if not again or (left_s is not None and left_s < _LEAST_SHARE * (seconds or 0.0)):
                continue
            freed = [replace(plans[place], without=without, stuck=made[place].how_stuck) for place in again]
            own = [anchors[place] for place in again] if anchors else None
            made, stopped = self._again(made, again, freed, replace(minded, seconds=left_s), own)
            if stopped:
                return [replace(edited, ended=INTERRUPTED) for edited in made]
        return made

    def _again(
        self,
        made: list[Edited],
        again: list[int],
        freed: list[Plan],
        minded: _Minded,
        anchors: list[Tensor | None] | None,
    ) -> tuple[list[Edited], bool]:
        """What is made with the plans at the places `again` searched for once more, and whether Ctrl-C ended that."""

        def with_more(more: list[Edited]) -> list[Edited]:
            found = dict(zip(again, more, strict=True))
            return [_nearer(edited, found[place]) if place in found else edited for place, edited in enumerate(made)]

        def keep(more: list[Edited]) -> None:
            if minded.save:
                minded.save(with_more(more))

        try:
            more = self._searched(freed, replace(minded, save=keep), anchors)
        except MdtoolError:  # without the action the input cannot be rebuilt
            return made, False
        except KeyboardInterrupt:
            return made, True
        return with_more(more), more[0].ended == INTERRUPTED

    def _bound(self, plan: Plan) -> bool:
        """Whether the network is told an action that nobody asked to tell it."""
        return plan.request.run.condition == "auto" and self.decoder.action(plan, 1) is not None

    def _searched(
        self, plans: Sequence[Plan], minded: _Minded, anchors: Sequence[Tensor | None] | None
    ) -> list[Edited]:
        """One batch, as `edit` is asked for it."""
        began_s = time.monotonic()
        until_s = None if minded.seconds is None else began_s + _START_SHARE * minded.seconds
        batch = Batch(self.decoder, plans, self.force, anchors, until_s)
        if self.tell:
            for line in batch.told():
                self.tell(line)
        ended, watch = INTERRUPTED, _Watch(began_s, minded)
        if batch.interrupted:
            return batch.made(ended, time.monotonic() - began_s)
        try:
            for left in range(batch.stages, 0, -1):
                ended = watch.search(batch, left)
                if not batch.go_on(ended):
                    break
        except KeyboardInterrupt:
            ended = INTERRUPTED
        return batch.made(ended, time.monotonic() - began_s)


def _minds(plan: Plan) -> bool:
    """Whether a search would be another one without its habits."""
    return len(replace(plan, without="habits").habits) < len(plan.habits)


def _nearer(first: Edited, again: Edited) -> Edited:
    """The one of two searches for the same that came nearer; its time and steps are those of both."""
    best = min(first, again, key=lambda edited: min(edited.off))
    return replace(best, steps=first.steps + again.steps, seconds=first.seconds + again.seconds)


@dataclass(frozen=True)
class _Watch:
    """Searches of one batch under the eyes of what is minded."""

    began_s: float
    minded: _Minded

    def search(self, batch: Batch, left: int) -> str:
        """Search to the end of a stage, or of its share of the time where `left` stages are still to come; how it
        ended."""
        searching, plan = batch.searching, batch.jobs[0].plan
        first_s = saved_s = time.monotonic()
        minded = self.minded
        share_s = None if minded.seconds is None else (minded.seconds - (first_s - self.began_s)) / left
        while not searching.done:
            batch.step(plan.request.run.checkpoint)
            now_s = time.monotonic()
            if share_s is not None and searching.taken == _MEASURED:
                fit = int(share_s * _MEASURED / (now_s - first_s))
                searching.plan(min(searching.planned, max(fit, _MEASURED + 1)))
            if minded.progress:
                minded.progress(searching.taken, searching.planned, batch.error)
            if share_s is not None and now_s - first_s > share_s:
                return OUT_OF_TIME
            if minded.save and now_s - saved_s > minded.save_every_s and searching.taken > _MEASURED:
                minded.save(batch.made(INTERRUPTED, now_s - self.began_s))
                saved_s = time.monotonic()
        return FINISHED


def alike(plan: Plan, decoder: Decoder) -> tuple[object, ...]:
    """What plans must share to be searched for in one batch."""
    labelled = decoder.action(plan, 1) is not None
    run = plan.request.run.model_dump_json(exclude={"variations", "seed"})
    moments = tuple(plan.between) if isinstance(decoder.method, FieldMethod) else ()
    return run, plan.steps, plan.content, plan.task in ("edit", "generate"), labelled, decoder.frames(plan), moments
