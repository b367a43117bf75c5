"""Starting, resuming and loading runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from rich.console import Console

from mdtool.atomic import require_writable
from mdtool.config import RunConfig, validated
from mdtool.errors import MdtoolError
from mdtool.methods.contract import Classifier, Method, SequenceLearner, Trainable
from mdtool.methods.generate import Generator
from mdtool.methods.registry import build, method_class, recognises, takes_any_rate
from mdtool.methods.registry import makes_motion as method_makes_motion
from mdtool.motion.file import file_sha256
from mdtool.motion.motion import TRAIN, MotionSet
from mdtool.training.batches import BatchSource, WindowSource
from mdtool.training.checkpoint import RunFolder, readable_runs
from mdtool.training.device import native_precisions
from mdtool.training.distributed import Ranks
from mdtool.training.loop import Trainer, fit, save
from mdtool.training.sequences import SequenceSource
from mdtool.wording import counted

COMMON_FPS = 20.0
"""Frame rate of runs that learn from several: that of the field's protocols."""


def resolve(
    preset: str, table: dict[str, Any], data: Path, motions: MotionSet, init_from: Path | None = None
) -> RunConfig:
    """A preset's table and a data set as the settings of a run.

    Args:
        init_from: the run whose weights it starts from.

    Raises:
        MdtoolError: wrong settings, or clips of several frame rates for a method that takes but one.
    """
    rates = sorted({round(float(rate), 6) for rate in motions.fps})
    method = table.get("method", "mdm")
    if len(rates) > 1 and not takes_any_rate(method):
        raise MdtoolError(
            f"{data} mixes frame rates ({', '.join(f'{rate:g}' for rate in rates)}): preprocess again with --fps"
        )
    values = {
        "method": method,
        "preset": preset,
        "data": str(data),
        "data_sha256": file_sha256(data),
        "init_from": None if init_from is None else str(init_from),
        "actions": motions.actions,
        "gender": (motions.betas is not None and motions.common_gender) or None,
        "fps": float(motions.fps[0]) if len(rates) == 1 else COMMON_FPS,
        "train": table.get("train", {}),
        "model": table.get("model", {}),
    }
    config = validated(RunConfig, values, f"preset {preset}")
    unknown = set(table) - {"method", "train", "model"}
    if unknown:
        raise MdtoolError(f"preset {preset}: unknown section {sorted(unknown)[0]!r}; sections: method, train, model")
    return config


def settle_precision(config: RunConfig, folder: RunFolder, device: torch.device) -> RunConfig:
    """Replace precision "auto" by what the run in `folder` began with, else by what the device is fast in.

    A run that moves to another machine so goes on with the numbers that it started with.
    """
    if config.train.precision != "auto":
        return config
    if folder.config_path.exists():
        chosen = folder.read_config().train.precision
    else:
        chosen = native_precisions(device)[-1]
    return config.model_copy(update={"train": config.train.model_copy(update={"precision": chosen})})


