"""FID∞ of normal distributions, whose distance is known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from mdtool.errors import MdtoolError
from mdtool.evaluation.distribution import fid
from mdtool.evaluation.extrapolation import fid_for_infinity


def features(count: int, dimensions: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal((count, dimensions)) + shift


def test_the_line_ends_at_the_distance_of_the_distributions() -> None:
    dimensions, shift, scale = 16, 0.25, 1.2
    truth = dimensions * (shift**2 + (scale - 1) ** 2)
    tested = features(6000, dimensions, 1, scale, shift)
    reference = features(6000, dimensions, 2)
    found = fid_for_infinity(tested[:1500], reference[:1500])
    assert found.fid == pytest.approx(truth, rel=0.05)
    assert found.counts[-1] == 1500
    # At 150 motions the plain number is far off, and on the line.
    plain = fid(tested[:150], reference[:150])
    assert plain > 1.5 * truth
    assert found.fid + found.slope / 150 == pytest.approx(np.mean(found.fids[0]), rel=0.1)
    assert found.residual < 0.1 * truth


def test_two_draws_of_one_distribution_are_nothing_apart() -> None:
    found = [fid_for_infinity(features(800, 12, seed), features(800, 12, 100 + seed)).fid for seed in range(8)]
    floor = fid(features(800, 12, 0), features(800, 12, 100))
    assert floor > 0.1
    assert abs(np.mean(found)) < 0.1 * floor


def test_the_same_pools_give_the_same_line_and_the_larger_is_cut() -> None:
    first, second = features(90, 4, 0), features(60, 4, 1)
    found = fid_for_infinity(first, second)
    assert found == fid_for_infinity(first, second)
    assert found.counts == sorted(found.counts)
    assert found.counts[-1] == 60


def test_too_few_motions_are_told() -> None:
    with pytest.raises(MdtoolError, match="4 motions are too few"):
        fid_for_infinity(features(4, 3, 0), features(9, 3, 1))
