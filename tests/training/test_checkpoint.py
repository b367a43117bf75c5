"""Run folders: what is written is read back, and damage is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mdtool.errors import MdtoolError
from mdtool.training.checkpoint import RunFolder


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"layer.weight": torch.full((2, 3), value)}


def test_newest_weights_replace_older_ones_unless_marked_kept(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for step in (1, 2, 3):
        folder.save_weights(step, {"raw": weights(step)}, keep_older=False)
        if step == 1:
            folder.mark_kept(step)
    assert folder.steps() == [1, 3]
    assert folder.load_weights("raw")[0]["layer.weight"][0, 0] == 3
    assert folder.load_weights("raw", step=1)[0]["layer.weight"][0, 0] == 1


def test_default_track_is_the_slowest_average(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.save_weights(5, {"raw": weights(0), "ema:0.999": weights(1), "ema:0.9995": weights(2)}, keep_older=False)
    assert folder.tracks() == ["ema:0.999", "ema:0.9995", "raw"]
    loaded, track, sha256 = folder.load_weights()
    assert track == "ema:0.9995"
    assert loaded["layer.weight"][0, 0] == 2
    assert len(sha256) == 64


def test_unknown_track_and_damaged_file_are_told(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.save_weights(5, {"raw": weights(0)}, keep_older=False)
    with pytest.raises(MdtoolError, match=r"no weights 'ema:0\.9': choose from raw"):
        folder.load_weights("ema:0.9")
    (tmp_path / "checkpoints" / "step-000000005.safetensors").write_bytes(b"\x00" * 10)
    with pytest.raises(MdtoolError, match="is damaged"):
        folder.load_weights("raw")


def test_damaged_state_is_told(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.save_state({"step": 3})
    assert folder.load_state() == {"step": 3}
    folder.state_path.write_bytes(folder.state_path.read_bytes()[:50])
    with pytest.raises(MdtoolError, match="damaged"):
        folder.load_state()


def test_metrics_after_the_resumed_step_are_cut(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for step in (10, 20, 30):
        folder.append_metrics({"step": step, "loss": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 15, "lo{"step": 16}\n7\n{"step": 40, "lo')
    folder.cut_metrics(20)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [10, 20]


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match="is not a run"):
        RunFolder(tmp_path).read_config()
