"""A YAML or JSON file as plain values that know where they stand, so that a mistake can be shown in its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mdtool.errors import MdtoolError

Key = tuple[str | int, ...]
"""Where a value stands: ("targets", 0, "joint")."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a file."""

    line: int
    column: int
    key: Key
    message: str
    feasibility: bool = False
    """The request says what it wants clearly enough, but it cannot or should not be had: --force tries anyway."""

    def told(self, file: str) -> str:
        """file:line:column  key  message."""
        place = f"{file}:{self.line}:{self.column}"
        return "  ".join(filter(None, (place, key_name(self.key), self.message)))

    def plain(self, file: str) -> dict[str, Any]:
        """The same for a program."""
        return {
            "file": file,
            "line": self.line,
            "column": self.column,
            "key": key_name(self.key),
            "message": self.message,
            "feasibility": self.feasibility,
        }


class Problems(MdtoolError):
    """Everything that is wrong with one file."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = sorted(problems, key=lambda problem: (problem.line, problem.column))
        super().__init__("; ".join(problem.told(file) for problem in self.problems))


@dataclass
class Document:
    """A file's values, and the place of each."""

    file: str
    values: dict[str, Any]
    places: dict[Key, tuple[int, int]] = field(default_factory=dict)

    def problem(self, key: Key, message: str, feasibility: bool = False) -> Problem:
        """A problem at a key, or at the nearest key around it that is written in the file."""
        written = key
        while written and written not in self.places:
            written = written[:-1]
        line, column = self.places.get(written, (1, 1))
        return Problem(line, column, key, message, feasibility)


def read_document(path: str | Path) -> Document:
    """Read a YAML file, or JSON, which is YAML.

    Raises:
        Problems: it is no YAML, it says a thing twice, or it is no table.
        MdtoolError: the file cannot be read.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise MdtoolError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise MdtoolError(f"cannot read {path}: it is no text file in UTF-8") from error
    return parse_document(text, str(path))


def parse_document(text: str, file: str) -> Document:
    """`read_document` of a text."""
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        reason = " ".join(str(getattr(error, "problem", None) or error).split())
        raise Problems(
            file, [Problem(line, column, (), f"not YAML: {reason}; check indentation, brackets and colons here")]
        ) from error
    document = Document(file, {})
    problems: list[Problem] = []
    values = _plain(loader, root, (), document.places, problems) if root is not None else None
    if not isinstance(values, dict) and not problems:
        problems.append(Problem(1, 1, (), "a request is a table of sections: begin with `version: 1`"))
    if problems:
        raise Problems(file, problems)
    assert isinstance(values, dict)
    document.values = values
    return document


def _plain(
    loader: yaml.SafeLoader, node: yaml.Node, key: Key, places: dict[Key, tuple[int, int]], problems: list[Problem]
) -> Any:
    """A node's value; notes the place of everything in it."""
    place = node.start_mark.line + 1, node.start_mark.column + 1
    places.setdefault(key, place)
    if isinstance(node, yaml.MappingNode):
        table: dict[str, Any] = {}
        for name_node, value_node in node.value:
            name = str(name_node.value)
            inside = (*key, name)
            where = name_node.start_mark.line + 1, name_node.start_mark.column + 1
            if name in table:
                message = f"given twice, first in line {places[inside][0]}: keep one of the two"
                problems.append(Problem(*where, inside, message))
                continue
            places[inside] = where
            table[name] = _plain(loader, value_node, inside, places, problems)
        return table
    if isinstance(node, yaml.SequenceNode):
        return [_plain(loader, item, (*key, place), places, problems) for place, item in enumerate(node.value)]
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        problems.append(Problem(*place, key, f"cannot read {node.value!r}: {error}"))
        return None


def key_name(key: Key) -> str:
    """('targets', 0, 'joint') → targets[0].joint."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def suggestion(word: str, choices: Iterable[str]) -> str:
    """', did you mean X?' when a choice looks like the word, else ''."""
    near = difflib.get_close_matches(word, list(choices), 1, 0.6)
    return f", did you mean {near[0]!r}?" if near else ""
