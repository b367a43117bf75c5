"""Training batches from a motion set held in memory, on the device that trains."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from mdtool.data.windows import window_frames
from mdtool.errors import MdtoolError
from mdtool.methods.contract import Batch, Share
from mdtool.motion.motion import SPLITS, MotionSet
from mdtool.motion.rotations import matrix_to_rot6d, rot6d_to_matrix


class BatchSource(Protocol):
    """Where the batches of a training come from."""

    batch_size: int
    """Windows per optimiser step, over all ranks."""

    def batch(self, step: int) -> Batch:
        """This process's windows of the batch of training step `step`."""
        ...

    def random(self, count: int) -> Batch:
        """`count` windows of randomly chosen clips, the same at every call: for statistics."""
        ...


class WindowSource:
    """Random windows of the clips of one split; batch k depends on (seed, k) alone, so a resume needs no state.

    Every epoch visits each clip once, in a new order, with a new random crop (as MDM's loader); the last
    clips of an epoch that do not fill a batch are left out (drop_last), unless the whole split is smaller
    than a batch: then the order is repeated until the batch is full.

    With `bucket`, windows are as long as the clips allow: an epoch's clips go into batches by their length, and each
    batch is cut to its shortest clip. No frame is repeated, but in clips below the shortest length.
    """

    def __init__(
        self,
        motions: MotionSet,
        split: int,
        frames: int,
        batch: int,
        seed: int,
        device: torch.device | str = "cpu",
        share: Share | None = None,
        labelled: bool = True,
        bucket: tuple[int, int] | None = None,
    ) -> None:
        """Args:
        frames: length of a window; the longest with `bucket`.
        batch: windows per optimiser step, over all ranks.
        share: this process's part of every batch; all of it when not given.
        labelled: whether every clip needs an action.
        bucket: (shortest, multiple) of windows of several lengths.

        Raises:
            MdtoolError: no clips in the split, or clips without a label.
        """
        clips = np.flatnonzero(motions.split == split)
        if not len(clips):
            raise MdtoolError(f"the data has no {SPLITS[split]} clips: preprocess with another --test-fraction")
        if labelled and (motions.action[clips] < 0).any():
            raise MdtoolError("some training clips have no action label: preprocess again with --labels")
        self.clips, self.frames, self.seed = clips, frames, seed
        self.shapeless = 0
        """Clips of unknown shape among others whose shape is known; with any, all shapes are left out."""
        self.batch_size, self.share = batch, share or Share()
        self._start, self._lengths = motions.start, motions.lengths
        self._action = motions.action
        self._betas = None
        if motions.betas is not None:
            self.shapeless = int(np.isnan(motions.betas[clips]).any(axis=1).sum())
            if not self.shapeless:
                self._betas = torch.as_tensor(motions.betas, device=device)
        self._bucketed = None
        if bucket is not None:
            shortest, multiple = bucket
            self._bucketed = np.clip(motions.lengths // multiple * multiple, shortest, frames)
        self._rot6d = torch.as_tensor(motions.rot6d, device=device)
        self._root = torch.as_tensor(motions.root, device=device)

    @property
    def batches_per_epoch(self) -> int:
        """Full batches in one pass over the clips; at least 1."""
        return max(len(self.clips) // self.batch_size, 1)

    def batch(self, step: int) -> Batch:
        """This process's windows of the batch of training step `step`."""
        epoch, place = divmod(step, self.batches_per_epoch)
        rng = np.random.default_rng([self.seed, 1, epoch])
        order = np.resize(rng.permutation(self.clips), max(len(self.clips), self.batch_size))
        frames = self.frames
        if self._bucketed is not None:
            order = order[: self.batches_per_epoch * self.batch_size]
            order = order[np.argsort(self._bucketed[order], kind="stable")]
            place = int(rng.permutation(self.batches_per_epoch)[place])
        chosen = order[place * self.batch_size :][: self.batch_size]
        if self._bucketed is not None:
            frames = int(self._bucketed[chosen].min())
        places = np.random.default_rng([self.seed, 2, step]).random(len(chosen))
        return self._windows(self.share.mine(chosen), self.share.mine(places), frames, self.share)

    def random(self, count: int) -> Batch:
        """`count` windows of randomly chosen clips, the same at every call: for statistics.

        With `bucket`, a shorter window is played more slowly to take up all `frames`, so that all count alike. It is
        interpolated, because frames that are only repeated move in jerks, and statistics would take these for motion.
        """
        rng = np.random.default_rng([self.seed, 3])
        clips, places = rng.choice(self.clips, count), rng.random(count)
        if self._bucketed is None:
            return self._windows(clips, places, self.frames, Share())
        wanted, there = self._bucketed[clips], self._lengths[clips]
        starts = np.floor(places * (np.maximum(there - wanted, 0) + 1)).astype(np.int64)
        # The middles of `frames` equal parts of the window: a stretched cosine of the DCT is the cosine of one number.
        within = np.maximum((np.arange(self.frames) + 0.5) * wanted[:, None] / self.frames - 0.5, 0)
        inside = np.minimum(starts[:, None] + within, there[:, None] - 1)
        before = inside.astype(np.int64)
        first = self._gathered(clips, before, Share())
        second = self._gathered(clips, np.minimum(before + 1, there[:, None] - 1), Share())
        part = torch.from_numpy(inside - before).to(first.root).unsqueeze(-1)
        between = matrix_to_rot6d(rot6d_to_matrix(torch.lerp(first.rot6d, second.rot6d, part.unsqueeze(-1))))
        rot6d = torch.where(part.unsqueeze(-1) == 0, first.rot6d, between)
        root = torch.lerp(first.root, second.root, part)
        return first._replace(rot6d=rot6d, root=root)

    def _windows(self, clips: np.ndarray, places: np.ndarray, frames: int, share: Share) -> Batch:
        return self._gathered(clips, window_frames(self._lengths[clips], frames, places), share)

    def _gathered(self, clips: np.ndarray, inside: np.ndarray, share: Share) -> Batch:
        """The frames at `inside` [n, T] of each of the clips [n]."""
        device = self._rot6d.device
        rows = torch.from_numpy(self._start[clips][:, None] + inside).to(device, non_blocking=True)
        action = torch.from_numpy(self._action[clips].astype(np.int64)).to(device, non_blocking=True)
        clip = torch.from_numpy(clips).to(device, non_blocking=True)
        betas = None if self._betas is None else self._betas[clip]
        return Batch(self._rot6d[rows], self._root[rows], action, share, betas=betas, clip=clip)
