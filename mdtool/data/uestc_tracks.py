"""UESTC from the files that its cache of poses was made of: all tracks of VIBE, and the Kinect's skeletons.

uestc/vibe_cache_all_tracks.pkl    list over videos of dict track id → VIBE's output
uestc/mat_from_skeleton.tar        mat_from_skeleton/…_skeleton.mat, needed where a video has several tracks
uestc/info/                        as `mdtool.data.uestc` has it
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mdtool.data.kinect import SkeletonArchive
from mdtool.data.safe_pickle import load_pickle
from mdtool.data.uestc import VibeVideo, VideoName, read_index
from mdtool.data.vibe_tracks import GapFill, Performer, find_performer
from mdtool.errors import MdtoolError
from mdtool.motion.action_names import UESTC_ACTIONS
from mdtool.motion.motion import Motion

TRACKS = "vibe_cache_all_tracks.pkl"
SKELETONS = "mat_from_skeleton.tar"
TRACKS_LIMIT_BYTES = 6 << 30
"""Memory for reading the tracks; their large arrays stay in the file."""


@dataclass(frozen=True)
class TrackedVideo:
    """One video: what its name says, and the tracks that are the performer's; they are joined when asked for."""

    name: VideoName
    performer: Performer
    people: int
    """Tracks in the video, those of strangers included."""
    most_frames: int
    """How many frames may be used."""
    gap: GapFill

    @property
    def frames(self) -> int:
        """Usable frames."""
        return max(min(self.most_frames, self.performer.frames), 0)

    def motion(self, action: str = "", align_first_frame: bool = False) -> Motion:
        """The usable frames, seen from the front, in the world of the motion file."""
        track, _ = self.performer.joined(self.gap)
        video = VibeVideo(self.name, track["pose"], track["orig_cam"], track["joints3d"], self.most_frames)
        return video.motion(action, align_first_frame)


def read_uestc_tracks(
    folder: Path,
    actions: Sequence[str] = UESTC_ACTIONS,
    gap: GapFill = "linear",
) -> list[TrackedVideo]:
    """All videos, with the performer found among the people in each; poses stay in the file until asked for.

    Raises:
        MdtoolError: a file is missing, damaged or unsafe, the files do not fit each other, or a video has no person.
    """
    names, counts = read_index(folder, actions)
    path = folder / TRACKS
    everybody = load_pickle(path, limit_bytes=TRACKS_LIMIT_BYTES, lazy=True)
    if not isinstance(everybody, list):
        raise MdtoolError(f"{path} holds a {type(everybody).__name__}, not a list of VIBE's tracks per video")
    if not len(everybody) == len(names) == len(counts):
        raise MdtoolError(
            f"{path} has {len(everybody)} videos, names.txt {len(names)} and num_frames_min.txt {len(counts)}: "
            "they belong to different versions of the data set"
        )
    videos = []
    with ExitStack() as stack:
        opened: list[SkeletonArchive] = []

        def start_centre(video: str) -> np.ndarray:
            if not opened:
                opened.append(SkeletonArchive(folder / SKELETONS))
                stack.callback(opened[0].close)
            return opened[0].start_centre(video)

        for name, most, tracks in zip(names, counts, everybody, strict=True):
            performer = find_performer(name.file, tracks, partial(start_centre, name.file))
            videos.append(TrackedVideo(name, performer, len(tracks), most, gap))
    return videos
