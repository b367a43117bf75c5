"""Published recognisers as runs: UESTC's ST-GCN (ACTOR) and HumanAct12's GRU (action2motion)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mdtool.errors import MdtoolError
from mdtool.motion.skeleton import JOINTS, PARENTS
from mdtool.networks.stgcn import spatial_partitions
from mdtool.training.checkpoint import RAW, RunFolder
from mdtool.training.foreign_tensors import tensor_table
from mdtool.training.imported import PUBLISHED_ACTIONS, PUBLISHED_FPS, published_data, read_action_names, write_imported


def import_recogniser(
    content: object,
    path: Path,
    out: Path,
    action_names: Path | None = None,
    fps: float | None = None,
    rest_joints: Path | None = None,
) -> RunFolder:
    """Make a run of `uestc_rot6d_stgcn.tar` (a torch file in spite of its name) or `humanact12_gru.tar`.

    Args:
        content: what the torch file `path` holds.
        action_names: a file with one name a line, for weights of another data set.
        fps: frame rate that the recogniser was trained at; the published data set's when not given.
        rest_joints: a .npy file [24, 3], metres: joints of the body in its rest pose, for the GRU, which was trained
            on SMPL's; the neutral skeleton when not given.

    Raises:
        MdtoolError: the file is no such recogniser, or the run cannot be written.
    """
    step = 0
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        iteration = content.get("iteration", 0)
        step = iteration if isinstance(iteration, int) and 0 <= iteration < 10**9 else 0
        content = content["model"]
    weights = tensor_table(content, path, "the file")
    if "fcn.weight" in weights and "A" in weights:
        if rest_joints is not None:
            raise MdtoolError(f"{path} is an ST-GCN, which sees rotations and no joints: leave --rest-joints out")
        return _import_stgcn(path, out, weights, step, action_names, fps)
    if "recurrent.weight_ih_l0" in weights and "linear2.weight" in weights:
        return _import_gru(path, out, weights, step, action_names, fps, rest_joints)
    if "input_process.poseEmbedding.weight" in weights:
        raise MdtoolError(f"{path} is a generator of MDM: use `mdtool import mdm {path}`")
    raise MdtoolError(
        f"{path} is no recogniser known here, neither UESTC's ST-GCN nor HumanAct12's GRU: its first tensor is "
        f"{next(iter(weights))}"
    )


def _import_stgcn(
    path: Path, out: Path, weights: dict[str, Tensor], step: int, action_names: Path | None, fps: float | None
) -> RunFolder:
    graph = spatial_partitions(PARENTS)
    if weights["A"].shape != graph.shape or not torch.allclose(weights["A"], graph, atol=1e-6):
        raise MdtoolError(f"{path} was trained on another graph of joints than SMPL's 24")
    width = _rows(weights, "fcn.weight", path, axis=1) // 4
    names, rate = _actions(path, _rows(weights, "fcn.weight", path), action_names, fps)
    model = {"width": width, "axes": "y-down", "heading": False}
    return write_imported(out, path, "recogniser-actor", names, rate, {RAW: weights}, step, model=model)


def _import_gru(
    path: Path,
    out: Path,
    weights: dict[str, Tensor],
    step: int,
    action_names: Path | None,
    fps: float | None,
    rest_joints: Path | None,
) -> RunFolder:
    names, rate = _actions(path, _rows(weights, "linear2.weight", path), action_names, fps)
    model = {
        "width": _rows(weights, "recurrent.weight_hh_l0", path, axis=1),
        "features": _rows(weights, "linear1.weight", path),
        "axes": "y-down",
        "heading": False,
    }
    if rest_joints is not None:
        model["rest_joints"] = _read_joints(rest_joints)
    return write_imported(out, path, "gru-recogniser", names, rate, {RAW: weights}, step, model=model)


def _rows(weights: dict[str, Tensor], name: str, path: Path, axis: int = 0) -> int:
    """Length of an axis of a tensor that must be there."""
    if name not in weights or weights[name].ndim < 2 or not weights[name].numel():
        raise MdtoolError(f"{path} lacks {name}: it is no complete checkpoint")
    return int(weights[name].shape[axis])


def _actions(path: Path, actions: int, action_names: Path | None, fps: float | None) -> tuple[list[str], float]:
    if action_names is not None:
        names = read_action_names(action_names, actions)
        if fps is None:
            raise MdtoolError("--actions names another data set's actions: give its frame rate as --fps too")
        return names, fps
    dataset = published_data(actions, path)
    return list(PUBLISHED_ACTIONS[dataset]), PUBLISHED_FPS[dataset] if fps is None else fps


def _read_joints(path: Path) -> list[list[float]]:
    try:
        joints = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise MdtoolError(f"cannot read {path} as a .npy file of numbers: {error}") from error
    if not isinstance(joints, np.ndarray) or joints.shape != (JOINTS, 3) or not np.isfinite(joints).all():
        raise MdtoolError(f"{path} must hold {JOINTS} × 3 joint positions in metres")
    return [[float(value) for value in row] for row in joints]
