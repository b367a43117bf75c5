"""How plots look: light, few lines, labels beside what they name, colours that colour-blind people tell apart."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

COLOURS = ("#4d4d4d", "#0072b2", "#56b4e9", "#d55e00", "#cc79a7", "#009e73", "#b8860b", "#882255")
"""After Okabe & Ito: grey for a baseline, then blue, sky, vermilion, pink, green, ochre, wine."""
_DASHES = ("-", "--", ":")
"""Once the colours are used up, they come again with other strokes."""
_STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": "#333333",
    "text.color": "#222222",
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "svg.fonttype": "none",
    "svg.hashsalt": "mdtool",
}
_WIDTH, _HEIGHT = 8.0, 4.4
_BAND = 0.16
_LABEL_GAP = 0.055
"""Least distance between the labels at the ends of curves, as a share of the axis."""
_NARROW = 10
"""Ratio of a logarithmic axis' ends up to which its ticks are evenly spaced numbers."""


@dataclass(frozen=True)
class Curve:
    """A score over training, mean and spread at each step."""

    label: str
    steps: Sequence[int]
    mean: Sequence[float]
    spread: Sequence[float]
    """Standard deviation over seeds; NaN draws no band."""


def curves_plot(curves: Sequence[Curve], title: str, axis: str) -> Figure:
    """Curves over optimiser steps on a logarithmic axis, with a band of one standard deviation.

    Args:
        axis: what the vertical axis shows.
    """
    with _style():
        figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
        axes = figure.add_subplot()
        for k, (curve, colour) in enumerate(zip(curves, _cycled(len(curves)), strict=True)):
            dashes = _DASHES[k // len(COLOURS) % len(_DASHES)]
            steps, mean = np.asarray(curve.steps, float), np.asarray(curve.mean, float)
            spread = np.nan_to_num(np.asarray(curve.spread, float))
            axes.fill_between(
                steps, np.maximum(mean - spread, mean / 4), mean + spread, color=colour, alpha=_BAND, lw=0
            )
            axes.plot(steps, mean, color=colour, ls=dashes, lw=1.8, marker="o", ms=3.5, label=curve.label)
        axes.set_yscale("log")
        axes.set_xlim(left=0)
        _readable_log(axes)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.grid(axis="y", color="#e6e6e6", lw=0.8)
        axes.set_axisbelow(True)
        axes.set_xlabel("optimiser steps")
        axes.set_ylabel(axis)
        axes.set_title(title)
        _label_ends(axes, curves)
    return figure


def draws_plot(draws: np.ndarray, steps_per_row: int, title: str) -> Figure:
    """Draws of every timestep over training, as multiples of what uniform sampling would draw.

    Args:
        draws: [bins, N] draws per bin of optimiser steps and timestep.
        steps_per_row: optimiser steps in a bin.
    """
    draws = np.asarray(draws, float)
    filled = draws[draws.sum(1) > 0]
    if len(filled) > 1 and filled[-1].sum() < 0.5 * filled[0].sum():
        filled = filled[:-1]  # A last bin that training left half empty says little.
    shares = filled / filled.sum(1, keepdims=True) * filled.shape[1]
    with _style():
        figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
        axes = figure.add_subplot()
        picture = axes.imshow(
            shares.T,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap="cividis",
            vmin=0,
            vmax=max(2.0, float(np.percentile(shares, 99.5))),
            extent=(0, len(shares) * steps_per_row, -0.5, shares.shape[1] - 0.5),
        )
        axes.set_xlabel(f"optimiser steps, in bins of {steps_per_row:,} ({filled[0].sum():,.0f} draws each)")
        axes.set_ylabel("timestep")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.set_title(title)
        bar = figure.colorbar(picture, ax=axes, pad=0.02, aspect=30)
        bar.outline.set_visible(False)
        bar.set_label("draws, as a multiple of uniform sampling")
    return figure


def figure_svg(figure: Figure, alternative: str) -> str:
    """A figure as SVG text, the same bytes every time; `alternative` is read to people who do not see it."""
    stream = io.StringIO()
    with _style():
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": "mdtool", "Title": alternative})
    return stream.getvalue()


def figure_png(figure: Figure) -> bytes:
    """A figure as a PNG file's bytes, 150 dots per inch."""
    stream = io.BytesIO()
    with _style():
        figure.savefig(stream, format="png", dpi=150, metadata={"Software": "mdtool"})
    return stream.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    with matplotlib.rc_context(_STYLE):  # type: ignore[arg-type]
        yield


def _cycled(count: int) -> list[str]:
    return [COLOURS[k % len(COLOURS)] for k in range(count)]


def _readable_log(axes: Axes) -> None:
    """Plain numbers at 1, 2 and 5 times every power of ten; in a narrow range evenly spaced, so that there are some."""
    low, high = axes.get_ylim()
    wide = high > _NARROW * low
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12) if wide else MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())


def _label_ends(axes: Axes, curves: Sequence[Curve]) -> None:
    """Write every curve's name beside its last point, moved apart where they would overlap."""
    low, high = np.log(axes.get_ylim())
    places = (np.log([curve.mean[-1] for curve in curves]) - low) / (high - low)
    order = np.argsort(places)
    apart = np.array(places, float)
    for before, after in pairwise(order):
        apart[after] = max(apart[after], apart[before] + _LABEL_GAP)
    overshoot = max(0.0, float(apart[order[-1]]) - 1.0) if len(order) else 0.0
    apart -= overshoot
    for curve, place, colour in zip(curves, apart, _cycled(len(curves)), strict=True):
        axes.annotate(
            f"{curve.label}  {curve.mean[-1]:.1f}",
            xy=(1.01, place),
            xycoords="axes fraction",
            color=colour,
            va="center",
            ha="left",
            annotation_clip=False,
        )
