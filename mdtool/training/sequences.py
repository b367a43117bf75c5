"""Training batches from whole sequences at their own frame rates: clips with the time of every pose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mdtool.errors import MdtoolError
from mdtool.methods.contract import Batch, ClipPlan, Places, SequenceLearner
from mdtool.motion.features import face_forward
from mdtool.motion.ground import at_height
from mdtool.motion.motion import SPLITS, Motion, MotionSet
from mdtool.motion.resample import resample

SHORTEST = 4
"""Frames below which a piece of a clip is left out."""


class Track:
    """Sequences end to end on one device: the training set at its native rates, or resampled to one."""

    def __init__(self, pieces: Sequence[Motion], device: torch.device | str) -> None:
        self.lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
        self.start = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self.fps = np.array([piece.fps for piece in pieces])
        self.rot6d = torch.as_tensor(np.concatenate([piece.rot6d for piece in pieces]), device=device)
        self.root = torch.as_tensor(np.concatenate([piece.root for piece in pieces]), device=device)


class SequenceSource:
    """Clips of the sequences of one split; batch k depends on (seed, k) alone, so a resume needs no state.

    A sequence is a recording, or a piece of one that is longer than the method's time axis; pieces overlap by half, or
    as the method says. It starts at the origin and faces +z. Every epoch visits each sequence once, so that whatever
    its rate, each counts alike and each second of it is as likely.
    """

    def __init__(
        self,
        learner: SequenceLearner,
        motions: MotionSet,
        split: int,
        batch: int,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> None:
        """Args:
        batch: clips per optimiser step.

        Raises:
            MdtoolError: no clips in the split.
        """
        clips = np.flatnonzero(motions.split == split)
        if not len(clips):
            raise MdtoolError(f"the data has no {SPLITS[split]} clips: preprocess with another --test-fraction")
        self.learner, self.batch_size, self.seed = learner, batch, seed
        self.pieces: list[Motion] = []
        labels = []
        for clip in clips:
            cut = sequences_of(motions[int(clip)], learner.sequence_s, learner.hold_last, learner.hop_s)
            self.pieces += cut
            labels += [int(motions.action[clip])] * len(cut)
        self.count = len(self.pieces)
        if not self.count:
            raise MdtoolError(
                f"every {SPLITS[split]} clip is shorter than {SHORTEST} frames: there is nothing to learn"
            )
        self.device = torch.device(device)
        self.action = np.array(labels, dtype=np.int64)
        self._native = Track(self.pieces, device)
        self._resampled = Track([resample(piece, learner.resampled_fps) for piece in self.pieces], device)

    def batch(self, step: int) -> Batch:
        """The clips of training step `step`, as the learner plans it."""
        plan = self.learner.clip_plan(step)
        visits = max(self.batch_size // (plan.per_visit * plan.divide), 1)
        rng = np.random.default_rng([self.seed, 12, step])
        return self._cut(np.repeat(self._visited(step, visits), plan.per_visit), plan, rng)

    def random(self, count: int) -> Batch:
        """`count` scattered sets of instants of randomly chosen sequences, the same at every call: for statistics."""
        rng = np.random.default_rng([self.seed, 13])
        return self._cut(rng.integers(self.count, size=count), ClipPlan(16, scattered=True), rng)

    def stamps(self, rows: Sequence[int], poses: int, resampled: bool = False) -> Batch:
        """`poses` instants of each of the sequences, evenly spread over it, at their native rates or resampled."""
        track, chosen = self._resampled if resampled else self._native, np.asarray(rows, dtype=np.int64)
        last = track.lengths[chosen] - 1
        inside = np.round(np.linspace(0, 1, poses) * last[:, None]).astype(np.int64)
        return self._at(track, chosen, inside, np.maximum(last / max(poses - 1, 1), 1))

    def _visited(self, step: int, visits: int) -> np.ndarray:
        """Sequences of a step: consecutive ones of an endless row of shuffled epochs."""
        places = np.arange(step * visits, (step + 1) * visits)
        rows = np.empty(visits, dtype=np.int64)
        for epoch in np.unique(places // self.count):
            order = np.random.default_rng([self.seed, 11, int(epoch)]).permutation(self.count)
            here = places // self.count == epoch
            rows[here] = order[places[here] % self.count]
        return rows

    def _cut(self, rows: np.ndarray, plan: ClipPlan, rng: np.random.Generator) -> Batch:
        track = self._resampled if plan.resampled else self._native
        lengths = track.lengths[rows]
        if plan.scattered:
            inside = np.floor(rng.random((len(rows), plan.poses)) * lengths[:, None]).astype(np.int64)
            return self._at(track, rows, inside, np.ones(len(rows)))
        stride = rng.choice(plan.strides, len(rows))
        # No wider than the sequence, unless even consecutive frames are.
        stride = np.clip((lengths - 1) // max(plan.poses - 1, 1), 1, stride)
        # The middle of a clip falls anywhere, and the clip then slides inside: were its start to fall anywhere, the
        # first and the last pose of a sequence would hardly ever be seen.
        span = (plan.poses - 1) * stride + 1
        middle = np.floor(rng.random(len(rows)) * lengths).astype(np.int64)
        first = np.clip(middle - span // 2, 0, np.maximum(lengths - span, 0))
        return self._at(track, rows, first[:, None] + np.arange(plan.poses) * stride[:, None], stride)

    def _at(self, track: Track, rows: np.ndarray, inside: np.ndarray, stride: np.ndarray) -> Batch:
        """Poses of sequences `rows` at frames `inside` [B, T], which may lie beyond the end."""
        real = inside < track.lengths[rows, None]
        frames = np.minimum(inside, track.lengths[rows, None] - 1)
        picked = self._tensor(track.start[rows, None] + frames)
        places = Places(
            sequence=self._tensor(rows),
            time_s=self._tensor((frames / track.fps[rows, None]).astype(np.float32)),
            fps=self._tensor((track.fps[rows] / stride).astype(np.float32)),
            inside=self._tensor(real),
        )
        return Batch(track.rot6d[picked], track.root[picked], self._tensor(self.action[rows]), places=places)

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values).to(self.device, non_blocking=True)


def sequences_of(motion: Motion, longest_s: float, hold_last: bool, hop_s: float | None = None) -> list[Motion]:
    """A clip as sequences of at most so many seconds, which start at x = z = 0 and face +z.

    Args:
        hold_last: repeat the last pose of a shorter one up to that length.
        hop_s: seconds between the starts of two sequences, a frame at least; half of `longest_s` if None.
    """
    pieces = []
    for span in spans_of(len(motion), motion.fps, longest_s, hop_s):
        piece = facing_forward(motion.slice(*span))
        missing = frames_of(longest_s, motion.fps) - len(piece)
        if hold_last and missing > 0:
            rot6d, root = (
                np.concatenate([part, np.repeat(part[-1:], missing, 0)]) for part in (piece.rot6d, piece.root)
            )
            piece = Motion(rot6d, root, piece.fps, piece.action, piece.split, piece.subject, piece.name)
        pieces.append(piece)
    return pieces


def spans_of(length: int, fps: float, longest_s: float, hop_s: float | None = None) -> list[tuple[int, int]]:
    """Frames (first, end) of the sequences that a clip of so many frames is cut into, as `sequences_of` cuts it."""
    frames = frames_of(longest_s, fps)
    hop = (frames - 1) // 2 if hop_s is None else int(hop_s * fps + 1e-6)
    starts = list(range(0, max(length - frames, 0) + 1, max(hop, 1)))
    if length > frames and starts[-1] + frames < length:
        starts.append(length - frames)
    spans = [(start, min(start + frames, length)) for start in starts]
    return [(first, end) for first, end in spans if end - first >= SHORTEST]


def frames_of(seconds: float, fps: float) -> int:
    """Frames at 0 … seconds, and two at least."""
    return max(int(seconds * fps + 1e-6) + 1, 2)


def facing_forward(motion: Motion) -> Motion:
    """The motion turned and moved so that it starts at x = z = 0 and faces +z."""
    rot6d, root = face_forward(torch.from_numpy(motion.rot6d)[None], torch.from_numpy(motion.root)[None])
    root = root - at_height(root[:, :1])
    return Motion(
        rot6d[0].numpy(), root[0].numpy(), motion.fps, motion.action, motion.split, motion.subject, motion.name
    )
