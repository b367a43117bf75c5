"""`mdtool import` as typed: every form of file that people have, and every kind that is not for it."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.motion.action_names import HUMANACT12_ACTIONS, UESTC_ACTIONS
from mdtool.motion.file import read_motions
from mdtool.motion.skeleton import PARENTS, rest_positions
from mdtool.networks.gru import GRUClassifier
from mdtool.networks.stgcn import STGCN
from mdtool.networks.transformer import Denoiser
from mdtool.training.checkpoint import RunFolder
from tests.cli.command_line import done, refused

ARGS = {"dataset": "uestc", "diffusion_steps": 4, "cond_mask_prob": 0.0, "unheard_of": [1, {}]}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def small(actions: int = 40, seed: int = 0, **sizes: int) -> OrderedDict[str, Tensor]:
    """A checkpoint of a small denoiser, with the two tables of positions that MDM stores."""
    torch.manual_seed(seed)
    network = Denoiser(actions=actions, **{"width": 16, "layers": 1, "heads": 4, "feedforward": 8, **sizes})
    tables = {"sequence_pos_encoder.pe": network.pe[:, None], "embed_timestep.sequence_pos_encoder.pe": network.pe}
    return OrderedDict({**network.state_dict(), **tables})


def save(content: object, name: str = "model000001000.pt", args: dict[str, Any] | None = ARGS) -> str:
    torch.save(content, name)
    if args is not None:
        Path("args.json").write_text(json.dumps(args))
    return name


def settings(run: str) -> dict[str, Any]:
    return RunFolder(run).read_config().model


def test_an_imported_model_samples_the_published_actions() -> None:
    printed = done("import", "mdm", save(small()), "--out", "runs/mine")
    assert printed.splitlines()[-1] == "next: mdtool sample runs/mine"
    assert "wrote runs/mine  (step 1000, weights raw)" in printed
    done("sample", "--action", "left-kicking", "--count", "2", "--threads", "1")  # the only run there is
    motions = read_motions("sample.h5")
    assert motions.actions == list(UESTC_ACTIONS)
    assert [motions.action_name(clip) for clip in range(2)] == ["left-kicking"] * 2
    assert motions.fps.tolist() == [30.0, 30.0]
    assert "imported from model000001000.pt" in done("info", "runs/mine")


def test_heads_are_stored_and_old_settings_have_the_defaults_of_their_command_line() -> None:
    old = {"dataset": "humanact12", "cond_mode": "action"}
    done("import", "mdm", save(small(12), args=old), "--out", "runs/old")
    stored = settings("runs/old")
    assert (stored["heads"], stored["dropout"]) == (4, 0.1)
    assert (stored["cond_mask_prob"], stored["diffusion_steps"], stored["lambda_foot"]) == (0.1, 1000, 0.0)
    assert RunFolder("runs/old").read_config().actions == list(HUMANACT12_ACTIONS)
    Path("args.json").unlink()
    printed = done("import", "mdm", "model000001000.pt", "--profile", "thesis", "--heads", "2", "--out", "runs/bare")
    assert "no args.json" in printed
    stored = settings("runs/bare")
    assert (stored["heads"], stored["dropout"], stored["diffusion_steps"]) == (2, 0.0, 100)
    assert (stored["width"], stored["layers"], stored["feedforward"]) == (16, 1, 8)


def test_averages_of_several_forms_in_one_file_become_tracks() -> None:
    raw, averaged = small(), small(seed=1)
    order = [name for name in raw if not name.endswith(".pe")]
    lists = {
        key: {"decay": decay, "num_updates": 7, "shadow_params": [averaged[name] * scale for name in order]}
        for key, decay, scale in (("ema_a", 0.999, 2.0), ("ema_b", 0.9995, 3.0))
    }
    done("import", "mdm", save({"model": raw, "model_avg": averaged, **lists}), "--out", "runs/all")
    folder = RunFolder("runs/all")
    assert folder.tracks() == ["ema:0.999", "ema:0.9995", "ema:0.9999", "raw"]
    name = "input_process.poseEmbedding.bias"
    found = {track: folder.load_weights(track)[0][f"network.{name}"] for track in folder.tracks()}
    assert torch.equal(found["raw"], raw[name])
    assert torch.equal(found["ema:0.9999"], averaged[name])
    assert torch.equal(found["ema:0.999"], 2 * averaged[name])
    assert torch.equal(found["ema:0.9995"], 3 * averaged[name])


def test_a_model_without_actions_is_imported_and_says_so() -> None:
    args = {"dataset": "humanact12", "cond_mode": "no_cond", "diffusion_steps": 4}
    printed = done("import", "mdm", save(small(0), args=args), "--out", "runs/free")
    assert "labelled unconditioned" in printed
    done("sample", "runs/free", "--count", "1", "--threads", "1")
    assert read_motions("sample.h5").actions == ["unconditioned"]


def test_recognisers_judge_an_imported_model() -> None:
    torch.manual_seed(0)
    torch.save(STGCN(40, PARENTS, width=8).state_dict(), "uestc_rot6d_stgcn.tar")
    torch.save({"model": GRUClassifier(40).state_dict(), "optimizer": {}, "iteration": 5}, "gru.tar")
    done("import", "mdm", save(small()), "--out", "runs/mine")
    done("sample", "--count", "80", "--threads", "1")
    np.save("joints.npy", rest_positions())
    printed = done("import", "recogniser", "uestc_rot6d_stgcn.tar")
    assert printed.splitlines()[-1] == "next: mdtool evaluate --recogniser runs/uestc_rot6d_stgcn"
    Path("forty.txt").write_text("\n".join(UESTC_ACTIONS))
    done("import", "recogniser", "gru.tar", "--actions", "forty.txt", "--fps", "30", "--rest-joints", "joints.npy")
    for run in ("uestc_rot6d_stgcn", "gru"):
        done(
            "evaluate", "runs/mine", "--data", "sample.h5", "--recogniser", f"runs/{run}", "--protocol", "mdm",
            "--seeds", "1", "--count", "40", "--threads", "1", "--out", f"{run}.json",
        )  # fmt: skip
        table = json.loads(Path(f"{run}.json").read_text())
        assert table["protocol"] == "mdm 1"
        # Samples have no test split, as HumanAct12 has none: one set, and a second draw of it.
        assert table["splits"] == ["all"]
        assert {"fid_gen_all", "fid_real_all"} <= set(table["scores"])
        assert table["provenance"]["sampler"] == "ddpm"


class Code:
    """What a hostile file runs when a careless reader opens it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("was-run"),))


