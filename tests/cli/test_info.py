"""`mdtool info` as typed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from mdtool.config import load_preset
from mdtool.motion.file import file_sha256, provenance, read_motions, write_motions
from mdtool.training.checkpoint import RunFolder
from mdtool.training.run import resolve
from tests.cli.command_line import done, refused
from tests.motion.smooth_motion import smooth_clips


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_motions("motions.h5", smooth_clips(12, tested=3))


def rows(printed: str) -> list[list[str]]:
    """Cells of the tables' bodies."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if line.startswith("│")]


def test_a_motion_file() -> None:
    printed = done("info", "motions.h5")
    frames = sum(range(70, 82))
    assert f"motion file, 12 clips, {frames} frames, {frames / 20:.1f} s" in printed
    assert "frame rate 20 fps; 70 to 81 frames a clip, median 75.5" in printed
    assert "subjects: 4; with no extras" in printed
    assert rows(printed) == [
        ["hop", "3", "1", str(70 + 73 + 76 + 79)],
        ["sway", "3", "1", str(71 + 74 + 77 + 80)],
        ["wave", "3", "1", str(72 + 75 + 78 + 81)],
    ]


def test_extras_history_and_clips_without_a_label() -> None:
    motions = read_motions("motions.h5")
    motions.action[0] = -1
    motions.fps[1] = 119.88
    motions.betas = np.zeros((12, 10), np.float32)
    motions.text = ["walks"] * 12
    motions.provenance = provenance(["motions.h5"])
    write_motions("more.h5", motions)
    printed = done("info", "more.h5")
    assert "with text, betas" in printed
    assert "frame rate 20, 119.88 fps" in printed
    assert ["(none)", "1", "0", "70"] in rows(printed)
    assert re.search(r"made by: .* \(mdtool [\d.]+\)", printed)


@pytest.mark.parametrize("name", ["run[1].h5", "a[/b].h5", "[red]x.h5"])
def test_names_are_shown_as_they_are(name: str) -> None:
    """Square brackets are markup to rich, and ordinary letters to everybody else."""
    motions = smooth_clips(3)
    motions.actions = ["hop [fast]", "[/b]", "wave"]
    path = Path(name)
    write_motions(path, motions)
    printed = done("info", path)
    assert f"{name}: motion file" in printed
    assert [row[0] for row in rows(printed)] == ["hop [fast]", "[/b]", "wave"]


def test_a_run() -> None:
    done("train", "--preset", "debug", "--threads", 1)
    printed = done("info", "runs/debug")
    digest = file_sha256("runs/debug/checkpoints/step-000000020-ema-0.9.safetensors")[:12]
    assert "runs/debug: run of mdm, preset debug" in printed
    assert "step 20 of 20; weights: ema:0.9, raw" in printed
    assert f"weights sha256 {digest}" in printed
    assert "actions: hop, sway, wave" in printed
    weights = RunFolder("runs/debug").load_weights("raw")[0]
    learnt = sum(tensor.numel() for name, tensor in weights.items() if name.startswith("network."))
    assert f"{learnt:,} parameters" in printed


def test_a_run_without_weights_and_a_damaged_one() -> None:
    folder = RunFolder("runs/new")
    folder.write_config(resolve("debug", load_preset("debug"), Path("motions.h5"), read_motions("motions.h5")))
    assert "no weights yet" in done("info", "runs/new")
    done("train", "--preset", "debug", "--threads", 1)
    path = Path("runs/debug/config.toml")
    settings = path.read_text()
    for before, after, sentence in (
        ("layers = 2", "layers = 3", "the weights of runs/debug do not fit its settings"),
        ("layers = 2", "layers = 0", "runs/debug/config.toml: mdm settings: layers"),
        ('method = "mdm"', 'method = "vae"', "runs/debug/config.toml: no method 'vae'"),
        ("[train]", "[train", "runs/debug/config.toml is not a TOML file"),
        ('method = "mdm"', "", "runs/debug/config.toml: method: Field required"),
    ):
        assert before in settings
        path.write_text(settings.replace(before, after))
        assert sentence in refused("info", "runs/debug")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none.h5", None, "no such file: none.h5"),
        ("some.json", "{}", "some.json is not a results file"),
        ("some.json", "{", "some.json is not a results file"),
        ("some.json", '{"protocol": "action-to-motion 1"}', "some.json is a damaged results file"),
        ("some.json", '{"protocol": "action-to-motion 1", "card": 3}', "some.json is a damaged results file"),
        ("some.txt", "words", "some.txt cannot be read as a motion file"),
        ("some.h5", "", "some.h5 cannot be read as a motion file"),
    ],
)
def test_what_is_no_file_of_ours(name: str, content: str | None, sentence: str) -> None:
    if content is not None:
        Path(name).write_text(content)
    assert sentence in refused("info", name)


def test_a_folder_that_is_no_run() -> None:
    Path("empty").mkdir()
    assert "empty is not a run" in refused("info", "empty")


def test_a_folder_of_runs() -> None:
    motions = read_motions("motions.h5")
    for name in ("early", "late"):
        RunFolder(f"runs/{name}").write_config(resolve("debug", load_preset("debug"), Path("motions.h5"), motions))
    Path("runs/damaged").mkdir()
    Path("runs/damaged/config.toml").write_text("[train")
    printed = done("info", "runs")
    assert [row[:3] for row in rows(printed)] == [["early", "mdm", "debug"], ["late", "mdm", "debug"]]
    assert "0 of 20" in printed
    assert "runs/damaged/config.toml is not a TOML file" in printed
    assert printed.endswith("next: mdtool info runs/early\n")
