"""Measures of control on motions made for them."""

from __future__ import annotations

import numpy as np
import pytest

from mdtool.evaluation.control import (
    PREDICATES,
    collisions,
    content_preserved,
    keyframe_errors,
    locality,
    mpjpe,
    objective_error,
    trajectory_diversity,
)
from mdtool.evaluation.physical import jitter


def test_objective_error_looks_at_masked_axes_only() -> None:
    positions, targets, mask = np.zeros((10, 24, 3)), np.zeros((10, 24, 3)), np.zeros((10, 24, 3), bool)
    targets[4, 0], mask[4, 0] = [3.0, 99.0, 4.0], [True, False, True]
    targets[6, 20], mask[6, 20] = [1.0, 0.0, 0.0], [True, True, True]
    assert objective_error(positions, targets, mask) == pytest.approx(3.0)
    assert np.isnan(objective_error(positions, targets, mask & False))


def test_joint_errors_of_noise() -> None:
    """Normal noise of σ per axis is 1.596 σ away on average, and shakes by 28.5 hundred m/s³ at 5 cm and 20 fps."""
    noise = 0.05 * np.random.default_rng(0).standard_normal((2000, 24, 3))
    assert mpjpe(noise, noise * 0) == pytest.approx(1.596 * 0.05, rel=0.01)
    assert mpjpe(noise, noise * 0, [0, 15]) == pytest.approx(1.596 * 0.05, rel=0.05)
    assert jitter(noise, 20.0) / 100 == pytest.approx(28.5, rel=0.01)


def test_content_is_the_share_of_frames_that_agree() -> None:
    before = np.zeros((10, 24, 3))
    before[:5, (20, 21), 1] = 2.0
    before[:, 15, 1] = 1.6
    after = before.copy()
    after[3:5, 20, 1] = 0.5
    assert content_preserved(before, after, PREDICATES["raised-hands"]) == pytest.approx(0.8)
    assert content_preserved(before, after, PREDICATES["right-hand-raised"]) == 1.0
    assert content_preserved(before, before - [0, 0.2, 0], PREDICATES["crawl"]) == 0.0
    before[:, (10, 11), 1] = 0.06
    assert PREDICATES["jump"](before).all()


def test_collisions_count_frames_and_depth() -> None:
    clearance = np.full((10, 3), 0.2)
    clearance[2, 1], clearance[7, 0] = -0.03, -0.05
    assert collisions(clearance) == (0.2, pytest.approx(0.05))
    assert collisions(np.abs(clearance)) == (0.0, 0.0)


def test_locality_leaves_out_the_neighbourhood_of_targets() -> None:
    before = np.zeros((60, 24, 3))
    after = before.copy()
    after[25:36] += [0.3, 0.0, 0.4]
    assert locality(before, after, [30], 5) == 0.0
    assert locality(before, after, [30], 4) > 0
    assert locality(before[:10], after[25:35], [], 0) == pytest.approx(0.5)
    assert np.isnan(locality(before, after, range(60), 3))


def test_key_frame_errors_by_hand() -> None:
    errors = np.array([[0.1, 0.3], [0.1, 0.1], [0.6, 0.1]])
    assert keyframe_errors(errors) == (
        (pytest.approx(2 / 3), pytest.approx(1 / 3)),
        (pytest.approx(1 / 3), pytest.approx(1 / 6)),
        pytest.approx(errors.mean()),
    )
    assert keyframe_errors(errors, strict=False).failed == (pytest.approx(1 / 3), 0.0)


def test_diversity_of_two_paths_is_half_their_distance() -> None:
    paths = np.zeros((1, 2, 10, 2))
    paths[0, 1, :5, 0] = 2.0
    assert trajectory_diversity(paths, [5]) == pytest.approx(1.0)
