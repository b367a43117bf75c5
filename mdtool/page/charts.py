"""Plots as inline SVG that follows the page's colours, each with its numbers in a table for those who cannot see it."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, pairwise

import numpy as np

SERIES = 8
"""Colours of the style sheet, .s0 … .s7; further series begin again."""
_WIDTH, _HEIGHT = 540, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 150, 14, 44
_LABEL_GAP_PX = 16
_NAME_LETTERS = 18
"""Letters of a curve's name and value that fit beside its end."""
_MOST_CELLS = 48
"""Cells of a heat map along each side; finer ones are added up."""
_numbers = count()


@dataclass(frozen=True)
class Series:
    """A score over training."""

    label: str
    steps: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    """Lower edge of the band; NaN draws none."""
    high: Sequence[float]


@dataclass(frozen=True)
class Dots:
    """One line of a dot plot: a name and a value per series; None where there is none."""

    label: str
    values: Sequence[float | None]


def line_chart(title: str, description: str, series: Sequence[Series], axis: str, steps: str) -> str:
    """Curves with their bands on a logarithmic axis, each named at its end.

    Args:
        description: what is drawn, for the caption and for screen readers.
        axis: what the vertical axis shows; values must be above 0.
        steps: what the horizontal axis shows.
    """
    floor = min(min(line.mean) for line in series)
    finite = [value for line in series for value in (*line.mean, *line.high) if math.isfinite(value)]
    lows = [value for line in series for value in line.low if math.isfinite(value) and value > floor / 4]
    bottom, top = _padded(min([floor, *lows]), max(finite))
    last = max(line.steps[-1] for line in series)
    first = min(line.steps[0] for line in series)

    def x(step: float) -> float:
        return _LEFT + (step - first) / max(last - first, 1e-9) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        share = math.log(max(value, bottom) / bottom) / math.log(top / bottom)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_grid_y(y(tick), f"{tick:g}") for tick in log_ticks(bottom, top)]
    parts += [_tick_x(x(tick), f"{tick:,.0f}") for tick in even_ticks(first, last)]
    ends = apart([y(line.mean[-1]) for line in series], _TOP + 6, _HEIGHT - _BOTTOM)
    for place, (line, end) in enumerate(zip(series, ends, strict=True)):
        group = f"s{place % SERIES}"
        edges = [(s, lo, hi) for s, lo, hi in zip(line.steps, line.low, line.high, strict=True) if math.isfinite(lo)]
        if len(edges) > 1:
            there = [f"{x(s):.1f},{y(hi):.1f}" for s, _, hi in edges]
            back = [f"{x(s):.1f},{y(lo):.1f}" for s, lo, _ in reversed(edges)]
            parts.append(f'<polygon class="band {group}" points="{" ".join(there + back)}"/>')
        points = [(x(s), y(m)) for s, m in zip(line.steps, line.mean, strict=True)]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline class="curve {group}" points="{path}"/>')
        if len(points) <= 24:
            parts += [f'<circle class="dot {group}" cx="{a:.1f}" cy="{b:.1f}" r="3"/>' for a, b in points]
        value = f"{line.mean[-1]:.3g}"
        label = f"{html.escape(_short(line.label, _NAME_LETTERS - len(value)))} <tspan>{value}</tspan>"
        parts.append(f'<text class="name {group}" x="{points[-1][0] + 9:.1f}" y="{end + 4:.1f}">{label}</text>')
    parts.append(_axis_title(steps))
    steps_shown = sorted({step for line in series for step in line.steps})
    kept = {line.label: dict(zip(line.steps, line.mean, strict=True)) for line in series}
    rows = [[f"{step:,.0f}", *(_number(kept[line.label].get(step)) for line in series)] for step in steps_shown]
    table = html_table(["step", *(line.label for line in series)], rows)
    return _figure(title, f"{axis}: {description}", _HEIGHT, parts, table)


