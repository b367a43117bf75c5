"""How a generator does at every frame rate: clip-FID, reconstruction, and what the rate alone changes.

clip-FID compares features of clips of m consecutive poses at one rate (Wei et al. 2024, section 4.1, whose extractor
and m are not given). Here the extractor is a run of `clip-features`, recordings count at a rate only if they were
recorded at it or faster, and a method without a time axis is lifted to the rate by slerp.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mdtool.errors import MdtoolError
from mdtool.evaluation.distribution import fid
from mdtool.evaluation.results import Spread
from mdtool.methods.clip_features import BANDS, ClipFeatures, clip_joints, jerk_power, log_spectrum
from mdtool.methods.contract import FieldMethod
from mdtool.methods.generate import Generator
from mdtool.methods.lengths import frames_on
from mdtool.motion.kinematics import positions_of
from mdtool.motion.motion import TEST, TRAIN, Motion, MotionSet
from mdtool.motion.resample import resample, resample_at
from mdtool.training.sequences import sequences_of, spans_of

RECONSTRUCTION = ("learnt_m", "mpjpe_m", "held_out_m", "held_out_slerp_m", "s_consistency_m")
"""Columns of `reconstruction`, in metres."""
CLIP_FID = (
    ("fps", "recordings", "clip_fid", "floor", "spectrum_gap"),
    ("fps", "recordings", "clip_fid", "clip_fid_ci95", "floor", "floor_ci95", "spectrum_gap"),
)
"""Columns of `clip_fid` of one repeat, and of several."""
JERK = ("jerk", "jerk_real")
"""Of `clip_fid`: lists with a number per band."""
_AT_ONCE = 256
_LEAST = 4
"""Recordings that a clip-FID needs at a rate."""


@dataclass(frozen=True)
class Clips:
    """Features and speed spectra of a set of clips at one rate."""

    features: np.ndarray
    """[n, D] float64."""
    spectrum: np.ndarray
    """[n, bands] log m/s."""
    jerk: np.ndarray
    """[n, bands] mean squares, m²/s⁶."""


def clips_at(
    motions: Sequence[Motion], fps: float, extractor: ClipFeatures, count: int, rng: np.random.Generator
) -> Clips | None:
    """Features of `count` random clips of motions at a rate; None where no motion is long enough.

    Motions take turns, and each clip starts anywhere. A motion of another rate is resampled by slerp.
    """
    long = [clip for clip in (resample(motion, fps) for motion in motions) if len(clip) >= extractor.frames]
    if not long:
        return None
    order = np.resize(rng.permutation(len(long)), count)
    parts = []
    for begin in range(0, count, _AT_ONCE):
        some = [long[index] for index in order[begin : begin + _AT_ONCE]]
        starts = [int(rng.integers(len(clip) - extractor.frames + 1)) for clip in some]
        cut = [clip.slice(start, start + extractor.frames) for clip, start in zip(some, starts, strict=True)]
        rot6d, root = (torch.from_numpy(np.stack([getattr(c, name) for c in cut])) for name in ("rot6d", "root"))
        joints = clip_joints(rot6d, root)
        rate = torch.full((len(cut),), float(fps))
        with torch.no_grad():
            found = extractor.features(joints, rate), log_spectrum(joints, rate), jerk_power(joints, rate)
            parts.append([values.double() for values in found])
    return Clips(*(torch.cat(values).numpy() for values in zip(*parts, strict=True)))


def clip_fid(
    generator: Generator,
    recordings: MotionSet,
    extractor: ClipFeatures,
    rates: Sequence[float],
    count: int,
    splits: Sequence[int] = (TRAIN, TEST),
    seeds: Sequence[int] = (0,),
    lift_from: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """clip-FID, its floor and the gap of the speed spectra at each rate.

    Args:
        count: clips per side.
        splits: recordings to compare with; the paper takes those for testing.
        seeds: one repeat each, with motions and clips of its own.
        lift_from: rate at which a method with a time axis makes its motions, to be lifted by slerp as those of others
            are; None for the rate itself.

    Returns:
        A row per rate: `recordings` counted, and means over the repeats of `clip_fid`, `floor` (one half of the
        recordings against the other, with half as many clips each), `spectrum_gap` (mean difference of log speeds over
        the bands below half the rate), with `clip_fid_ci95` and `floor_ci95` the half widths of their confidence
        intervals; `jerk` and `jerk_real`, its root mean square in m/s³ by band, of the motions made and of the
        recordings. Numbers are None where too few recordings are fast and long enough or no motion is, and `why` says
        which; intervals also where there is one repeat.

    Raises:
        MdtoolError: the run is asked for actions, and a recording has one that it does not know, or none.
    """
    rows: list[dict[str, Any]] = []
    clips = [clip for clip in recordings if clip.split in splits]
    unknown = sorted({clip.action for clip in clips} - set(generator.actions)) if generator.conditional else []
    if unknown:
        strange = f"of the action {unknown[-1]!r}" if unknown[-1] else "without an action"
        raise MdtoolError(
            f"the recordings have clips {strange}, and the run knows {', '.join(generator.actions)} only: "
            "preprocess recordings of these"
        )
    for place, fps in enumerate(rates):
        real = [clip for clip in clips if clip.fps >= fps - 1e-6 and clip.seconds * fps >= extractor.frames]
        row: dict[str, Any] = {"fps": fps, "recordings": len(real)}
        row |= dict.fromkeys(("clip_fid", "floor", "spectrum_gap", "clip_fid_ci95", "floor_ci95", "why"))
        row |= dict.fromkeys(JERK)
        rows.append(row)
        found: list[tuple[float, float, float]] = []
        jerks: list[np.ndarray] = []
        if len(real) < _LEAST:
            row["why"] = f"fewer than {_LEAST} recordings of {extractor.frames} poses at that rate or faster"
        else:
            for repeat, seed in enumerate(seeds):
                made = _made(generator, real, fps, extractor.frames, seed, lift_from)
                scores = _scores(made, real, fps, extractor, count, np.random.default_rng([seed, int(1000 * fps)]))
                if scores is None:
                    row["why"] = f"the run makes no motion of {extractor.frames} poses at that rate"
                    break
                found.append(scores[:3])
                jerks.append(scores[3])
                if progress:
                    progress(place * len(seeds) + repeat + 1, len(rates) * len(seeds))
        if found:
            for column, name in enumerate(("clip_fid", "floor", "spectrum_gap")):
                score = Spread(tuple(scores[column] for scores in found))
                row[name] = score.mean
                if len(found) > 1 and f"{name}_ci95" in row:
                    row[f"{name}_ci95"] = score.ci95
            row |= dict(zip(JERK, np.sqrt(np.mean(jerks, axis=0)).tolist(), strict=True))
    if progress:
        progress(len(rates) * len(seeds), len(rates) * len(seeds))
    return rows


def _scores(
    motions: Sequence[Motion],
    real: Sequence[Motion],
    fps: float,
    extractor: ClipFeatures,
    count: int,
    rng: np.random.Generator,
) -> tuple[float, float, float, np.ndarray] | None:
    """(clip-FID, floor, spectrum gap, squared jerk [made or recorded, bands]) of one repeat; None where no motion holds
    a clip."""
    order = rng.permutation(len(real))
    halves = [[real[index] for index in part] for part in np.array_split(order, 2)]
    known = clips_at(real, fps, extractor, count, rng)
    made = clips_at(motions, fps, extractor, count, rng)
    one, other = (clips_at(half, fps, extractor, count // 2, rng) for half in halves)
    if known is None or made is None or one is None or other is None:
        return None
    heard = np.array([low < fps / 2 for low, _ in BANDS])
    gap = np.abs(made.spectrum.mean(0) - known.spectrum.mean(0))[heard].mean()
    jerks = np.stack([made.jerk.mean(0), known.jerk.mean(0)])
    return fid(made.features, known.features), fid(one.features, other.features), float(gap), jerks


def _made(
    generator: Generator, real: Sequence[Motion], fps: float, frames: int, seed: int, lift_from: float | None = None
) -> list[Motion]:
    """One motion per recording, of its action and length, as far as the run makes them; never too short for a clip."""
    labels = [generator.actions.index(clip.action) if generator.conditional else -1 for clip in real]
    if isinstance(generator.method, FieldMethod):
        rate = lift_from or fps
        most = max(frames_on(generator.method.axis_s, rate), math.ceil((frames - 1) * rate / fps) + 1)
        made = [resample(motion, fps) for motion in generator.sample(labels, seed, fps=rate, frames=most)]
    else:
        made = [resample(motion, fps) for motion in generator.sample(labels, seed)]
    lengths = [max(round(clip.seconds * fps), frames) for clip in real]
    return [motion.slice(0, min(length, len(motion))) for motion, length in zip(made, lengths, strict=True)]


def learnt_latents(method: FieldMethod, trained_on: MotionSet) -> dict[str, Tensor]:
    """Latents [1, d] of the first sequence of each training clip, by the clip's name.

    Args:
        trained_on: the data that the run was trained on, whole.

    Raises:
        MdtoolError: these are other data than the run's.
    """
    latents, found, row = method.learnt(), {}, 0
    for clip in (trained_on[int(index)] for index in np.flatnonzero(trained_on.split == TRAIN)):
        spans = spans_of(len(clip), clip.fps, method.axis_s, method.hop_s)
        if spans:
            found[clip.name] = latents[row : row + 1]
        row += len(spans)
    if row != len(latents):
        raise MdtoolError(f"the run learnt {len(latents)} sequences and its data hold {row}: the file has changed")
    return found


def reconstruction(
    method: FieldMethod,
    recordings: MotionSet,
    split: int,
    rates: Sequence[float],
    count: int,
    seed: int = 0,
    learnt: Mapping[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Mean joint error of latents at each rate, beside slerp's; metres.

    Pieces of recordings are fitted twice: to all their frames, for `mpjpe` at a rate, and to every second frame, for
    `held_out` at the frames between, beside `held_out_slerp` from the same frames. `learnt` is the error of the latents
    that training found, where it knows the recording. `s_consistency` is the distance between the field told 20 fps and
    told the rate.

    Args:
        learnt: latents of recordings by name, from `learnt_latents`; only of the split that was trained on.

    Raises:
        MdtoolError: no recording in the split is long enough.
    """
    rng = np.random.default_rng([seed, split])
    clips = [recordings[int(index)] for index in rng.permutation(np.flatnonzero(recordings.split == split))]
    pieces = [piece for clip in clips for piece in sequences_of(clip, method.axis_s, False)[:1] if len(piece) >= 16]
    if not pieces:
        raise MdtoolError("the recordings of this split are too short to fit: 16 frames or more are needed")
    fitted = {fps: [piece for piece in pieces if piece.fps >= fps - 1e-6][:count] for fps in rates}
    known = {id(piece): _fit_both(method, piece) for some in fitted.values() for piece in some}
    rows = []
    for fps, some in fitted.items():
        row: dict[str, list[float]] = {name: [] for name in RECONSTRUCTION}
        for piece in some:
            latent, held_out, by_slerp = known[id(piece)]
            times_s = np.arange(int((len(piece) - 1) / piece.fps * fps + 1e-6) + 1) / fps
            truth = resample_at(piece, times_s).positions()
            if learnt and split == TRAIN and piece.name in learnt:
                row["learnt_m"].append(joint_distance(positions_at(method, learnt[piece.name], times_s), truth))
            row["mpjpe_m"].append(joint_distance(positions_at(method, latent, times_s), truth))
            row["held_out_m"].append(held_out)
            row["held_out_slerp_m"].append(by_slerp)
            row["s_consistency_m"].append(
                joint_distance(*(positions_at(method, latent, times_s, s) for s in (20.0, fps)))
            )
        means = {name: float(np.mean(values)) if values else None for name, values in row.items()}
        rows.append({"fps": fps, "recordings": len(some), **means})
    return rows


