"""Weights that another program trained, as a run like any other."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mdtool.atomic import unwritable
from mdtool.config import RunConfig, load_preset, validated
from mdtool.errors import MdtoolError
from mdtool.methods.registry import build
from mdtool.motion.action_names import HUMANACT12_ACTIONS, UESTC_ACTIONS
from mdtool.motion.file import file_sha256
from mdtool.training.checkpoint import RunFolder

PUBLISHED_ACTIONS = {"uestc": UESTC_ACTIONS, "humanact12": HUMANACT12_ACTIONS}
PUBLISHED_FPS = {"uestc": 30.0, "humanact12": 20.0}
"""UESTC's videos have 30 frames a second; HumanAct12 tells none, and 20 is what MDM plays it at."""


def published_data(actions: int, path: Path, dataset: str | None = None) -> str:
    """The data set, uestc or humanact12, that weights with so many actions were trained on.

    Raises:
        MdtoolError: neither fits; the user can name the actions.
    """
    fitting = [name for name, names in PUBLISHED_ACTIONS.items() if len(names) == actions]
    if dataset in PUBLISHED_ACTIONS and dataset not in fitting:
        raise MdtoolError(
            f"{path} has {actions} actions and its args.json says {dataset}, which has "
            f"{len(PUBLISHED_ACTIONS[dataset])}: name the actions with --actions FILE, one a line"
        )
    if not fitting:
        raise MdtoolError(
            f"{path} has {actions} actions, neither UESTC's 40 nor HumanAct12's 12: "
            "name them with --actions FILE, one a line"
        )
    return fitting[0]


def read_action_names(path: Path, actions: int) -> list[str]:
    """Names of actions, one a line, in the order of their labels.

    Raises:
        MdtoolError: the file cannot be read, or has another number of different names.
    """
    try:
        names = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise MdtoolError(f"cannot read {path}: {error}") from error
    if len(names) != actions or len(set(names)) != actions:
        raise MdtoolError(f"{path} must hold {actions} different names, one a line, and has {len(set(names))}")
    return names


def read_json_table(path: Path) -> dict[str, Any]:
    """A JSON file's table.

    Raises:
        MdtoolError: the file cannot be read or holds no table.
    """
    try:
        table = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise MdtoolError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(table, dict):
        raise MdtoolError(f"{path} holds no table of settings")
    return table


def write_imported(
    out: Path,
    source: Path,
    preset: str,
    actions: list[str],
    fps: float,
    tracks: Mapping[str, Mapping[str, Tensor]],
    step: int = 0,
    train: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
) -> RunFolder:
    """Write a run that holds foreign weights; the folder appears whole or not at all.

    Args:
        preset: whose settings count where `train` and `model` say nothing.
        tracks: raw, ema:DECAY … → weights of the method's network, under the network's own names.
        step: optimiser steps behind the weights, as far as known.

    Raises:
        MdtoolError: the settings are wrong, the weights do not fit them, or the folder is taken or unwritable.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise MdtoolError(f"{out} exists already: choose another --out, or remove it")
    table = load_preset(preset)
    values = {
        "method": table["method"],
        "preset": preset,
        "data": "",
        "data_sha256": "",
        "imported": f"{source.name}, sha256 {file_sha256(source)}",
        "actions": actions,
        "fps": fps,
        "train": {**table["train"], "steps": max(step, 1), "warmup_steps": 0, **(train or {})},
        "model": {**table["model"], **(model or {})},
    }
    config = validated(RunConfig, values, str(source))
    with torch.device("meta"):  # shapes alone: nothing is allocated before they are known to fit the file's
        method = build(config.method, config.model, config.actions, config.fps)
    own = {name.removeprefix("network."): tensor for name, tensor in method.state_dict().items()}
    complete = {}
    for track, weights in tracks.items():
        for name in [*own, *weights]:
            if name not in own:
                raise MdtoolError(f"{source}: {track} holds {name}, which the {config.method} network does not have")
            if name not in weights and not name.endswith("num_batches_tracked"):
                raise MdtoolError(f"{source}: {track} lacks {name}: it is no complete checkpoint")
            if name in weights and weights[name].shape != own[name].shape:
                raise MdtoolError(
                    f"{source}: {track} has {name} of shape {list(weights[name].shape)}, "
                    f"where its other tensors ask for {list(own[name].shape)}"
                )
        complete[track] = {
            f"network.{name}": weights[name] if name in weights else torch.zeros(own[name].shape, dtype=own[name].dtype)
            for name in own
        }
    building = _folder_beside(out)
    try:
        folder = RunFolder(building)
        folder.save_weights(step, complete, keep_older=False)
        folder.write_config(config)
        folder.note(f"imported {source}: {', '.join(tracks)}")
        building.chmod(0o755)
        building.replace(out)
    except OSError as error:
        raise unwritable(out, error) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return RunFolder(out)


def _folder_beside(path: Path) -> Path:
    """A new folder to build a run in, beside its place."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise unwritable(path, error) from error
