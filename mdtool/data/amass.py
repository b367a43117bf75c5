"""AMASS as its users have it: a tree of SMPL-H npz files, cut by the index of HumanML3D and divided by its splits.

DIR/KIT/3/kick_high_left02_poses.npz …      one recording each (data/npz_motion.py), at any frame rate
index.csv                                    source_path, start_frame, end_frame, new_name of HumanML3D's segments
train.txt, val.txt, test.txt                 names of the segments in each split; M000001 is the mirror image of 000001

Which segments count: no mirrored copies, none of HumanAct12 (they have no body), and at least 32 frames at 20 fps:
10,626 / 665 / 1,997 of HumanML3D, the numbers of Björkstrand et al. 2025. Frame numbers of the index refer to the
recording after its first seconds are cut off in some data sets, and after every n-th frame is taken, n = int(fps / 20).
That is 20 fps only where 20 divides the rate: 59 fps become 29.5. `Stride` says what to do with such a recording.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from mdtool.data.archives import Container, open_containers
from mdtool.data.gather import Clip, Note, Reading, Skipped
from mdtool.data.npz_motion import read_amass
from mdtool.errors import MdtoolError, reason
from mdtool.motion.motion import TEST, TRAIN, Motion
from mdtool.motion.resample import resample, resample_at

Stride = Literal["exact", "humanml3d"]
"""exact: the segment's time span at exactly 20 fps. humanml3d: every int(fps / 20)-th frame, called 20 fps, frame for
frame what HumanML3D's own files hold."""
INDEX_FPS = 20
SHORTEST = 32
"""Frames of the shortest segment that counts."""
EXPECTED = {"train": 10626, "val": 665, "test": 1997}
"""Segments in the whole of HumanML3D by the rule above."""
TRIMMED_S = {
    "Eyes_Japan_Dataset": 3.0,
    "MPI_HDM05": 3.0,
    "TotalCapture": 1.0,
    "MPI_Limits": 1.0,
    "Transitions_mocap": 0.5,
}
"""Seconds at the beginning of a data set's recordings that show a calibration pose; the index counts from there."""
SPLIT_FILES = ("train", "val", "test")
_NOT_MOTION = ("shape.npz", "neutral_stagei.npz", "male_stagei.npz", "female_stagei.npz")
_COLUMNS = ("source_path", "start_frame", "end_frame", "new_name")


@dataclass(frozen=True)
class Segment:
    """One row of the index that counts."""

    source: str
    """Path of the recording below the tree, without its ending: KIT/3/kick_high_left02_poses."""
    start: int
    end: int
    name: str
    split: str
    """train, val or test."""


def read_index(index: Path, splits: Path) -> list[Segment]:
    """The segments that count, in the order of the index.

    Args:
        index: HumanML3D's index.csv.
        splits: folder of train.txt, val.txt and test.txt.

    Raises:
        MdtoolError: a file is missing or is not what its name says, or no segment is left.
    """
    rows = csv.DictReader(_lines(index))
    if not set(_COLUMNS) <= set(rows.fieldnames or ()):
        raise MdtoolError(f"{index} is not HumanML3D's index: it needs the columns {', '.join(_COLUMNS)}")
    split_of: dict[str, str] = {}
    for split in SPLIT_FILES:
        split_of |= dict.fromkeys(_lines(splits / f"{split}.txt"), split)
    segments = []
    for number, row in enumerate(rows, start=2):
        try:
            start, end = int(row["start_frame"]), int(row["end_frame"])
        except (TypeError, ValueError) as error:
            raise MdtoolError(f"{index}, line {number}: start_frame and end_frame must be whole numbers") from error
        if row["source_path"] is None or row["new_name"] is None:
            raise MdtoolError(f"{index}, line {number}: it is cut short; get the index again")
        source, name = row["source_path"].removeprefix("./").removeprefix("pose_data/"), row["new_name"]
        name = PurePosixPath(name).stem
        if name in split_of and not source.startswith("humanact12") and end - start >= SHORTEST:
            segments.append(Segment(source.removesuffix(".npy"), start, end, name, split_of[name]))
    if not segments:
        raise MdtoolError(
            f"no segment of {index} is in {splits}/train.txt, val.txt or test.txt: they do not go together"
        )
    return segments


def segment_counts(segments: Sequence[Segment]) -> dict[str, int]:
    """Segments by split."""
    return {split: sum(segment.split == split for segment in segments) for split in SPLIT_FILES}


