"""Which evaluations stand for a run, and which may stand side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mdtool.errors import MdtoolError
from mdtool.evaluation.checkpoints import Checkpoint, Evaluated, results_path
from mdtool.evaluation.results import write_results
from mdtool.report.collect import Setup, Study, read_study
from mdtool.report.tables import thesis_tables
from mdtool.training.checkpoint import RunFolder
from tests.report.constructed import results, run


def test_a_results_file_of_an_earlier_step_does_not_stand_for_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    RunFolder(folder).write_config(run("phase1-100").config)
    for step, fid, place in (
        (2000, 8.0, results_path(folder, Checkpoint(2000, "raw"), "a" * 8)),
        (1000, 12.0, tmp_path / "results.json"),
    ):
        found = results({"fid_test": (fid, 0.5)})
        origin = {"checkpoint_sha256": "c" * 64, "weights": "raw", "step": step}
        write_results(place, replace(found, target=str(folder), provenance=origin))
    study = read_study([folder, tmp_path / "results.json"])
    (setup,) = study.setups()
    assert [row.evaluated.checkpoint.step for row in study.rows(setup)] == [2000]
    assert [entry.checkpoint.step for entry in study.curve("P1-100", setup)] == [1000, 2000]


def test_a_damaged_run_among_others_is_noted_and_alone_refused(tmp_path: Path) -> None:
    RunFolder(tmp_path / "runs/mine").write_config(run("phase1-100").config)
    damaged = tmp_path / "runs/damaged"
    damaged.mkdir()
    (damaged / "config.toml").write_text("[train")
    study = read_study([tmp_path / "runs"])
    assert [found.path.name for found in study.runs] == ["mine"]
    assert len(study.passed_over) == 1
    assert "damaged/config.toml is not a TOML file" in study.passed_over[0]
    with pytest.raises(MdtoolError, match="is not a TOML file"):
        read_study([damaged])


def test_evaluations_sampled_in_another_way_stand_in_a_block_of_their_own() -> None:
    one = run("phase1-100")
    plain = one.evaluations[0].results
    guided = replace(plain, provenance={"guidance": 2.5, "steps": None, "temperature": 0.5})
    one.evaluations.append(Evaluated(one.evaluations[0].checkpoint, guided))
    blocks = thesis_tables(Study([one]))[0].blocks[1:]
    assert [block.heading.partition("3 seeds")[2] for block in blocks] == [
        "",
        ", sampled with guidance 2.5, temperature 0.5",
    ]
    assert [len(block.lines) for block in blocks] == [2, 2]


def test_what_a_published_protocol_samples_with_is_told_where_it_departs() -> None:
    found = results({"fid_test": (8.0, 0.5)}, protocol="thesis 1", provenance={"steps": 20, "guidance": 1.0})
    assert Setup.of(found).sampling == ""
    departed = replace(found, departures=["3 seeds instead of 20", "steps 20 instead of 1000"])
    assert Setup.of(departed).sampling == "steps 20"


def test_a_checkpoint_evaluated_twice_is_one_point_of_the_curve() -> None:
    one = run("phase1-100", {"raw": {1000: 12.0, 2000: 8.0}})
    one.evaluations.append(Evaluated(Checkpoint(2000, "raw"), one.evaluations[1].results))
    study = Study([one])
    assert [entry.checkpoint.step for entry in study.curve("P1-100", study.setups()[0])] == [1000, 2000]
