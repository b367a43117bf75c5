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
    found = fid_for_infinity(tested, reference)
    assert found.fid == pytest.approx(truth, rel=0.06)
    assert found.counts[-1] == 6000
    # At a tenth of the motions the plain number is far off, and on the line.
    assert found.counts[0] == 600
    assert found.fids[0] > 1.15 * truth
    assert found.fid + found.slope / 600 == pytest.approx(found.fids[0], rel=0.01)
    assert found.residual < 0.01 * truth


def test_a_thousand_motions_tell_the_distance_that_their_own_fid_drowns() -> None:
    spectrum = np.arange(1, 257) ** -0.5  # as uneven as a recogniser's 256 features
    tested = features(1000, 256, 7) * spectrum
    reference = features(1000, 256, 8) * spectrum * 1.1 + 0.02
    truth = np.square(0.1 * spectrum).sum() + 256 * 0.02**2
    assert fid(tested, reference) > 3 * truth
    assert fid_for_infinity(tested, reference).fid == pytest.approx(truth, rel=0.15)


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
