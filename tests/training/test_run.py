"""Which run a command takes when none is named."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
import torch
from rich.console import Console

from mdtool.config import RunConfig, TrainConfig
from mdtool.errors import MdtoolError
from mdtool.training.checkpoint import RunFolder
from mdtool.training.run import newest_run


def make_run(path: Path, method: str, written_s: float) -> None:
    folder = RunFolder(path)
    settings, train = {"preset": "debug", "data": "motions.h5", "data_sha256": ""}, TrainConfig(steps=1)
    folder.write_config(RunConfig(method=method, **settings, actions=[], fps=20.0, train=train, model={}))
    folder.save_weights(1, {"raw": {"weight": torch.zeros(1)}}, keep_older=False)
    os.utime(folder.config_path, (written_s, written_s))


def test_the_newest_run_of_its_kind_is_taken_and_a_damaged_one_noted(tmp_path: Path) -> None:
    said = io.StringIO()
    console = Console(file=said, width=40, markup=False)
    make_run(tmp_path / "older", "mdm", 100.0)
    make_run(tmp_path / "newer", "emdm", 200.0)
    make_run(tmp_path / "judge", "recogniser", 300.0)
    for name, text in (("[bold]", "[train"), ("future", "novelty = 1")):
        make_run(tmp_path / name, "mdm", 400.0)
        (tmp_path / name / "config.toml").write_text(text)
    assert newest_run(tmp_path, makes_motion=True, console=console) == tmp_path / "newer"
    first, second = said.getvalue().splitlines()
    assert first.startswith(f"note: passed over {tmp_path}/[bold]/config.toml is not a TOML file: ")
    assert second.startswith(f"note: passed over {tmp_path}/future/config.toml: ")
    assert newest_run(tmp_path, makes_motion=False, console=console) == tmp_path / "judge"


def test_a_folder_without_runs_is_told(tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match=r"no trained recogniser under .*: make one with `mdtool train --method reco"):
        newest_run(tmp_path / "runs", makes_motion=False, console=Console(quiet=True))
