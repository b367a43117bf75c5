"""Plots that a person can read."""

from __future__ import annotations

import pytest

from mdtool.report.plots import Curve, curves_plot


@pytest.mark.parametrize(("best", "worst"), [(9.9, 15.1), (8.0, 20.0), (0.4, 300.0), (1250.0, 1400.0)])
def test_an_axis_has_numbers_to_read_off(best: float, worst: float) -> None:
    figure = curves_plot([Curve("a run", [100, 200], [worst, best], [0.1, 0.1])], "title", "FID")
    figure.canvas.draw()
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    shown = [label.get_text() for label in axes.get_yticklabels() if low <= label.get_position()[1] <= high]
    assert 3 <= len(shown) <= 12
    assert all(text and "e" not in text and "$" not in text for text in shown)


def test_no_two_of_twenty_curves_look_alike() -> None:
    figure = curves_plot([Curve(str(k), [1, 2], [3.0 + k, 2.0 + k], [0.1, 0.1]) for k in range(20)], "title", "FID")
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == 20
