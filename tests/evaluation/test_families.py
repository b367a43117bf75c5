"""Families side by side: which run a word names, and a row of numbers per run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from mdtool.editing.bench import STEPS
from mdtool.errors import MdtoolError
from mdtool.evaluation.families import measure, run_of
from mdtool.motion.file import write_motions
from tests.cli.command_line import done
from tests.motion.smooth_motion import smooth_clips


def test_runs_are_measured_and_stand_in_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_motions("motions.h5", smooth_clips(6))
    few, console = ("--steps", 23, "--threads", 1), Console(quiet=True)
    done("train", "motions.h5", "--preset", "nerm-debug", *few)
    done("train", "motions.h5", "--preset", "debug", *few)
    assert run_of("nerm", Path("runs"), console) == Path("runs/nerm-debug")
    assert run_of("runs/debug", Path("elsewhere"), console) == Path("runs/debug")
    with pytest.raises(MdtoolError, match="no trained run of 'emdm'"):
        run_of("emdm", Path("runs"), console)
    row = measure("runs/nerm-debug", 3, 1, 1, 120.0)
    assert (row["method"], row["calls"], row["fps"], row["time_axis"]) == ("nerm", 10, 120.0, True)
    assert min(row[key] for key in ("motion_s", "motions_per_s", "search_step_s")) > 0
    if Path("/proc/self/clear_refs").exists():
        assert row["peak_mb"] >= 0
    printed = done("bench", "--methods", "nerm,runs/debug", "--batch", 2, "--repeats", 1, "--threads", 1)
    assert "ms per motion at 120 fps" in printed
    rows = json.loads(Path("bench.json").read_text())["rows"]
    assert [entry["method"] for entry in rows] == ["nerm", "mdm"]
    assert "motion_s_at_120" in rows[0]
    assert "motion_s_at_120" not in rows[1]
    assert "seconds of an edit" in printed
    for entry in rows:
        assert entry["edit_s"] > 0
        assert 1 <= entry["edit_steps"] <= 3 * STEPS, "a field is fitted in up to three stages"
        assert 0 <= entry["edit_error_m"] < 1


def test_threads_that_no_machine_has_are_refused() -> None:
    with pytest.raises(MdtoolError, match="--threads 100000: give 1 to"):
        measure("nowhere", 1, 1, 100_000, 0.0)
