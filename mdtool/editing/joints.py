"""Names of joints and of groups of joints, as a person writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

from mdtool.editing.document import suggestion
from mdtool.motion.skeleton import JOINT_INDEX, JOINT_NAMES, OFFSETS, PARENTS

_UPPER = (3, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)
GROUPS: dict[str, tuple[int, ...]] = {
    "all": tuple(range(22)),
    "upper_body": _UPPER,
    "lower_body": (0, 1, 2, 4, 5, 7, 8, 10, 11),
    "legs": (1, 2, 4, 5, 7, 8, 10, 11),
    "arms": (16, 17, 18, 19, 20, 21),
    "hands": (20, 21),
    "wrists": (20, 21),
    "feet": (10, 11),
    "ankles": (7, 8),
    "knees": (4, 5),
    "spine": (0, 3, 6, 9, 12, 15),
    # The sets of observed joints that DNO's tables use.
    "three": (15, 20, 21),
    "pthree": (0, 15, 20, 21),
    "five": (10, 11, 15, 20, 21),
    "six": (0, 10, 11, 15, 20, 21),
    "eight": (0, 10, 11, 15, 16, 17, 20, 21),
    "ten": (0, 4, 5, 10, 11, 15, 16, 17, 20, 21),
    "lower": (0, 4, 5, 7, 8),
}
"""Joints by group. "all" are the 22 joints of the published tables: SMPL's hands hang rigidly from its wrists."""

_ALIASES = {"root": "pelvis", "hips": "pelvis", "chest": "spine3", "toe": "foot"}


def joint_index(word: str) -> int:
    """A joint by name: right_wrist, r_wrist, "right wrist", RightWrist or its alias.

    Raises:
        ValueError: no such joint; the message suggests one.
    """
    name = _tidy(word)
    if name not in JOINT_INDEX:
        where = "" if name not in GROUPS else "; that is a group: write it as `joints`"
        near = suggestion(name, JOINT_NAMES)
        raise ValueError(f"no joint {word!r}{near or where or '; joints: ' + ', '.join(JOINT_NAMES[:22])}")
    return JOINT_INDEX[name]


def joint_indices(words: str | Sequence[str]) -> tuple[int, ...]:
    """Joints of a name, of a group, or of a list of both; each once, in the skeleton's order.

    Raises:
        ValueError: an unknown word, or no joint at all.
    """
    found: set[int] = set()
    for word in words if isinstance(words, list | tuple) else [words]:
        if not isinstance(word, str):
            raise ValueError(f"joints are names, not {word!r}")
        name = _tidy(word)
        if name in GROUPS:
            found |= set(GROUPS[name])
        elif name in JOINT_INDEX:
            found.add(JOINT_INDEX[name])
        else:
            near = suggestion(name, [*GROUPS, *JOINT_NAMES])
            raise ValueError(f"no joint or group {word!r}{near or '; groups: ' + ', '.join(GROUPS)}")
    if not found:
        raise ValueError("the list of joints is empty: name one, or a group such as upper_body")
    return tuple(sorted(found))


Joints = Annotated[Any, AfterValidator(lambda words: joint_indices(words) and words)]
"""Joints as a request says them, kept in its words."""


def reach(joint: int, other: int = 0) -> float:
    """Length of the stretched chain of bones between two joints, metres: they are never farther apart."""
    upward = [_chain(joint), _chain(other)]
    apart = set(upward[0]) ^ set(upward[1])
    return float(sum((OFFSETS[k] ** 2).sum() ** 0.5 for k in apart))


def _chain(joint: int) -> list[int]:
    """A joint and everything it hangs from, without the pelvis."""
    chain = []
    while joint > 0:
        chain.append(joint)
        joint = PARENTS[joint]
    return chain


def _tidy(word: str) -> str:
    """The skeleton's spelling of a joint's name."""
    spaced = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in word.strip())
    name = spaced.replace(" ", "_").replace("-", "_").strip("_").replace("__", "_")
    side, _, rest = name.partition("_")
    if side in ("l", "r") and rest:
        name = f"{'left' if side == 'l' else 'right'}_{rest}"
    for alias, joint in _ALIASES.items():
        if name == alias or name.endswith(f"_{alias}"):
            name = name[: -len(alias)] + joint
    return name
