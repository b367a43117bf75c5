"""Parts of the examples that other code does not run."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from mdtool.body.mannequin import mannequin
from mdtool.body.smpl import smpl_body
from mdtool.methods.clip_features import ClipFeatures
from mdtool.motion.file import read_motions, write_motions
from mdtool.motion.motion import MotionSet
from tests.body.test_smpl import save, synthetic
from tests.cli.command_line import done
from tests.methods.test_nerm import recording
from tests.motion.smooth_motion import ACTIONS, smooth_clips

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def example(name: str) -> ModuleType:
    """examples/NAME.py as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.py")))
def test_every_example_finds_what_it_imports(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    assert callable(example(name).main)


def test_motions_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example("edit_in_python").main()
    lengths = read_motions("stretching.h5").lengths.tolist()
    assert lengths[1] == 2 * lengths[0] - 1
    assert Path("stretching.png").stat().st_size > 10_000


def test_rows_of_other_settings_are_not_mixed() -> None:
    protocol = example("dno_protocol")
    before = {"edits": 4, "steps": 300, "run": {}}
    results = {"pelvis": {"walk, seed 0": {"rows": [], "settings": before}}}
    same = {**before, "checkpoint_sha256": "ab"}  # older files do not tell the checkpoint
    assert protocol.conflict({}, same) == ""
    assert protocol.conflict(results, same) == ""
    assert protocol.conflict(results, {**same, "steps": 20}) == "steps 300 for pelvis, walk, seed 0, and not 20"
    results["pelvis"]["walk, seed 0"]["settings"] = same
    assert "checkpoint_sha256" in protocol.conflict(results, {**same, "checkpoint_sha256": "cd"})


def test_the_mannequin_with_shapes_is_a_body_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shaped = example("shaped_body")
    monkeypatch.setattr(sys, "argv", ["shaped_body", str(tmp_path / "body.npz")])
    shaped.main()
    body, plain = smpl_body(tmp_path / "body.npz"), mannequin()
    torch.testing.assert_close(body.joints, plain.joints, atol=1e-5, rtol=0)
    taller, fuller, nothing = (torch.eye(10)[k] for k in (0, 1, 7))
    above = float(plain.vertices[:, 1].max() - plain.joints[0, 1])
    assert float((body.shaped(taller)[0] - plain.vertices)[:, 1].max()) == pytest.approx(0.045 * above, rel=1e-3)
    for betas in (2 * taller, -2 * fuller, 2 * fuller):
        vertices, joints = body.shaped(betas)
        assert float(vertices[:, 1].min()) > -0.002, "feet stay on the floor"
        legs = [1, 2, 4, 5, 7, 8]
        torch.testing.assert_close(joints[legs], plain.joints[legs], atol=0.008, rtol=0)
    across = (body.shaped(fuller)[0] - plain.vertices)[:, 0] * plain.vertices[:, 0].sign()
    assert float(across.max()) > 0.01
    assert torch.equal(body.shaped(nothing)[0], body.vertices)


def test_rungs_of_other_settings_are_not_mixed_and_seeds_are_averaged(tmp_path: Path) -> None:
    ladder = example("edm_ladder")
    settings = {"steps": 10, "count": 8}
    out = tmp_path / "ladder.json"
    assert ladder.begun(out, settings) == {"settings": settings, "rungs": {}, "gradients": {}}
    runs = {str(seed): {"fid": value, "jitter": 5.0} for seed, value in enumerate((1.0, 2.0, 6.0))}
    table = {"settings": settings, "rungs": {ladder.WHOLE: runs}, "floor": 0.5, "real": {"jitter": 4.0}}
    out.write_text(json.dumps(table))
    assert ladder.begun(out, settings) == table
    with pytest.raises(SystemExit, match="steps 10 and not 20"):
        ladder.begun(out, {**settings, "steps": 20})
    lines = ladder.table_of(table).splitlines()
    assert lines[0] == "| rung | seeds | FID | jitter, m/s³ |"
    assert lines[2:] == ["| recordings | – | 0.5 | 4 |", "| + dimension weights | 3 | 3 ± 2.6 | 5 ± 0 |"]


@pytest.mark.slow
def test_the_ladder_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rungs on motions with body shapes, and one of them with a second seed by a second call; two steps each."""
    ladder, motions = example("edm_ladder"), smooth_clips(24, frames=64, tested=6)
    ladder.ODE_STEPS, ladder.LEVELS = (2, 4), 3
    monkeypatch.chdir(tmp_path)
    write_motions("motions.h5", motions)
    done("train", "--preset", "recogniser-debug", "--steps", 2, "--out", "judge", "--threads", 1)
    save(Path("body.npz"), synthetic())
    words = "ladder motions.h5 judge --steps 2 --count 6 --width 16 --draw-shapes --body body.npz --plot g.png"
    found = []
    for more in ("--seeds 0 --rungs 1 4 9", "--seeds 0 1 --rungs 1"):
        monkeypatch.setattr(sys, "argv", [*words.split(), *more.split()])
        ladder.main()
        found.append(json.loads(Path("ladder.json").read_text()))
    table, names = found[1], [list(ladder.RUNGS)[1], ladder.WHOLE, ladder.RIVAL]
    assert {name: list(table["rungs"][name]) for name in names} == dict(
        zip(names, (["0", "1"], ["0"], ["0"]), strict=True)
    )
    assert all(table["rungs"][name]["0"] == found[0]["rungs"][name]["0"] for name in names), "what is there stays"
    whole = table["rungs"][ladder.WHOLE]["0"]
    assert {"fid", "skating below 5 cm", "raw columns, angle", "raw shape spread", "raw limb length σ"} <= set(whole)
    assert whole["raw limb length σ"] > 0
    assert whole["calls"] == 31
    assert list(table["nll"]) == list(table["round_trip"]) == ["2", "4"]
    assert table["rungs"][ladder.RIVAL]["0"]["steps"] >= 1
    assert Path("g.png").stat().st_size > 10_000


def test_the_samples_of_every_rate_stand_in_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = example("nerm_rates")
    clips = [recording(120.0, 1.0, seed) for seed in range(8)] + [recording(30.0, 1.0, 8)]
    torch.manual_seed(0)
    extractor = ClipFeatures({"frames": 32, "width": 16, "features": 16}, list(ACTIONS), 20.0).eval()
    monkeypatch.setattr(rates, "load_method", lambda _: (extractor, "", ""))
    asked: list[tuple] = []

    def command(*words: object) -> None:
        asked.append(words)
        if words[0] == "rates":
            fps = [words[k + 1] for k, word in enumerate(words) if word == "--fps"]
            numbers = {"clip_fid": 2.0, "clip_fid_ci95": 0.25, "floor": 1.0, "floor_ci95": None, "why": None}
            Path(str(words[-1])).write_text(json.dumps({"clip_fid": [{"fps": one, **numbers} for one in fps]}))

    monkeypatch.setattr(rates, "mdtool", command)
    given = argparse.Namespace(mdm=tmp_path / "small", mdm_steps=2, features_steps=3, repeats=3, count=40)
    rates.score_samples(tmp_path, MotionSet.from_clips(clips, ACTIONS), given)
    assert [words[0] for words in asked] == ["train", "resample", "train"] + 9 * ["rates"]
    assert {words[words.index("--lift-from") + 1] for words in asked if "--lift-from" in words} == {20}
    printed = capsys.readouterr().out
    assert "| beside cmu-recorded, fps | 20 | 40 | 60 | 100 | 120 |" in printed
    assert "| MDM + slerp | 2.00 ± 0.25 | 2.00 ± 0.25 | 2.00 ± 0.25 |" in printed
    assert "| MDM of Bandai + slerp | 2.00 ± 0.25 | 2.00 ± 0.25 |\n| recordings | 1.00 | 1.00 |" in printed
    # What clip-FID feels is 0 only for what did not change.
    told = next(line for line in printed.splitlines() if line.startswith("| slerp")).split("|")[2:-1]
    assert len(told) == 4
    assert all(float(number) > -1e-6 for number in told)  # a distance of equal sets is 0 up to rounding