def heat_chart(
    title: str, description: str, shares: np.ndarray, columns: str, rows: str, span: tuple[float, float]
) -> str:
    """A heat map of values ≥ 0, in stronger colour for larger; row 0 below.

    Args:
        shares: [columns, rows].
        columns, rows: what the two axes show.
        span: the last column's and the last row's number.
    """
    cells = _coarse(_coarse(np.asarray(shares, float), 0), 1)
    largest = float(cells.max()) or 1.0
    wide, high = (_WIDTH - _LEFT - 20) / cells.shape[0], (_HEIGHT - _TOP - _BOTTOM) / cells.shape[1]
    parts = []
    for (i, j), value in np.ndenumerate(cells):
        left, top = _LEFT + i * wide, _HEIGHT - _BOTTOM - (j + 1) * high
        parts.append(
            f'<rect class="heat" x="{left:.1f}" y="{top:.1f}" width="{wide + 0.3:.1f}" height="{high + 0.3:.1f}" '
            f'fill-opacity="{value / largest:.2f}"/>'
        )
    for share in (0.0, 0.5, 1.0):
        parts.append(_tick_x(_LEFT + share * (_WIDTH - _LEFT - 20), f"{share * span[0]:,.0f}"))
        parts.append(_label_y(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), f"{share * span[1]:,.0f}"))
    parts.append(_axis_title(columns))
    bands = np.array_split(np.asarray(shares, float), min(10, shares.shape[1]), axis=1)
    table = html_table(
        [f"tenth of {rows}", "least", "mean", "most"],
        [[str(k + 1), *(f"{f(band.mean(1)):.2f}" for f in (np.min, np.mean, np.max))] for k, band in enumerate(bands)],
    )
    return _figure(
        title, f"{description} Upwards: {rows}; the strongest colour is {largest:.2f}.", _HEIGHT, parts, table
    )


def matrix_chart(title: str, description: str, labels: Sequence[str], counts: np.ndarray) -> str:
    """A confusion matrix: shares of each row, asked actions downwards and recognised ones to the right."""
    size = len(labels)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    cell = max(9.0, min(34.0, (_WIDTH - 190) / size))
    left, top = 190.0, 8.0
    parts = []
    for (i, j), share in np.ndenumerate(shares):
        x, y = left + j * cell, top + i * cell
        words = html.escape(f"{labels[i]} recognised as {labels[j]}: {share:.0%}")
        kind = "heat" if i == j else "miss"
        parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{cell - 1:.1f}" height="{cell - 1:.1f}" '
            f'fill-opacity="{0.06 + 0.94 * share:.2f}"><title>{words}</title></rect>'
        )
        if cell >= 26 and share >= 0.005:
            middle = f'x="{x + cell / 2 - 0.5:.1f}" y="{y + cell / 2 + 3.5:.1f}"'
            ink = "inside" if share > 0.55 else "tick"
            parts.append(f'<text class="{ink}" text-anchor="middle" {middle}>{share * 100:.0f}</text>')
    for i, label in enumerate(labels):
        y = top + (i + 0.5) * cell + 4
        parts.append(
            f'<text class="tick" text-anchor="end" x="{left - 8}" y="{y:.1f}">{html.escape(_short(label, 26))}</text>'
        )
    rows = [[label, *(f"{share:.1%}" for share in row)] for label, row in zip(labels, shares, strict=True)]
    height = round(top + size * cell + 8)
    return _figure(title, description, height, parts, html_table(["asked", *labels], rows))


