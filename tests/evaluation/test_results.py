"""Spreads, the results file, and what the tables never leave out."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mdtool.errors import MdtoolError
from mdtool.evaluation.physical import ActionRow, Card, CardRow
from mdtool.evaluation.results import Results, Spread, read_results, write_results
from mdtool.evaluation.tables import result_tables


@pytest.fixture
def results() -> Results:
    rows = [
        CardRow("jitter", "m/s³", 12.0, 34.0, 11.0, 33.0),
        CardRow("foot slip", "m/s", math.nan, math.nan, 0.1, 0.2),
    ]
    actions = [
        ActionRow("walk", "motion energy", 0.9, 1.0),
        ActionRow("walk", "jitter", 30.0, 10.0),
        ActionRow("wave", "motion energy", 0.2, 1.0),
        ActionRow("wave", "jitter", 10.0, 0.0),
    ]
    scores = {
        "fid_gen_train": Spread((14.5, 15.5)),
        "fid_real_train": Spread((1.25, 1.35)),
        "accuracy_gen_train": Spread((0.5, 0.7)),
        "accuracy_real_train": Spread((0.98, 1.0)),
    }
    return Results(
        card=Card(1000, 1000, rows, actions, ("tested", "recordings")),
        actions=["walk", "wave"],
        seeds=[0, 1],
        count=1000,
        splits=["train"],
        frames=60,
        fps=30.0,
        recogniser_sha256="0123456789abcdef" * 4,
        scores=scores,
        raw=[CardRow("raw limb length σ", "mm", 0.25, 0.5), CardRow("raw columns, angle", "% off", math.nan, math.nan)],
        confusion={"gen_train": [[900, 100], [400, 600]]},
    )


def printed(results: Results, width: int = 200) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    for table in result_tables(results):
        console.print(table)
    return console.export_text()


def test_spread_over_seeds() -> None:
    spread = Spread((1.0, 2.0, 3.0, 6.0))
    assert spread.mean == 3.0
    assert spread.std == pytest.approx(math.sqrt((4 + 1 + 0 + 9) / 3))
    assert spread.ci95 == pytest.approx(1.96 * spread.std / 2)


def test_the_confidence_interval_holds_the_true_mean_in_95_of_100_cases() -> None:
    draws = np.random.default_rng(0).normal(7.0, 2.0, size=(2000, 20))
    held = [abs(spread.mean - 7.0) <= spread.ci95 for spread in (Spread(tuple(row)) for row in draws)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)  # a little less: 1.96 is the normal quantile, not Student's


def test_one_seed_has_no_spread() -> None:
    assert math.isnan(Spread((4.0,)).std)
    assert math.isnan(Spread((4.0,)).ci95)


def test_the_results_file_is_strict_json_with_every_value(results: Results, tmp_path: Path) -> None:
    write_results(tmp_path / "results.json", results)
    table = json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)
    fid = table["scores"]["fid_gen_train"]
    assert fid == {"mean": 15.0, "std": pytest.approx(0.5**0.5), "ci95": pytest.approx(0.98), "values": [14.5, 15.5]}
    assert table["protocol"].startswith("action-to-motion")
    assert (table["count"], table["seeds"], table["recogniser_sha256"][:6]) == (1000, [0, 1], "012345")
    assert table["card"]["rows"][1]["mean"] is None
    assert [row["ratio"] for row in table["card"]["actions"]] == [0.9, 3.0, 0.2, None]


def test_results_read_back_as_written(results: Results, tmp_path: Path) -> None:
    write_results(tmp_path / "results.json", results)
    again = read_results(tmp_path / "results.json")
    assert again.scores == results.scores
    assert again.to_dict() == results.to_dict()
    assert math.isnan(again.card.rows[1].mean)
    assert again.raw[0] == results.raw[0]
    assert math.isnan(again.raw[1].worst)
    older = {name: value for name, value in results.to_dict().items() if name != "raw"}
    (tmp_path / "older.json").write_text(json.dumps(older))
    assert read_results(tmp_path / "older.json").raw == []


@pytest.mark.parametrize("text", ["{", "[]", '{"protocol": "another 7"}'])
def test_a_foreign_results_file_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(MdtoolError, match="not a results file"):
        read_results(path)


def test_what_is_raw_stands_below_the_card(results: Results) -> None:
    line = next(line for line in printed(results).splitlines() if "raw limb length" in line)
    assert [cell.strip() for cell in line.split("│")[2:7]] == ["mm", "0.25", "0.50", "–", "–"]


def test_a_single_seed_writes_null_not_nan(results: Results, tmp_path: Path) -> None:
    write_results(tmp_path / "r.json", replace(results, scores={"fid_gen_train": Spread((1.0,))}))
    assert json.loads((tmp_path / "r.json").read_text())["scores"]["fid_gen_train"]["std"] is None


def test_fid_is_never_printed_without_floor_count_and_recogniser(results: Results) -> None:
    text = printed(results)
    line = next(line for line in text.splitlines() if "FID  " in line)
    assert [cell.strip() for cell in line.split("│")[2:4]] == ["15.00 ± 0.98", "1.30 ± 0.10"]
    assert "train (floor)" in text
    assert "1,000 motions × 2 seeds" in text
    assert "recogniser 0123456789ab" in text


def test_tables_fit_a_terminal(results: Results) -> None:
    names = ("fid", "accuracy", "diversity", "multimodality", "kid", "precision", "recall", "nearest")
    scores = {
        f"{name}_{who}_{split}": Spread((19.0, 21.0) if name in ("fid", "diversity", "multimodality") else (0.02, 0.03))
        for name in names
        for who in ("gen", "real")
        for split in ("train", "test")
    }
    text = printed(replace(results, splits=["train", "test"], scores=scores), width=80)
    assert "…" not in text
    line = next(line for line in text.splitlines() if "multimodality" in line)
    assert [cell.strip() for cell in line.split("│")[2:6]] == ["20.00 ± 1.96"] * 4


def test_actions_are_judged_one_by_one(results: Results) -> None:
    text = printed(results)
    walk = next(line for line in text.splitlines() if "walk" in line)
    wave = next(line for line in text.splitlines() if "wave" in line)
    assert [cell.strip() for cell in walk.split("│")[2:5]] == ["0.900", "0.90", "3.00"]
    assert [cell.strip() for cell in wave.split("│")[2:5]] == ["0.600", "0.20", "–"]


def test_an_unwritable_place_is_one_sentence(results: Results, tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match="is a folder"):
        write_results(tmp_path, results)
