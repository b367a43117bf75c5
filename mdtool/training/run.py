"""Starting, resuming and loading runs."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from rich.console import Console

from mdtool.config import RunConfig, validated
from mdtool.errors import MdtoolError
from mdtool.methods.contract import Method, Trainable
from mdtool.methods.generate import Generator
from mdtool.methods.recogniser import Recogniser
from mdtool.methods.registry import build
from mdtool.motion.file import file_sha256
from mdtool.motion.motion import TRAIN, MotionSet
from mdtool.training.batches import WindowSource
from mdtool.training.checkpoint import RunFolder
from mdtool.training.loop import Trainer, fit, save


def resolve(preset: str, table: dict[str, Any], data: Path, motions: MotionSet) -> RunConfig:
    """A preset's table and a data set as the settings of a run.

    Raises:
        MdtoolError: wrong settings, no labels, or clips of several frame rates.
    """
    if not motions.actions:
        raise MdtoolError(f"{data} has no action labels: preprocess again with --labels")
    rates = sorted({round(float(rate), 6) for rate in motions.fps})
    if len(rates) > 1:
        raise MdtoolError(
            f"{data} mixes frame rates ({', '.join(f'{rate:g}' for rate in rates)}): preprocess again with --fps"
        )
    values = {
        "method": table.get("method", "mdm"),
        "preset": preset,
        "data": str(data),
        "data_sha256": file_sha256(data),
        "actions": motions.actions,
        "fps": float(motions.fps[0]),
        "train": table.get("train", {}),
        "model": table.get("model", {}),
    }
    config = validated(RunConfig, values, f"preset {preset}")
    unknown = set(table) - {"method", "train", "model"}
    if unknown:
        raise MdtoolError(f"preset {preset}: unknown section {sorted(unknown)[0]!r}; sections: method, train, model")
    return config


def train(config: RunConfig, motions: MotionSet, folder: RunFolder, device: torch.device, console: Console) -> bool:
    """Start a run in `folder`, or go on with the one that is there.

    Returns:
        True when the last step is reached, False when the user stopped it.

    Raises:
        MdtoolError: the folder holds a run with other settings, or the training diverged.
    """
    torch.manual_seed(config.train.seed)
    method = build(config.method, config.model, config.actions, config.fps).to(device)
    source = WindowSource(motions, TRAIN, method.frames, config.train.batch, config.train.seed, device)
    state = _state_to_resume(config, folder)
    if state is None:
        method.fit_statistics(source.random)
        folder.write_config(config)
    trainer = Trainer(method, source, config.train, device)
    if state is not None:
        trainer.load_state(state)
        folder.cut_metrics(trainer.step)
        folder.note(f"resumed at step {trainer.step}")
        console.print(f"resuming {folder.path} at step {trainer.step} of {config.train.steps}", highlight=False)
        if config != folder.read_config():
            folder.write_config(config)
    else:
        folder.note(f"started: {config.method}, preset {config.preset}, {config.train.steps} steps")
        save(trainer, folder, config.train)
    method.train()
    return fit(trainer, folder, config, console)


def _state_to_resume(config: RunConfig, folder: RunFolder) -> dict[str, Any] | None:
    """The saved state of the same run; None when there is none."""
    if not folder.config_path.exists():
        if folder.path.is_dir() and any(folder.path.iterdir()):
            raise MdtoolError(f"{folder.path} holds files but no run: choose another --out")
        return None
    before = folder.read_config()
    changed = [name for name in differing_keys(before, config) if name != "train.steps"]
    if changed:
        raise MdtoolError(
            f"{folder.path} holds a run with another {', '.join(changed)}: "
            "give --out for a new run, or the same options to resume"
        )
    state = folder.load_state()
    if state is None:
        return None
    if config.train.steps < state["step"]:
        raise MdtoolError(f"{folder.path} is at step {state['step']} already: --steps must not be less")
    if before.train.steps != config.train.steps and config.train.lr_final is not None:
        raise MdtoolError(
            f"{folder.path} was planned for {before.train.steps} steps and its learning rate falls to that end: "
            f"give --steps {before.train.steps}, or --out for a new run"
        )
    return state


def differing_keys(first: RunConfig, second: RunConfig) -> list[str]:
    """Settings that two runs do not share, as section.key; where the data lies does not count, what it is does."""
    one, other = first.model_dump(exclude={"data"}), second.model_dump(exclude={"data"})
    names = [key for key in one if not isinstance(one[key], dict) and one[key] != other[key]]
    for section in ("train", "model"):
        keys = sorted({*one[section], *other[section]})
        names += [f"{section}.{key}" for key in keys if one[section].get(key) != other[section].get(key)]
    return names


def load_method(path: str | Path, track: str | None = None, step: int | None = None) -> tuple[Trainable, str, str]:
    """The network of a run, ready to use.

    Args:
        track: raw or ema:DECAY; the EMA with the largest decay by default, raw when there is none.

    Returns:
        (method in evaluation mode, track, sha256 of the weights file).
    """
    folder = RunFolder(path)
    config = folder.read_config()
    weights, track, sha256 = folder.load_weights(track, step)
    try:
        method = build(config.method, config.model, config.actions, config.fps)
    except MdtoolError as error:
        raise MdtoolError(f"{folder.config_path}: {error}") from error
    try:
        method.load_state_dict(weights)
    except RuntimeError as error:
        reason = shorten(" ".join(str(error).split()), 200)
        raise MdtoolError(f"the weights of {path} do not fit its settings, were they edited? {reason}") from error
    return method.eval(), track, sha256


def load_generator(
    path: str | Path, track: str | None = None, device: torch.device | None = None, step: int | None = None
) -> Generator:
    """A run that makes motion, with the weights of its newest step or of another one.

    Raises:
        MdtoolError: no such run, or a run that makes no motion.
    """
    method, track, sha256 = load_method(path, track, step)
    if not isinstance(method, Method):
        raise MdtoolError(f"{path} is a run of {type(method).__name__} and makes no motion: give a generator's run")
    return Generator(method.to(device or torch.device("cpu")), track, sha256)


BATCH = 16
"""Windows per call of the recogniser: on a CPU larger batches spend their time in page faults."""


class LoadedRecogniser:
    """A trained recogniser as the evaluation uses it."""

    def __init__(self, method: Recogniser, sha256: str) -> None:
        self.method, self.sha256 = method, sha256
        self.actions, self.frames, self.fps = method.actions, method.frames, method.fps

    def features_and_logits(self, rot6d: torch.Tensor, root: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(features [n, F], logits [n, actions]) of windows [n, T, 24, 6], [n, T, 3], in batches that fit a cache."""
        parts = [
            self.method.features_and_logits(rot6d[first : first + BATCH], root[first : first + BATCH])
            for first in range(0, len(rot6d), BATCH)
        ]
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def load_recogniser(path: str | Path) -> LoadedRecogniser:
    """A recogniser's run.

    Raises:
        MdtoolError: no such run, or a run of another method.
    """
    method, _, sha256 = load_method(path)
    if not isinstance(method, Recogniser):
        raise MdtoolError(f"{path} is not a recogniser's run: train one with `mdtool train --method recogniser`")
    return LoadedRecogniser(method, sha256)


def newest_run(folder: Path, makes_motion: bool) -> Path:
    """The most recently written run under `folder`.

    Raises:
        MdtoolError: there is none.
    """
    kind = "generator" if makes_motion else "recogniser"
    runs = []
    for path in folder.glob("*/config.toml") if folder.is_dir() else []:
        run = RunFolder(path.parent)
        if (run.read_config().method != "recogniser") == makes_motion and run.steps():
            runs.append((run.state_path.stat().st_mtime if run.state_path.exists() else 0.0, run.path))
    if not runs:
        advice = "mdtool train" if makes_motion else "mdtool train --method recogniser"
        raise MdtoolError(f"no trained {kind} under {folder}/: make one with `{advice}`, or name its folder")
    return max(runs)[1]