def renamed(prefix: str) -> dict[str, Tensor]:
    return {**small(), f"{prefix}x": torch.zeros(2)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state": {}, "param_groups": []}, "state of an optimiser"),
        ({"model": {}, "optimizer": {}, "iteration": 3}, "HumanAct12's GRU.*mdtool import recogniser"),
        (renamed("embed_text."), "text-to-motion"),
        (renamed("gru."), "GRU variant"),
        (renamed("seqTransDecoder."), "decoder variant"),
        (renamed("unknown."), "holds unknown.x, which the mdm network does not have"),
        (small(7), "7 actions and its args.json says uestc, which has 40.*--actions"),
        (small(12), "12 actions and its args.json says uestc"),
        (small(rows=263, channels=1), "263 numbers per frame"),
        ({"epoch": 3}, "no weights of MDM"),
        ([1, 2], "no weights of MDM"),
        ({"a": torch.zeros(2)}, "no checkpoint of MDM"),
        ({k: v for k, v in small().items() if "norm2.bias" not in k}, "lacks seqTransEncoder.layers.0.norm2.bias"),
        ({**small(), "output_process.poseFinal.bias": torch.zeros(3)}, r"poseFinal.bias of shape \[3\]"),
        ({**small(), "output_process.poseFinal.bias": torch.full((150,), torch.nan)}, "NaN"),
        ({**small(), "output_process.poseFinal.bias": torch.zeros(1).expand(10**12)}, "no training program writes"),
        ({"decay": 0.9, "shadow_params": [torch.zeros(2)] * 5}, "5 tensors, which no depth"),
        ({"decay": "fast", "shadow_params": []}, "no state of pytorch_ema"),
        ({"model": small(), "model_avg": small(width=8)}, "networks of different sizes"),
        (Code(), "is not read: it wants to use"),
    ],
)  # fmt: skip
def test_other_files_are_refused_by_name_and_leave_nothing(content: object, message: str) -> None:
    sentence = refused("import", "mdm", save(content))
    assert re.search(message, sentence), sentence
    assert not Path("runs").exists()
    assert not Path("was-run").exists()


