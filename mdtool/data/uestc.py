"""UESTC as users of MDM and ACTOR have it: VIBE's poses of 25,600 videos, their names, frame counts and actions.

    uestc/vibe_cache_refined.pkl       dict of lists, one entry per video
    uestc/info/names.txt               a{action}_d{view}_p{subject}_c{side}_color.avi, one per line
    uestc/info/num_frames_min.txt      how many frames of each video may be used
    uestc/info/action_classes.txt      line k is the name of action k (optional: the list is known)

globtrans_usez.pkl, where it exists, is a cache of what `vibe.camera_path` computes, and is not read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np

from mdtool.data.gather import Clip, Skipped
from mdtool.data.safe_pickle import StoredArray, load_pickle
from mdtool.data.vibe import POSE_NUMBERS, camera_path, camera_to_world, turn_about_vertical
from mdtool.errors import MdtoolError
from mdtool.motion.action_names import UESTC_ACTIONS
from mdtool.motion.motion import TEST, TRAIN, Motion

FPS = 30.0
"""Frame rate of the videos; no file states it. Clips of 6 to 7 s have about 200 frames."""
FOLDERS = (Path("dataset/uestc"), Path("data/uestc"))
"""Where MDM and ACTOR keep the data set."""
CACHE = "vibe_cache_refined.pkl"
CACHE_LIMIT_BYTES = 5 << 29
"""Memory for reading the cache (2.5 GiB): for about 180,000 arrays that stay in the file it takes a third of it."""
TRAIN_SUBJECTS = frozenset(
    (1, 2, 6, 12, 13, 16, 21, 24, 28, 29, 30, 31, 33, 35, 39, 41, 42, 45, 47, 50, 52, 54, 55, 57, 59, 61, 63, 64, 67,
     69, 70, 71, 73, 77, 81, 84, 86, 87, 88, 90, 91, 93, 96, 99, 102, 103, 104, 107, 108, 112, 113)
)  # fmt: skip
"""The 51 subjects of the cross-subject protocol's training split; the other 67 of 118 are for testing."""
SUBJECTS = 118
ROTATING_VIEW = 8
"""View index of the second camera that goes around the subject: its videos are left out."""
FRONT_SIDE = 1
PELVIS = 8
"""The pelvis among VIBE's 49 joints (OpenPose's MidHip)."""
JOINTS_3D = 49

View = Literal["all", "front"]
FrameArray = np.ndarray | StoredArray
"""An array [frames, …] in memory or still in its file."""
T = TypeVar("T")

_NAME = re.compile(r"a(\d+)_d(\d+)_p(\d+)_c(\d+)[_.].*")
_SHAPES: dict[str, tuple[int, ...]] = {"pose": (POSE_NUMBERS,), "orig_cam": (4,), "joints3d": (JOINTS_3D, 3)}


@dataclass(frozen=True)
class VideoName:
    """What the name of a video says."""

    file: str
    action: int
    view: int
    """Where the second camera stood, in steps of 45° from the front; 8: it went around."""
    subject: int
    side: int
    """1: the camera in front; 2: the second camera."""

    @classmethod
    def parse(cls, file: str) -> VideoName:
        """Read a name such as a3_d2_p016_c2_color.avi.

        Raises:
            MdtoolError: no such name, or a number outside of the data set.
        """
        match = _NAME.fullmatch(file)
        if not match:
            raise MdtoolError(f"{file!r} is no name like a3_d2_p016_c2_color.avi")
        action, view, subject, side = (int(part) for part in match.groups())
        if view > ROTATING_VIEW or not 1 <= subject <= SUBJECTS or side not in (1, 2):
            raise MdtoolError(f"{file!r} has a view, subject or camera that UESTC does not have")
        return cls(file, action, view, subject, side)

    @property
    def split(self) -> int:
        """Train or test, by subject."""
        return TRAIN if self.subject in TRAIN_SUBJECTS else TEST

    @property
    def moves(self) -> bool:
        """Whether the camera moved."""
        return self.side != FRONT_SIDE and self.view == ROTATING_VIEW

    @property
    def turn(self) -> np.ndarray | None:
        """Rotation [3, 3] that makes the second camera's view the front camera's; None for the front camera."""
        return None if self.side == FRONT_SIDE else turn_about_vertical(-self.view * math.pi / 4)


