"""Plots show the numbers they are given."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from mdtool.page.charts import (
    Dots,
    Series,
    apart,
    dot_chart,
    even_ticks,
    heat_chart,
    line_chart,
    log_ticks,
    matrix_chart,
)


def parsed(figure: str) -> ElementTree.Element:
    """The figure is well-formed, and its picture has a title and a description."""
    root = ElementTree.fromstring(figure)
    picture = root.find(".//svg")
    assert picture is not None
    assert picture.get("role") == "img"
    ids = {part.get("id") for part in picture if part.tag in ("title", "desc")}
    assert {picture.get("aria-labelledby"), picture.get("aria-describedby")} == ids
    assert not [part for part in root.iter() if part.get("style")]
    return root


def cells(root: ElementTree.Element) -> list[list[str]]:
    return [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]


def test_a_curve_ends_at_its_value_and_its_numbers_are_in_the_table() -> None:
    curve = Series("raw <1>", [0, 100], [100.0, 10.0], [90.0, 9.0], [110.0, 11.0])
    root = parsed(line_chart("FID", "d", [curve], "FID", "steps"))
    points = [tuple(map(float, pair.split(","))) for pair in root.find(".//polyline").get("points").split()]  # type: ignore[union-attr]
    assert points[0][0] < points[1][0]
    assert points[0][1] < points[1][1]  # larger is higher on the page
    ticks = {t.text: float(t.get("y", 0)) - 4 for t in root.iter("text") if t.get("text-anchor") == "end"}
    assert points[1][1] == pytest.approx(ticks["10"], abs=0.11)
    assert points[0][1] == pytest.approx(ticks["100"], abs=0.11)
    assert cells(root) == [["step", "raw <1>"], ["0", "100"], ["100", "10"]]


def test_a_curve_without_spread_has_no_band() -> None:
    nan = [float("nan")] * 2
    assert parsed(line_chart("t", "d", [Series("a", [1, 2], [3, 3], nan, nan)], "y", "x")).find(".//polygon") is None


def test_heat_is_darkest_where_most_was_drawn_and_keeps_the_mean() -> None:
    shares = np.ones((100, 1000))
    shares[-10:, -100:] = 3
    root = parsed(heat_chart("t", "d", shares, "steps", "timestep", (100, 999)))
    heat = [(float(r.get("x", 0)), -float(r.get("y", 0)), float(r.get("fill-opacity", 0))) for r in root.iter("rect")]
    assert len(heat) == 48 * 48
    assert max(heat)[2] == 1.0
    assert min(heat)[2] == pytest.approx(1 / 3, abs=0.01)


def test_confusion_gives_shares_of_the_asked_action() -> None:
    root = parsed(matrix_chart("t", "d", ["walk", "run"], np.array([[3, 1], [0, 0]])))
    assert cells(root) == [["asked", "walk", "run"], ["walk", "75.0%", "25.0%"], ["run", "0.0%", "0.0%"]]
    assert "walk recognised as run: 25%" in [title.text for title in root.iter("title")]


def test_dots_lie_on_their_axis_and_missing_ones_are_left_out() -> None:
    lines = [Dots("walk", [0.0, 1.0]), Dots("run", [None, 9.0])]
    root = parsed(dot_chart("t", "d", ["a", "b"], lines, (0, 1), (0.8, 1.25)))
    dots = {re.sub(":.*", "", dot[0].text or ""): float(dot.get("cx", 0)) for dot in root.iter("circle") if len(dot)}
    assert set(dots) == {"walk, a", "walk, b", "run, b"}
    assert dots["walk, a"] < dots["walk, b"] == dots["run, b"]
    assert cells(root)[2] == ["run", "–", "9.00"]


def test_labels_keep_their_order_and_their_distance() -> None:
    moved = apart([100, 101, 40, 100.5], 0, 110)
    order = sorted(range(4), key=lambda k: moved[k])
    assert order == [2, 0, 3, 1]
    assert np.diff(sorted(moved)).min() >= 16
    assert max(moved) <= 110


def test_ticks() -> None:
    assert log_ticks(3, 120) == [5, 10, 20, 50, 100]
    assert log_ticks(0.13, 0.31) == pytest.approx([0.15, 0.2, 0.25, 0.3])
    assert log_ticks(1e-3, 2e3) == pytest.approx([1e-3, 1e-2, 0.1, 1, 10, 100, 1000])
    assert even_ticks(0, 12_000) == [0, 5000, 10_000]
    assert even_ticks(25, 125) == [40, 60, 80, 100, 120]
