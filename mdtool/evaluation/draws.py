"""Which clips stand for a distribution: seeded draws, and what a reader must know about them."""

from __future__ import annotations

import numpy as np

from mdtool.errors import MdtoolError
from mdtool.motion.motion import SPLITS, MotionSet
from mdtool.wording import counted


def walk(clips: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the indices `clips`: shuffled, walked through, and shuffled again when they run out.

    So every clip occurs equally often up to one, and none twice while there are enough.
    """
    rounds = -(-count // len(clips))
    return np.concatenate([rng.permutation(clips) for _ in range(rounds)])[:count]


def walk_like(labels: np.ndarray, clips: np.ndarray, clip_labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One of the indices `clips` per entry of `labels`, of the same label; a `walk` within every label.

    Args:
        labels: wanted labels [n]; every one must occur among `clip_labels`.
        clips: indices to choose from [m].
        clip_labels: their labels [m].
    """
    chosen = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        chosen[places] = walk(clips[clip_labels == label], len(places), rng)
    return chosen


def pool(recordings: MotionSet, split: int, actions: list[str] | None) -> np.ndarray:
    """Indices of the clips of a split whose action is one of `actions`; of all its clips when None.

    Raises:
        MdtoolError: one of the actions has no clip in the split, or the split has none at all.
    """
    if actions is None:
        clips = np.flatnonzero(recordings.split == split)
        if not len(clips):
            raise MdtoolError(f"the recordings have no {SPLITS[split]} clip: evaluate with --split {SPLITS[1 - split]}")
        return clips
    labels = [recordings.action_index(name) for name in actions]
    clips = np.flatnonzero((recordings.split == split) & np.isin(recordings.action, labels))
    absent = [name for name, label in zip(actions, labels, strict=True) if label not in recordings.action[clips]]
    if absent:
        raise MdtoolError(
            f"the recordings have no {SPLITS[split]} clip of the action {absent[0]!r}: "
            f"leave it out, or evaluate with --split {SPLITS[1 - split]}"
        )
    return clips


def note_draws(recordings: MotionSet, clips: np.ndarray, split: str, frames: int, count: int, notes: list[str]) -> None:
    """Say how the clips of a split stand for `count` draws."""
    drawn = f"{counted(len(clips), 'recording')}, {counted(count, 'draw')} per seed"
    text = f"{split}: {drawn}, each a random crop of {frames} frames"
    if len(clips) < count:
        text += f"; every recording is drawn about {count / len(clips):.1f} times"
    short = int((recordings.lengths[clips] < frames).sum())
    if short:
        text += f"; {short} shorter, with the last frame repeated"
    notes.append(text)


def count_of_samples(tested: MotionSet, frames: int, count: int, notes: list[str]) -> int:
    """How many motions per set a tested file can fill: `count`, or the number of its different windows if less."""
    windows = int((np.maximum(tested.lengths - frames, 0) + 1).sum())
    if windows < count:
        notes.append(f"the tested file has {windows} different windows: sets of {windows} instead of {count}")
        count = windows
    if len(tested) < count:
        notes.append(f"sets of {count} from {counted(len(tested), 'tested motion')}: several windows are cut from each")
    short = int((tested.lengths < frames).sum())
    if short:
        notes.append(f"{counted(short, 'tested motion')} shorter than {frames} frames, with the last one repeated")
    return count