class UestcVideo(Protocol):
    """One video of the data set, whatever its motion is read from."""

    @property
    def name(self) -> VideoName:
        """What its name says."""

    @property
    def frames(self) -> int:
        """Usable frames."""

    def motion(self, action: str = "", align_first_frame: bool = False) -> Motion:
        """The usable frames, seen from the front, in the world of the motion file."""


@dataclass(frozen=True)
class VibeVideo:
    """One video: what its name says, and what VIBE saw, in the frame of its camera."""

    name: VideoName
    pose: FrameArray
    """[T, 72] axis times angle of the SMPL joints, radians."""
    orig_cam: FrameArray
    """[T, 4] weak-perspective camera."""
    joints3d: FrameArray
    """[T, 49, 3] metres, without the global translation."""
    most_frames: int
    """How many frames may be used; no more than T are."""

    @property
    def frames(self) -> int:
        """Usable frames."""
        return max(min(self.most_frames, self.pose.shape[0]), 0)

    def motion(self, action: str = "", align_first_frame: bool = False) -> Motion:
        """The usable frames, seen from the front, in the world of the motion file."""
        pose, camera, joints = (np.asarray(part)[: self.frames] for part in (self.pose, self.orig_cam, self.joints3d))
        pelvis = joints[:, PELVIS] + camera_path(camera)
        rot6d, root = camera_to_world(pose, pelvis, self.name.turn, align_first_frame)
        subject = f"p{self.name.subject:03d}"
        return Motion(rot6d, root, FPS, action, self.name.split, subject, self.name.file)


@dataclass(frozen=True)
class Selection:
    """Which videos become clips, and how many there are of each kind."""

    videos: Sequence[UestcVideo]
    listed: int
    moving: int
    """Left out: the camera moved."""
    sideways: int
    """Left out: not the front camera, where only that is wanted."""
    short: int
    """Left out: training videos of too few frames."""

    def count(self, split: int) -> int:
        """Clips of a split."""
        return sum(video.name.split == split for video in self.videos)

    @property
    def frames(self) -> int:
        """Usable frames of all clips."""
        return sum(video.frames for video in self.videos)


def find_uestc(folder: Path | None, file: str = CACHE) -> Path:
    """The folder itself, or the first of MDM's and ACTOR's that exists, with `file` in it.

    Raises:
        MdtoolError: nothing there, or not the data set.
    """
    places = FOLDERS if folder is None else (folder, folder / "uestc")
    for place in places:
        if (place / file).is_file():
            return place
    looked = " or ".join(str(place / file) for place in places)
    raise MdtoolError(f"no {looked}: give the folder of UESTC as MDM and ACTOR have it (mdtool preprocess uestc DIR)")


def read_actions(folder: Path) -> tuple[list[str], str]:
    """(action names in the order of their ids, how they differ from the known list or nothing).

    Raises:
        MdtoolError: the file names an action twice or is no text.
    """
    path = folder / "info" / "action_classes.txt"
    if not path.exists():
        return list(UESTC_ACTIONS), f"{path} is missing: the known names of the 40 actions are taken"
    names = _lines(path)
    twice = {name for name in names if names.count(name) > 1}
    if twice or not all(names):
        raise MdtoolError(f"{path} has {min(twice)!r} twice" if twice else f"{path} has an empty line")
    if len(names) != len(UESTC_ACTIONS):
        return names, f"{path} has {len(names)} actions, not {len(UESTC_ACTIONS)}; it is followed"
    for number, (name, known) in enumerate(zip(names, UESTC_ACTIONS, strict=True)):
        if name != known:
            return names, f"{path} calls action {number} {name!r}, elsewhere it is {known!r}; the file is followed"
    return names, ""


def read_index(folder: Path, actions: Sequence[str] = UESTC_ACTIONS) -> tuple[list[VideoName], list[int]]:
    """The videos, and how many frames of each may be used, as far as info/ says.

    Raises:
        MdtoolError: a file is missing, or a line of it is not what belongs there.
    """
    info = folder / "info"

    def video_name(text: str) -> VideoName:
        name = VideoName.parse(text)
        if name.action >= len(actions):
            raise MdtoolError(f"{text!r} is of action {name.action}; the list has {len(actions)}, from 0 on")
        return name

    return _each_line(info / "names.txt", video_name), _each_line(info / "num_frames_min.txt", _whole_number)


