"""The bench counts work as the network does it, and its parts add up."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mdtool.cli.app import main
from mdtool.config import load_preset
from mdtool.errors import MdtoolError
from mdtool.evaluation import bench as measure
from mdtool.evaluation.bench import bench, matrix_rate, training_flops
from mdtool.methods.registry import build_generator
from mdtool.training import device


def test_flops_of_the_thesis_network_agree_with_a_count_by_hand() -> None:
    table = load_preset("thesis")
    method = build_generator("mdm", table["model"], [str(k) for k in range(40)], 30.0)
    # 2.126 GFLOP per motion forward, 408 GFLOP per step of 64, counted by hand for the reference network.
    assert training_flops(method, 64) == pytest.approx(408, rel=0.02)


def test_flops_of_convolutions_count_every_level_at_its_own_length() -> None:
    small = {"frames": 32, "channels": 16, "multipliers": [1, 2], "blocks": 1, "attention": [], "head_channels": 16}
    method = build_generator("balanced-edm", small, [], 20.0)
    lengths = {"0": 32, "1": 16}
    by_hand = 0.0
    for name, weight in method.named_parameters():
        if not name.startswith("network.") or weight.dim() < 2:
            continue
        level = name.split(".")[2][0] if name.split(".")[1] in ("enc", "dec") else "0"
        by_hand += 2 * weight.numel() * (lengths[level] if weight.dim() == 3 else 1)
    by_hand += 2 * 2 * 16 * 16 * 32  # the decoder's first block attends: two products of 16 x 16 frames, 32 channels
    assert training_flops(method, 5) == pytest.approx(3 * 5 * by_hand / 1e9, rel=1e-6)


@pytest.mark.parametrize(("preset", "calls"), [("debug", 10), ("emdm-debug", 2)])
def test_every_part_is_timed_and_rates_follow(preset: str, calls: int) -> None:
    table = load_preset(preset)
    method = build_generator(table["method"], table["model"], ["a", "b"], 20.0)
    row = bench(method, 4, torch.device("cpu"), "fp32", repeats=3)
    assert min(row["training_step_s"], row["network_forward_backward_s"], row["losses_s"]) > 0
    assert row["network_calls_per_sample"] == calls
    assert row["samples_per_s"] == pytest.approx(4 / (row["denoising_call_s"] * calls))
    assert 0 < row["share_of_matrix_rate"] < 1.5


def test_what_does_not_learn_from_windows_is_refused() -> None:
    table = load_preset("nerm-debug")
    method = build_generator("nerm", table["model"], ["a", "b"], 20.0)
    with pytest.raises(MdtoolError, match="time a run with --methods nerm"):
        bench(method, 4, torch.device("cpu"), "fp32", repeats=1)


def test_matrix_rate_is_in_gflops() -> None:
    assert 1 < matrix_rate(torch.device("cpu"), torch.float32, repeats=1) < 1e5


def test_the_verb_writes_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--preset", "debug", "--batch", "2", "--repeats", "1", "--threads", "1", "--no-drawing"]
    words = ["bench", *small, "--precision", "fp32", "--precision", "bf16"]
    monkeypatch.setattr(sys, "argv", ["mdtool", *words, "--out", str(tmp_path / "bench.json")])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    result = json.loads((tmp_path / "bench.json").read_text())
    assert [row["precision"] for row in result["rows"]] == ["fp32", "bf16"]
    assert "bench.json" in capsys.readouterr().out


@pytest.mark.parametrize("native", [True, False])
def test_an_emulated_precision_is_timed_only_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], native: bool
) -> None:
    timed: list[str] = []

    def stand_in(*words: Any) -> dict[str, Any]:
        timed.append(words[3])
        return {"precision": words[3], "samples_per_s": 1.0}

    monkeypatch.setattr(device, "bf16_is_native", lambda _: native)
    monkeypatch.setattr(measure, "bench", stand_in)
    monkeypatch.setattr(
        sys, "argv", ["mdtool", "bench", "--preset", "debug", "--no-drawing", "--out", str(tmp_path / "b.json")]
    )
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    assert timed == (["fp32", "bf16"] if native else ["fp32"])
    assert ("bf16 is emulated" in capsys.readouterr().out) is not native


def test_a_preset_of_ones_own_need_not_name_its_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    methods: list[str] = []

    def stand_in(method: Any, *_: Any) -> dict[str, Any]:
        methods.append(method.describe().method)
        return {"precision": "fp32", "samples_per_s": 1.0}

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measure, "bench", stand_in)
    Path("own.toml").write_text("[model]\nwidth = 32\nlayers = 1\nheads = 2\nfeedforward = 32\n")
    monkeypatch.setattr(sys, "argv", ["mdtool", "bench", "--preset", "own.toml", "--no-drawing", "--precision", "fp32"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    assert methods == ["mdm"]
