"""What a report counts."""

from __future__ import annotations

import math

import pytest

from mdtool.editing.report import EditReport, TargetRow


def row(error: float, keyframes: int, must: float | None = None) -> TargetRow:
    return TargetRow("targets[0]", "pelvis", "3", "m", None, error, error, must, keyframes)


def test_the_objective_error_is_a_mean_over_key_frames_of_places_alone() -> None:
    found = EditReport("", 0.0, [row(0.04, 1), row(0.01, 3), row(0.0, 0)], [])
    assert found.objective_error == pytest.approx((0.04 + 3 * 0.01) / 4)
    assert math.isnan(EditReport("", 0.0, [row(0.0, 0)], []).objective_error)


@pytest.mark.parametrize(("worst", "must", "missed"), [(0.2, 0.1, True), (0.1, 0.1, False), (0.2, None, False)])
def test_what_must_be(worst: float, must: float | None, missed: bool) -> None:
    assert row(worst, 1, must).missed is missed


def test_a_distance_that_is_no_number_is_a_miss() -> None:
    assert row(math.nan, 1, 0.1).missed
