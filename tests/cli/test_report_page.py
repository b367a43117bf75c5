"""`mdtool report … --out report.html` as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mdtool.training.checkpoint import RunFolder
from tests.cli.command_line import done, refused
from tests.report.constructed import run


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A run with its settings and its log, not evaluated."""
    folder = RunFolder(tmp_path / "one")
    folder.write_config(run("phase1-100").config)
    for step in range(10, 110, 10):
        folder.append_metrics({"step": step, "loss": 1 / step})
    return folder.path


def test_what_there_is_is_reported(trained: Path, tmp_path: Path) -> None:
    printed = done("report", trained, "--out", tmp_path / "report.html")
    assert "report.html: samples, over training; " in printed
    assert f"next: open {tmp_path / 'report.html'}" in printed
    assert f"note: no scores: `mdtool evaluate {trained} --checkpoint last`" in printed
    assert "Training loss" in (tmp_path / "report.html").read_text("utf-8")


def test_mistakes(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert "--jobs means nothing in a page" in refused("report", trained, "--jobs", 2, "--out", out)
    (trained / "samples.h5").write_bytes(b"no motion")
    assert "samples.h5 cannot be read" in refused("report", trained, "--out", out)
    (trained / "samples.h5").unlink()
    (trained / "metrics.jsonl").write_text(json.dumps({"step": 1}) + "\n")
    assert "metrics.jsonl is damaged" in refused("report", trained, "--out", out)
    assert not out.exists()