def train(
    config: RunConfig,
    motions: MotionSet,
    folder: RunFolder,
    device: torch.device,
    console: Console,
    ranks: Ranks | None = None,
) -> bool:
    """Start a run in `folder`, or go on with the one that is there, on any number of ranks.

    Returns:
        True when the last step is reached, False when the user stopped it.

    Raises:
        MdtoolError: the folder holds a run with other settings, the training diverged, the data has no labels and the
            method needs them, or the method cannot be trained on several ranks.
    """
    ranks = ranks or Ranks()
    torch.manual_seed(config.train.seed)
    method = build(config.method, config.model, config.actions, config.fps).to(device)
    if method.uses_labels and not motions.actions:
        guided = " --set model.guidance=1" if config.model.get("guidance", 1) != 1 else ""
        raise MdtoolError(
            f"{config.data} has no action labels, which {config.method} learns from: preprocess again with --labels, "
            f"or train without them by --set model.conditional=false{guided}"
        )
    if ranks.world > 1 and not method.shares_batches:
        raise MdtoolError(
            f"the method {config.method!r} learns from all windows of a batch together and cannot be shared by "
            f"{ranks.world} ranks: run the same `mdtool train` without torchrun"
        )
    source = batch_source(method, motions, config, device, ranks)
    state = ranks.from_first(lambda: _state_to_resume(config, folder))
    start = ""
    if state is None:
        if method.learns_from:
            teacher, _, sha256 = load_method(method.learns_from)
            method.adopt(teacher, sha256)
        method.fit_statistics(source.random)
        for remark in method.remarks():
            console.print(f"note: {remark}", highlight=False)
        start = _warm_start(method, config)
        method.load_state_dict(ranks.from_first(lambda: {name: t.cpu() for name, t in method.state_dict().items()}))
    if isinstance(source, WindowSource) and source.shapeless:
        shapeless = counted(source.shapeless, "training clip")
        console.print(f"note: {shapeless} without a body shape: all shapes are left out", highlight=False)
    trainer = Trainer(method, source, config.train, device, ranks)
    if state is not None:
        trainer.load_state(state)
        console.print(f"resuming {folder.path} at step {trainer.step} of {config.train.steps}", highlight=False)
    if ranks.first:
        _open(folder, config, trainer, resumed=state is not None, start=start)
    method.train()
    return fit(trainer, folder, config, console)


def batch_source(
    method: Trainable, motions: MotionSet, config: RunConfig, device: torch.device, ranks: Ranks
) -> BatchSource:
    """Training batches as the method wants them: windows, or clips of whole sequences, which it then has met."""
    settings = config.train
    if not isinstance(method, SequenceLearner):
        share = ranks.share(settings.batch)
        return WindowSource(
            motions, TRAIN, method.frames, settings.batch, settings.seed, device, share,
            labelled=method.uses_labels, bucket=method.bucket,
        )  # fmt: skip
    source = SequenceSource(method, motions, TRAIN, settings.batch, settings.seed, device)
    method.meet(source)
    return source


def settings_to_start_from(method: str, run: Path) -> dict[str, Any]:
    """Settings that a run of `method` must share with the run whose weights it is to start from.

    Raises:
        MdtoolError: no such run, or one that this method cannot start from.
    """
    return method_class(method).settings_from(load_method(run)[0])


def _warm_start(method: Trainable, config: RunConfig) -> str:
    """Take over the weights that the settings name; what to say of it in the log."""
    if config.init_from is None:
        return ""
    other, track, sha256 = load_method(config.init_from)
    method.start_from(other)
    return f", from the weights {track} of {config.init_from} (sha256 {sha256[:12]})"


def _open(folder: RunFolder, config: RunConfig, trainer: Trainer, resumed: bool, start: str) -> None:
    """Make the folder say where the run stands before its next step."""
    on = "" if trainer.ranks.world == 1 else f", on {trainer.ranks.world} ranks"
    if not resumed:
        folder.write_config(config)
        folder.note(f"started: {config.method}, preset {config.preset}, {config.train.steps} steps{on}{start}")
        save(trainer, folder, config.train)
        return
    folder.cut_metrics(trainer.step)
    folder.note(f"resumed at step {trainer.step}{on}")
    if config != folder.read_config():
        folder.write_config(config)


def _state_to_resume(config: RunConfig, folder: RunFolder) -> dict[str, Any] | None:
    """The saved state of the same run; None when there is none."""
    if not folder.config_path.exists():
        if folder.path.is_dir() and any(folder.path.iterdir()):
            raise MdtoolError(f"{folder.path} holds files but no run: choose another --out")
        require_writable(folder.config_path)
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
        raise error.at(folder.config_path) from error
    try:
        method.load_state_dict(weights)
    except RuntimeError as error:
        reason = shorten(" ".join(str(error).split()), 200)
        raise MdtoolError(f"the weights of {path} do not fit its settings, were they edited? {reason}") from error
    return method.eval(), track, sha256


