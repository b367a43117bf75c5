"""The motion that an edit begins with: a clip of a motion file, joint places from elsewhere, or a sample."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mdtool.editing.frames import frame_indices
from mdtool.editing.placement import Placement, facing_of_points, stands_at
from mdtool.errors import MdtoolError
from mdtool.motion.motion import Motion
from mdtool.motion.skeleton import JOINTS
from mdtool.npz_archive import open_npz


@dataclass(frozen=True)
class Source:
    """A motion, or the joint places of one, and where it stands."""

    motion: Motion | None
    """None for joint places."""
    points: np.ndarray | None
    """[T, 24, 3] joint places in the world, for a source without rotations."""
    fps: float
    name: str
    path: Path | None = None
    clip: int = 0
    provenance: dict[str, Any] = field(default_factory=dict)
    """The file's."""
    first: int = 0
    """Frame of the clip, at the model's rate, with which the source begins."""

    def __len__(self) -> int:
        return len(self.motion if self.motion is not None else self.points if self.points is not None else ())

    def part(self, begin: int, end: int) -> Source:
        """Frames begin … end of it; without its noise, which is of the whole."""
        if (begin, end) == (0, len(self)):
            return self
        if self.motion is None:
            assert self.points is not None
            return replace(self, points=self.points[begin:end], first=self.first + begin)
        return replace(self, motion=replace(self.motion.slice(begin, end), noise=None), first=self.first + begin)

    def become(self, motion: Motion, provenance: dict[str, Any] | None = None) -> Source:
        """What an edit made of it, as the source of the next edit."""
        return replace(self, motion=motion, points=None, fps=motion.fps, name=motion.name, provenance=provenance or {})

    @cached_property
    def world(self) -> Placement:
        """From the space `start` to the world of the file."""
        if self.motion is not None:
            return stands_at(self.motion)
        assert self.points is not None
        some = self.points[: max(1, len(self.points) // 4)]
        return Placement(facing_of_points(some), float(some[0, 0, 0]), float(some[0, 0, 2]))

    @cached_property
    def positions(self) -> np.ndarray:
        """[T, 24, 3] joint places in the space `start`, metres."""
        places = self.motion.positions() if self.motion is not None else self.points
        assert places is not None
        result: np.ndarray = self.world.undone(places.astype(np.float64))
        return result

    @cached_property
    def rot6d(self) -> np.ndarray:
        """[T, 24, 6] local rotations, the pelvis' in the space `start`; for a source that has rotations."""
        assert self.motion is not None
        result: np.ndarray = self.world.inverse().motion(self.motion).rot6d.astype(np.float64)
        return result

    @cached_property
    def way(self) -> np.ndarray:
        """[T, 3] places of the pelvis in the space `start`; needs no forward kinematics."""
        places = self.motion.root if self.motion is not None else self.points[:, 0]  # type: ignore[index]
        result: np.ndarray = self.world.undone(places.astype(np.float64))
        return result


def load_source(path: Path, clip: int, frames: Any, fps: float, seconds: bool) -> Source:
    """A clip of a motion file, or joint places of an .npz file, at the model's frame rate.

    Args:
        frames: the part to take, as a request says it; all when None.
        fps: frame rate of the model.
        seconds: whether `frames` are seconds.

    Raises:
        MdtoolError: no such file or clip, or no such frames in it.
    """
    if path.suffix == ".npz":
        source = _points(path)
    else:
        from mdtool.motion.file import read_motions

        motions = read_motions(path)
        motions.require_clips([clip], str(path))
        motion = motions[clip]
        source = Source(motion, None, motion.fps, motion.name or path.stem, path, clip, motions.provenance)
    if abs(source.fps - fps) > 1e-3 * fps:
        source = at_rate(source, fps)
    if frames is None:
        return source
    try:
        chosen = frame_indices(frames, len(source), fps if seconds else None)
    except ValueError as error:
        raise MdtoolError(f"{path}: input.frames: {error}") from error
    return source.part(int(chosen[0]), int(chosen[-1]) + 1)


def at_rate(source: Source, fps: float) -> Source:
    """A source at another frame rate.

    Raises:
        MdtoolError: joint places, which are not resampled.
    """
    if source.motion is None:
        raise MdtoolError(f"{source.path} has {source.fps:g} frames per second and the model {fps:g}: resample it")
    from mdtool.motion.resample import resample

    return replace(source, motion=resample(source.motion, fps), fps=fps)


def _points(path: Path) -> Source:
    """`joints` [T, 22 or 24, 3] in metres and `fps` of an .npz file; without hands these lie at the wrists."""
    try:
        with open_npz(path) as arrays:
            joints, fps = np.asarray(arrays["joints"], np.float64), float(arrays["fps"])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise MdtoolError(
            f"{path}: joint places are an .npz file with `joints` [frames, 22, 3] and `fps` ({error})"
        ) from error
    if joints.ndim != 3 or joints.shape[1] not in (22, JOINTS) or joints.shape[2] != 3 or len(joints) < 2:
        raise MdtoolError(
            f"{path}: joints must be [frames, 22 or 24, 3] with two frames or more, not {list(joints.shape)}"
        )
    if not np.isfinite(joints).all():
        frame = int(np.argwhere(~np.isfinite(joints))[0][0])
        raise MdtoolError(f"{path}: joints are not finite, first in frame {frame}: leave that frame out, or set `mask`")
    if joints.shape[1] == 22:
        joints = np.concatenate([joints, joints[:, [20, 21]]], axis=1)
    return Source(None, joints, fps, path.stem, path)
