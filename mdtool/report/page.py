"""A report as one self-contained page: the study's tables and plots, and its samples in the player beside them."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mdtool.atomic import write_text
from mdtool.body.mannequin import mannequin
from mdtool.errors import MdtoolError
from mdtool.evaluation.results import Results
from mdtool.evaluation.tables import ENERGY_BAND, action_shares
from mdtool.motion.file import read_motions
from mdtool.page.charts import Dots, Series, dot_chart, heat_chart, html_table, line_chart, matrix_chart
from mdtool.page.document import document
from mdtool.page.motions import NO_SCRIPT, Row, check_size, player_data
from mdtool.report.claims import check_claims
from mdtool.report.collect import SAMPLES, Run, Study
from mdtool.report.figures import fid_curve, fid_metric
from mdtool.report.tables import Table, describe_setup, other_table, thesis_tables

MOST_ACTIONS = 40
"""Rows of samples in the player."""
_POINTS = 120
"""Points of a loss curve; more log lines are gathered into so many groups."""


def write_report_page(path: str | Path, study: Study) -> list[str]:
    """Write the page, atomically.

    Returns:
        The headings of its parts, for the terminal.

    Raises:
        MdtoolError: a run's log is damaged, the samples are too many, or the place cannot be written.
    """
    rows = sample_rows(study)
    check_size(rows, mannequin())
    compared = [run for run in study.runs if run.samples]
    names = _names(compared)
    parts = {
        "Samples": _samples(study, rows),
        "Scores": _tables([*thesis_tables(study), *filter(None, [other_table(study)])]),
        "Claims": _claims(study),
        "Over training": _curves(study),
        "Timesteps drawn": _draws(study.runs),
        "Per action": _actions(study),
        "Physical card": _cards(study),
    }
    shown = {heading: content for heading, content in parts.items() if content}
    links = "".join(f'<a href="#{_anchor(heading)}">{heading}</a>' for heading in shown)
    runs = ", ".join(html.escape(name) for name in _names(study.runs))
    title = f"Report: {runs}"
    body = (
        f'<header class="top"><div><h1>{title}</h1><nav aria-label="Parts">{links}</nav></div></header><main>'
        + "".join(
            f'<section class="part" id="{_anchor(heading)}"><h2>{heading}</h2>{content}</section>'
            for heading, content in shown.items()
        )
        + "</main>"
    )
    data = player_data(names, rows, mannequin()) if rows else None
    write_text(path, document(html.unescape(title), body, data, ("page.css", "report.css")))
    return list(shown)


def sample_rows(study: Study) -> list[Row]:
    """The first sample of every action, of each run that has samples.

    Raises:
        MdtoolError: a file of samples cannot be read.
    """
    columns = []
    for run in study.runs:
        if run.samples is not None:
            motions = read_motions(run.samples)
            columns.append({motion.action: motion for motion in reversed(list(motions))})
    actions = list(dict.fromkeys(action for run in study.runs for action in run.config.actions))
    there = [action for action in actions if any(action in column for column in columns)][:MOST_ACTIONS]
    return [
        Row(action.replace("_", " "), "first sample", [column.get(action) for column in columns]) for action in there
    ]


def read_losses(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(steps, losses) of metrics.jsonl, both [lines]; a last line that a crash cut short is left out.

    Raises:
        MdtoolError: a line is no record of a step.
    """
    path = run.path / "metrics.jsonl"
    if not path.exists():
        return np.zeros(0), np.zeros(0)
    lines = [line for line in path.read_text("utf-8").splitlines() if line.endswith("}")]
    try:
        records = [(float(record["step"]), float(record["loss"])) for record in map(json.loads, lines)]
    except (ValueError, KeyError, TypeError) as error:
        raise MdtoolError(f"{path} is damaged ({error!r}): train the run again, or delete the file") from error
    table = np.array(records).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def loss_series(label: str, steps: np.ndarray, losses: np.ndarray) -> Series:
    """A loss curve of at most `_POINTS` points: medians of neighbours, with the band from their 10 to 90 %."""
    groups = np.array_split(np.arange(len(steps)), min(_POINTS, max(1, len(steps) // 4)))
    low, mean, high = ([float(np.percentile(losses[group], share)) for group in groups] for share in (10, 50, 90))
    return Series(label, [float(steps[group].mean()) for group in groups], mean, low, high)


def _samples(study: Study, rows: Sequence[Row]) -> str:
    without = [run for run in study.runs if run.samples is None]
    hint = ""
    if without:
        run = without[0].path
        hint = f"<p>No samples of {html.escape(', '.join(_names(without)))}: write some with <code>mdtool sample "
        hint += f"{html.escape(str(run))} --out {html.escape(str(run / SAMPLES))}</code> and report again.</p>"
    if not rows:
        return hint
    words = "<p>One sample of every action, the same seed for every run, on one timeline. Nothing was picked.</p>"
    return f'{words}{hint}<div class="player" data-player data-embedded>{NO_SCRIPT}</div>'


def _tables(tables: Sequence[Table]) -> str:
    return "".join(_table(table) for table in tables)


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in ("method", *table.columns))
    width = len(table.columns) + 1
    body = []
    for block in table.blocks:
        body.append(f'<tr class="block"><th colspan="{width}" scope="rowgroup">{html.escape(block.heading)}</th></tr>')
        for line in block.lines:
            cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in line.cells)
            body.append(f'<tr><th scope="row">{html.escape(line.label)}</th>{cells}</tr>')
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in table.notes)
    return (
        f'<div class="sheet"><h3>{html.escape(table.title)}</h3><div class="scroll"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
        f'<ul class="notes">{notes}</ul></div>'
    )


