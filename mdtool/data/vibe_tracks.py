"""From all persons that VIBE tracked in a video to the one performer: track choice, joining, and filling of gaps.

This is how `vibe_cache_refined.pkl` was made from `vibe_cache_all_tracks.pkl`, with the same rules. Frames before the
performer is first found, and after the last, cannot be filled from anything: the clip begins late or ends early.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from mdtool.data.safe_pickle import StoredArray
from mdtool.errors import MdtoolError
from mdtool.motion.rotations import axis_angle_to_quaternion, quaternion_invert, quaternion_to_axis_angle, slerp
from mdtool.motion.skeleton import JOINTS

GapFill = Literal["linear", "slerp"]
"""How rotations cross a gap: "linear" blends quaternions as the published files were made, "slerp" turns evenly."""

TRACK_SHAPES: dict[str, tuple[int, ...]] = {
    "frame_ids": (),
    "pose": (JOINTS * 3,),
    "orig_cam": (4,),
    "joints3d": (49, 3),
    "bboxes": (4,),
    "pred_cam": (3,),
    "betas": (10,),
}
"""What a track holds, each [T, …]; the last two may be missing, anything else is left out."""
_OPTIONAL = ("pred_cam", "betas")
_CHOOSING = ("frame_ids", "bboxes")
_MOST_FRAMES = 100_000
"""An hour at 30 frames per second; frame numbers beyond it are damage, and must not be filled."""

Track = dict[str, np.ndarray]
_Stored = dict[str, np.ndarray | StoredArray]


@dataclass(frozen=True)
class Performer:
    """The tracks of one video that are the performer's, not yet joined."""

    video: str
    keys: tuple[object, ...]
    """Track ids, in order of time."""
    tracks: tuple[_Stored, ...]
    """As TRACK_SHAPES has it; arrays may still be in their file."""

    @property
    def found(self) -> int:
        """Frames in which the performer was found."""
        return sum(len(track["frame_ids"]) for track in self.tracks)

    @property
    def first_frame(self) -> int:
        """Number of the first of these."""
        return int(np.asarray(self.tracks[0]["frame_ids"])[0])

    @property
    def frames(self) -> int:
        """Frames from the first to the last of these."""
        return int(np.asarray(self.tracks[-1]["frame_ids"])[-1]) - self.first_frame + 1

    def joined(self, gap: GapFill = "linear") -> tuple[Track, np.ndarray]:
        """One track without gaps, as an entry of `vibe_cache_refined.pkl`, and which frames were filled [T] bool."""
        names = [name for name in TRACK_SHAPES if all(name in track for track in self.tracks)]
        parts = {name: [np.asarray(track[name]) for track in self.tracks] for name in names}
        return fill_gaps({name: np.concatenate(arrays) for name, arrays in parts.items()}, gap)


def find_performer(video: str, tracks: object, start_centre: Callable[[], np.ndarray]) -> Performer:
    """Check all tracks of a video and choose the performer's.

    Args:
        video: name for messages.
        tracks: track id → VIBE's output for that person, as `vibe_cache_all_tracks.pkl` has it.
        start_centre: gives the centre [2] of the performer's box in the first frame, px; asked only when there is
            more than one track.

    Raises:
        MdtoolError: no track, a track of another shape, or frame numbers that are not increasing.
    """
    if not isinstance(tracks, Mapping) or not tracks:
        raise MdtoolError(
            f"{video}: no person was tracked in it; leave it out of info/names.txt and of the tracks file"
        )
    found = {key: _checked(f"{video}, track {key}", track) for key, track in tracks.items()}
    seen = {key: {name: np.asarray(track[name]) for name in _CHOOSING} for key, track in found.items()}
    chosen = choose_tracks(seen, start_centre)
    performer = Performer(video, tuple(chosen), tuple(found[key] for key in chosen))
    if performer.frames > _MOST_FRAMES:
        raise MdtoolError(f"{video}: its frame numbers span {performer.frames:,} frames, more than {_MOST_FRAMES:,}")
    return performer


def choose_tracks(tracks: Mapping[object, Track], start_centre: Callable[[], np.ndarray]) -> list[object]:
    """Keys of the tracks that are the performer's, in order of time.

    The track that begins first competes with all that begin before it ends; of several, the one is taken whose
    first box is nearest to where the performer was last seen. What overlaps with it is dropped, and so on.
    A stranger who is alone in the picture before or after the performer is therefore taken for the performer.

    Args:
        tracks: key → track with frame_ids [T] and bboxes [T, 4]; the order decides between tracks that begin together.
        start_centre: centre [2] of the performer's box at the beginning, px; asked only if there is a choice.
    """
    remaining = list(tracks)
    chosen: list[object] = []
    if len(remaining) == 1:
        return remaining
    first = {key: int(track["frame_ids"][0]) for key, track in tracks.items()}
    last = {key: int(track["frame_ids"][-1]) for key, track in tracks.items()}
    while remaining:
        earliest = min(remaining, key=first.__getitem__)
        rivals = [key for key in remaining if first[key] <= last[earliest]]
        pick = earliest
        if len(rivals) > 1:
            seen = tracks[chosen[-1]]["bboxes"][-1, :2] if chosen else start_centre()
            pick = min(rivals, key=lambda key: float(np.linalg.norm(tracks[key]["bboxes"][0, :2] - seen)))
        chosen.append(pick)
        remaining = [key for key in remaining if first[key] > last[pick]]
    return chosen


