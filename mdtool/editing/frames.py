"""Which frames a request means: 12, -1, 20-40, "*", a list of these; or the same in seconds.

A moment in seconds may lie between frames: then it is a frame with a fraction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

_RANGE = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*-\s*(-?\d+(?:\.\d+)?)\s*")
_EVERY = ("*", "all")
_LATEST = 1e9
"""Beyond this is no number of frames or seconds, and perhaps none that a float holds."""
_ON_A_FRAME = 1e-3
"""Share of a frame's time within which a moment is that frame's."""
_NAMED = {"first": 0, "last": -1}
_HOW = "write a frame (12), one from the end (-1), a range (20-40), a list of these, or *"


def check_frames(spec: Any) -> Any:
    """The same, if it can be read whatever the length of the motion.

    Raises:
        ValueError: it cannot.
    """
    for item in spec if isinstance(spec, list) else [spec]:
        _read(item)
    if isinstance(spec, list) and not spec:
        raise ValueError(f"an empty list of frames; {_HOW}")
    return spec


def held(values: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Rows of values [T, …] at frames [n], linearly where these have fractions; beyond the end the last one stays."""
    places = np.minimum(frames, len(values) - 1)
    before = np.floor(places).astype(np.int64)
    if (before == places).all():
        rows: np.ndarray = values[before]
        return rows
    share = (places - before).reshape(-1, *[1] * (values.ndim - 1))
    after = np.minimum(before + 1, len(values) - 1)
    between: np.ndarray = (1 - share) * values[before] + share * values[after]
    return between


def frame_indices(spec: Any, length: int, fps: float | None = None) -> np.ndarray:
    """Frames in ascending order, each once; [n] int64.

    Args:
        fps: numbers are seconds at this rate; frames when not given.

    Raises:
        ValueError: unreadable, or outside the motion.
    """
    found: set[int] = set()
    for item in spec if isinstance(spec, list) else [spec]:
        begin, end = _read(item)
        first, last = (_index(place, length, fps) for place in (begin, end))
        if first > last:
            raise ValueError(f"the range {item} ends before it begins")
        found |= set(range(first, last + 1))
    return np.array(sorted(found), dtype=np.int64)


def moments(spec: Any, length: int, fps: float) -> np.ndarray:
    """Frames in ascending order, each once, as `frame_indices` gives them of seconds; a moment between frames has a
    fraction, and then all are float64. Ranges are of whole frames.

    Raises:
        ValueError: unreadable, or outside the motion.
    """
    items = spec if isinstance(spec, list) else [spec]
    single = [item for item in items if _read(item)[0] == _read(item)[1]]
    found = {_moment(_read(item)[0], length, fps) for item in single}
    ranges = [item for item in items if item not in single]
    found |= set(frame_indices(ranges, length, fps).tolist()) if ranges else set()
    whole = all(frame == int(frame) for frame in found)
    return np.array(sorted(found), dtype=np.int64 if whole else np.float64)


def fractional(frames: np.ndarray) -> np.ndarray:
    """Those of some frames [n] that lie between frames, in ascending order, each once."""
    return np.unique(frames[frames != np.rint(frames)]).astype(np.float64)


def neighbours(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frames [n] before and after those [n] between."""
    before = np.floor(frames).astype(np.int64)
    return before, before + 1


def _read(item: Any) -> tuple[float, float]:
    """First and last place of one item."""
    places: tuple[float, ...] = ()
    if isinstance(item, int | float) and not isinstance(item, bool):
        places = item, item
    elif isinstance(item, str):
        word = item.strip()
        found = _RANGE.fullmatch(item)
        if word in _EVERY:
            places = 0, -1
        elif word in _NAMED:
            places = _NAMED[word], _NAMED[word]
        elif found:
            places = float(found[1]), float(found[2])
        elif re.fullmatch(r"-?\d+(\.\d+)?", word):
            places = float(word), float(word)
    if not places:
        raise ValueError(f"cannot read {item!r} as frames: {_HOW}")
    if not all(abs(place) < _LATEST for place in places):
        raise ValueError(f"a frame must be a finite number below {_LATEST:g}, not {item}")
    return float(places[0]), float(places[1])


def _index(place: float, length: int, fps: float | None) -> int:
    """The frame at a place, counted from the end when negative."""
    if fps is None:
        if place != int(place):
            raise ValueError(f"frame {place:g} is no whole number: count in frames, or set `time: seconds`")
        index = int(place)
    else:
        index = round(place * fps) if place != -1 else -1
    wanted = index + length if index < 0 else index
    if not 0 <= wanted < length:
        last = f"0 to {length - 1}" if fps is None else f"0 to {(length - 1) / fps:.2f} s"
        raise ValueError(f"{'frame' if fps is None else 'time'} {place:g} is outside the motion: it has {last}")
    return wanted


def _moment(place: float, length: int, fps: float) -> float:
    """The frame, perhaps with a fraction, of a moment in seconds, counted from the end when negative."""
    exact = place * fps
    if place == -1 or abs(exact - round(exact)) < _ON_A_FRAME:
        return _index(place, length, fps)
    wanted = exact + length if exact < 0 else exact
    if not 0 <= wanted <= length - 1:
        raise ValueError(f"time {place:g} is outside the motion: it has 0 to {(length - 1) / fps:.2f} s")
    return wanted


def in_words(frames: Sequence[int] | np.ndarray, length: int) -> str:
    """Frames as a person writes them: 12, 20-40, 12.4, *."""
    whole = [round(float(frame), 2) for frame in frames]
    if len(whole) == length:
        return "*"
    parts: list[str] = []
    begin = 0
    for k in range(1, len(whole) + 1):
        if k == len(whole) or whole[k] != whole[k - 1] + 1:
            parts.append(f"{whole[begin]:g}" if k - begin == 1 else f"{whole[begin]:g}-{whole[k - 1]:g}")
            begin = k
    return ", ".join(parts) if len(parts) <= 4 else f"{', '.join(parts[:2])}, … {parts[-1]}"
