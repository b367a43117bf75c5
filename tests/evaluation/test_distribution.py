"""Distribution metrics against closed forms and the invariances that define them."""

from __future__ import annotations

import numpy as np
import pytest

from mdtool.errors import MdtoolError
from mdtool.evaluation import distribution as d


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def random_rotation(size: int, rng: np.random.Generator) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(size, size)))[0]


def with_moments(mean: np.ndarray, root: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """A set whose sample mean and covariance are exactly `mean` and root · rootᵀ."""
    white = rng.normal(size=(count, len(mean)))
    white -= white.mean(0)
    white = white @ np.linalg.inv(np.linalg.cholesky(np.cov(white, rowvar=False))).T
    return mean + white @ root.T


def test_fid_of_diagonal_gaussians_is_the_sum_of_squared_differences(rng: np.random.Generator) -> None:
    mean, other_mean = rng.normal(size=6), rng.normal(size=6)
    scale, other_scale = rng.uniform(0.2, 3, 6), rng.uniform(0.2, 3, 6)
    first = with_moments(mean, np.diag(scale), 80, rng)
    second = with_moments(other_mean, np.diag(other_scale), 70, rng)
    expected = ((mean - other_mean) ** 2).sum() + ((scale - other_scale) ** 2).sum()
    assert d.fid(first, second) == pytest.approx(expected, rel=1e-9)


def test_fid_of_two_by_two_covariances_in_closed_form(rng: np.random.Generator) -> None:
    roots = rng.normal(size=(2, 2, 2))
    one, two = (root @ root.T for root in roots)
    first, second = (with_moments(np.zeros(2), root, 50, rng) for root in roots)
    # For 2×2 matrices tr √M = √(tr M + 2 √det M).
    product = one @ two
    cross = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    assert d.fid(first, second) == pytest.approx(np.trace(one) + np.trace(two) - 2 * cross, rel=1e-9)


def test_fid_follows_shift_scale_and_rotation_of_feature_space(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=(90, 8)), rng.normal(size=(60, 8)) * rng.uniform(0.5, 2, 8)
    plain = d.fid(first, second)
    shift = rng.normal(size=8)
    assert d.fid(first, first + shift) == pytest.approx(shift @ shift, rel=1e-9)
    assert d.fid(5 * first + 1, 5 * second + 1) == pytest.approx(25 * plain, rel=1e-9)
    rotation = random_rotation(8, rng)
    assert d.fid(first @ rotation, second @ rotation) == pytest.approx(plain, rel=1e-9)
    assert d.fid(second, first) == pytest.approx(plain, rel=1e-9)
    assert d.fid(first, first[::-1]) == pytest.approx(0, abs=1e-11)


def test_fid_of_rank_deficient_sets_is_real_and_exact(rng: np.random.Generator) -> None:
    few = rng.normal(size=(5, 64)) * 10
    shift = np.full(64, 0.5)
    assert d.fid(few, few + shift) == pytest.approx(16, rel=1e-9)
    # Supports that share no direction: nothing to gain from matching, so the traces add up.
    first, second = np.zeros((30, 8)), np.zeros((30, 8))
    first[:, :4], second[:, 4:] = rng.normal(size=(30, 4)), rng.normal(size=(30, 4))
    apart = ((first.mean(0) - second.mean(0)) ** 2).sum()
    expected = apart + first.var(0, ddof=1).sum() + second.var(0, ddof=1).sum()
    assert d.fid(first, second) == pytest.approx(expected, rel=1e-9)


def test_accuracy_counts_the_diagonal() -> None:
    logits = np.eye(3)[[0, 0, 1, 2, 2, 2]]
    confusion = d.confusion_matrix(logits, np.array([0, 1, 1, 2, 2, 0]))
    assert confusion.tolist() == [[1, 0, 1], [1, 1, 0], [0, 0, 2]]
    assert d.accuracy(confusion) == pytest.approx(4 / 6)


def test_diversity_of_two_points_is_their_distance_times_the_share_of_unequal_pairs() -> None:
    features = np.array([[0.0, 0.0], [3.0, 4.0]])
    pairs = np.array([[0, 1], [1, 0], [0, 0], [1, 1]])
    assert d.diversity(features, pairs) == pytest.approx(2.5)
    drawn = d.draw_pairs(2, np.random.RandomState(0), 20_000)
    assert d.diversity(features, drawn) == pytest.approx(2.5, rel=0.03)


def test_multimodality_averages_within_actions_only() -> None:
    labels = np.repeat([0, 2], 50)  # action 1 of 3 does not occur
    spread = np.where(np.arange(100) % 2, 1.0, -1.0) * np.where(labels == 0, 0.5, 3.0)
    features = np.stack([spread, 1000.0 * labels], axis=1)
    pairs = d.draw_action_pairs(labels, np.random.RandomState(1), 500)
    assert len(pairs) == 1000
    assert (labels[pairs[:, 0]] == labels[pairs[:, 1]]).all()
    assert np.bincount(labels[pairs[:, 0]]).tolist() == [500, 0, 500]
    # Half of the pairs of an action join its two points, 1 and 6 apart.
    assert d.multimodality(features, pairs) == pytest.approx((0.5 + 3.0) / 2, rel=0.1)
    reference = d.multimodality(features, pairs, divide_by_pairs=3 * 500)
    assert reference == pytest.approx(d.multimodality(features, pairs) * 2 / 3)


def test_multimodality_pairs_survive_an_action_with_one_motion() -> None:
    pairs = d.draw_action_pairs(np.array([0, 1, 1, 1]), np.random.RandomState(0))
    assert (pairs[pairs[:, 0] == 0] == 0).all()


def test_kernel_distance_is_unbiased_and_sees_a_shift(rng: np.random.Generator) -> None:
    same = [d.polynomial_mmd(rng.normal(size=(60, 4)), rng.normal(size=(40, 4))) for _ in range(200)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(200)
    assert min(same) < 0
    # Two sets of equal points, x and y: k(x, x) + k(y, y) - 2 k(x, y).
    x, y = np.tile([1.0, 0.0], (5, 1)), np.tile([0.0, 2.0], (7, 1))
    assert d.polynomial_mmd(x, y) == pytest.approx(1.5**3 + 3**3 - 2)


def test_precision_and_recall_of_known_overlaps(rng: np.random.Generator) -> None:
    real = np.concatenate([rng.normal(size=(50, 3)), rng.normal(size=(50, 3)) + 100])
    assert d.precision_recall(real, real) == (1.0, 1.0)
    one_mode = real[:50]
    precision, recall = d.precision_recall(one_mode, real)
    assert precision == 1.0
    assert recall == pytest.approx(0.5)
    assert d.precision_recall(real + 1000, real) == (0.0, 0.0)


def test_copies_are_nearest(rng: np.random.Generator) -> None:
    training, held_out = rng.normal(size=(2, 100, 3))
    copies = training[rng.integers(0, 100, 50)] + 1e-3
    assert d.nearest(copies, training) == pytest.approx(1e-3 * np.sqrt(3))
    assert d.nearest(held_out, training) > 0.1
    assert d.nearest(np.array([[0.0, 3.0], [8.0, 0.0]]), np.zeros((1, 2))) == pytest.approx(5.5)


def test_broken_input_is_told_in_one_sentence(rng: np.random.Generator) -> None:
    good = rng.normal(size=(9, 4))
    with pytest.raises(MdtoolError, match="NaN"):
        d.fid(good, np.full((9, 4), np.nan))
    with pytest.raises(MdtoolError, match="two motions"):
        d.fid(good[:1], good)
    with pytest.raises(MdtoolError, match="two motions"):
        d.polynomial_mmd(good, good[:1])
    with pytest.raises(MdtoolError, match="more than 3"):
        d.precision_recall(good[:3], good)
