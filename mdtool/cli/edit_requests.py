"""Requests of `mdtool edit`: from the command line's words and files to plans, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from mdtool.editing.chain import Chain
    from mdtool.editing.document import Document, Problem, Problems
    from mdtool.editing.plan import Plan
    from mdtool.editing.request import EditRequest
    from mdtool.editing.source import Source
    from mdtool.methods.generate import Generator


class Asked(NamedTuple):
    """What the command line says of every edit."""

    file: Path | None
    clips: list[int] | None
    frames: str | None
    run: dict[str, int | None]
    force: bool
    compiles: bool


class Request(NamedTuple):
    """A request and where it is written."""

    request: EditRequest
    document: Document


def read_all(paths: Sequence[Path]) -> list[Request]:
    """The requests in files, as far as they can be understood; `compiled` tells what is wrong with them.

    Raises:
        Problems: a file that is no request at all, with all that is wrong with the others.
    """
    from mdtool.editing.document import Problems, gathered, read_document
    from mdtool.editing.reading import read_request

    read: list[Request] = []
    found: list[Problem] = []
    for path in paths:
        with gathered(found):
            document = read_document(path)
            read.append(Request(read_request(document), document))
    if found:
        raise Problems([*found, *(problem for each in read for problem in each.document.problems)])
    return read


def of_values(values: dict[str, Any], name: str) -> Request:
    """The request that a short form stands for."""
    from mdtool.editing.reading import request_of

    return Request(*request_of(values, name))


def with_options(request: EditRequest, asked: Asked) -> EditRequest:
    """A request with the command line's settings over its own."""
    given = {name: value for name, value in asked.run.items() if value is not None}
    changed: EditRequest = request.model_copy(update={"run": request.run.model_copy(update=given)})
    return changed


def tell(found: Problems, as_json: bool) -> None:
    """All problems of some requests, one per line."""
    import json

    if as_json:
        typer.echo(json.dumps({"problems": [problem.plain() for problem in found.problems]}, indent=1))
        return
    for problem in found.problems:
        typer.secho(f"mdtool: {problem.told()}", fg=typer.colors.RED, err=True)
    if any(problem.feasibility for problem in found.problems):
        typer.secho("mdtool: --force tries what seems infeasible", err=True)


def _sources(asked: Asked, each: Request, fps: float, generator: Generator | None) -> list[Source]:
    """The motions that a request is about.

    Raises:
        Problems: the request names one that there is not.
        MdtoolError: the command line does, or there is none.
    """
    from dataclasses import replace

    from mdtool.editing.document import Problems
    from mdtool.editing.request import resolved
    from mdtool.editing.source import load_source
    from mdtool.errors import MdtoolError

    given, seconds, document = each.request.input, each.request.time == "seconds", each.document
    needed = ("input", "time") if given.generate is None else ("input", "time", "run", "length")
    if any(document.is_broken((word,)) for word in needed):
        raise Problems(document.problems)
    if given.generate is not None:
        if asked.file is not None or asked.clips or asked.frames:
            raise MdtoolError(f"{document.file} generates its input: leave out FILE, --clip and --frames")
        if generator is None:
            raise MdtoolError("a request that generates its input has no dry run: the input is not known before")
        from mdtool.editing.sampled import sampled_source

        try:
            return [sampled_source(generator, each.request)]
        except MdtoolError as error:
            raise Problems([document.problem(("input", "generate", "action"), str(error))]) from error
    if asked.file is None and given.file is None:
        raise MdtoolError(f"{document.file}: no motion to edit: name a FILE, or give `input: {{file: …}}`")
    path = asked.file if asked.file is not None else resolved(given.file or "", document.file)
    frames = asked.frames if asked.frames is not None else given.frames
    clips = asked.clips or [given.clip]
    try:
        return [
            replace(load_source(path, clip, frames, fps, seconds and asked.frames is None), clip=clip) for clip in clips
        ]
    except MdtoolError as error:
        if asked.file is not None and given.frames is None:
            raise
        raise Problems([document.problem(("input",), str(error))]) from error


def compiled(
    asked: Asked, requests: Sequence[Request], fps: float, most: int, generator: Generator | None
) -> tuple[list[Plan], list[Chain]]:
    """The plans of all requests for all their inputs, and what follows each.

    Args:
        fps, most: frame rate of the model, and its longest motion in frames.
        generator: makes inputs that a request generates; None for a dry run.

    Raises:
        Problems: everything that is wrong with the requests, and with those that follow them.
    """
    from functools import partial

    from mdtool.editing.chain import Chain
    from mdtool.editing.compiler import compile_request
    from mdtool.editing.document import Problems, gathered
    from mdtool.errors import MdtoolError

    plans: list[Plan] = []
    chains: list[Chain] = []
    found: list[Problem] = []
    for each in requests:
        request, chain = with_options(each.request, asked), Chain((), most, asked.force)
        with gathered(found):
            chain = Chain.read(request, each.document, most, asked.force, partial(with_options, asked=asked))
        sources: list[Source] = []
        try:
            with gathered(found):
                sources = _sources(asked, each, fps, generator)
        except MdtoolError:
            if not each.document.problems:
                raise
        for source in sources:
            with gathered(found):
                plans.append(compile_request(request, each.document, source, most, asked.force))
                chains.append(chain)
                chain.check(plans[-1])
        found += [*each.document.problems, *chain.problems]
    if found:
        raise Problems(found)
    return plans, chains
