"""Typed settings of a run, and the presets they start from.

A preset is one TOML file in `mdtool/presets/`: a published recipe, or one of ours, with the number it should
reach in its header. A run's `config.toml` is the same table with every value resolved.
"""

from __future__ import annotations

import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mdtool.errors import MdtoolError

Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """Settings in which an unknown key is a mistake, and so is a number that is not finite."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)


class TrainConfig(Strict):
    """How a network is optimised; the same for every method."""

    steps: int = Field(gt=0)
    """Optimiser steps."""
    reference_ranks: int = Field(1, gt=0)
    """Ranks of the published training, whose steps are counted once per rank ("rank-steps")."""
    schedule_unit: Literal["rank", "optimiser"] = "rank"
    """How the published schedule counts its lengths. rank: it ends with the training. optimiser: warm-up and cosine
    are as many optimiser steps as the paper has rank-steps, so that only their first part is seen."""
    batch: int = Field(64, gt=0)
    seed: int = Field(10, ge=0)
    lr: float = Field(1e-4, gt=0)
    warmup_steps: int = Field(0, ge=0)
    """Steps of linear warm-up from 0."""
    lr_final: float | None = Field(None, ge=0)
    """Learning rate at the end of the cosine; None keeps it constant."""
    lr_decay_steps: int = Field(0, ge=0)
    """Steps after which the learning rate falls as 1 / √step, as in EDM2, instead of by a cosine; 0 never."""
    weight_decay: float = Field(0.0, ge=0)
    adam_beta1: float = Field(0.9, ge=0, lt=1)
    adam_beta2: float = Field(0.999, ge=0, lt=1)
    grad_clip: float = Field(0.0, ge=0)
    """Largest L2 norm of the whole gradient; 0 never clips."""
    ema: list[float] = []
    """Decay of each track of averaged weights."""
    ema_kind: Literal["warmup", "plain", "power"] = "warmup"
    """warmup: min(decay, (1 + n) / (10 + n)), as the thesis; plain: a constant decay, as MDM; power: every `ema` is the
    width of a power-function average as a share of the run, from which `mdtool ema` makes other widths (EDM2)."""
    ema_switch_every: int = Field(0, ge=0)
    """Steps after which the weights are replaced by the first `ema` track's (Switch EMA); 0 never."""
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    """auto is settled when the run starts: bf16 where the device multiplies it in hardware, fp32 elsewhere."""
    save_every: int = Field(1000, gt=0)
    keep_every: int = Field(0, ge=0)
    """Keep weights of every such step beside the newest ones; 0 keeps the newest only."""
    log_every: int = Field(50, gt=0)

    @model_validator(mode="after")
    def _consistent(self) -> TrainConfig:
        if self.warmup_steps > self.steps:
            raise ValueError(
                f"warmup_steps ({self.warmup_steps}) is longer than the training ({self.steps} steps): "
                "train longer, or --set train.warmup_steps=0"
            )
        if any(not 0 < decay < 1 for decay in self.ema):
            raise ValueError(f"every ema decay must lie between 0 and 1, not {self.ema}")
        if self.ema_switch_every and not self.ema:
            raise ValueError("ema_switch_every needs an ema decay to switch to")
        if self.lr_decay_steps and self.lr_final is not None:
            raise ValueError(
                "the learning rate falls by lr_final or by lr_decay_steps, not by both: --set train.lr_final=none"
            )
        if self.ema_kind == "power" and any(width >= 0.28 for width in self.ema):
            raise ValueError(f'with ema_kind "power" every ema is a share of the run below 0.28, not {self.ema}')
        if len(set(self.ema)) != len(self.ema):
            raise ValueError(f"the same ema decay is given twice: {self.ema}")
        return self


class RunConfig(Strict):
    """Everything that decides a run's numbers."""

    method: str
    preset: str
    data: str
    """Path of the motion file, as it was given."""
    data_sha256: str
    imported: str | None = None
    """The file of weights that a run was imported from; such a run has no data."""
    init_from: str | None = None
    """The run whose weights this one started from, as it was given."""
    actions: list[str]
    gender: str | None = None
    """Whose body model the shapes of its data belong to: neutral, male or female."""
    fps: float
    train: TrainConfig
    model: dict[str, Any]
    """The method's own settings; the method validates them."""

    @property
    def guide_step(self) -> int:
        """Step whose weights are kept to make guidance's unconditional prediction (`model.guide_at`); 0 for none."""
        return round(self.train.steps * float(self.model.get("guide_at", 0)))

    def to_toml(self) -> str:
        """The settings as TOML text."""
        return table_to_toml(self.model_dump(exclude_none=True))


