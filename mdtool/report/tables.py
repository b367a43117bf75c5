"""The thesis's tables 4.1 to 4.3 with our rows beside the printed ones; as rows, as Markdown, as LaTeX."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mdtool.evaluation.published import WHOLE
from mdtool.evaluation.results import Results, Spread
from mdtool.report.collect import Row, Run, Setup, Study
from mdtool.report.published import HEADINGS, METRICS, PUBLISHED_ON, ROWS, TABLES
from mdtool.wording import counted

DECIMALS = {"fid_train": 2, "fid_test": 2, "accuracy": 3, "diversity": 2, "multimodality": 2}
PLUS_MINUS = " ± "


@dataclass(frozen=True)
class Line:
    """One row of a table: cells are `mean ± spread`, `mean`, or `–`."""

    label: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """Rows that may be compared with each other, under a heading that says what they were measured on."""

    heading: str
    lines: list[Line]


@dataclass(frozen=True)
class Table:
    """A table; rows of different blocks must not be ranked together."""

    number: str
    title: str
    columns: tuple[str, ...]
    blocks: list[Block]
    notes: list[str]


def thesis_tables(study: Study) -> list[Table]:
    """Those of tables 4.1 to 4.3 that the study has rows for; in 4.2 with the rows beyond the thesis."""
    tables = []
    for number, (title, keys) in TABLES.items():
        own = {setup: [row for row in study.rows(setup) if _belongs(row, number)] for setup in study.setups()}
        if any(row.key in keys for rows in own.values() for row in rows):
            printed = Block(f"as published: {PUBLISHED_ON}", [Line(ROWS[key].label, ROWS[key].printed) for key in keys])
            blocks = [printed, *(_block(setup, rows) for setup, rows in own.items() if rows)]
            tables.append(Table(number, title, _columns(), blocks, _notes(own)))
    return tables


def other_table(study: Study) -> Table | None:
    """Runs that are none of the thesis's, or None when there are none."""
    own = {
        setup: [row for row in study.rows(setup) if not any(_belongs(row, number) for number in TABLES)]
        for setup in study.setups()
    }
    blocks = [_block(setup, rows) for setup, rows in own.items() if rows]
    return Table("runs", "Other runs", _columns(), blocks, _notes(own)) if blocks else None


def describe_setup(setup: Setup, results: Results) -> str:
    """What rows of one setup were measured on."""
    return (
        f"{results.data}, {len(results.actions)} actions, {results.frames} frames at {results.fps:g} fps; "
        f"protocol {setup.protocol}, recogniser {setup.recogniser_sha256[:12]}, "
        f"{counted(setup.count, 'motion')} × {counted(setup.seeds, 'seed')}"
        f"{', sampled with ' + setup.sampling if setup.sampling else ''}"
    )


def score_of(results: Results, metric: str, who: str = "gen") -> Spread | None:
    """A score of METRICS; what is not about FID comes from the train split, as in ACTOR's tables, if it is there.

    Recordings without splits have one set, which stands in the place of train.
    """
    name, _, split = metric.partition("_")
    splits = (split,) if split == "test" else ("train", WHOLE) if split else ("train", WHOLE, "test")
    found = (results.score(name, who, wanted) for wanted in splits)
    return next((spread for spread in found if spread is not None), None)


def table_to_markdown(table: Table) -> str:
    """The table as a Markdown section."""
    lines = [f"## Table {table.number}: {table.title}" if table.number in TABLES else f"## {table.title}", ""]
    for block in table.blocks:
        lines += [f"**{block.heading}**", ""]
        lines += ["| method | " + " | ".join(table.columns) + " |", "|---|" + "---|" * len(table.columns)]
        lines += [f"| {line.label} | " + " | ".join(line.cells) + " |" for line in block.lines]
        lines.append("")
    lines += [f"* {note}" for note in table.notes]
    return "\n".join(lines).rstrip("\n") + "\n"