def _fit_both(method: FieldMethod, piece: Motion) -> tuple[Tensor, float, float]:
    """(latent of all frames, error of the latent of every second at the others, and slerp's there)."""
    times_s = np.arange(len(piece)) / piece.fps
    latent, half = (_fit(method, piece, times_s, slice(None, None, step)) for step in (1, 2))
    between = slice(1, None, 2)
    truth = piece.positions()[between]
    even = resample(piece, piece.fps / 2)
    drawn = resample_at(even, times_s[between]).positions()
    return latent, joint_distance(positions_at(method, half, times_s[between]), truth), joint_distance(drawn, truth)


def _fit(method: FieldMethod, piece: Motion, times_s: np.ndarray, frames: slice) -> Tensor:
    features = method.from_motion(
        torch.from_numpy(piece.rot6d[frames].copy())[None], torch.from_numpy(piece.root[frames].copy())[None]
    )
    return method.fit(features, torch.from_numpy(times_s[frames].copy())[None])


def positions_at(method: FieldMethod, latent: Tensor, times_s: np.ndarray, fps: float = 0.0) -> np.ndarray:
    """Joint positions [T, 24, 3] of a latent [1, d] at instants [T] in seconds; metres.

    Args:
        fps: the rate that the field is told; 0 tells it none.
    """
    with torch.no_grad():
        rot6d, root = method.to_motion(method.poses(latent, torch.from_numpy(times_s.copy()), fps))
    return positions_of(rot6d[0].numpy(), root[0].numpy())


def joint_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Mean distance of joints [T, 24, 3], all of them, in metres."""
    return float(np.linalg.norm(first - second, axis=-1).mean())
