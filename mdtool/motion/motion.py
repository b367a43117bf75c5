"""What a motion is: one clip, and a set of clips stored end to end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mdtool.errors import MdtoolError
from mdtool.motion.skeleton import JOINTS

TRAIN, TEST = 0, 1
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Motion:
    """One clip: T frames of 24 local joint rotations and a pelvis path, in the world of the motion file.

    World: right-handed, metres, y up, the person of the rest pose faces +z, floor at y = 0.
    """

    rot6d: np.ndarray
    """[T, 24, 6] float32, first two rows of each local rotation matrix; joint 0 is the global orientation."""
    root: np.ndarray
    """[T, 3] float32, pelvis position in metres."""
    fps: float
    """Frame rate of the recording (119.88 stays 119.88)."""
    action: str = ""
    """Name of the action; empty when unknown."""
    split: int = TRAIN
    subject: str = ""
    name: str = ""
    """Where the clip came from."""
    text: str = ""
    betas: np.ndarray | None = None
    """[10] float32 body shape; None means the neutral body."""
    gender: str = ""
    """Whose body model the shape belongs to, in AMASS's words: neutral, male or female; empty when unknown."""
    noise: np.ndarray | None = None
    """The latent that made a generated clip; None for recordings."""

    def __post_init__(self) -> None:
        if self.rot6d.ndim != 3 or self.rot6d.shape[1:] != (JOINTS, 6):
            raise MdtoolError(f"motion {self.name!r}: rotations must be [frames, 24, 6], not {list(self.rot6d.shape)}")
        if self.root.shape != (len(self.rot6d), 3):
            raise MdtoolError(f"motion {self.name!r}: root must be [{len(self.rot6d)}, 3], not {list(self.root.shape)}")
        if not self.fps > 0:
            raise MdtoolError(f"motion {self.name!r}: the frame rate must be above zero, not {self.fps}")

    def __len__(self) -> int:
        return len(self.rot6d)

    @property
    def seconds(self) -> float:
        """Duration: frames / fps."""
        return len(self) / self.fps

    def positions(self) -> np.ndarray:
        """Joint positions [T, 24, 3] in metres, by forward kinematics on the neutral skeleton."""
        from mdtool.motion.kinematics import positions_of  # here: torch takes seconds, and reading a file needs none

        return positions_of(self.rot6d, self.root)

    def slice(self, start: int, stop: int) -> Motion:
        """Frames start … stop - 1 as a motion of their own."""
        return replace(self, rot6d=self.rot6d[start:stop], root=self.root[start:stop])


def splits_named(name: str) -> tuple[int, ...]:
    """The splits that --split names: train, test or both.

    Raises:
        MdtoolError: another word.
    """
    splits = {"train": (TRAIN,), "test": (TEST,), "both": (TRAIN, TEST)}.get(name)
    if splits is None:
        raise MdtoolError(f"--split must be train, test or both, not {name!r}")
    return splits


@dataclass
class ClipTable:
    """The clips of a motion file without their frames. Arrays as in `MotionSet`."""

    lengths: np.ndarray
    """[clips] int64, frames of each clip."""
    fps: np.ndarray
    action: np.ndarray
    split: np.ndarray
    actions: list[str]
    subject: list[str]
    name: list[str]
    provenance: dict

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def start(self) -> np.ndarray:
        """Clip i is frames start[i] : start[i + 1]; [clips + 1] int64."""
        return np.cumsum([0, *self.lengths]).astype(np.int64)


