"""Balanced EDM as typed: AMASS's layout → motion file with shapes → run → samples, other averages, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mdtool.motion.file import read_motions, write_motions
from mdtool.training.checkpoint import RunFolder
from tests.body.test_smpl import save, synthetic
from tests.cli.command_line import done, refused

ONE_CORE = ("--threads", 1)
SMALL = (
    "--set", "model.channels=16", "--set", "model.multipliers=[1,2]", "--set", "model.attention=[1]", "--set",
    "model.head_channels=16", "--set", "train.warmup_steps=1", "--set", "train.keep_every=1", "--set",
    "train.save_every=1", "--batch", 4,
)  # fmt: skip


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each command printed; the folder is the current one."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("edm")
        patch.chdir(folder)
        return {
            "folder": str(folder),
            "raw": done("preprocess", "synthetic", "--as", "amass", "raw", "--clips", 2, "--out", "in.h5"),
            "amass": done("preprocess", "amass", "raw", "--gender", "neutral"),
            "train": done("train", "--method", "balanced-edm", *SMALL, "--steps", 5, *ONE_CORE),
            "ema": done("ema", "runs/edm-tiny", "--length", 0.03, 0.07),
            "sample": done("sample", "--count", 3, "--frames", 40, "--steps", 3, *ONE_CORE),
        }


@pytest.fixture(autouse=True)
def _there(line: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(line["folder"])


def test_amass_gives_segments_with_shapes(line: dict[str, str]) -> None:
    assert "next: mdtool preprocess amass raw" in line["raw"]
    assert "segments of 32 frames or more" in line["amass"]
    motions = read_motions("motions.h5")
    assert motions.betas is not None
    assert len(np.unique(motions.betas[:, 0])) > 1
    assert set(motions.fps) == {20.0}
    assert motions.lengths.min() >= 32
    assert motions.provenance["stride"] == "exact"
    assert set(motions.gender or []) == {"neutral"}


def test_training_and_other_averages(line: dict[str, str]) -> None:
    folder = RunFolder("runs/edm-tiny")
    assert folder.tracks(5) == ["ema:0.03", "ema:0.05", "ema:0.07", "ema:0.1", "raw"]
    averages = [folder.load_weights(f"ema:{width}", 5)[0]["network.enc.0_conv.weight"] for width in (0.05, 0.07, 0.1)]
    apart = [float((averages[0] - other).norm()) for other in averages[1:]]
    assert 0 < apart[0] < apart[1], "0.07 lies between the tracked lengths"
    assert "next: mdtool sample runs/edm-tiny --weights ema:0.03" in line["ema"]
    tracked = done("ema", "runs/edm-tiny", "--length", 0.05, 0.10)  # as the paper has them, and the presets
    assert "note: ema:0.05, ema:0.1 averaged while it trained: there already" in tracked
    assert "wrote" not in tracked


def test_samples_have_a_shape_and_no_action(line: dict[str, str]) -> None:
    samples = read_motions("sample.h5")
    assert samples.lengths.tolist() == [40, 40, 40]
    assert samples.action.tolist() == [-1] * 3
    assert samples.betas is not None
    assert len(np.unique(samples.betas[:, 0])) == 3
    assert samples.gender == ["neutral"] * 3, "whose body model the shapes are for"
    assert samples.noise is not None
    assert samples.noise.shape == (3, 145, 40)


def test_autoguidance(line: dict[str, str]) -> None:
    common = ("sample", "--count", 2, "--frames", 32, "--steps", 3, "--weights", "raw", *ONE_CORE)
    for out, more in (("plain.h5", ()), ("guided.h5", ("--autoguidance", 2, "--guide", 1))):
        done(*common, "--out", out, *more)
    plain, guided, one = read_motions("plain.h5"), read_motions("guided.h5"), ("--autoguidance", 1, "--guide", 1)
    assert np.abs(plain.rot6d - guided.rot6d).max() > 1e-3
    done(*common, "--out", "one.h5", *one)
    np.testing.assert_allclose(read_motions("one.h5").root, plain.root, atol=1e-3)
    for out, levels in (("nowhere.h5", (1e5, 1e6)), ("everywhere.h5", (0, 1e6))):  # σ never reaches 1e5
        done(*common, "--out", out, "--autoguidance", 2, "--guide", 1, "--guide-between", *levels)
    np.testing.assert_array_equal(read_motions("nowhere.h5").rot6d, plain.rot6d)
    np.testing.assert_array_equal(read_motions("everywhere.h5").rot6d, guided.rot6d)


def test_churn_adds_noise_of_the_samples_own(line: dict[str, str]) -> None:
    common = ("sample", "--count", 2, "--frames", 32, "--steps", 4, "--weights", "raw", *ONE_CORE)
    for out, more in (
        ("ode.h5", ()),
        ("none.h5", ("--churn", 0)),
        ("one.h5", ("--churn", 2)),
        ("two.h5", ("--churn", 2)),
    ):
        done(*common, "--out", out, *more)
    ode, none, one, two = (read_motions(f"{name}.h5") for name in ("ode", "none", "one", "two"))
    np.testing.assert_array_equal(none.rot6d, ode.rot6d)
    assert np.abs(one.rot6d - ode.rot6d).max() > 1e-3
    np.testing.assert_array_equal(two.rot6d, one.rot6d)
    assert one.provenance["churn"] == 2


def test_a_file_without_actions_gets_its_card(line: dict[str, str]) -> None:
    told = done("evaluate", "sample.h5", *ONE_CORE)
    assert "physical card, 3 clips beside" in told


def test_raw_shapes_are_measured_by_a_body_model(line: dict[str, str]) -> None:
    save(Path("body.npz"), synthetic())
    labelled = read_motions("motions.h5")
    labelled.actions, labelled.action = ["a", "b"], np.arange(len(labelled), dtype=np.int32) % 2
    write_motions("labelled.h5", labelled)
    done("train", "labelled.h5", "--preset", "recogniser-debug", "--steps", 2, "--out", "runs/judge", *ONE_CORE)
    words = ("evaluate", "runs/edm-tiny", "--recogniser", "runs/judge", "--seeds", 1, "--count", 5, *ONE_CORE)
    done(*words, "--steps", 2, "--split", "train", "--body", "body.npz")
    raw = {row["metric"]: row for row in json.loads(Path("results.json").read_text())["raw"]}
    assert 0 < raw["raw shape spread"]["mean"] < 1, "behind the spectrum a shape hardly changes, whatever the network"
    assert 0 < raw["raw limb length σ"]["mean"] < 1
    done(*words, "--steps", 2, "--split", "train")
    found = [row["metric"] for row in json.loads(Path("results.json").read_text())["raw"]]
    assert found == ["raw columns, length", "raw columns, angle", "raw shape spread"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sample", "--action", "walk"), "without actions"),
        (("sample", "--frames", 41), "use --frames 40"),
        (("sample", "--frames", 500), "32 to 64 frames"),
        (("sample", "--sampler", "ddpm"), "heun or ddim"),
        (("sample", "--guide", 1), "go together"),
        (("sample", "--guide-between", 1, 2), "name a step with --guide"),
        (("sample", "--guide", 1, "--autoguidance", 2, "--guide-between", 5, 1), "the lower first"),
        (("ema", "runs/edm-tiny"), "which lengths"),
        (("ema", "runs/edm-tiny", "--length", 0.5), "between 0 and 0.28"),
        (("ema", "raw", "--length", 0.07), "not a run"),
        (("train", "--preset", "debug", "--out", "runs/x"), "model.conditional=false"),
        (("train", "--preset", "small", "--out", "runs/x"), "model.conditional=false --set model.guidance=1"),
        (("train", "--method", "balanced-edm", "--set", "model.frames=63", "--out", "runs/x"), "multiple of 4"),
        (("preprocess", "amass", "nowhere"), "no such file or folder"),
        (("preprocess", "amass", "raw", "--fps", 30), "leave out --fps"),
        (
            ("preprocess", "amass", "runs", "--stride", "humanml3d"),
            "--stride is for HumanML3D's segments, and runs has",
        ),
        (("preprocess", "synthetic", "--as", "amass", "raw"), "exists already"),
    ],
)
def test_what_cannot_be_is_refused(words: tuple[object, ...], message: str) -> None:
    assert message in refused(*words)
    assert not Path("runs/x").exists()
