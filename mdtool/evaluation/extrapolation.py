"""FID without the bias of its sample count: measured at several counts and extended to infinitely many motions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdtool.errors import MdtoolError
from mdtool.evaluation.distribution import fid

FEWEST_COUNTS = 3
"""Different counts that a line needs for its residual to say anything."""
_PARTS = (1, 2, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True)
class Extrapolation:
    """A line through (1 / count, FID), and where it ends."""

    fid: float
    """The line's value at 1 / count = 0."""
    slope: float
    """FID · motions: the bias at count n is about slope / n."""
    residual: float
    """Root mean square distance of the points from the line, in FID."""
    counts: list[int]
    """Motions per set."""
    fids: list[float]
    """Mean FID of the disjoint pairs of sets that the pool has at each count."""


def fid_for_infinity(tested: np.ndarray, reference: np.ndarray, seed: int = 0) -> Extrapolation:
    """FID∞ (Chong & Forsyth 2020, section 4): a straight line in 1 / n, evaluated at 0.

    The expectation of the Fréchet distance between finite sets is that of their distributions plus a term in 1 / n
    (equation 5 there) and smaller ones. Both pools are cut into the same number of disjoint parts, so that both sides
    lose their bias together and small counts, which repeat more often, are averaged over more pairs.

    Args:
        tested: features [n, F] of motions under test, pooled over seeds.
        reference: features [m, F] of recordings; the larger pool is cut to the smaller.
        seed: of the order in which the pools are cut.

    Raises:
        MdtoolError: too few motions for three counts.
    """
    total = min(len(tested), len(reference))
    # Below about as many motions as dimensions the covariance is singular and the bias no longer goes as 1 / n.
    fewest = max(2, min(tested.shape[1], total // _PARTS[FEWEST_COUNTS - 1]))
    counts = sorted({total // parts for parts in _PARTS if total // parts >= fewest})
    if len(counts) < FEWEST_COUNTS:
        raise MdtoolError(f"FID for N → ∞ needs sets of {FEWEST_COUNTS} different sizes; {total} motions are too few")
    rng = np.random.default_rng(seed)
    tested, reference = (pool[rng.permutation(len(pool))[:total]] for pool in (tested, reference))
    fids, weights = [], []
    for count in counts:
        begins = range(0, total - count + 1, count)
        pairs = [fid(tested[begin : begin + count], reference[begin : begin + count]) for begin in begins]
        fids.append(float(np.mean(pairs)))
        # A pair's standard deviation goes down as the count goes up, and the mean's as the root of the pairs.
        weights.append(count * np.sqrt(len(pairs)))
    inverse = 1 / np.array(counts)
    slope, end = np.polyfit(inverse, fids, 1, w=weights)
    residual = np.sqrt(np.mean((end + slope * inverse - fids) ** 2))
    return Extrapolation(float(end), float(slope), float(residual), counts, fids)


def fids_for_infinity(split: str, made: list[np.ndarray], real: list[np.ndarray]) -> dict[str, Extrapolation]:
    """FID∞ of the motions under test, and its floor: one half of the seeds' recordings against the other.

    How far the floor lies from 0, on either side, is how far the other can be trusted.

    Args:
        split: name of the split, for the keys gen_SPLIT and real_SPLIT.
        made, real: features [n, F] of every seed; `made` is empty for recordings alone.
    """
    fits = {}
    if made:
        fits[f"gen_{split}"] = fid_for_infinity(np.concatenate(made), np.concatenate(real))
    pool = np.concatenate(real)
    half = len(pool) // 2
    fits[f"real_{split}"] = fid_for_infinity(pool[:half], pool[half:])
    return fits
