"""What goes wrong when people are tracked in a video: lost frames, one person under several ids, strangers.

Only what the rules of `mdtool.data.vibe_tracks` can tell apart; they take a stranger who is alone in the picture, or
who stays while the performer is lost and found again, for the performer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mdtool.data.vibe_tracks import Track

_LONGEST_GAP = 4
_SHORTEST_TRACK = 12
_LOST, _SPLIT, _STRANGERS, _LATE = 0.3, 0.35, 0.45, 0.5
"""Shares of the videos with lost frames in a track, with several tracks, with strangers, and of those with a
stranger from the start, the share in which the performer is found a few frames after them."""


@dataclass(frozen=True)
class Tracked:
    """All tracks of one video, and which of them are the performer's."""

    tracks: dict[int, Track]
    performer: tuple[int, ...]
    """Ids of the performer's tracks, in order of time."""
    strangers: int


def track_people(
    performer: Track, stranger: Callable[[np.random.Generator], Track], rng: np.random.Generator
) -> Tracked:
    """Cut a performer's complete track, and put strangers beside it.

    Args:
        performer: found in every frame of the video.
        stranger: gives another person's track, elsewhere in the picture, of any number of frames.
    """
    frames = len(performer["frame_ids"])
    pieces = _pieces(frames, rng)
    strangers: list[Track] = []
    if rng.random() < _STRANGERS:
        stays = pieces[1][0] if len(pieces) > 1 else frames
        if rng.random() < _LATE and len(pieces[0]) > _SHORTEST_TRACK:
            pieces[0] = pieces[0][int(rng.integers(1, 5)) :]
        strangers += _beside(pieces, stays, frames, stranger, rng)
    own = [_only(performer, numbers) for numbers in pieces]
    everybody = [*own, *strangers]
    # VIBE numbers people as it finds them, and a dict keeps that order.
    order = sorted(range(len(everybody)), key=lambda place: (everybody[place]["frame_ids"][0], rng.random()))
    ids = {place: number + 1 for number, place in enumerate(order)}
    tracks = {ids[place]: everybody[place] for place in order}
    return Tracked(tracks, tuple(ids[place] for place in range(len(own))), len(strangers))


def _pieces(frames: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Frame numbers of the performer's tracks: cut in up to three, each with or without lost frames."""
    whole = np.arange(frames)
    pieces = [whole]
    if rng.random() < _SPLIT:
        cuts = np.sort(rng.choice(np.arange(1, 4), size=int(rng.integers(1, 3)), replace=False)) * frames // 4
        pieces = np.split(whole, cuts)
        pieces = [pieces[0], *(piece[int(rng.integers(0, _LONGEST_GAP + 1)) :] for piece in pieces[1:])]
    return [_lose(piece, rng) if rng.random() < _LOST else piece for piece in pieces if len(piece)]


def _lose(numbers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take a few frames out of the inside of a track."""
    if len(numbers) < _SHORTEST_TRACK:
        return numbers
    begin = int(rng.integers(2, len(numbers) - _LONGEST_GAP - 2))
    return np.delete(numbers, slice(begin, begin + int(rng.integers(1, _LONGEST_GAP + 1))))


def _beside(
    pieces: list[np.ndarray],
    stays: int,
    frames: int,
    stranger: Callable[[np.random.Generator], Track],
    rng: np.random.Generator,
) -> list[Track]:
    """One to three strangers: from the start on, within the performer's first track, and in the gap before the second.

    Args:
        stays: frame by which a stranger who was there from the start has left.
    """
    # Whoever is there first must still be there when the performer is found, or would be taken for the performer.
    spans = [(0, int(rng.integers(max(stays // 2, int(pieces[0][0]) + 1), stays)))]
    if rng.random() < 0.5:
        begin = int(rng.integers(pieces[0][0], pieces[0][-1] + 1))
        spans.append((begin, stays if len(pieces) > 1 else frames))
    if len(pieces) > 1 and rng.random() < 0.5:
        begin, end = int(pieces[0][-1]) + 1, int(pieces[1][-1])
        spans.append((begin, max(end - 2, int(pieces[1][0]) + 1)))
    found = []
    for begin, end in spans:
        track = stranger(rng)
        length = min(end - begin, len(track["frame_ids"]))
        if length > 1:
            found.append(_only(track, np.arange(length), begin))
    return found


def _only(track: Track, rows: np.ndarray, begin: int = 0) -> Track:
    """Some frames of a track; `begin` is added to their numbers."""
    return {name: values[rows] for name, values in track.items()} | {"frame_ids": rows + begin}
