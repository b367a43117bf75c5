"""Published files, imported as typed, compute what the reference computes from the same weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mdtool.methods.gru_recogniser import GRURecogniser
from mdtool.methods.mdm import MDM
from mdtool.methods.recogniser import Recogniser
from mdtool.training.checkpoint import RunFolder
from mdtool.training.import_mdm import published_names
from mdtool.training.run import load_method
from tests.cli.command_line import done
from tests.golden.published_files import published_weights
from tests.golden.tiny_denoiser import Golden, assert_close, encoder_size, tensors


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@torch.no_grad()
def test_mdm_full(golden: Golden, golden_folder: Path, place: Path) -> None:
    g = tensors(golden("mdm_full"))
    weights = published_weights(golden_folder, "mdm_full")
    # parameters() order, in which pytorch_ema's list comes: the published keys without the two tables of positions.
    assert published_names(8, True) == [name for name in weights if not name.endswith(".pe")]
    torch.save(weights, "model000600000.pt")
    Path("args.json").write_text(
        json.dumps({"dataset": "uestc", "num_frames": 60, "diffusion_steps": 1000, "of_the_future": 1})
    )
    printed = done("import", "mdm", "model000600000.pt")
    assert "step 600000, weights raw" in printed
    method, track, _ = load_method("runs/model000600000")
    assert isinstance(method, MDM)
    assert (track, method.config.heads, method.config.dropout) == ("raw", 4, 0.1)
    out = method.network(g["x"], g["timesteps"], g["action"][:, 0])
    assert_close(out, g["out_cond_4heads"], atol=1e-4)

    done("import", "mdm", "model000600000.pt", "--profile", "thesis", "--out", "runs/thesis")
    method, _, _ = load_method("runs/thesis")
    assert isinstance(method, MDM)
    assert (method.config.heads, method.config.dropout) == (8, 0.0)
    assert_close(method.network(g["x"], g["timesteps"], g["action"][:, 0]), g["out_cond"], atol=1e-4)
    assert_close(method.network(g["x"], g["timesteps"]), g["out_uncond"], atol=1e-4)


@pytest.mark.parametrize("form", ["model_avg", "list beside", "list alone"])
def test_train_steps(golden: Golden, place: Path, form: str) -> None:
    g = tensors(golden("train_steps"))
    raw = {key.removeprefix("after/"): value for key, value in g.items() if key.startswith("after/")}
    averaged = {key.removeprefix("ema/"): value for key, value in g.items() if key.startswith("ema/")}
    order = published_names(encoder_size(raw)["layers"], True)
    shadow = [averaged[name] for name in order]
    state = {"decay": 0.99, "num_updates": 4, "shadow_params": shadow, "collected_params": None}
    words = ["--fps", "30", "--actions", "names.txt", "--heads", "4"]
    Path("names.txt").write_text("".join(f"action {k}\n" for k in range(len(raw["embed_action.action_embedding"]))))
    Path("args.json").write_text(json.dumps({"avg_model_beta": 0.99, "diffusion_steps": 10}))
    if form == "model_avg":
        torch.save({"model": raw, "model_avg": averaged}, "model000000004.pt")
    elif form == "list beside":
        torch.save(raw, "model000000004.pt")
        torch.save(state, "ema.pt")
        words += ["--ema", "ema.pt"]
    else:
        torch.save(state, "model000000004.pt")
    done("import", "mdm", "model000000004.pt", *words)
    folder = RunFolder("runs/model000000004")
    expected = {"ema:0.99": averaged, **({} if form == "list alone" else {"raw": raw})}
    assert folder.tracks() == sorted(expected)
    for track, weights in expected.items():
        loaded, _, _ = folder.load_weights(track)
        assert {name.removeprefix("network.") for name in loaded} == set(order)
        for name in order:
            assert torch.equal(loaded[f"network.{name}"], weights[name])


@torch.no_grad()
def test_stgcn(golden: Golden, golden_folder: Path, place: Path) -> None:
    arrays = golden("stgcn")
    torch.save(published_weights(golden_folder, "stgcn"), "uestc_rot6d_stgcn.tar")
    assert "40 actions at 30 fps" in done("import", "recogniser", "uestc_rot6d_stgcn.tar")
    method, _, _ = load_method("runs/uestc_rot6d_stgcn")
    assert isinstance(method, Recogniser)
    # x is a network's input, camera axes; y points up in a window of ours.
    network = torch.from_numpy(arrays["x"])
    rot6d, root = method.layout.decode(torch.nn.functional.pad(network, (0, 0, 0, 0, 0, 1)), orthonormal=False)
    features, logits = method.features_and_logits(rot6d, root)
    for name, value in (("features", features), ("logits", logits)):
        np.testing.assert_allclose(value, arrays[name], rtol=1e-4, atol=1e-4 * np.abs(arrays[name]).max())


@torch.no_grad()
@pytest.mark.parametrize("old", [False, True], ids=["zip", "before-1.6"])
def test_gru_recogniser(golden: Golden, golden_folder: Path, place: Path, old: bool) -> None:
    g = tensors(golden("gru_recogniser"))
    content = {"model": published_weights(golden_folder, "gru"), "optimizer": {"state": {}}, "iteration": 30000}
    torch.save(content, "humanact12_gru.tar", _use_new_zipfile_serialization=not old)
    assert "12 actions at 20 fps" in done("import", "recogniser", "humanact12_gru.tar")
    assert RunFolder("runs/humanact12_gru").steps() == [30000]
    method, _, _ = load_method("runs/humanact12_gru")
    assert isinstance(method, GRURecogniser)
    features, logits = method.network.features_and_logits(g["x_xyz"], g["hidden0"], g["lengths"])
    assert_close(features, g["features"], atol=2e-5)
    assert_close(logits, g["logits"], atol=2e-5)
