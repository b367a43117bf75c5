"""From a trained method to a set of motions: seeded per sample, batched for speed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch

from mdtool.errors import MdtoolError
from mdtool.methods.contract import FieldMethod, Method
from mdtool.methods.seeds import sample_generators
from mdtool.methods.timeline import decode_long, window_starts
from mdtool.motion.file import frame_bytes
from mdtool.motion.kinematics import joint_positions
from mdtool.motion.motion import Motion, MotionSet

Item = TypeVar("Item")
Made = TypeVar("Made")


class Spread(Protocol):
    """How a list of jobs gets done: here one after the other, or shared by several ranks."""

    def __call__(self, work: Callable[[Item], Made], items: Sequence[Item]) -> list[Made]:
        """`work` of every item, in order."""
        ...


def one_after_the_other(work: Callable[[Item], Made], items: Sequence[Item]) -> list[Made]:
    """`work` of every item, in this process."""
    return [work(item) for item in items]


class Streamed(NamedTuple):
    """A motion, and how long one waits for it."""

    motion: MotionSet
    """Of one clip."""
    made_s: float
    """From the seed to rotations and root, ready to be written."""
    posed_s: float
    """From the seed to joint positions, forward kinematics included."""


def require_memory(count: int, frames: int) -> None:
    """Refuse to make more motions than this machine can hold: as clips, and joined into one set.

    Raises:
        MdtoolError: they do not fit.
    """
    if not hasattr(os, "sysconf"):  # no such question on Windows
        return
    needed, held = 2 * frame_bytes(count * frames), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > held:
        raise MdtoolError(
            f"{count:,} motions of {frames} frames need {needed / 1e9:,.0f} GB of memory, and this machine has "
            f"{held / 1e9:,.0f}: give a lower --count"
        )


class Generator:
    """A method with the weights it samples from. Sample i of a seed is the same motion in any batch.

    Rounding depends on a sample's company in the network call, so ranks share whole batches: each sample then is the
    same motion bit for bit on any number of ranks.
    """

    spread: Spread = staticmethod(one_after_the_other)

    def __init__(self, method: Method, weights: str, sha256: str, **options: object) -> None:
        """Options go to the method's `decode` at every call: steps, guidance …"""
        self.method, self.weights, self.sha256, self.options = method.eval(), weights, sha256, options
        self.raw_rotations = False
        """Leave rotations as the network gives them: for published evaluations, not for files."""
        self.actions, self.frames, self.fps = method.actions, method.frames, method.fps
        self.gender = ""
        """Whose body model the shapes of its samples belong to."""
        self.conditional = method.describe().conditions != "none"

    def sample(
        self,
        actions: Sequence[int],
        seed: int,
        first: int = 0,
        batch: int = 64,
        frames: int | None = None,
        keep_noise: bool = False,
        progress: Callable[[int], None] | None = None,
        fps: float | None = None,
        times_s: np.ndarray | None = None,
    ) -> MotionSet:
        """One motion per label in `actions`; motion k is sample `first + k` of `seed`.

        A method without conditions takes -1 for every label, and its motions have no action.

        Args:
            keep_noise: store each sample's latent with it, so that an edit can start from it.
            progress: told the number of finished samples after every batch of this process.
            fps, times_s: another frame rate, or instants [T] in seconds and in any order, for runs with a time axis;
                a motion longer than the axis is chained of several.

        Raises:
            MdtoolError: a label or a length that the method was not trained for, or a temperature or churn that it
                does not take.
        """
        if not len(actions):
            raise MdtoolError("nothing to sample: ask for at least one motion")
        for option, taken in (("temperature", self.method.tempers), ("churn", self.method.churns)):
            if self.options.get(option) is not None and not taken:
                raise MdtoolError(f"the method {self.method.describe().method} takes no {option}: leave it out")
        if not self.conditional:
            actions = [-1] * len(actions)
        elif min(actions) < 0 or max(actions) >= len(self.actions):
            raise MdtoolError(
                f"action labels must lie in 0 … {len(self.actions) - 1}, not {min(actions)} … {max(actions)}"
            )
        device = next(self.method.parameters()).device
        asked_s = self._instants(frames, fps, times_s)
        rate = fps or self.fps

        def make(begin: int) -> list[Motion]:
            labels = torch.as_tensor(actions[begin : begin + batch], dtype=torch.int64, device=device)
            rngs = sample_generators(seed, first + begin, len(labels))
            noise = self.method.noise(rngs, frames if asked_s is None else None).to(device)
            with torch.no_grad():
                rot6d, root, betas = self._decode(rngs, noise, labels, asked_s)
            if progress:
                progress(begin + len(labels))
            return [
                Motion(
                    rot6d=rot6d[k].float().cpu().numpy().astype(np.float32),
                    root=root[k].float().cpu().numpy().astype(np.float32),
                    fps=rate,
                    action=self.actions[label] if label >= 0 else "",
                    name=f"seed {seed} sample {first + begin + k}",
                    betas=None if betas is None else betas[k].float().cpu().numpy(),
                    gender="" if betas is None else self.gender,
                    noise=noise[k].cpu().numpy() if keep_noise else None,
                )
                for k, label in enumerate(labels.tolist())
            ]

        blocks = self.spread(make, range(0, len(actions), batch))
        return MotionSet.from_clips([clip for block in blocks for clip in block], self.actions)

    def stream(
        self, actions: Iterable[int], seed: int, first: int = 0, frames: int | None = None
    ) -> Iterator[Streamed]:
        """The motions of `sample`, one by one as they are made, each timed from its seed on."""
        for place, label in enumerate(actions):
            began_s = time.perf_counter()
            motion = self.sample([label], seed, first + place, 1, frames, keep_noise=True)
            made_s = time.perf_counter() - began_s
            joint_positions(torch.from_numpy(motion.rot6d), torch.from_numpy(motion.root))
            yield Streamed(motion, made_s, time.perf_counter() - began_s)

    def _instants(self, frames: int | None, fps: float | None, times_s: np.ndarray | None) -> torch.Tensor | None:
        """Instants to ask a time axis for; None where the method's own grid is meant."""
        if not isinstance(self.method, FieldMethod):
            if times_s is not None or (fps is not None and fps != self.fps):
                raise MdtoolError(
                    f"this run makes motion at {self.fps:g} fps only: sample it so, and change the rate with "
                    "`mdtool resample`"
                )
            return None
        if times_s is not None:
            return torch.from_numpy(np.asarray(times_s, dtype=np.float64))
        if fps is None and frames is None:
            return None
        rate = fps or self.fps
        count = round(self.frames / self.fps * rate) if frames is None else frames
        return torch.arange(count, dtype=torch.float64) / rate

    def _decode(
        self, rngs: list[torch.Generator], noise: torch.Tensor, labels: torch.Tensor, asked_s: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """(rot6d, root, body shapes) of noise."""
        method, options = self.method, self.options
        if asked_s is not None and isinstance(method, FieldMethod):
            windows = len(window_starts(method.axis_s, float(asked_s.max())))
            if windows > 1:
                noises = [noise, *(method.noise(rngs).to(noise) for _ in range(windows - 1))]
                return *decode_long(method, noises, labels, asked_s, **options), None
            options = {**options, "times_s": asked_s}
        features = method.decode(noise, labels, **options)
        to_motion = method.to_raw_motion if self.raw_rotations else method.to_motion
        return *to_motion(features), method.to_betas(features)