def fill_gaps(track: Track, gap: GapFill = "linear") -> tuple[Track, np.ndarray]:
    """Interpolate all that is missing between the first and the last frame; what is there stays bit for bit.

    Args:
        track: arrays [n, …] with increasing frame_ids [n].

    Returns:
        (arrays [T, …] with consecutive frame_ids, which frames were filled [T] bool).
    """
    there = track["frame_ids"]
    frames = np.arange(there[0], there[-1] + 1)
    before = np.searchsorted(there, frames, side="right") - 1
    filled = there[before] != frames
    whole = {name: values[before] for name, values in track.items()}
    whole["frame_ids"] = frames
    if not filled.any():
        return whole, filled
    start = before[filled]
    weight = (frames[filled] - there[start]) / (there[start + 1] - there[start])
    for name, values in track.items():
        if name == "pose":
            between = _blend_poses(values[start], values[start + 1], weight, gap)
        elif name == "frame_ids":
            continue
        else:
            late = weight.reshape(-1, *[1] * (values.ndim - 1))
            between = (1 - late) * values[start] + late * values[start + 1]
        whole[name][filled] = between
    return whole, filled


def _blend_poses(start: np.ndarray, end: np.ndarray, weight: np.ndarray, gap: GapFill) -> np.ndarray:
    """Poses [n, 72] between two others, in quaternions."""
    first, second = (
        axis_angle_to_quaternion(torch.from_numpy(pose.reshape(len(pose), JOINTS, 3).astype(np.float64)))
        for pose in (start, end)
    )
    share = torch.from_numpy(weight)[:, None]
    if gap == "slerp":
        blended = slerp(first, second, share.expand(-1, JOINTS))
    else:
        # The published files take the root's inverse where that is nearer, against flips of angles about pi.
        root = second[:, 0]
        inverse = quaternion_invert(root)
        nearer = (first[:, 0] - inverse).norm(dim=-1) < (first[:, 0] - root).norm(dim=-1)
        second = torch.cat([torch.where(nearer[:, None], inverse, root)[:, None], second[:, 1:]], dim=1)
        blended = (1 - share[..., None]) * first + share[..., None] * second
        blended = blended / blended.norm(dim=-1, keepdim=True)
    return quaternion_to_axis_angle(blended).reshape(len(start), -1).numpy()


def _checked(where: str, track: object) -> _Stored:
    """The arrays of one track, looked at but left in their file where they are; frame numbers as integers."""
    if not isinstance(track, Mapping):
        raise MdtoolError(f"{where}: it holds {type(track).__name__} where VIBE's output belongs, a dict of arrays")
    arrays: _Stored = {}
    for name, shape in TRACK_SHAPES.items():
        values = track.get(name)
        if values is None and name in _OPTIONAL:
            continue
        if not isinstance(values, np.ndarray | StoredArray) or values.dtype.kind not in "fiu":
            raise MdtoolError(f"{where}: it has no numbers for {name!r}; keys: {', '.join(sorted(map(str, track)))}")
        if len(values.shape) != 1 + len(shape) or values.shape[1:] != shape:
            wanted = ", ".join(["frames", *map(str, shape)])
            raise MdtoolError(f"{where}: {name!r} must be [{wanted}], not {list(values.shape)}")
        arrays[name] = values
    frames = len(arrays["frame_ids"])
    uneven = [name for name, values in arrays.items() if len(values) != frames]
    if uneven or not frames:
        name = uneven[0] if uneven else "frame_ids"
        raise MdtoolError(f"{where}: {name!r} has {len(arrays[name])} frames, 'frame_ids' has {frames}")
    arrays |= {name: _finite(where, name, arrays[name]) for name in _CHOOSING}
    numbers = np.asarray(np.rint(arrays["frame_ids"]), dtype=np.int64)
    if numbers[0] < 0 or (np.diff(numbers) <= 0).any():
        raise MdtoolError(f"{where}: its 'frame_ids' must be 0 or more and increasing")
    return arrays | {"frame_ids": numbers}


def _finite(where: str, name: str, values: np.ndarray | StoredArray) -> np.ndarray:
    """The numbers themselves."""
    array = np.asarray(values)
    if not np.isfinite(array).all():
        raise MdtoolError(f"{where}: {name!r} holds NaN or infinite numbers")
    return array
