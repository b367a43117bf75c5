"""Training batches from a motion set held in memory, on the device that trains."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from mdtool.data.windows import window_frames
from mdtool.errors import MdtoolError
from mdtool.methods.contract import Batch, Share
from mdtool.motion.motion import SPLITS, MotionSet


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
    ) -> None:
        """Args:
        batch: windows per optimiser step, over all ranks.
        share: this process's part of every batch; all of it when not given.

        Raises:
            MdtoolError: no clips in the split, or clips without a label.
        """
        clips = np.flatnonzero(motions.split == split)
        if not len(clips):
            raise MdtoolError(f"the data has no {SPLITS[split]} clips: preprocess with another --test-fraction")
        if (motions.action[clips] < 0).any():
            raise MdtoolError("some training clips have no action label: preprocess again with --labels")
        self.clips, self.frames, self.seed = clips, frames, seed
        self.batch_size, self.share = batch, share or Share()
        self._start, self._lengths = motions.start, motions.lengths
        self._action = motions.action
        self._rot6d = torch.as_tensor(motions.rot6d, device=device)
        self._root = torch.as_tensor(motions.root, device=device)

    @property
    def batches_per_epoch(self) -> int:
        """Full batches in one pass over the clips; at least 1."""
        return max(len(self.clips) // self.batch_size, 1)

    def batch(self, step: int) -> Batch:
        """This process's windows of the batch of training step `step`."""
        epoch, place = divmod(step, self.batches_per_epoch)
        order = np.random.default_rng([self.seed, 1, epoch]).permutation(self.clips)
        chosen = np.resize(order, max(len(order), self.batch_size))[place * self.batch_size :][: self.batch_size]
        places = np.random.default_rng([self.seed, 2, step]).random(len(chosen))
        return self._windows(self.share.mine(chosen), self.share.mine(places), self.share)

    def random(self, count: int) -> Batch:
        """`count` windows of randomly chosen clips, the same at every call: for statistics."""
        rng = np.random.default_rng([self.seed, 3])
        return self._windows(rng.choice(self.clips, count), rng.random(count), Share())

    def _windows(self, clips: np.ndarray, places: np.ndarray, share: Share) -> Batch:
        inside = window_frames(self._lengths[clips], self.frames, places)
        rows = torch.from_numpy(self._start[clips][:, None] + inside).to(self._rot6d.device, non_blocking=True)
        action = torch.from_numpy(self._action[clips].astype(np.int64)).to(self._rot6d.device, non_blocking=True)
        return Batch(self._rot6d[rows], self._root[rows], action, share)
