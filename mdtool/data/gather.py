"""From what a reader yields to the clips of one motion file: resampled, split into train and test, counted."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from mdtool.data.threads import one_thread
from mdtool.errors import MdtoolError
from mdtool.motion.motion import TEST, TRAIN, Motion
from mdtool.motion.resample import resample

SplitRule = Literal["auto", "fraction", "train", "test"]


@dataclass(frozen=True)
class Clip:
    """A recording that could be read."""

    motion: Motion
    has_split: bool
    """Whether the source says to which split it belongs; `motion.split` means nothing otherwise."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """A recording that was left out."""

    name: str
    reason: str


@dataclass(frozen=True)
class Note:
    """Something the reader decided that its user should know."""

    text: str


Reading = Clip | Skipped | Note


@dataclass
class Gathered:
    """The outcome of a batch."""

    clips: list[Motion] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    source_frames: int = 0
    """Frames before resampling."""
    elapsed_s: float = 0.0


def gather(
    readings: Iterable[Reading],
    fps: float | None = None,
    split: SplitRule = "auto",
    test_fraction: float = 0.2,
    on_reading: Callable[[Reading], None] = lambda reading: None,
) -> Gathered:
    """Read a whole batch; a recording that fails is noted and does not stop it.

    Args:
        fps: frame rate to resample to; native rates are kept when not given.
        split: "auto" follows the source and divides by `test_fraction` what it does not say; "fraction" divides
            all clips; "train" and "test" put all clips there.
        test_fraction: share of each action's clips for testing; with 0.2 every fifth one, in order of reading.
        on_reading: called after each reading, for progress.

    Raises:
        MdtoolError: not one recording could be read, or the fraction is not in 0..1.
    """
    if not 0 <= test_fraction <= 1:
        raise MdtoolError(f"the test fraction must lie in 0..1, not {test_fraction}")
    result = Gathered()
    undecided: list[int] = []
    started = time.perf_counter()
    for reading in _single_threaded(readings):
        if isinstance(reading, Clip):
            if split == "fraction" or (split == "auto" and not reading.has_split):
                undecided.append(len(result.clips))
            result.source_frames += len(reading.motion)
            result.clips.append(reading.motion if fps is None else resample(reading.motion, fps))
        elif isinstance(reading, Skipped):
            result.skipped.append(reading)
        on_reading(reading)
    result.elapsed_s = time.perf_counter() - started
    if not result.clips:
        raise _nothing_read(result.skipped)
    if split in ("train", "test"):
        result.clips = [replace(clip, split=TRAIN if split == "train" else TEST) for clip in result.clips]
    _divide(result.clips, undecided, test_fraction)
    return result


def _single_threaded(readings: Iterable[Reading]) -> Iterator[Reading]:
    """The readings, made with one thread."""
    with one_thread():
        yield from readings


def _divide(clips: list[Motion], undecided: list[int], test_fraction: float) -> None:
    """Set the split of the clips at `undecided`: evenly spread within each action."""
    seen: dict[str, int] = {}
    for index in undecided:
        place = seen.get(clips[index].action, 0)
        seen[clips[index].action] = place + 1
        # The small number keeps 5 * 0.2 from falling short of 1 by rounding.
        is_test = int((place + 1) * test_fraction + 1e-9) > int(place * test_fraction + 1e-9)
        clips[index] = replace(clips[index], split=TEST if is_test else TRAIN)


def _nothing_read(skipped: list[Skipped]) -> MdtoolError:
    if not skipped:
        return MdtoolError("no recording found: nothing to write")
    if len(skipped) == 1:
        return MdtoolError(f"{skipped[0].name}: {skipped[0].reason}")
    reason = textwrap.shorten(skipped[0].reason, 150, placeholder=" …")
    return MdtoolError(f"none of the {len(skipped)} recordings could be used; the first, {skipped[0].name}: {reason}")
