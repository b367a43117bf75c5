"""A recogniser at work: it looks at motions, and what it says of them is what the protocol compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from mdtool.data.windows import draw_windows
from mdtool.evaluation.kept import Kept
from mdtool.motion.motion import TEST, MotionSet

_AT_ONCE = 128
"""Motions that are scored between two reports of progress."""


class Recogniser(Protocol):
    """What judges motion: a trained classifier with its feature layer."""

    actions: list[str]
    frames: int
    fps: float
    sha256: str

    def features_and_logits(self, rot6d: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
        """(features [n, F], logits [n, actions]) of windows [n, T, 24, 6], [n, T, 3]."""
        ...


class Generator(Protocol):
    """What makes motion: sample i of a seed is the same in any batch."""

    actions: list[str]
    frames: int
    fps: float

    def sample(
        self, actions: Sequence[int], seed: int, first: int = 0, *, progress: Callable[[int], None] | None = None
    ) -> MotionSet:
        """One motion per label; motion k is sample `first + k` of `seed`; `progress` hears how many are done."""
        ...


class Scored(NamedTuple):
    """Windows of one draw, and what the recogniser says of them."""

    labels: np.ndarray
    """[n] asked actions, as the recogniser numbers them."""
    features: np.ndarray
    logits: np.ndarray
    rot6d: np.ndarray
    root: np.ndarray


class Judge:
    """A recogniser at work: it numbers actions in its own way, and counts the windows it has seen."""

    def __init__(self, recogniser: Recogniser, total: int, progress: Callable[[float], None] | None) -> None:
        self.recogniser, self.total, self.progress, self.seen = recogniser, total, progress, 0

    def look(self, motions: MotionSet, clips: np.ndarray, rng: np.random.Generator) -> Scored:
        """Score one random window of each of the clips."""
        parts = []
        for begin in range(0, len(clips), _AT_ONCE):
            some = clips[begin : begin + _AT_ONCE]
            rot6d, root = draw_windows(motions, some, self.recogniser.frames, rng)
            scored = self.recogniser.features_and_logits(torch.from_numpy(rot6d), torch.from_numpy(root))
            features, logits = (values.detach().cpu().double().numpy() for values in scored)
            known = {name: place for place, name in enumerate(self.recogniser.actions)}
            labels = [known.get(motions.action_name(int(clip)), -1) for clip in some]
            parts.append(Scored(np.array(labels, dtype=np.int64), features, logits, rot6d, root))
            self._tell(len(some), seen=True)
        return _join(parts)

    def _tell(self, count: int, seen: bool = False) -> None:
        """Report progress: so many more windows are seen, or are made and about to be."""
        if self.progress:
            self.progress((self.seen + count) / self.total)
        if seen:
            self.seen += count

    def look_at_samples(
        self, generator: Generator, labels: np.ndarray, seed: int, first: int, kept: Kept | None, shown: bool
    ) -> Scored:
        """Ask for one motion per label, numbered as the recogniser does, and score one random window of each.

        Args:
            kept: where the scores are kept, and taken from when they are there.
            shown: whether the motions themselves are needed afterwards; they are not kept otherwise.
        """

        def made() -> dict[str, np.ndarray]:
            scored = self._samples(generator, labels, seed, first)
            nothing = {} if shown else {"rot6d": scored.rot6d[:0], "root": scored.root[:0]}
            return {**scored._asdict(), **nothing}

        if kept is None:
            return Scored(**made())
        before, scored = self.seen, Scored(**kept.made(f"seed-{seed}-first-{first}", made))
        self.seen = before + len(labels)
        return scored

    def _samples(self, generator: Generator, labels: np.ndarray, seed: int, first: int) -> Scored:
        known = {name: place for place, name in enumerate(generator.actions)}
        asked = [known.get(self.recogniser.actions[label], 0) if label >= 0 else 0 for label in labels]
        samples = generator.sample(asked, seed, first, progress=self._tell)  # at once, so that ranks can share them
        parts = []
        for begin in range(0, len(asked), _AT_ONCE):
            some = np.arange(begin, min(begin + _AT_ONCE, len(asked)))
            parts.append(self.look(samples, some, np.random.default_rng([seed, first + begin])))
        return _join(parts)._replace(labels=labels)


def _join(parts: list[Scored]) -> Scored:
    return Scored(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def as_motions(scored: Scored, recogniser: Recogniser) -> MotionSet:
    """The windows of a draw as a set of clips."""
    clips, frames = scored.rot6d.shape[:2]
    return MotionSet(
        rot6d=scored.rot6d.reshape(-1, *scored.rot6d.shape[2:]),
        root=scored.root.reshape(-1, 3),
        start=np.arange(clips + 1) * frames,
        fps=np.full(clips, float(recogniser.fps)),
        action=scored.labels.astype(np.int32),
        split=np.full(clips, TEST, dtype=np.uint8),
        actions=list(recogniser.actions),
    )