def load_generator(
    path: str | Path,
    track: str | None = None,
    device: torch.device | None = None,
    ranks: Ranks | None = None,
    step: int | None = None,
) -> Generator:
    """A run that makes motion, with the weights of its newest step or of another one; ranks share its samples.

    Raises:
        MdtoolError: no such run, or a run that makes no motion.
    """
    method, track, sha256 = load_method(path, track, step)
    if not isinstance(method, Method):
        raise MdtoolError(f"{path} is a run of {type(method).__name__} and makes no motion: give a generator's run")
    try:
        method.require_ready()
    except MdtoolError as error:
        raise error.at(path) from error
    folder, where = RunFolder(path), device or torch.device("cpu")
    config = folder.read_config()
    loaded = folder.newest_step() if step is None else step
    if 0 < config.guide_step < loaded and config.guide_step in folder.steps():
        method.guide_by(lambda: load_method(path, track, config.guide_step)[0].to(where))
    generator = Generator(method.to(where), track, sha256)
    generator.gender = config.gender or ""
    generator.spread = (ranks or Ranks()).spread
    return generator


BATCH = 16
"""Windows per call of the recogniser: on a CPU larger batches spend their time in page faults."""


class LoadedRecogniser:
    """A trained recogniser as the evaluation uses it; several ranks share its windows."""

    def __init__(self, method: Classifier, sha256: str, ranks: Ranks | None = None) -> None:
        self.method, self.sha256, self.ranks = method, sha256, ranks or Ranks()
        self.actions, self.frames, self.fps = method.actions, method.frames, method.fps

    def features_and_logits(self, rot6d: torch.Tensor, root: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(features [n, F], logits [n, actions]) of windows [n, T, 24, 6], [n, T, 3], in batches that fit a cache."""

        def judge(first: int) -> tuple[torch.Tensor, torch.Tensor]:
            return self.method.features_and_logits(rot6d[first : first + BATCH], root[first : first + BATCH])

        parts = self.ranks.spread(judge, range(0, len(rot6d), BATCH))
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])

    def follow_publication(self, published: bool) -> None:
        """Judge as the published recogniser does where that differs from the run's settings."""
        self.method.follow_publication(published)


def load_recogniser(path: str | Path, ranks: Ranks | None = None) -> LoadedRecogniser:
    """A recogniser's run; several ranks share its windows.

    Raises:
        MdtoolError: no such run, or a run of another method.
    """
    method, _, sha256 = load_method(path)
    if not isinstance(method, Classifier):
        raise MdtoolError(f"{path} is not a recogniser's run: train one with `mdtool train --method recogniser`")
    return LoadedRecogniser(method, sha256, ranks)


def newest_run(folder: Path, makes_motion: bool, console: Console) -> Path:
    """The most recently written generator's or recogniser's run under `folder`; a damaged run only makes a note.

    Raises:
        MdtoolError: there is none.
    """
    found = newest_of(folder, method_makes_motion if makes_motion else recognises, console)
    if found is None:
        kind, advice = ("generator", "") if makes_motion else ("recogniser", " --method recogniser")
        raise MdtoolError(
            f"no trained {kind} under {folder}/: make one with `mdtool train{advice}`, or name its folder"
        )
    return found


def newest_of(folder: Path, wanted: Callable[[str], bool], console: Console) -> Path | None:
    """The most recently written run under `folder` of a wanted method; None without one.

    Args:
        wanted: told a method's name.
        console: gets a note on every run whose settings cannot be read.
    """

    def pass_over(error: str) -> None:
        console.print(f"note: passed over {error}", highlight=False, soft_wrap=True)

    runs = []
    for run, config in readable_runs(sorted(path.parent for path in folder.glob("*/config.toml")), pass_over):
        if wanted(config.method) and run.steps():
            written = run.state_path if run.state_path.exists() else run.config_path  # an imported run has no state
            runs.append((written.stat().st_mtime, run.path))
    return max(runs)[1] if runs else None
