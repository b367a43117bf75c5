"""Edits after edits: requests that follow each other, each beginning with the noise that the one before found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from mdtool.editing.compiler import compile_request
from mdtool.editing.document import Document, Problem, Problems, gathered, read_document
from mdtool.editing.frames import held
from mdtool.editing.plan import Plan
from mdtool.editing.reading import read_request
from mdtool.editing.request import EditRequest, resolved
from mdtool.editing.session import INTERRUPTED, Edited, Progress, Session, alike
from mdtool.editing.source import Source
from mdtool.errors import MdtoolError

_LONGEST = 20


@dataclass(frozen=True)
class Chain:
    """The requests that follow one, in order, as far as they could be read."""

    requests: tuple[tuple[EditRequest, Document], ...]
    most_frames: int
    force: bool

    @staticmethod
    def read(
        first: EditRequest,
        document: Document,
        most_frames: int,
        force: bool,
        adjust: Callable[[EditRequest], EditRequest],
    ) -> Chain:
        """Follow `then` from request to request; all are read before the first search begins.

        Args:
            adjust: what the command line says of every request.

        Raises:
            Problems: one of them cannot be read at all, or they go in a circle.
        """
        found: list[tuple[EditRequest, Document]] = []
        request, place = first, document
        while request.then is not None and not place.is_broken(("then",)):
            if len(found) >= _LONGEST:
                message = f"more than {_LONGEST} requests follow each other: do they go in a circle?"
                raise Problems([place.problem(("then",), message)])
            try:
                following = read_document(resolved(request.then, place.file))
            except Problems:
                raise
            except MdtoolError as error:
                raise Problems([place.problem(("then",), str(error))]) from error
            place = following
            request = adjust(read_request(place))
            found.append((request, place))
        return Chain(tuple(found), most_frames, force)

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with the words of the requests."""
        return [problem for _, document in self.requests for problem in document.problems]

    def check(self, first: Plan) -> None:
        """Compile all requests as if each edit gave its input back: what is wrong is told before the first search.

        Raises:
            Problems: requests that cannot be whatever the edits before them make.
        """
        plan, found = first, self.problems
        for request, document in self.requests:
            motion, rows = plan.source.motion, np.arange(plan.frames)
            if motion is None:
                break
            motion = replace(motion, rot6d=held(motion.rot6d, rows), root=held(motion.root, rows), noise=None)
            source = Source(motion, None, motion.fps, motion.name, plan.source.path, plan.source.clip)
            with gathered(found):
                plan = compile_request(request, document, source, self.most_frames, force=True)
        if found:
            raise Problems(found)


def search_all(
    session: Session,
    plans: Sequence[Plan],
    chains: Sequence[Chain],
    seconds: float | None,
    show: Callable[[str], Any] | None,
    save: Callable[[list[Edited]], None],
) -> list[Edited]:
    """All edits, those that can be in one batch, and then what follows each of them.

    Args:
        seconds: budget of each search.
        show: opens a bar for a search by its title; what it gives is called with the progress.
        save: given everything made so far, now and then.
    """
    done: dict[int, Edited] = {}
    groups: dict[object, list[int]] = {}
    for place, plan in enumerate(plans):
        groups.setdefault(alike(plan, session.decoder), []).append(place)

    def in_order(made: Mapping[int, Edited]) -> list[Edited]:
        return [made[place] for place in sorted(made)]

    for members in groups.values():

        def keep(edits: list[Edited], members: list[int] = members) -> None:
            save(in_order({**done, **dict(zip(members, edits, strict=True))}))

        title = plans[members[0]].task if len(members) == 1 else f"{len(members)} edits"
        with show(title) if show else nullcontext() as progress:
            made = session.edit([plans[place] for place in members], seconds, progress, keep)
        done.update(zip(members, made, strict=True))
        keep(made)
        if made[0].ended == INTERRUPTED:
            return in_order(done)
    for place, chain in enumerate(chains):
        first = done[place]
        for request, document in chain.requests:
            done[place] = _follow(session, first, done[place], request, document, chain, seconds, show)
            save(in_order(done))
            if done[place].ended == INTERRUPTED:
                return in_order(done)
    return in_order(done)


def _follow(
    session: Session,
    first: Edited,
    last: Edited,
    request: EditRequest,
    document: Document,
    chain: Chain,
    seconds: float | None,
    show: Callable[[str], Any] | None,
) -> Edited:
    """The next edit of a chain, of the best motion of the last one."""
    best = int(np.argmin(last.losses))
    motion = last.motions[best]
    provenance = {"checkpoint_sha256": session.decoder.generator.sha256}
    source = Source(motion, None, motion.fps, motion.name, first.plan.source.path, first.plan.source.clip, provenance)
    plan = compile_request(request, document, source, chain.most_frames, chain.force)
    anchor: Tensor | None = None
    if request.run.anchor == "original" and first.start.how != "random":
        anchor = first.start.noise
    progress: Progress | None
    with show(f"then {plan.task}") if show else nullcontext() as progress:
        edited = session.edit([plan], seconds, progress, anchors=[anchor])[0]
    history = (
        *last.history,
        last.alone(best),
    )
    warnings = [*last.warnings, *edited.warnings]
    return replace(edited, before=first.before, warnings=warnings, history=history)