def dot_chart(
    title: str, description: str, series: Sequence[str], lines: Sequence[Dots], span: tuple[float, float],
    band: tuple[float, float] | None = None, write: Callable[[float], str] = "{:.2f}".format,
) -> str:  # fmt: skip
    """One line per name, one dot per series on a common axis; the names of the series above.

    Args:
        span: both ends of the axis; values beyond are drawn at the end.
        band: a stretch of the axis to shade.
    """
    left, right = 190, 30
    row = max(24, 7 * len(series) + 10)
    top = 34 + 20 * ((len(series) - 1) // 2)

    def x(value: float) -> float:
        share = (min(max(value, span[0]), span[1]) - span[0]) / (span[1] - span[0])
        return left + share * (_WIDTH - left - right)

    bottom = top + row * len(lines)
    parts = []
    if band is not None:
        parts.append(
            f'<rect class="zone" x="{x(band[0]):.1f}" y="{top - 4}" width="{x(band[1]) - x(band[0]):.1f}" '
            f'height="{bottom - top + 4}"/>'
        )
    for place, name in enumerate(series):  # the names of the series, two in a line
        across, down = 10 + (place % 2) * (_WIDTH - 20) / 2, 12 + 20 * (place // 2)
        parts.append(f'<circle class="dot s{place % SERIES}" cx="{across:.1f}" cy="{down}" r="5"/>')
        parts.append(f'<text class="tick" x="{across + 10:.1f}" y="{down + 4}">{html.escape(_short(name, 38))}</text>')
    for k, line in enumerate(lines):
        y = top + (k + 0.5) * row
        parts.append(f'<line class="grid" x1="{left}" x2="{_WIDTH - right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        name = html.escape(_short(line.label, 26))
        parts.append(f'<text class="tick" text-anchor="end" x="{left - 10}" y="{y + 4:.1f}">{name}</text>')
        for place, value in enumerate(line.values):
            if value is not None and math.isfinite(value):
                words = html.escape(f"{line.label}, {series[place]}: {write(value)}")
                height = y + 7 * (place - (len(series) - 1) / 2)  # apart, so that equal values do not hide each other
                parts.append(
                    f'<circle class="dot s{place % SERIES}" cx="{x(value):.1f}" cy="{height:.1f}" r="4.5">'
                    f"<title>{words}</title></circle>"
                )
    for share in (0, 0.25, 0.5, 0.75, 1):
        value = span[0] + share * (span[1] - span[0])
        words = write(value)
        parts.append(f'<text class="tick" text-anchor="middle" x="{x(value):.1f}" y="{bottom + 16}">{words}</text>')
    rows = [[line.label, *("–" if v is None or math.isnan(v) else write(v) for v in line.values)] for line in lines]
    return _figure(title, description, bottom + 24, parts, html_table(["", *series], rows))


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls sideways on a narrow screen; the first cell of a row is its heading."""
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in header)
    body = "".join(
        f'<tr><th scope="row">{html.escape(row[0])}</th>'
        + "".join(f"<td>{html.escape(c)}</td>" for c in row[1:])
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two values, at most eight; even steps where those are too few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [m * 10.0**p for p in powers for m in (1, 2, 5) if low <= m * 10.0**p <= high]
    if len(ticks) < 3:
        return even_ticks(low, high)
    return ticks if len(ticks) <= 8 else [tick for tick in ticks if f"{tick:e}"[0] == "1"]


def even_ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers between two values."""
    rough = max(high - low, 1e-9) / 5
    unit = 10 ** math.floor(math.log10(rough))
    step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= rough)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def apart(places: Sequence[float], low: float, high: float) -> list[float]:
    """Places of labels, moved so that none overlaps another, in the same order and between low and high if they fit."""
    order = sorted(range(len(places)), key=lambda k: places[k])
    moved = list(places)
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + _LABEL_GAP_PX)
    if order and moved[order[-1]] > high:
        moved[order[-1]] = high
        for after, before in pairwise(reversed(order)):
            moved[before] = min(moved[before], moved[after] - _LABEL_GAP_PX)
    return [max(place, low) if len(places) == 1 else place for place in moved]


def _figure(title: str, description: str, height: int, parts: Sequence[str], table: str) -> str:
    key = f"chart{next(_numbers)}"
    named = f'role="img" aria-labelledby="{key}-t" aria-describedby="{key}-d"'
    return (
        f'<figure class="chart"><h3>{html.escape(title)}</h3>'
        f'<div class="scroll"><svg viewBox="0 0 {_WIDTH} {height}" {named}>'
        f'<title id="{key}-t">{html.escape(title)}</title><desc id="{key}-d">{html.escape(description)}</desc>'
        f"{''.join(parts)}</svg></div><figcaption>{html.escape(description)}</figcaption>"
        f"<details><summary>Numbers</summary>{table}</details></figure>"
    )


def _padded(low: float, high: float) -> tuple[float, float]:
    """Ends of a logarithmic axis with a little air; never empty."""
    low = max(low, 1e-9)
    air = max(high / low, 1.2) ** 0.06
    return low / air, max(high, low * 1.2) * air


def _coarse(values: np.ndarray, axis: int) -> np.ndarray:
    """Means of neighbours along an axis, so that at most `_MOST_CELLS` are left."""
    groups = np.array_split(values, min(_MOST_CELLS, values.shape[axis]), axis=axis)
    return np.stack([group.mean(axis) for group in groups], axis=axis)


def _grid_y(y: float, label: str) -> str:
    return f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>{_label_y(y, label)}'


def _label_y(y: float, label: str) -> str:
    return f'<text class="tick" text-anchor="end" x="{_LEFT - 8}" y="{y + 4:.1f}">{label}</text>'


def _tick_x(x: float, label: str) -> str:
    return f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 18}">{label}</text>'


def _axis_title(words: str) -> str:
    return f'<text class="tick" x="{_LEFT}" y="{_HEIGHT - 6}">{html.escape(words)}</text>'


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.4g}"