def _claims(study: Study) -> str:
    if not thesis_tables(study):
        return ""
    claims = "".join(
        f'<div><dt>{html.escape(claim.sentence)}: <span class="verdict">{html.escape(claim.verdict)}</span></dt>'
        f"<dd>{html.escape(claim.evidence)}</dd></div>"
        for claim in check_claims(study)
    )
    return f'<div class="sheet"><dl class="claims">{claims}</dl></div>'


def _curves(study: Study) -> str:
    charts = []
    for setup in study.setups():
        keys = [row.key for row in study.rows(setup)]
        found = [curve for curve in (fid_curve(study, key, setup) for key in keys) if curve is not None]
        if found:
            series = [
                Series(
                    curve.label,
                    curve.steps,
                    curve.mean,
                    [mean - spread for mean, spread in zip(curve.mean, curve.spread, strict=True)],
                    [mean + spread for mean, spread in zip(curve.mean, curve.spread, strict=True)],
                )
                for curve in found
            ]
            split = fid_metric(study, setup).removeprefix("fid_")
            words = (
                f"mean over {setup.seeds} seeds, band ± one standard deviation; lower is better; "
                f"{describe_setup(setup, study.rows(setup)[0].results)}."
            )
            charts.append(line_chart(f"FID against {split} recordings", words, series, "FID", "optimiser steps"))
    logs = [(name, *read_losses(run)) for name, run in zip(_names(study.runs), study.runs, strict=True)]
    losses = [loss_series(name, steps, values) for name, steps, values in logs if len(steps) and (values > 0).all()]
    if losses:
        words = (
            "median of neighbouring log lines, band from 10 to 90 % of them; methods and samplers weigh differently."
        )
        charts.append(line_chart("Training loss", words, losses, "loss", "optimiser steps"))
    return f'<div class="charts">{"".join(charts)}</div>' if charts else ""


def _draws(runs: Sequence[Run]) -> str:
    charts = []
    for name, run in zip(_names(runs), runs, strict=True):
        if run.draws is None or not run.draws.sum():
            continue
        filled = run.draws[run.draws.sum(1) > 0].astype(float)
        shares = filled / filled.sum(1, keepdims=True) * filled.shape[1]
        words = f"{int(filled.sum()):,} draws of timesteps over training, as multiples of what uniform sampling draws."
        span = (len(filled) * run.steps_per_row, shares.shape[1] - 1)
        charts.append(heat_chart(f"{name}", words, shares, "optimiser steps", "timestep", span))
    return f'<div class="charts">{"".join(charts)}</div>' if charts else ""


def _evaluated(study: Study) -> tuple[list[str], list[Results]]:
    """Labels and results of the rows that may stand side by side: those of the setup with most evaluations."""
    rows = study.rows(study.setups()[0]) if study.setups() else []
    return [row.label for row in rows], [row.results for row in rows]


def _actions(study: Study) -> str:
    labels, results = _evaluated(study)
    charts = []
    shares = [action_shares(result) for result in results]
    names = list(dict.fromkeys(name for share in shares for name in share))
    if names:
        lines = [Dots(name, [share.get(name) for share in shares]) for name in names]
        words = "Share of samples that the recogniser takes for the action asked."
        charts.append(dot_chart("Accuracy per action", words, labels, lines, (0, 1), write="{:.0%}".format))
    ratios = [
        {row.action: row.ratio for row in result.card.actions if row.metric == "motion energy"} for result in results
    ]
    names = list(dict.fromkeys(name for ratio in ratios for name in ratio))
    if names:
        lines = [Dots(name, [ratio.get(name) for ratio in ratios]) for name in names]
        low, high = ENERGY_BAND
        words = (
            f"Motion energy over that of recordings; the shaded stretch is {low} to {high}, less is lame, more is wild."
        )
        charts.append(dot_chart("Motion energy per action", words, labels, lines, (0, 2), ENERGY_BAND))
    for label, result in zip(labels, results, strict=True):
        tested = [np.array(counts) for key, counts in result.confusion.items() if key.startswith("gen_")]
        if tested:
            words = (
                "Per cent of the samples of an asked action (down) that were recognised as each (across, same order)."
            )
            charts.append(matrix_chart(f"Confusion: {label}", words, result.actions, np.sum(tested, axis=0)))
    return f'<div class="charts">{"".join(charts)}</div>' if charts else ""


def _cards(study: Study) -> str:
    labels, results = _evaluated(study)
    if not results or not results[0].card.rows:
        return ""
    header = ["metric", "unit", *labels]
    compared = next((result.card for result in results if result.card.reference_clips), None)
    real = {row.metric: row for row in compared.rows} if compared else {}
    rows = []
    for metric in results[0].card.rows:
        own = [next((row for row in result.card.rows if row.metric == metric.metric), None) for result in results]
        cells = ["–" if row is None else _mean_and_worst(row.mean, row.worst) for row in own]
        if compared:
            beside = real[metric.metric]
            cells.append(_mean_and_worst(beside.reference_mean, beside.reference_worst))
        rows.append([metric.metric, metric.unit, *cells])
    if compared:
        header.append(compared.names[1])
    words = "Mean over clips, and in brackets what 1 clip in 20 exceeds."
    return f'<div class="sheet">{html_table(header, rows)}<p>{words}</p></div>'


def _mean_and_worst(mean: float | None, worst: float | None) -> str:
    if mean is None or worst is None or np.isnan(mean):
        return "–"
    return f"{mean:.2f} ({worst:.2f})"


def _names(runs: Sequence[Run]) -> list[str]:
    """The runs' folder names; whole paths where names repeat."""
    names = [run.path.name for run in runs]
    return [name if names.count(name) == 1 else str(run.path) for name, run in zip(names, runs, strict=True)]


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")