@dataclass
class MotionSet:
    """Clips stored end to end: the content of a motion file. Arrays as in the file's schema."""

    rot6d: np.ndarray
    """[F, 24, 6] float32, all frames of all clips."""
    root: np.ndarray
    """[F, 3] float32."""
    start: np.ndarray
    """[clips + 1] int64; clip i is frames start[i] : start[i + 1]."""
    fps: np.ndarray
    """[clips] float64."""
    action: np.ndarray
    """[clips] int32, index in `actions`; -1 for none."""
    split: np.ndarray
    """[clips] uint8, 0 train, 1 test."""
    actions: list[str] = field(default_factory=list)
    subject: list[str] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    text: list[str] | None = None
    betas: np.ndarray | None = None
    """[clips, 10] float32; NaN for a clip of unknown shape."""
    gender: list[str] | None = None
    """neutral, male, female, or empty, per clip: shapes of two body models do not mix."""
    noise: np.ndarray | None = None
    """[clips, ...] float32."""
    provenance: dict = field(default_factory=dict)
    """How the file came to be: command line, version, parents' hashes, seed, checkpoint hash."""

    @classmethod
    def from_clips(
        cls, clips: Sequence[Motion], actions: Sequence[str] | None = None, provenance: dict | None = None
    ) -> MotionSet:
        """Join clips end to end.

        Args:
            actions: the label list, in order; the sorted names that occur when not given.

        Raises:
            MdtoolError: no clips at all, or a clip with an action that is not in `actions`.
        """
        if not clips:
            raise MdtoolError("no motion to store: the set of clips is empty")
        names = list(actions) if actions is not None else sorted({clip.action for clip in clips if clip.action})
        unknown = {clip.action for clip in clips if clip.action and clip.action not in names}
        if unknown:
            raise MdtoolError(f"unknown action {sorted(unknown)[0]!r}: the list has {', '.join(names)}")
        betas = noise = None
        if any(clip.betas is not None for clip in clips):
            betas = np.stack([np.full(10, np.nan) if c.betas is None else c.betas for c in clips]).astype(np.float32)
        latents = [clip.noise for clip in clips if clip.noise is not None]
        if len(latents) == len(clips) and len({latent.shape for latent in latents}) == 1:
            noise = np.stack(latents).astype(np.float32)
        return cls(
            rot6d=np.concatenate([clip.rot6d for clip in clips]).astype(np.float32),
            root=np.concatenate([clip.root for clip in clips]).astype(np.float32),
            start=np.cumsum([0, *(len(clip) for clip in clips)]).astype(np.int64),
            fps=np.array([clip.fps for clip in clips], dtype=np.float64),
            action=np.array([names.index(c.action) if c.action else -1 for c in clips], dtype=np.int32),
            split=np.array([clip.split for clip in clips], dtype=np.uint8),
            actions=names,
            subject=[clip.subject for clip in clips],
            name=[clip.name for clip in clips],
            text=[clip.text for clip in clips] if any(clip.text for clip in clips) else None,
            betas=betas,
            gender=[clip.gender for clip in clips] if any(clip.gender for clip in clips) else None,
            noise=noise,
            provenance=provenance or {},
        )

    def __len__(self) -> int:
        return len(self.start) - 1

    def __getitem__(self, index: int) -> Motion:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        first, last = int(self.start[index]), int(self.start[index + 1])
        return Motion(
            rot6d=self.rot6d[first:last],
            root=self.root[first:last],
            fps=float(self.fps[index]),
            action=self.action_name(index),
            split=int(self.split[index]),
            subject=self.subject[index] if self.subject else "",
            name=self.name[index] if self.name else "",
            text=self.text[index] if self.text else "",
            betas=None if self.betas is None or np.isnan(self.betas[index]).any() else self.betas[index],
            gender=self.gender[index] if self.gender else "",
            noise=None if self.noise is None else self.noise[index],
        )

    def __iter__(self) -> Iterator[Motion]:
        return (self[index] for index in range(len(self)))

    @property
    def lengths(self) -> np.ndarray:
        """Frames per clip; [clips] int64."""
        return np.diff(self.start)

    @property
    def common_gender(self) -> str:
        """The gender of the clips with a shape when they all have the same; empty otherwise."""
        known = [True] * len(self) if self.betas is None else ~np.isnan(self.betas).any(1)
        found = {self[int(clip)].gender for clip in np.flatnonzero(known)}
        return found.pop() if len(found) == 1 else ""

    def action_name(self, index: int) -> str:
        """Name of clip `index`'s action; empty when it has none."""
        label = int(self.action[index])
        return self.actions[label] if label >= 0 else ""

    def action_index(self, name: str) -> int:
        """Label of an action name.

        Raises:
            MdtoolError: no such action; the message lists those there are.
        """
        if name not in self.actions:
            raise MdtoolError(f"unknown action {name!r}: choose from {', '.join(self.actions) or '(none)'}")
        return self.actions.index(name)

    def require_clips(self, indices: Iterable[int], where: str) -> None:
        """Refuse indices of clips that are not there.

        Args:
            where: what to call the file.

        Raises:
            MdtoolError: one of them is not.
        """
        for index in indices:
            if not 0 <= index < len(self):
                raise MdtoolError(f"{where} has no clip {index}: it has clips 0 to {len(self) - 1}")

    def select(self, indices: Sequence[int] | np.ndarray) -> MotionSet:
        """A new set of the clips at `indices`, in that order, with the same label list.

        Raises:
            MdtoolError: `indices` is empty.
        """
        clips = [self[int(index)] for index in indices]
        return MotionSet.from_clips(clips, self.actions, self.provenance)
