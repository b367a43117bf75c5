"""Requests from documents: everything that is wrong with the words, and what is left of the request without them."""

from __future__ import annotations

import copy
import re
import typing
from typing import Any

from pydantic import ValidationError

from mdtool.editing.document import UNREADABLE, Document, Key, Problems, key_name, nearest_word, suggestion
from mdtool.editing.request import EditRequest
from mdtool.editing.section import Section

_HARMLESS = ("weight", "must")
"""Words on which nothing depends that is checked before a search: where they are wrong, the default does."""


def check_request(document: Document) -> EditRequest:
    """The request in a document.

    Raises:
        Problems: everything that is wrong with its words, each with its line.
    """
    request = read_request(document)
    if document.problems:
        raise Problems(document.problems)
    return request


def request_of(values: dict[str, Any], file: str) -> tuple[EditRequest, Document]:
    """A request made of values instead of a file, as the short forms of `mdtool edit` do."""
    document = Document(file, values)
    return check_request(document), document


def read_request(document: Document) -> EditRequest:
    """What can be understood of the request in a document; the rest is UNREADABLE, and among its problems.

    A table is only checked as a whole when each of its values is right. So wrong values are taken out and the rest is
    read again, until nothing is wrong.
    """
    values = copy.deepcopy(document.values)
    unclear: set[Key] = set()
    """Tables with an unknown word that stands for nobody knows what: that they lack something may be its doing."""
    while True:
        try:
            return EditRequest.model_validate(values)
        except ValidationError as error:
            entries = {_written_key(document, entry): entry for entry in reversed(error.errors())}
        for key, entry in reversed(entries.items()):
            if entry["input"] is not UNREADABLE and key not in unclear:
                document.problems.append(document.problem(key, _message(key, entry)))
            if entry["type"] == "extra_forbidden":
                table = _inside(values, key[:-1])
                del table[key[-1]]
                near = nearest_word(str(key[-1]), _fields_at(key[:-1]))
                if near is None or near in table:
                    unclear.add(key[:-1])
                elif near not in _HARMLESS:
                    table[near] = UNREADABLE
                    document.broken.add((*key[:-1], near))
            elif key[-1] in _HARMLESS:
                del _inside(values, key[:-1])[key[-1]]
            else:
                document.broken.add(key)
                _take_out(values, key)


def _take_out(values: dict[str, Any], key: Key) -> None:
    """Put UNREADABLE at a key, or at the nearest one around it where it is not there already."""
    holder: Any = _inside(values, key[:-1])
    last: Any = key[-1]
    if holder is UNREADABLE:
        return
    if (isinstance(holder, list) or last in holder) and holder[last] is UNREADABLE:
        _take_out(values, key[:-1])
    else:
        holder[last] = UNREADABLE


def _inside(values: Any, key: tuple[Any, ...]) -> Any:
    """What stands at a key, or the UNREADABLE around it."""
    for part in key:
        if values is UNREADABLE:
            break
        values = values[part]
    return values


def _message(key: Key, entry: Any) -> str:
    """pydantic's finding in our words."""
    kind, wrong = entry["type"], entry.get("input")
    message = str(entry["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        name = str(key[-1])
        allowed = _fields_at(key[:-1])
        message = f"there is no {name!r} here{suggestion(name, allowed)}; allowed: {', '.join(allowed)}"
    elif kind == "missing":
        message = f"{key_name(key[-1:])!r} is missing: add it"
        if key == ("version",):
            message = "`version` is missing: begin the file with `version: 1`"
    elif kind == "literal_error":
        choices = str(entry["ctx"]["expected"])
        near = suggestion(str(wrong), re.findall(r"'(.*?)'", choices))
        message = f"must be {choices}, not {wrong!r}{near}"
    elif kind != "value_error":
        message = f"{message[0].lower()}{message[1:]}, not {wrong!r}"
    return message


def _written_key(document: Document, entry: Any) -> Key:
    """pydantic's path without the names of the kinds it tried."""
    loc: Key = entry["loc"]
    key: Key = ()
    values: Any = document.values
    for part in loc:
        inside = isinstance(values, dict) and part in values
        inside = inside or (isinstance(values, list) and isinstance(part, int) and part < len(values))
        if inside:
            values = values[part]
            key = (*key, part)
        elif part == loc[-1] and entry["type"] == "missing":
            key = (*key, part)
    return key


def _fields_at(key: Key) -> list[str]:
    """Words that may be written at a key."""
    model: Any = EditRequest
    for part in key:
        if isinstance(part, int):
            continue
        field = next((f for name, f in model.model_fields.items() if (f.alias or name) == part), None)
        if field is None:
            return []
        model = _model_in(field.annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for part in typing.get_args(annotation) if (found := _model_in(part))), None)
