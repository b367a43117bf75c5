"""Tables from constructed runs: exact text, blocks, notes."""

from __future__ import annotations

import math

import pytest

from mdtool.evaluation.results import Spread
from mdtool.report.collect import Study
from mdtool.report.published import METRICS, ROWS, TABLES, row_of
from mdtool.report.tables import other_table, table_to_latex, table_to_markdown, thesis_tables, value
from tests.report.constructed import run, thesis_study

OURS = (
    "ours: motions.h5, 40 actions, 60 frames at 30 fps; protocol action-to-motion 1, recogniser abababababab, "
    "1,000 motions × 3 seeds"
)


def test_markdown_is_exact() -> None:
    (table,) = thesis_tables(Study([run("phase2-is", {"ema:0.9995": {125_000: 15.02}})]))
    lines = table_to_markdown(table).splitlines()
    assert lines[0] == "## Table 4.2: Phase 2: EMA and importance sampling"
    assert lines[4:7] == [
        "| method | FID train | FID test | accuracy | diversity | multimodality |",
        "|---|---|---|---|---|---|",
        "| P2-base (uniform, raw) | 18.287 ± 1.081 | 17.904 ± 1.318 | 0.886 ± 0.010 | 31.884 ± 0.550 "
        "| 15.089 ± 0.308 |",
    ]
    assert lines[13:] == [
        f"**{OURS}**",
        "",
        "| method | FID train | FID test | accuracy | diversity | multimodality |",
        "|---|---|---|---|---|---|",
        "| Real (its FID is the floor at this count) | 2.50 ± 0.10 | 2.75 ± 0.20 | – | – | – |",
        "| P2-B+IS (loss-aware, EMA 0.9995) | 12.54 ± 1.08 | 15.02 ± 0.95 | 0.919 ± 0.011 | 33.54 ± 0.57 "
        "| 14.20 ± 0.26 |",
        "",
        "* ± is the standard deviation over seeds; accuracy, diversity and multimodality of ours use train labels",
        "* Blocks differ in protocol, recogniser, recordings, count or sampling: do not compare FIDs across them",
    ]


def test_latex_is_exact() -> None:
    (table,) = thesis_tables(Study([run("phase3", data="set_1.h5")]))
    lines = table_to_latex(table).splitlines()
    assert lines[:7] == [
        r"\begin{table}",
        r"\centering",
        r"\caption{Phase 3: both strategies at full length. $\pm$ is the standard deviation over seeds; accuracy, "
        r"diversity and multimodality of ours use train labels. Blocks differ in protocol, recogniser, recordings, "
        r"count or sampling: do not compare FIDs across them.}",
        r"\label{tab:4.3}",
        r"\begin{tabular}{lrrrrr}",
        r"\toprule",
        r"method & FID train & FID test & accuracy & diversity & multimodality \\",
    ]
    assert lines[9] == (
        r"Real & $2.92 \pm 0.26$ & $2.79 \pm 0.29$ & $0.988 \pm 0.001$ & $33.34 \pm 0.32$ & $14.16 \pm 0.06$ \\"
    )
    assert r"\itshape ours: set\_1.h5, 40 actions" in lines[16]
    assert lines[-4] == (
        r"P3 (loss-aware, EMA 0.9995) & $9.47 \pm 0.82$ & $13.17 \pm 0.83$ & $0.939 \pm 0.008$ & $33.78 \pm 0.49$ & "
        r"$14.12 \pm 0.22$ \\"
    )
    assert lines[-3:] == [r"\bottomrule", r"\end{tabular}", r"\end{table}"]


def test_a_full_study_fills_all_three_tables() -> None:
    tables = thesis_tables(thesis_study())
    assert [table.number for table in tables] == list(TABLES)
    for table in tables:
        printed, ours = table.blocks
        ours_by_label = {line.label: line.cells for line in ours.lines}
        own = [ROWS[key] for key in TABLES[table.number][1] if ROWS[key].preset]
        assert list(ours_by_label)[1:] == [row.label for row in own], "in the thesis's order"
        assert [line.cells for line in printed.lines] == [ROWS[key].printed for key in TABLES[table.number][1]]


