"""The report as one page: what the study holds is in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mdtool.errors import MdtoolError
from mdtool.evaluation.checkpoints import Checkpoint, Evaluated
from mdtool.evaluation.physical import ActionRow, Card, CardRow
from mdtool.motion.file import write_motions
from mdtool.motion.motion import Motion, MotionSet
from mdtool.motion.skeleton import JOINTS
from mdtool.report.collect import Run, Study
from mdtool.report.page import loss_series, read_losses, sample_rows, write_report_page
from tests.report.constructed import UESTC, results, run, thesis_study


@pytest.fixture
def sampled(tmp_path: Path) -> Run:
    """A run with samples of two actions, a log, and an evaluation with a card and a confusion."""
    rot6d = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (4, JOINTS, 1))
    clips = [Motion(rot6d + 0, np.full((4, 3), k, np.float32), 20.0, action=UESTC[k % 2]) for k in range(4)]
    write_motions(tmp_path / "samples.h5", MotionSet.from_clips(clips, UESTC))
    lines = [json.dumps({"step": step, "loss": 100 / step}) for step in range(1, 41)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 41, "lo')
    rows = [CardRow("jitter", "m/s³", 61.25, 97.5, 55.5, 81.0)]
    card = Card(9, 9, rows, [ActionRow(UESTC[0], "motion energy", 1.5, 2.0)], ("tested", "recordings"))
    found = replace(
        results({"fid_test": (9.0, 1.0)}, actions=UESTC[:2], confusion={"gen_test": [[3, 1], [0, 4]]}), card=card
    )
    made = run("phase1-100")
    return Run(tmp_path, made.config, [Evaluated(Checkpoint(9, "raw"), found)])


def test_the_printed_study_has_its_tables_claims_and_plots(tmp_path: Path) -> None:
    parts = write_report_page(tmp_path / "report.html", thesis_study())
    assert parts == ["Samples", "Scores", "Claims", "Over training", "Timesteps drawn"]
    text = (tmp_path / "report.html").read_text("utf-8")
    assert text.count('<figure class="chart">') == 3
    assert "17.90 ± 1.32" in text
    assert "mdtool sample" in text
    assert "<script" not in text  # without samples there is nothing to play


def test_samples_card_and_confusion_are_there(sampled: Run, tmp_path: Path) -> None:
    parts = write_report_page(tmp_path / "report.html", Study([sampled]))
    assert {"Samples", "Per action", "Physical card"} <= set(parts)
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "data-player data-embedded" in text
    assert "61.25 (97.50)" in text
    assert "55.50 (81.00)" in text
    assert f"{UESTC[0]} recognised as {UESTC[1]}: 25%" in text
    assert "0.75" in text  # motion energy over that of recordings


def test_first_sample_of_every_action_stands_beside_those_of_other_runs(sampled: Run, tmp_path: Path) -> None:
    rows = sample_rows(Study([sampled, run("phase1-100"), sampled]))
    assert [row.label for row in rows] == UESTC[:2]
    assert [[motion.root[0, 0] for motion in row.motions if motion] for row in rows] == [[0, 0], [1, 1]]


def test_a_loss_curve_is_gathered_and_a_cut_line_left_out(sampled: Run) -> None:
    steps, losses = read_losses(sampled)
    assert steps.tolist() == list(range(1, 41))
    series = loss_series("x", steps, losses)
    assert len(series.steps) == 10
    assert series.steps[0] == 2.5
    assert series.mean[0] == pytest.approx((50 + 100 / 3) / 2)
    assert series.low[0] < series.mean[0] < series.high[0]


def test_a_damaged_log_is_told(sampled: Run, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(MdtoolError, match=r"metrics.jsonl is damaged"):
        write_report_page(tmp_path / "report.html", Study([sampled]))
    assert not (tmp_path / "report.html").exists()