@pytest.mark.parametrize(
    ("args", "words", "message"),
    [
        ({"arch": "trans_dec"}, [], "architecture 'trans_dec'"),
        ({"dataset": "humanml"}, [], "humanml, which has texts"),
        ({"diffusion_steps": 10**12}, [], "args.json: diffusion_steps"),
        ({"noise_schedule": ["cosine"]}, [], "args.json: noise_schedule"),
        (ARGS, ["--heads", "3"], "multiple of heads"),
        (ARGS, ["--profile", "mdm"], "choose mdm-a2m or thesis"),
        (ARGS, ["--actions", "args.json"], "must hold 40 different names"),
        (ARGS, ["--ema", "model000001000.pt"], "no state of pytorch_ema"),
        (ARGS, ["--args", "model000001000.pt"], "cannot read model000001000.pt"),
        (ARGS, ["--out", "args.json"], "args.json exists already"),
        (ARGS, ["--out", "args.json/run"], "cannot write args.json"),
    ],
)
def test_settings_that_do_not_fit_are_refused(args: dict[str, Any], words: list[str], message: str) -> None:
    sentence = refused("import", "mdm", save(small(), args=args), *words)
    assert re.search(message, sentence), sentence
    assert not list(Path("runs").glob("*"))


def stgcn(**changes: Tensor) -> dict[str, Tensor]:
    return {**STGCN(40, PARENTS, width=8).state_dict(), **changes}


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        (small(), [], "generator of MDM: use `mdtool import mdm"),
        (stgcn(A=torch.eye(24).expand(3, 24, 24).clone()), [], "another graph"),
        (stgcn(extra=torch.zeros(1)), [], "holds extra"),
        (stgcn(), ["--rest-joints", "args.json"], "leave --rest-joints out"),
        (stgcn(), ["--actions", "args.json"], "must hold 40"),
        ({"weight": torch.zeros(2)}, [], "no recogniser known here"),
        (GRUClassifier(12).state_dict(), ["--rest-joints", "args.json"], "npy"),
        (GRUClassifier(13).state_dict(), [], "13 actions"),
    ],
)
def test_other_recognisers_are_refused(content: object, words: list[str], message: str) -> None:
    sentence = refused("import", "recogniser", save(content, "x.tar"), *words)
    assert re.search(message, sentence), sentence
    assert not Path("runs").exists()


def test_a_missing_or_damaged_file_is_one_sentence() -> None:
    assert "no such file: none.pt" in refused("import", "mdm", "none.pt")
    Path("cut.pt").write_bytes(Path(save(small())).read_bytes()[:500])
    assert "cut.pt" in refused("import", "mdm", "cut.pt")
    Path("args.json").write_text("[")
    assert "cannot read args.json" in refused("import", "mdm", "model000001000.pt")


def test_a_place_where_no_folder_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", forbidden)
    assert "cannot write runs/mine: Permission denied" in refused("import", "mdm", save(small()), "--out", "runs/mine")