class AmassTree:
    """The recordings of a tree, or the segments that an index cuts from them; iterating reads and converts them."""

    def __init__(
        self,
        source: str | Path,
        segments: Sequence[Segment] | None = None,
        held_out: str = "test",
        stride: Stride = "exact",
        gender: str | None = None,
    ) -> None:
        """Args:
        source: folder (archives in it included) or archive.
        segments: what to cut; None takes every recording whole, at its own rate.
        held_out: the split whose segments become the test split, val or test; the other one is left out.
        gender: read the recordings of this body model alone, with their shapes. None reads all, and keeps the shapes
            of the neutral model: those of two models do not mix.

        Raises:
            MdtoolError: there is nothing to read.
        """
        self.containers = open_containers(source, ".npz")
        self.stride, self.gender = stride, gender
        self.segments: dict[str, list[Segment]] | None = None
        if segments is not None:
            self.segments = {}
            for segment in segments:
                if segment.split in ("train", held_out):
                    self.segments.setdefault(segment.source, []).append(segment)
        self.other_models: dict[str, int] = {}
        """Recordings of another body model than the one asked for, by their gender."""

    def __len__(self) -> int:
        """Recordings, or segments, to read at most."""
        if self.segments is not None:
            return sum(len(cut) for cut in self.segments.values())
        return sum(len(container.names) for container in self.containers)

    def __iter__(self) -> Iterator[Reading]:
        found: set[str] = set()
        for container in self.containers:
            if container.problem:
                yield Skipped(container.path.name, container.problem)
            yield from self._of(container, found)
        missing = [] if self.segments is None else [source for source in self.segments if source not in found]
        if missing:
            yield Note(f"{len(missing)} recordings of the index are not there, the first is {missing[0]}.npz")
        if self.other_models:
            told = ", ".join(f"{count} {gender}" for gender, count in sorted(self.other_models.items()))
            what = "body shapes" if self.gender is None else "recordings"
            yield Note(f"{what} of another model than {self.gender or 'neutral'} left out: {told}; see --gender")

    def _of(self, container: Container, found: set[str]) -> Iterator[Reading]:
        for name, content in container.read():
            wanted = None if name.endswith(_NOT_MOTION) else self._wanted(name)
            if wanted is None:
                continue
            found.add(wanted)
            segments = None if self.segments is None else self.segments[wanted]
            try:
                if isinstance(content, MdtoolError):
                    raise content
                yield from self._cut(content, name, segments)
            except MdtoolError as error:
                reason = str(error).removeprefix(name).lstrip(":, ")
                for left in [name] if segments is None else [segment.name for segment in segments]:
                    yield Skipped(left, reason)

    def _wanted(self, name: str) -> str | None:
        """The source that a file is, whatever folders stand before it; None when the index does not want it."""
        parts = PurePosixPath(name.removesuffix(".npz")).parts
        if self.segments is None:
            return "/".join(parts)
        return next((tail for k in range(len(parts)) if (tail := "/".join(parts[k:])) in self.segments), None)

    def _cut(self, content: bytes, name: str, segments: list[Segment] | None) -> Iterator[Reading]:
        clip, gender = read_amass(content, name, self.gender or "neutral")
        if gender != (self.gender or "neutral"):
            self.other_models[gender] = self.other_models.get(gender, 0) + 1
            if self.gender is not None:
                return
        parts = PurePosixPath(name).parts
        motion = replace(clip.motion, subject=clip.motion.subject or "/".join(parts[-3:-1]))
        if segments is None:
            yield Clip(motion, clip.has_split)
            return
        dataset = segments[0].source.partition("/")[0]
        for segment in segments:
            piece = cut_segment(motion, segment, self.stride, TRIMMED_S.get(dataset, 0.0))
            if piece is None:
                yield Skipped(segment.name, f"the recording ends before frame {segment.start}")
            else:
                yield Clip(replace(piece, name=segment.name, split=TRAIN if segment.split == "train" else TEST), True)


def cut_segment(motion: Motion, segment: Segment, stride: Stride, trimmed_s: float = 0.0) -> Motion | None:
    """One segment at 20 fps; None when the recording has no frame of it.

    Frame k of the index is frame (k + 20 · trimmed_s) · int(fps / 20) of the recording, both ways. A recording below
    20 fps, which HumanML3D has not, counts by its own frames.
    """
    every = max(int(motion.fps / INDEX_FPS), 1)
    skipped = int(trimmed_s * INDEX_FPS)
    start, end = segment.start + skipped, segment.end + skipped
    if stride == "humanml3d":
        strided = replace(motion, rot6d=motion.rot6d[::every], root=motion.root[::every], fps=float(INDEX_FPS))
        piece = strided.slice(start, end)
        return piece if len(piece) else None
    first, last = start * every, min(end * every, len(motion))
    if first >= len(motion):
        return None
    ratio = motion.fps / INDEX_FPS
    if abs(ratio - every) < 1e-6:
        return resample(motion.slice(first, last), float(INDEX_FPS))
    frames = max(round((last - first) / ratio), 1)
    times = np.arange(frames) / INDEX_FPS + first / motion.fps
    return replace(resample_at(motion, times), fps=float(INDEX_FPS))


def _lines(path: Path) -> list[str]:
    """Lines of a text file that are not empty."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MdtoolError(f"cannot read {path}: {reason(error)}; it comes with HumanML3D") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
