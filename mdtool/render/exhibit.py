"""What each tile of a picture shows: a clip, its caption, perhaps another clip beside it or as a ghost over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mdtool.errors import MdtoolError
from mdtool.motion.marks import Marks, marks_to_show
from mdtool.motion.motion import Motion, MotionSet
from mdtool.render.captions import readable
from mdtool.render.grid import spread_over_labels
from mdtool.render.palette import BODY_COLOURS, body_colours


@dataclass(frozen=True)
class Exhibit:
    """One tile."""

    motion: Motion
    caption: str
    """One line or two: the action, and where the clip comes from."""
    colour: tuple[float, float, float]
    """sRGB, 0..1."""
    ghost: Motion | None = None
    ghost_colour: tuple[float, float, float] = BODY_COLOURS[1]
    beside: bool = False
    """Stands to the right of the exhibit before it, as the other half of a comparison."""
    same_place: bool = False
    """Shares the camera of the exhibit before it, because the two clips share one world."""
    marks: Marks | None = None
    """Targets and obstacles of the edit that made the clip."""


def exhibits(motions: Sequence[Motion]) -> list[Exhibit]:
    """One tile per clip, one colour per action."""
    colours = body_colours([motion.action for motion in motions])
    return [
        Exhibit(motion, readable(motion.action or motion.name), colour)
        for motion, colour in zip(motions, colours, strict=True)
    ]


def compared(
    pairs: Sequence[tuple[Motion, Motion, bool]], names: tuple[str, str], ghost: bool = False
) -> list[Exhibit]:
    """Every pair side by side, or the second of a pair as a ghost over the first.

    Args:
        pairs: (clip, other clip, whether the two share one world, as before and after an edit). A ghost of another
            world starts where the clip starts.
        names: what to call clips and other clips.
    """
    shown = []
    for motion, other, same_world in pairs:
        lines = names if not ghost else (f"{names[0]}, ghost: {names[1]}", "")
        words = [
            "\n".join(filter(None, (readable(clip.action), line)))
            for clip, line in zip((motion, other), lines, strict=True)
        ]
        if ghost:
            shade = other if same_world else _started_at(other, motion)
            shown.append(Exhibit(motion, words[0], BODY_COLOURS[0], shade))
        else:
            shown.append(Exhibit(motion, words[0], BODY_COLOURS[0]))
            shown.append(Exhibit(other, words[1], BODY_COLOURS[1], beside=True, same_place=same_world))
    return shown


def with_marks(shown: Sequence[Exhibit], provenance: dict, indices: Sequence[int], where: str) -> list[Exhibit]:
    """The exhibits with what the edits that made them were told; the other halves of comparisons stay bare.

    Args:
        provenance: of the clips' file.
        indices: which clip of it each exhibit is, other halves left out.
        where: what to call the file in a refusal.

    Raises:
        MdtoolError: no edit made the file.
    """
    told = iter(marks_to_show(provenance, indices, where))
    return [each if each.beside else replace(each, marks=next(told)) for each in shown]


def choose_clips(motions: MotionSet, clips: Sequence[int], actions: Sequence[str], most: int, where: str) -> list[int]:
    """Indices of the clips to draw: those named, or `most` of the wanted actions, spread over them.

    Args:
        where: what to call the file in a refusal.

    Raises:
        MdtoolError: there is no such clip or action, or both are named.
    """
    motions.require_clips(clips, where)
    if clips and actions:
        raise MdtoolError("--clip names the clips to draw already: leave out --action")
    if clips:
        return list(clips)
    candidates = np.arange(len(motions))
    if actions:
        candidates = np.flatnonzero(np.isin(motions.action, [motions.action_index(name) for name in actions]))
        if not len(candidates):
            raise MdtoolError(f"{where} has no clip of {', '.join(actions)}")
    return candidates[spread_over_labels(motions.action[candidates], most)].tolist()


def partners(motions: MotionSet, chosen: Sequence[int], others: MotionSet, where: str) -> list[int]:
    """For every chosen clip the clip of another file to compare it with.

    That of the same index when the two files have the same actions in the same order (an edited file); otherwise the
    next one of the same action.

    Args:
        where: what to call the other file in a refusal.

    Raises:
        MdtoolError: the other file has no clip of an action.
    """
    if in_step(motions, others):
        return list(chosen)
    found, used = [], dict.fromkeys(others.actions, 0)
    for index in chosen:
        action = motions.action_name(index)
        same = [k for k in range(len(others)) if others.action_name(k) == action]
        if not same:
            raise MdtoolError(f"{where} has no clip of {action or 'no action'!r} to compare with")
        found.append(same[used.get(action, 0) % len(same)])
        used[action] = used.get(action, 0) + 1
    return found


def in_step(motions: MotionSet, others: MotionSet) -> bool:
    """Whether clip i of one set is another version of clip i of the other: same actions, lengths and rates."""
    return (
        len(motions) == len(others)
        and np.array_equal(motions.start, others.start)
        and np.allclose(motions.fps, others.fps)
        and all(motions.action_name(k) == others.action_name(k) for k in range(len(motions)))
    )


def _started_at(motion: Motion, other: Motion) -> Motion:
    """The motion moved over the floor so that it starts where `other` does."""
    shift = (other.root[0] - motion.root[0]) * np.array([1, 0, 1], np.float32)
    return replace(motion, root=motion.root + shift)
