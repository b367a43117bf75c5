"""All edits of a command: those that can be in one batch, and what follows each, from the noise that it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from mdtool.editing.chain import Chain
from mdtool.editing.compiler import compile_request
from mdtool.editing.document import Document
from mdtool.editing.edited import INTERRUPTED, Edited
from mdtool.editing.plan import Plan
from mdtool.editing.request import EditRequest
from mdtool.editing.session import Progress, Session, alike


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
    source = last.plan.source.become(motion, provenance)
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
