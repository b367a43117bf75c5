"""Distances between sets of features, and scores of labelled sets: numpy in, float64 inside, plain numbers out.

Whatever is random (which pairs of motions are compared) is drawn by its own function, so that a score can be computed
again from stored pairs. Features are [n, F], labels [n], scores of the recogniser ("logits") [n, actions].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdtool.errors import MdtoolError

DIVERSITY_PAIRS = 200
"""Pairs of motions compared for diversity (Guo et al. 2020, action2motion, section 5.1)."""
PAIRS_PER_ACTION = 20
"""Pairs of motions of one action compared for multimodality (same place)."""


@dataclass(frozen=True)
class Gaussian:
    """The normal distribution that FID puts in place of a set of features."""

    mean: np.ndarray
    """[F] float64."""
    covariance: np.ndarray
    """[F, F] float64, unbiased."""


def fit_gaussian(features: np.ndarray) -> Gaussian:
    """Mean and unbiased covariance of features [n, F].

    Raises:
        MdtoolError: fewer than two rows, or numbers that are not finite.
    """
    features = np.asarray(features, dtype=np.float64)
    if len(features) < 2:
        raise MdtoolError(f"FID compares distributions and needs two motions or more per set, not {len(features)}")
    if not np.isfinite(features).all():
        raise MdtoolError("the recogniser's features hold NaN or infinite numbers: the motions it saw are broken")
    return Gaussian(features.mean(0), np.atleast_2d(np.cov(features, rowvar=False)))


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """|m1 - m2|² + tr(S1 + S2) - 2 tr √(S1 S2), the squared 2-Wasserstein distance (Heusel et al. 2017, eq. 6).

    With S = B Bᵀ, from the eigenvectors of S, the last trace is the sum of the singular values of B1ᵀ B2. No square
    root is taken of a matrix that is not symmetric, nor of rounding noise, so that the result is real and exact
    however deficient the ranks are.
    """
    cross = np.linalg.svd(_factor(first.covariance).T @ _factor(second.covariance), compute_uv=False).sum()
    shift = first.mean - second.mean
    return float(shift @ shift + np.trace(first.covariance) + np.trace(second.covariance) - 2 * cross)


def fid(first: np.ndarray, second: np.ndarray) -> float:
    """Fréchet distance between normal fits of two sets of features [n, F] and [m, F]."""
    return frechet_distance(fit_gaussian(first), fit_gaussian(second))


def confusion_matrix(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts [actions, actions] int64 of (asked action, recognised action)."""
    actions = logits.shape[1]
    cells = np.asarray(labels, dtype=np.int64) * actions + np.argmax(logits, axis=1)
    return np.bincount(cells, minlength=actions * actions).reshape(actions, actions)


def accuracy(confusion: np.ndarray) -> float:
    """Share of motions recognised as the asked action."""
    return float(np.trace(confusion) / confusion.sum())


def draw_pairs(motions: int, rng: np.random.RandomState, pairs: int = DIVERSITY_PAIRS) -> np.ndarray:
    """Random pairs [pairs, 2] of indices below `motions`, with repetition; a motion may meet itself."""
    first = rng.randint(0, motions, pairs)
    return np.stack([first, rng.randint(0, motions, pairs)], axis=1)


def diversity(features: np.ndarray, pairs: np.ndarray) -> float:
    """Mean distance between the features of paired motions."""
    return float(_pair_distances(features, pairs).mean())


def draw_action_pairs(
    labels: np.ndarray, rng: np.random.RandomState, pairs_per_action: int = PAIRS_PER_ACTION
) -> np.ndarray:
    """Random pairs [present actions · pairs_per_action, 2] of motions of the same action, with repetition.

    Motions are drawn from all and rejected when their action has its pairs already, and partners until the action
    agrees: wasteful, but the order of draws of the reference implementations, so that a seed gives the same pairs.
    """
    wanted = dict.fromkeys(np.unique(labels).tolist(), pairs_per_action)
    pairs: list[tuple[int, int]] = []
    while any(wanted.values()):
        first = int(rng.randint(0, len(labels)))
        action = int(labels[first])
        if not wanted[action]:
            continue
        second = int(rng.randint(0, len(labels)))
        while labels[second] != action:
            second = int(rng.randint(0, len(labels)))
        wanted[action] -= 1
        pairs.append((first, second))
    return np.array(pairs, dtype=np.int64)


def multimodality(features: np.ndarray, pairs: np.ndarray, divide_by_pairs: int | None = None) -> float:
    """Mean distance between the features of paired motions of the same action.

    Args:
        divide_by_pairs: what the reference divides by, pairs_per_action · actions, which counts actions that do not
            occur at all; the number of pairs when not given.
    """
    distances = _pair_distances(features, pairs)
    return float(distances.sum() / (divide_by_pairs or len(distances)))


def polynomial_mmd(first: np.ndarray, second: np.ndarray) -> float:
    """Kernel distance between two sets of features (KID; Bińkowski et al. 2018, section 4): unbiased squared MMD.

    The kernel is (x·y / F + 1)³. Zero on average for sets of one distribution, hence sometimes below zero.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if min(len(first), len(second)) < 2:
        raise MdtoolError("KID needs two motions or more per set")

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def mean_off_diagonal(gram: np.ndarray) -> float:
        return (gram.sum() - np.trace(gram)) / (len(gram) * (len(gram) - 1))

    within = mean_off_diagonal(kernel(first, first)) + mean_off_diagonal(kernel(second, second))
    return float(within - 2 * kernel(first, second).mean())


def precision_recall(generated: np.ndarray, real: np.ndarray, neighbours: int = 3) -> tuple[float, float]:
    """Share of generated motions near real ones, and of real ones near generated (Kynkäänniemi et al. 2019, eq. 1-2).

    Near: within the distance of one of the other set's motions to its k-th neighbour of its own set.
    """
    if min(len(generated), len(real)) <= neighbours:
        raise MdtoolError(f"precision and recall need more than {neighbours} motions per set")
    return _covered(generated, real, neighbours), _covered(real, generated, neighbours)


def nearest(features: np.ndarray, reference: np.ndarray) -> float:
    """Median distance from a motion to the nearest one of another set.

    Beside the same distance of held-out recordings it tells a generator that invents from one that copies: as its
    training goes on past what the data can teach, it falls to that of the training clips themselves.
    """
    return float(np.median(_distances(features, reference).min(axis=1)))


def _factor(covariance: np.ndarray) -> np.ndarray:
    """B [F, rank] with B Bᵀ = covariance; eigenvalues within rounding of zero are zero."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > len(values) * np.finfo(np.float64).eps * max(values[-1], 0)
    return vectors[:, kept] * np.sqrt(values[kept])


def _covered(points: np.ndarray, manifold: np.ndarray, neighbours: int) -> float:
    # Position 0 of the sorted row is the motion itself.
    radii = np.partition(_distances(manifold, manifold), neighbours, axis=1)[:, neighbours]
    return float((_distances(points, manifold) <= radii).any(axis=1).mean())


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    squared = (first**2).sum(1)[:, None] + (second**2).sum(1) - 2 * first @ second.T
    return np.sqrt(squared.clip(0))


def _pair_distances(features: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    features = np.asarray(features, dtype=np.float64)
    return np.linalg.norm(features[pairs[:, 0]] - features[pairs[:, 1]], axis=1)