def table_to_latex(table: Table) -> str:
    """The table as a LaTeX float for the package booktabs."""
    columns = len(table.columns)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_tex(table.title)}. {_tex(' '.join(f'{note}.' for note in table.notes))}}}",
        rf"\label{{tab:{table.number}}}",
        rf"\begin{{tabular}}{{l{'r' * columns}}}",
        r"\toprule",
        "method & " + " & ".join(_tex(column) for column in table.columns) + r" \\",
    ]
    for block in table.blocks:
        lines += [
            r"\midrule",
            rf"\multicolumn{{{columns + 1}}}{{p{{\linewidth}}}}{{\itshape {_tex(block.heading)}}} \\",
        ]
        lines += [" & ".join([_tex(line.label), *map(_tex_cell, line.cells)]) + r" \\" for line in block.lines]
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def value(spread: Spread | None, metric: str) -> str:
    """`mean ± standard deviation over seeds` with the decimals of a metric."""
    if spread is None or math.isnan(spread.mean):
        return "–"
    digits = DECIMALS[metric]
    mean = f"{spread.mean:.{digits}f}"
    return mean if math.isnan(spread.std) else f"{mean}{PLUS_MINUS}{spread.std:.{digits}f}"


def changes_in_words(run: Run) -> list[str]:
    """What a run's settings changed from its preset, `section.key VALUE (preset: VALUE)`."""
    return [f"{key} {_plain(now)} (preset: {_plain(before)})" for key, (before, now) in run.changes.items()]


def _columns() -> tuple[str, ...]:
    return tuple(HEADINGS[metric] for metric in METRICS)


def _belongs(row: Row, number: str) -> bool:
    """Whether a row stands in a thesis table: by its key, or as a variation of one of its rows."""
    return row.key.partition(" + ")[0] in TABLES[number][1]


def _block(setup: Setup, rows: Sequence[Row]) -> Block:
    """Our rows of one setup, with the recordings' own scores: their FID is the floor."""
    real = rows[0].results
    cells = tuple(value(score_of(real, metric, "real"), metric) for metric in METRICS)
    lines = [Line("Real (its FID is the floor at this count)", cells)]
    for row in rows:
        label, run, step = row.label, row.run, row.evaluated.checkpoint.step
        if step != run.config.train.steps:
            label += f", step {step:,} of {run.config.train.steps:,}"
        lines.append(Line(label, tuple(value(score_of(row.results, metric), metric) for metric in METRICS)))
    return Block(f"ours: {describe_setup(setup, rows[0].results)}", lines)


def _notes(own: dict[Setup, list[Row]]) -> list[str]:
    """What a reader must know: the kind of spread, and what was changed from the presets."""
    notes = [
        "± is the standard deviation over seeds; accuracy, diversity and multimodality of ours use train labels",
        "Blocks differ in protocol, recogniser, recordings, count or sampling: do not compare FIDs across them",
    ]
    runs = {row.run.path: row.run for rows in own.values() for row in rows}
    said: dict[str, list[str]] = {}
    for run in runs.values():
        for words in changes_in_words(run):
            said.setdefault(words, []).append(run.path.name)
    common = [words for words, names in said.items() if len(names) == len(runs)]
    if common:
        notes.append(f"Changed from the published settings in every run of ours: {'; '.join(common)}")
    for run in runs.values():
        rest = [words for words in changes_in_words(run) if words not in common]
        if rest:
            notes.append(f"Changed in {run.path.name}: {'; '.join(rest)}")
    return notes


def _plain(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list):
        return "[" + ", ".join(_plain(item) for item in value) + "]"
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "×": r"$\times$", "–": "--", "≥": r"$\geq$",
}  # fmt: skip


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)


def _tex_cell(cell: str) -> str:
    mean, found, spread = cell.partition(PLUS_MINUS)
    return rf"${mean} \pm {spread}$" if found else _tex(cell)
