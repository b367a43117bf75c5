"""The HIERARCHY section of a BVH file: joints, offsets, channels, end sites."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property

from mdtool.errors import MdtoolError

Offset = tuple[float, float, float]
_CHANNEL = re.compile(r"([XYZ])(position|rotation)", re.IGNORECASE)


@dataclass(frozen=True)
class BvhJoint:
    """One joint as the file declares it."""

    name: str
    parent: int
    """Index of the parent joint, -1 for the root."""
    offset: Offset
    """Parent to joint in the parent's frame, file's unit."""
    channels: tuple[str, ...]
    """Such as "Xposition" or "Zrotation", in file order."""
    first_column: int
    """Where the joint's first channel stands in a frame."""
    end_site: Offset | None
    """Joint to its End Site, if it has one."""

    @cached_property
    def rotation_order(self) -> str:
        """The axes of the rotation channels in file order, such as "ZXY"; empty when it has none."""
        return "".join(channel[0] for channel in self.channels if channel.endswith("rotation"))

    @cached_property
    def rotation_columns(self) -> list[int]:
        """Columns of the rotation channels, in file order."""
        return [self.first_column + i for i, name in enumerate(self.channels) if name.endswith("rotation")]

    @cached_property
    def position_columns(self) -> list[tuple[int, int]]:
        """(column, axis 0..2) of each position channel."""
        return [
            (self.first_column + i, "XYZ".index(name[0]))
            for i, name in enumerate(self.channels)
            if name.endswith("position")
        ]


@dataclass
class _Open:
    """A joint or end site whose closing brace has not been read."""

    name: str
    index: int
    """Place in the list of joints; that of the parent for an end site."""
    is_end_site: bool = False
    offset: Offset | None = None
    channels: tuple[str, ...] | None = None
    first_column: int = 0
    end_site: Offset | None = None


class _Words:
    """The words of a text with their line numbers."""

    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._words = [
            (word, number)
            for number, line in enumerate(text.split("\n"), start=1)
            for word in line.replace("{", " { ").replace("}", " } ").split()
        ]
        self._place = 0

    def __bool__(self) -> bool:
        return self._place < len(self._words)

    @property
    def line(self) -> int:
        """Line of the word read last; 1 before any."""
        return self._words[max(self._place - 1, 0)][1] if self._words else 1

    def take(self) -> str:
        if not self:
            raise self.error("the file ends inside HIERARCHY: a closing brace or a value is missing")
        self._place += 1
        return self._words[self._place - 1][0]

    def take_name(self) -> tuple[str, int]:
        """Everything up to the opening brace, which is taken too, and the line of it."""
        words: list[str] = []
        line = self.line
        while (word := self.take()) != "{":
            line = self.line
            if word == "}" or len(words) == 8:
                raise self.error("a joint's name must be followed by {")
            words.append(word)
        return " ".join(words), line

    def take_offset(self) -> Offset:
        values = []
        for _ in range(3):
            word = self.take()
            try:
                value = float(word)
            except ValueError:
                value = math.nan
            if not math.isfinite(value):
                raise self.error(f"OFFSET needs three finite numbers, not {word!r}")
            values.append(value)
        return values[0], values[1], values[2]

    def take_channels(self) -> tuple[str, ...]:
        word = self.take()
        if not word.isdecimal():
            raise self.error(f"CHANNELS needs a count first, not {word!r}")
        channels = []
        for _ in range(int(word)):
            name = self.take()
            match = _CHANNEL.fullmatch(name)
            if match is None:
                raise self.error(f"{name!r} is no channel: Xposition … Zposition and Xrotation … Zrotation are")
            channels.append(match[1].upper() + match[2].lower())
        positions = [channel for channel in channels if channel.endswith("position")]
        if len(set(positions)) != len(positions) or len(channels) - len(positions) > 3:
            raise self.error(f"CHANNELS lists a position twice or more than three rotations: {' '.join(channels)}")
        return tuple(channels)

    def error(self, problem: str, line: int | None = None) -> MdtoolError:
        return MdtoolError(f"{self._source}, line {line or self.line}: {problem}")


def parse_hierarchy(text: str, source: str) -> tuple[BvhJoint, ...]:
    """Parse everything before the MOTION line.

    Returns:
        The joints in file order, parents before children.

    Raises:
        MdtoolError: malformed, two roots, or a joint name used twice; with the file and the line.
    """
    words = _Words(text, source)
    if not words or words.take().upper() != "HIERARCHY":
        raise words.error("not a BVH file: it does not begin with HIERARCHY")
    joints: list[BvhJoint | None] = []
    names: set[str] = set()
    parents: list[int] = []
    stack: list[_Open] = []
    columns = 0
    while words:
        word = words.take()
        keyword = word.upper()
        if keyword in ("ROOT", "JOINT", "END"):
            if keyword == "ROOT" and joints:
                raise words.error("a second ROOT; mdtool reads files of one person: split the file")
            if keyword != "ROOT" and (not stack or stack[-1].is_end_site):
                raise words.error(f"{word} outside a joint")
            name, line = words.take_name()
            if keyword == "END":
                stack.append(_Open("End Site", stack[-1].index, is_end_site=True))
                continue
            if not name or name in names:
                raise words.error(f"a joint's name is used twice: {name}" if name else "a joint without a name", line)
            names.add(name)
            parents.append(stack[-1].index if stack else -1)
            stack.append(_Open(name, len(joints)))
            joints.append(None)
        elif not stack:
            raise words.error(f"unexpected {word!r} in HIERARCHY")
        elif keyword == "OFFSET":
            stack[-1].offset = words.take_offset()
        elif keyword == "CHANNELS" and not stack[-1].is_end_site and stack[-1].channels is None:
            stack[-1].channels = words.take_channels()
            # Channels stand in a frame in the order of their CHANNELS lines, which is that of the joints.
            stack[-1].first_column, columns = columns, columns + len(stack[-1].channels)
        elif word == "}":
            _close(stack, joints, parents, words)
        else:
            raise words.error(f"unexpected {word!r} in {stack[-1].name}")
    if stack:
        raise words.error(f"the closing brace of {stack[-1].name} is missing")
    done = tuple(joint for joint in joints if joint is not None)
    if not done:
        raise words.error("HIERARCHY has no ROOT")
    return done


def _close(stack: list[_Open], joints: list[BvhJoint | None], parents: list[int], words: _Words) -> None:
    closed = stack.pop()
    if closed.offset is None:
        raise words.error(f"{closed.name} has no OFFSET")
    if closed.is_end_site:
        stack[-1].end_site = closed.offset
        return
    joints[closed.index] = BvhJoint(
        name=closed.name,
        parent=parents[closed.index],
        offset=closed.offset,
        channels=closed.channels or (),
        first_column=closed.first_column,
        end_site=closed.end_site,
    )
