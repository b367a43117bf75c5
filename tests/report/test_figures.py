"""Figures hold the right series, and are readable text."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from mdtool.report.collect import Study
from mdtool.report.figures import fid_curve, study_plots
from mdtool.report.plots import Curve, curves_plot, draws_plot, figure_png, figure_svg
from tests.report.constructed import run, thesis_study


def texts(svg: str) -> list[str]:
    """Every piece of text of an SVG picture."""
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("}text")]


def test_a_full_study_has_the_thesis_figures() -> None:
    plots = {plot.name: plot for plot in study_plots(thesis_study())}
    assert list(plots) == ["figure-4.1a", "figure-4.1b", "figure-4.2b"], "one checkpoint is no curve"
    said = texts(plots["figure-4.1a"].svg())
    for label in ("P2-base  17.9", "P2-EMA-A  16.1", "P2-EMA-B  15.9", "P2-IS  15.5", "FID test", "optimiser steps"):
        assert label in said
    assert plots["figure-4.1a"].caption.endswith("1,000 motions × 3 seeds; floor 2.75")
    lines = plots["figure-4.1a"].figure.axes[0].get_lines()
    assert [line.get_label() for line in lines] == ["P2-base", "P2-EMA-A", "P2-EMA-B", "P2-IS"]
    assert lines[0].get_ydata().tolist() == [305.0, 60.0, 22.0, 19.0, pytest.approx(17.904)]


def test_curves_of_variations_stand_beside_the_baseline() -> None:
    study = thesis_study()
    study.runs.append(
        run("phase2-base", {"raw": {25_000: 100.0, 125_000: 12.0}}, ["model.timestep_sampler=loss-aware"])
    )
    beyond = {plot.name: plot for plot in study_plots(study)}["figure-beyond"]
    assert [line.get_label() for line in beyond.figure.axes[0].get_lines()] == [
        "P2-base",
        "P2-IS",
        "P2-base + timesteps loss-aware",
    ]


def test_a_curve_holds_one_setup_only() -> None:
    study = Study([run("phase1-100", {"raw": {5: 9.0, 10: 8.0}}), run("phase1-100", {"raw": {7: 1.0}}, count=50)])
    curve = fid_curve(study, "P1-100", study.setups()[0])
    assert curve is not None
    assert (list(curve.steps), curve.mean) == ([5, 10], [9.0, 8.0])
    assert fid_curve(study, "P1-100", study.setups()[1]) is None


def test_labels_of_curves_that_end_together_stay_apart() -> None:
    curves = [Curve(f"curve {k}", [1, 2], [10, 3 + k / 1000], [1, float("nan")]) for k in range(6)]
    notes = curves_plot(curves, "title", "FID").axes[0].texts
    heights = sorted(note.xy[1] for note in notes)
    assert np.diff(heights).min() > 0.05
    assert heights[0] >= 0
    assert heights[-1] <= 1


def test_draws_are_multiples_of_uniform_sampling() -> None:
    draws = np.array([[30, 10], [60, 20], [3, 1]])  # the last bin has just begun
    picture = draws_plot(draws, 10, "title").axes[0].get_images()[0]
    assert picture.get_array().tolist() == [[1.5, 1.5], [0.5, 0.5]]
    assert picture.get_extent() == [0, 20, -0.5, 1.5]


def test_pictures_are_the_same_bytes_every_time() -> None:
    def draw() -> tuple[str, bytes]:
        figure = curves_plot([Curve("one", [1, 2], [3.0, 2.0], [0.1, 0.1])], "title", "FID")
        return figure_svg(figure, "what it shows"), figure_png(figure)

    (svg, png), again = draw(), draw()
    assert (svg, png) == again
    assert "<title>what it shows</title>" in svg.replace("<dc:title>", "<title>").replace("</dc:title>", "</title>")
    assert png.startswith(b"\x89PNG")
