"""HumanAct12 as MDM and ACTOR have it: one pickle of SMPL poses, joints and labels (HumanAct12Poses)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdtool.data.gather import Clip, Skipped
from mdtool.data.safe_pickle import load_pickle
from mdtool.data.vibe import POSE_NUMBERS, camera_to_world
from mdtool.errors import MdtoolError
from mdtool.motion.action_names import HUMANACT12_ACTIONS
from mdtool.motion.motion import TRAIN, Motion
from mdtool.motion.skeleton import JOINTS

FPS = 20.0
"""The frame rate is not stated anywhere; MDM plays these clips at 20 fps."""
FOLDERS = (Path("dataset/HumanAct12Poses"), Path("data/HumanAct12Poses"))
"""Where MDM and ACTOR keep the data set."""
FILE = "humanact12poses.pkl"
CLIPS = 1190
"""About how many clips there are."""


@dataclass(frozen=True)
class HumanAct12:
    """The content of the file, clip by clip."""

    path: Path
    poses: list[np.ndarray]
    """[T, 72] axis times angle, radians."""
    joints: list[np.ndarray]
    """[T, 24, 3] metres, in the frame of the same camera."""
    labels: list[int]

    def __len__(self) -> int:
        return len(self.labels)

    def clips(self, fps: float = FPS, align_first_frame: bool = False) -> Iterator[Clip | Skipped]:
        """Each clip in the world of the motion file, all of them for training, as the data set has no split."""
        for place, (pose, joints, label) in enumerate(zip(self.poses, self.joints, self.labels, strict=True)):
            name = f"humanact12/{place:04d}"
            if not np.isfinite(pose).all() or not np.isfinite(joints[:, 0]).all():
                yield Skipped(name, "it has numbers that are not finite")
                continue
            rot6d, root = camera_to_world(pose, joints[:, 0], align_first_frame=align_first_frame)
            action = HUMANACT12_ACTIONS[label]
            yield Clip(Motion(rot6d, root, fps, action, TRAIN, "", name), has_split=True)


def find_humanact12(folder: Path | None) -> Path:
    """The data set's file in a folder, or in the first of MDM's and ACTOR's folders that has it.

    Raises:
        MdtoolError: no such file.
    """
    places = FOLDERS if folder is None else (folder, folder / "HumanAct12Poses")
    for place in places:
        if (place / FILE).is_file():
            return place / FILE
    looked = " or ".join(str(place / FILE) for place in places)
    raise MdtoolError(f"no {looked}: give the folder HumanAct12Poses (mdtool preprocess humanact12 DIR)")


def read_humanact12(path: Path) -> HumanAct12:
    """Read and check the file.

    Raises:
        MdtoolError: it is damaged or unsafe, or does not hold poses, joints and labels that fit each other.
    """
    content = load_pickle(path)
    if not isinstance(content, dict):
        raise MdtoolError(f"{path} holds a {type(content).__name__}, not the dict of HumanAct12's poses")
    poses, joints, labels = (_list(path, content, key) for key in ("poses", "joints3D", "y"))
    if not len(poses) == len(joints) == len(labels):
        raise MdtoolError(f"{path} has {len(poses)} poses, {len(joints)} joints3D and {len(labels)} labels (y)")
    for place, (pose, positions, label) in enumerate(zip(poses, joints, labels, strict=True)):
        frames = len(pose) if isinstance(pose, np.ndarray) and pose.ndim else 0
        for key, array, shape in (("poses", pose, (POSE_NUMBERS,)), ("joints3D", positions, (JOINTS, 3))):
            if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or array.shape != (frames, *shape):
                raise MdtoolError(
                    f"{path}: entry {place} of {key!r} must be an array [{frames or 'frames'}, "
                    f"{', '.join(map(str, shape))}] of floating-point numbers"
                )
        if not frames:
            raise MdtoolError(f"{path}: entry {place} of 'poses' has no frame")
        if not isinstance(label, int | np.integer) or not 0 <= label < len(HUMANACT12_ACTIONS):
            raise MdtoolError(f"{path}: label {place} is {str(label)[:40]}, not 0 to {len(HUMANACT12_ACTIONS) - 1}")
    return HumanAct12(path, poses, joints, [int(label) for label in labels])


def _list(path: Path, content: dict, key: str) -> list:
    values = content.get(key)
    if isinstance(values, np.ndarray) and values.ndim:
        values = list(values)
    if not isinstance(values, list):
        there = ", ".join(str(name) for name in list(content)[:12]) or "nothing"
        raise MdtoolError(f"{path} has no list {key!r} (it has {there}): it is not HumanAct12's file of poses")
    return values
