"""Beyond one latent: long motions of chained windows, and recordings lifted to other instants through the field.

A window is a time axis long. Where two overlap, one fades into the other. The paper stays on one axis; both are
mdtool's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from mdtool.errors import MdtoolError
from mdtool.methods.contract import FieldMethod
from mdtool.motion.joining import Stance, faded, placed, relative, stance_of
from mdtool.motion.motion import Motion

OVERLAP_S = 0.5
"""Seconds that two windows share; half the axis where that is less."""
MATCHED = 16
"""Instants of the overlap at which a new window must match the one before."""
_AT_ONCE_S = 1e-6
"""Instants this near are the same."""
FIT_INSTANTS = 256
"""Recorded instants that a window of a recording is fitted to, at most."""


def window_starts(axis_s: float, seconds: float) -> list[float]:
    """Seconds at which windows start that together cover 0 … seconds; the first alone when one is enough."""
    overlap = min(OVERLAP_S, axis_s / 2)
    more = max(math.ceil((seconds - axis_s) / (axis_s - overlap) - 1e-9), 0)
    return [window * (axis_s - overlap) for window in range(more + 1)]


def decode_long(
    method: FieldMethod, noises: Sequence[Tensor], action: Tensor | None, times_s: Tensor, **options: object
) -> tuple[Tensor, Tensor]:
    """(rot6d [B, T, 24, 6], root [B, T, 3]) at instants [T] of motions that are longer than the time axis.

    Args:
        noises: [B, d] of each of the windows that `window_starts` names.
        options: as for `decode`.
    """
    starts = window_starts(method.axis_s, float(times_s.max()))
    overlap = _overlap(method)
    chained = _Chained(method, times_s, starts)
    latents = method.latents(noises[0], action, **options)
    chained.add(latents, None)
    place = None
    for _, noise in zip(starts[1:], noises[1:], strict=True):
        tail_s = torch.linspace(0, overlap, MATCHED, dtype=torch.float64)
        at = tail_s + (method.axis_s - overlap)
        tail = method.to_motion(method.poses(latents, at))
        tail = tail if place is None else placed(*tail, place)
        place = stance_of(tail[0][:, 0], tail[1][:, 0])
        goal = method.from_motion(*relative(*tail, place))
        begin = method.latents(noise, action, **options)
        latents = method.fit(goal, tail_s.expand(len(goal), -1), start=begin)
        chained.add(latents, place)
    return chained.motion()


def lift(
    motion: Motion, method: FieldMethod, times_s: np.ndarray, progress: Callable[[int, int], None] | None = None
) -> Motion:
    """A recording at arbitrary instants, by the field: its windows' latents are fitted, and asked for the instants.

    The result keeps the frame rate label of `motion`.

    Args:
        progress: told (windows fitted, windows in all).

    Raises:
        MdtoolError: a motion too short to fit.
    """
    if len(motion) < 4:
        raise MdtoolError(f"clip {motion.name!r} has {len(motion)} frames: the field needs 4 or more to find it")
    device = next(method.parameters()).device
    rot6d = torch.as_tensor(motion.rot6d, device=device).unsqueeze(0)
    root = torch.as_tensor(motion.root, device=device).unsqueeze(0)
    recorded_s = torch.arange(len(motion), dtype=torch.float64) / motion.fps
    asked_s = torch.from_numpy(np.asarray(times_s, dtype=np.float64)).clamp(0, float(recorded_s[-1]))
    starts = window_starts(method.axis_s, float(recorded_s[-1]))
    if int((recorded_s >= starts[-1] - _AT_ONCE_S).sum()) < 4:  # the window before reaches almost as far
        starts.pop()
    chained = _Chained(method, asked_s, starts)
    for index, start in enumerate(starts):
        inside = _within(recorded_s - start, method.axis_s).nonzero().flatten()
        picked = inside[torch.linspace(0, len(inside) - 1, min(len(inside), FIT_INSTANTS)).round().long()]
        place = stance_of(rot6d[:, picked[0]], root[:, picked[0]])
        features = method.from_motion(*relative(rot6d[:, picked], root[:, picked], place))
        latents = method.fit(features, (recorded_s[picked] - start).unsqueeze(0))
        with torch.no_grad():
            chained.add(latents, place)
        if progress:
            progress(index + 1, len(starts))
    made = chained.motion()
    return Motion(
        made[0][0].float().cpu().numpy(), made[1][0].float().cpu().numpy(), motion.fps, motion.action, motion.split,
        motion.subject, motion.name, motion.text, motion.betas,
    )  # fmt: skip


class _Chained:
    """Motions at instants [T], put together of windows that are added in order; each fades in over the overlap."""

    def __init__(self, method: FieldMethod, times_s: Tensor, starts: Sequence[float]) -> None:
        self.method, self.times_s, self.starts = method, times_s.clamp_min(0), starts
        self.windows: list[tuple[Tensor, tuple[Tensor, Tensor]]] = []
        """Instants [T] bool that a window holds, and the motions there."""

    def add(self, latents: Tensor, place: Stance | None) -> None:
        """The next window's latents, and where it stands; None leaves it where the field puts it."""
        method, last = self.method, len(self.windows) + 1 == len(self.starts)
        own_s = self.times_s - self.starts[len(self.windows)]
        inside = _within(own_s, math.inf if last else method.axis_s)
        made = method.to_motion(method.poses(latents, own_s[inside].clamp(0, method.axis_s)))
        made = made if place is None else placed(*made, place)
        self.windows.append((inside, made))

    def motion(self) -> tuple[Tensor, Tensor]:
        """(rot6d [B, T, 24, 6], root [B, T, 3])."""
        rot6d, root = (part.new_empty(len(part), len(self.times_s), *part.shape[2:]) for part in self.windows[0][1])
        known = torch.zeros_like(self.windows[0][0])
        for start, (inside, made) in zip(self.starts, self.windows, strict=True):
            both, fading = inside & known, known[inside]
            before = rot6d[:, both], root[:, both]
            rot6d[:, inside], root[:, inside] = made
            if bool(fading.any()):
                share = _smooth((self.times_s[both] - start) / _overlap(self.method))
                rot6d[:, both], root[:, both] = faded(before, (made[0][:, fading], made[1][:, fading]), share)
            known |= inside
        return rot6d, root


def _overlap(method: FieldMethod) -> float:
    return min(OVERLAP_S, method.axis_s / 2)


def _within(own_s: Tensor, axis_s: float) -> Tensor:
    """Which instants [T] of a window's own time lie on its axis."""
    return (own_s >= -_AT_ONCE_S) & (own_s <= axis_s + _AT_ONCE_S)


def _smooth(share: Tensor) -> Tensor:
    """0 below 0, 1 above 1, and level at both ends between."""
    share = share.clamp(0, 1)
    return share * share * (3 - 2 * share)