def read_run_config(run: Path) -> RunConfig:
    """The settings of the run in a folder.

    Raises:
        MdtoolError: the folder is no run, or its settings are damaged.
    """
    path = run / "config.toml"
    if not path.exists():
        raise MdtoolError(f"{run} is not a run (it has no config.toml); make one with `mdtool train`")
    return validated(RunConfig, read_toml(path), str(path))


def preset_names() -> list[str]:
    """All presets that come with mdtool."""
    folder = resources.files("mdtool") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_preset(name: str) -> dict[str, Any]:
    """A preset's table by name, or of a user's own TOML file by path.

    `extends = "NAME"` at the top of a preset takes over another preset (or a .toml file, beside the one that names it),
    whose keys its own then replace.

    Raises:
        MdtoolError: no such preset or file, the file is not TOML, or presets that extend each other in a circle.
    """
    table, extended = _own_table(name), [name]
    while "extends" in table:
        parent = str(table.pop("extends"))
        if parent.endswith(".toml"):
            parent = str(Path(extended[-1]).parent / parent)
        if parent in extended:
            raise MdtoolError(f"preset {name} extends itself: {' → '.join([*extended, parent])}")
        extended.append(parent)
        table = _merged(_own_table(parent), table)
    return table


def _own_table(name: str) -> dict[str, Any]:
    """The table of one preset or file, as it stands there."""
    path = Path(name)
    if path.suffix == ".toml":
        return read_toml(path)
    if name not in preset_names():
        raise MdtoolError(f"no preset {name!r}: choose from {', '.join(preset_names())}, or give a .toml file")
    return tomllib.loads((resources.files("mdtool") / "presets" / f"{name}.toml").read_text("utf-8"))


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`base` with the keys of `own` over it, section by section."""
    merged = dict(base)
    for key, value in own.items():
        before = merged.get(key)
        merged[key] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's table.

    Raises:
        MdtoolError: the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise MdtoolError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MdtoolError(f"{path} is not a TOML file: {error}") from error


_OPTIONAL = ("lr_final",)
"""Settings that may be unset, where their absence means something."""


def override(table: dict[str, Any], assignments: list[str]) -> None:
    """Apply `section.key=value` assignments to a preset's table, in place; values are TOML, and `none` unsets a key.

    Raises:
        MdtoolError: an assignment without `=`, or a key whose section does not exist.
    """
    for assignment in assignments:
        key, found, text = assignment.partition("=")
        if not found:
            raise MdtoolError(f"--set {assignment}: write it as section.key=value, e.g. --set train.lr=1e-4")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        *path, last = key.strip().split(".")
        section = table
        for part in path:
            if not isinstance(section.get(part), dict):
                raise MdtoolError(f"--set {assignment}: there is no section {part!r}; sections: {', '.join(table)}")
            section = section[part]
        if value == "none" and last in _OPTIONAL:
            section.pop(last, None)
        else:
            section[last] = value


def validated(model: type[Model], values: dict[str, Any], where: str) -> Model:
    """Build a settings model, or say in one sentence which key of `where` is wrong.

    Raises:
        MdtoolError: an unknown key, or a value of the wrong type or range.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the settings"
        unknown = first["type"] == "extra_forbidden"
        told = "there is no such setting" if unknown else first["msg"].removeprefix("Value error, ")
        raise MdtoolError(f"{where}: {key}: {told}") from error


def table_to_toml(table: dict[str, Any]) -> str:
    """TOML text of a table of plain values and of sections; None has no TOML and must be left out."""
    lines: list[str] = []

    def write(section: dict[str, Any], prefix: str) -> None:
        for key, value in section.items():
            if not isinstance(value, dict):
                lines.append(f"{key} = {_toml_value(value)}")
        for key, value in section.items():
            if isinstance(value, dict):
                lines.append(f"\n[{prefix}{key}]")
                write(value, f"{prefix}{key}.")

    write(table, "")
    return "\n".join(lines).lstrip("\n") + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)
