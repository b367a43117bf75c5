"""Requests that follow each other: read and checked before the first search begins, without a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mdtool.editing.compiler import compile_request
from mdtool.editing.document import Document, Problem, Problems, gathered, read_document
from mdtool.editing.frames import held
from mdtool.editing.plan import Plan
from mdtool.editing.reading import read_request
from mdtool.editing.request import EditRequest, resolved
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
            with gathered(found):
                plan = compile_request(request, document, plan.source.become(motion), self.most_frames, force=True)
        if found:
            raise Problems(found)