def test_setups_that_differ_stand_in_blocks_of_their_own() -> None:
    runs = [run("phase1-100"), run("phase1-1000", recogniser="cd" * 32), run("phase1-1000", {}, count=50)]
    table = thesis_tables(Study(runs))[0]
    assert [block.heading.partition(", recogniser ")[2][:12] for block in table.blocks[1:]] == ["ab" * 6, "cd" * 6]
    assert [len(block.lines) for block in table.blocks] == [5, 2, 2]


def test_what_was_changed_is_told() -> None:
    shared = ["train.steps=2000", "train.warmup_steps=5"]
    runs = [run("phase1-100", changes=shared), run("phase1-1000", changes=[*shared, "model.layers=2"])]
    notes = thesis_tables(Study(runs))[0].notes
    assert notes[2:] == [
        "Changed from the published settings in every run of ours: train.steps 2,000 (preset: 250,000); "
        "train.warmup_steps 5 (preset: 625)",
        "Changed in phase1-1000-2000: model.layers 2 (preset: 8)",
    ]


def test_scaled_averages_keep_their_row_and_name_their_decay() -> None:
    fids = {"ema:0.99": {2000: 7.0}, "ema:0.95": {2000: 8.0}}
    scaled = run("phase2-base", fids, ["train.ema=[0.99, 0.95]", "train.steps=2000", "train.warmup_steps=5"])
    lines = thesis_tables(Study([scaled]))[0].blocks[1].lines
    assert [line.label for line in lines[1:]] == ["P2-EMA-A (uniform, EMA 0.99)", "P2-EMA-B (uniform, EMA 0.95)"]


def test_an_unfinished_run_says_where_it_stands() -> None:
    lines = thesis_tables(Study([run("phase1-100", {"raw": {25_000: 90.0, 50_000: 50.0}})]))[0].blocks[1].lines
    assert lines[1].label == "P1-100 (100 diffusion steps), step 50,000 of 250,000"
    assert lines[1].cells[1].startswith("50.00")


def test_variations_stand_in_table_4_2_under_their_own_name() -> None:
    varied = run("phase2-base", {"raw": {125_000: 15.0}}, ["model.timestep_sampler=loss-aware"])
    lines = thesis_tables(Study([run("phase2-base"), varied]))[0].blocks[1].lines
    assert [line.label for line in lines[-2:]] == [
        "P2-EMA-B (uniform, EMA 0.9995)",
        "P2-base + timesteps loss-aware",
    ]


def test_other_runs_have_a_table_of_their_own() -> None:
    assert other_table(thesis_study()) is None
    base = run("phase1-100")
    stranger = type(base)(
        base.path.with_name("mine"), base.config.model_copy(update={"preset": "small"}), base.evaluations
    )
    assert thesis_tables(Study([stranger])) == []
    table = other_table(Study([stranger]))
    assert table is not None
    assert table_to_markdown(table).startswith("## Other runs\n")
    assert [line.label for line in table.blocks[0].lines[1:]] == ["mine (raw)"]


def test_every_printed_row_belongs_to_one_run_and_every_number_can_be_read() -> None:
    for row in ROWS.values():
        assert len(row.printed) == len(METRICS)
        assert all(row.value(metric)[0] > row.value(metric)[1] >= 0 for metric in METRICS)
        if row.preset:
            assert row_of(row.preset, row.ema) is row


@pytest.mark.parametrize(
    ("values", "text"),
    [((1.0, 2.0, 3.0), "2.00 ± 1.00"), ((2.0,), "2.00"), ((math.nan, 1.0), "–")],
)
def test_cells(values: tuple[float, ...], text: str) -> None:
    assert value(Spread(values), "fid_test") == text
    assert value(None, "fid_test") == "–"
