"""What an evaluation found: spreads over seeds, confusion, the physical card; and its JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from mdtool.atomic import write_text
from mdtool.errors import MdtoolError
from mdtool.evaluation.extrapolation import Extrapolation
from mdtool.evaluation.physical import ActionRow, Card, CardRow
from mdtool.evaluation.rules import OURS, RULES, PlusMinus, Rules, rules_titled


@dataclass(frozen=True)
class Spread:
    """One score over the seeds of an evaluation."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Average over seeds."""
        return float(np.mean(self.values))

    @property
    def std(self) -> float:
        """Standard deviation between seeds, unbiased; NaN for a single seed."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else math.nan

    @property
    def ci95(self) -> float:
        """Half width of the 95 % confidence interval of the mean, 1.96 · std / √seeds."""
        return 1.96 * self.std / math.sqrt(len(self.values))

    def plus_minus(self, kind: PlusMinus) -> float:
        """What a protocol prints after the mean; NaN for a single seed."""
        if kind == "ci95":
            return self.ci95
        if kind == "std":
            return self.std
        return 1.96 * float(np.var(self.values)) if len(self.values) > 1 else math.nan


@dataclass(frozen=True)
class Results:
    """Everything an evaluation found, and what it must say for its numbers to be comparable.

    Scores are named METRIC_WHO_SPLIT: `who` is gen for the motions under test, compared with a draw of recordings,
    and real for that draw itself, compared with another. So `fid_real_train` is the floor: the FID that perfect
    motions would get at this count. `fid_train_test` is that of train recordings against test recordings: what
    copies of the training set would get. Recordings without a test split are one set: its `split` is "all".
    """

    card: Card
    protocol: str = OURS.title
    """Name and version of the rules; only rows with the same `ranking_key` may be ranked together."""
    departures: list[str] = field(default_factory=list)
    """Where the evaluation left the published protocol: fewer seeds, smaller sets, another sampler …"""
    target: str = ""
    """What was tested."""
    data: str = ""
    """The recordings."""
    actions: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    count: int = 0
    """Motions per set and seed."""
    splits: list[str] = field(default_factory=list)
    frames: int = 0
    fps: float = 0.0
    recogniser_sha256: str = ""
    scores: dict[str, Spread] = field(default_factory=dict)
    confusion: dict[str, list[list[int]]] = field(default_factory=dict)
    """WHO_SPLIT → counts of (asked action, recognised action) over all seeds, in the order of `actions`."""
    notes: list[str] = field(default_factory=list)
    """What a reader must know about the draws."""
    extrapolation: dict[str, Extrapolation] = field(default_factory=dict)
    """WHO_SPLIT → FID for N → ∞ with the points it is drawn through; empty unless asked for."""
    raw: list[CardRow] = field(default_factory=list)
    """What a run's network put out before it became motion (raw_output.py); empty for files."""
    provenance: dict[str, Any] = field(default_factory=dict)

    def score(self, metric: str, who: str, split: str) -> Spread | None:
        """One score; None when it was not measured."""
        return self.scores.get(f"{metric}_{who}_{split}")

    @property
    def rules(self) -> Rules:
        """The protocol's rules."""
        return rules_titled(self.protocol) or OURS

    @property
    def ranking_key(self) -> tuple[str, int, int, str, str, int, float]:
        """What two rows must share to be ranked: protocol, count, seeds, recogniser, recordings, frames, frame rate."""
        parents = self.provenance.get("parents", {})
        recordings = str(parents.get(self.data) or parents.get(Path(self.data).name) or self.data)
        return (
            self.protocol, self.count, len(self.seeds), self.recogniser_sha256, recordings, self.frames, self.fps,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain types for JSON; numbers that do not exist are null."""
        table = {"protocol": self.protocol, "plus_minus": self.rules.plus_minus, **asdict(self)}
        table["scores"] = {
            name: {"mean": spread.mean, "std": spread.std, "ci95": spread.ci95, "values": list(spread.values)}
            for name, spread in self.scores.items()
        }
        for row, plain in zip(self.card.actions, table["card"]["actions"], strict=True):
            plain["ratio"] = row.ratio
        return _without_nan(table)


def write_results(path: str | Path, results: Results) -> None:
    """Write results as JSON, atomically.

    Raises:
        MdtoolError: the place cannot be written.
    """
    write_text(path, json.dumps(results.to_dict(), indent=1, allow_nan=False) + "\n")


def read_results(path: str | Path) -> Results:
    """Read what `write_results` wrote.

    Raises:
        MdtoolError: the file cannot be read, or is not a results file of this protocol.
    """
    try:
        table = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise MdtoolError(f"cannot read {path}: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise MdtoolError(f"{path} is not a results file: {error}") from error
    if not isinstance(table, dict) or rules_titled(table.get("protocol")) is None:
        known = ", ".join(repr(rules.title) for rules in RULES.values())
        raise MdtoolError(f"{path} is not a results file of a protocol known here ({known}): evaluate again")
    try:
        return _from_dict(table)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise MdtoolError(f"{path} is a damaged results file ({error!r}): evaluate again") from error


def _from_dict(table: dict[str, Any]) -> Results:
    """The inverse of `Results.to_dict`."""
    table.pop("plus_minus", None)
    plain = table["card"]
    rows, raw = (
        [CardRow(**_with_nan(row, CardRow)) for row in found] for found in (plain["rows"], table.pop("raw", []))
    )
    actions = [
        ActionRow(**{key: value for key, value in _with_nan(row, ActionRow).items() if key != "ratio"})
        for row in plain["actions"]
    ]
    card = Card(plain["clips"], plain["reference_clips"], rows, actions, tuple(plain["names"]))
    scores = {name: Spread(tuple(spread["values"])) for name, spread in table.pop("scores").items()}
    fits = {name: Extrapolation(**points) for name, points in table.pop("extrapolation", {}).items()}
    return Results(**{**table, "card": card, "scores": scores, "extrapolation": fits, "raw": raw})


def _with_nan(row: dict[str, Any], kind: type) -> dict[str, Any]:
    """Null is NaN again where the field is a number."""
    numbers = {entry.name for entry in fields(kind) if entry.type == "float"}
    return {key: math.nan if value is None and key in numbers else value for key, value in row.items()}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