def read_uestc_cache(folder: Path, actions: Sequence[str] = UESTC_ACTIONS) -> list[VibeVideo]:
    """All videos of the data set; their arrays stay in the cache file until they are asked for.

    Raises:
        MdtoolError: a file is missing, damaged or unsafe, or the files do not fit each other.
    """
    names, counts = read_index(folder, actions)
    path = folder / CACHE
    cache = load_pickle(path, limit_bytes=CACHE_LIMIT_BYTES, lazy=True)
    if not isinstance(cache, dict):
        raise MdtoolError(f"{path} holds a {type(cache).__name__}, not a dict of lists: it is no cache of VIBE's poses")
    for key in _SHAPES:
        if not isinstance(cache.get(key), list):
            there = ", ".join(str(name) for name in list(cache)[:12]) or "nothing"
            raise MdtoolError(f"{path} has no list {key!r} (it has {there}): it is no cache of VIBE's poses")
        if not len(cache[key]) == len(names) == len(counts):
            raise MdtoolError(
                f"{path} has {len(cache[key])} entries of {key!r}, names.txt {len(names)} and num_frames_min.txt "
                f"{len(counts)}: they belong to different versions of the data set"
            )
    return [
        _checked(path, VibeVideo(name, cache["pose"][place], cache["orig_cam"][place], cache["joints3d"][place], most))
        for place, (name, most) in enumerate(zip(names, counts, strict=True))
    ]


def select_videos(videos: Iterable[UestcVideo], view: View = "all", frames: int = 60) -> Selection:
    """The cross-subject protocol's choice: no moving camera, and no training video much shorter than a window.

    Args:
        view: "front" keeps the front camera alone.
        frames: window that a network will learn; training videos need three quarters of it (45 of 60). Test videos
            are never left out. 0 keeps all.
    """
    everything = list(videos)
    standing = [video for video in everything if not video.name.moves]
    seen = [video for video in standing if view == "all" or video.name.side == FRONT_SIDE]
    chosen = [video for video in seen if video.name.split == TEST or video.frames >= 0.75 * frames]
    return Selection(
        chosen, len(everything), len(everything) - len(standing), len(standing) - len(seen), len(seen) - len(chosen)
    )


def clips_from_vibe(
    videos: Iterable[UestcVideo], actions: Sequence[str] = UESTC_ACTIONS, align_first_frame: bool = False
) -> Iterator[Clip | Skipped]:
    """Each video as a clip in the world of the motion file; what cannot be one is skipped with a reason."""
    for video in videos:
        if not video.frames:
            yield Skipped(video.name.file, "no frame of it may be used")
            continue
        motion = video.motion(actions[video.name.action], align_first_frame)
        if np.isfinite(motion.root).all() and np.isfinite(motion.rot6d).all():
            yield Clip(motion, has_split=True)
        else:
            yield Skipped(video.name.file, "its poses or its camera have numbers that are not finite")


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text("utf-8").strip().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise MdtoolError(f"cannot read {path}: {reason}") from error


def _each_line(path: Path, read: Callable[[str], T]) -> list[T]:
    """What `read` makes of each line; its error with the place in front."""
    values = []
    for number, line in enumerate(_lines(path), 1):
        try:
            values.append(read(line))
        except MdtoolError as error:
            raise MdtoolError(f"{path}, line {number}: {error}") from None
    return values


def _whole_number(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise MdtoolError(f"{text[:40]!r} is no number of frames")
    return int(text)


def _checked(path: Path, video: VibeVideo) -> VibeVideo:
    """The video, if its arrays have the shapes and types that belong there."""
    for key, shape in _SHAPES.items():
        array = getattr(video, key)
        found = array.shape if isinstance(array, FrameArray) and array.dtype.kind == "f" else ()
        if found[1:] != shape or found[0] != video.pose.shape[0]:
            expected = ", ".join(["frames", *map(str, shape)])
            raise MdtoolError(
                f"{path}: {key} of {video.name.file} must be an array [{expected}] of floating-point numbers, "
                f"and is {list(found) or type(array).__name__}"
            )
    return video
