"""A YAML or JSON file as plain values that know where they stand, so that a mistake can be shown in its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mdtool.errors import MdtoolError

Key = tuple[str | int, ...]
"""Where a value stands: ("targets", 0, "joint")."""


class _Unreadable:
    """Stands for what could not be read: it holds nothing, and no comparison with it is true."""

    def __lt__(self, other: object) -> bool:
        return False

    __le__ = __gt__ = __ge__ = __lt__

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __reduce__(self) -> str:
        return "UNREADABLE"


UNREADABLE = _Unreadable()
"""In the place of a wrong value, so that everything around it can be checked."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a file."""

    file: str
    line: int
    column: int
    """From 1; both are 0 where a short form has no text to point at."""
    key: Key
    message: str
    feasibility: bool = False
    """The request says what it wants clearly enough, but it cannot or should not be had: --force tries anyway."""

    def told(self) -> str:
        """file:line:column  key  message."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return "  ".join(filter(None, (place, key_name(self.key), self.message)))

    def plain(self) -> dict[str, Any]:
        """The same for a program."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "key": key_name(self.key),
            "message": self.message,
            "feasibility": self.feasibility,
        }


class Problems(MdtoolError):
    """Everything that is wrong with some files, file by file in the order of their lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        once = list(dict.fromkeys(problems))
        files = list(dict.fromkeys(problem.file for problem in once))
        self.problems = sorted(once, key=lambda problem: (files.index(problem.file), problem.line, problem.column))
        super().__init__("; ".join(problem.told() for problem in self.problems))


@contextmanager
def gathered(found: list[Problem]) -> Iterator[None]:
    """What is wrong inside is added to the problems, and what comes after goes on."""
    try:
        yield
    except Problems as wrong:
        found += wrong.problems


@dataclass
class Document:
    """A file's values, and the place of each."""

    file: str
    values: dict[str, Any]
    places: dict[Key, tuple[int, int]] = field(default_factory=dict)
    """Empty for values that no file holds."""
    problems: list[Problem] = field(default_factory=list)
    """What was wrong with it when it was read."""
    broken: set[Key] = field(default_factory=set)
    """Where what it says is of no use."""

    def is_broken(self, key: Key) -> bool:
        """Whether something at a key or within it is of no use."""
        return any(broken[: len(key)] == key for broken in self.broken)

    def written(self, key: Key) -> Any:
        """What stands at a key; None where nothing does."""
        value: Any = self.values
        for part in key:
            inside = part in value if isinstance(value, dict) else isinstance(value, list) and part in range(len(value))
            if not inside:
                return None
            value = value[part]
        return value

    def problem(self, key: Key, message: str, feasibility: bool = False) -> Problem:
        """A problem at a key, or at the nearest key around it that is written in the file."""
        written = key
        while written and written not in self.places:
            written = written[:-1]
        line, column = self.places.get(written, (1, 1)) if self.places else (0, 0)
        return Problem(self.file, line, column, key, message, feasibility)


def read_document(path: str | Path) -> Document:
    """Read a YAML file, or JSON, which is YAML; what it says twice or unreadably is among the document's problems.

    Raises:
        Problems: it is no YAML, or no table.
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
        message = f"not YAML: {reason}; check indentation, brackets and colons here"
        raise Problems([Problem(file, line, column, (), message)]) from error
    document = Document(file, {})
    values = _plain(loader, root, (), document) if root is not None else None
    if not isinstance(values, dict):
        raise Problems([Problem(file, 1, 1, (), "a request is a table of sections: begin with `version: 1`")])
    document.values = values
    return document


def _plain(loader: yaml.SafeLoader, node: yaml.Node, key: Key, document: Document) -> Any:
    """A node's value; notes the place of everything in it."""
    document.places.setdefault(key, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        table: dict[str, Any] = {}
        for name_node, value_node in node.value:
            name, mark = str(name_node.value), name_node.start_mark
            inside = (*key, name)
            if name in table:
                message = f"given twice, first in line {document.places[inside][0]}: keep one of the two"
                again = Problem(document.file, mark.line + 1, mark.column + 1, inside, message)
                document.problems.append(again)
                document.broken.add(inside)
                continue
            document.places[inside] = mark.line + 1, mark.column + 1
            table[name] = _plain(loader, value_node, inside, document)
        return table
    if isinstance(node, yaml.SequenceNode):
        return [_plain(loader, item, (*key, place), document) for place, item in enumerate(node.value)]
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        document.problems.append(document.problem(key, f"cannot read {node.value!r}: {error}"))
        document.broken.add(key)
        return UNREADABLE


def key_name(key: Key) -> str:
    """('targets', 0, 'joint') → targets[0].joint."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest_word(word: str, choices: Iterable[str]) -> str | None:
    """The choice that looks like the word."""
    return next(iter(difflib.get_close_matches(word, list(choices), 1, 0.6)), None)


def suggestion(word: str, choices: Iterable[str]) -> str:
    """', did you mean X?' when a choice looks like the word, else ''."""
    near = nearest_word(word, choices)
    return f", did you mean {near!r}?" if near else ""
