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
from mdtool.evaluation.physical import ActionRow, Card, CardRow

PROTOCOL = "action-to-motion 1"
"""Name and version of the protocol; results of different protocols are not comparable."""


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


@dataclass(frozen=True)
class Results:
    """Everything an evaluation found, and what it must say for its numbers to be comparable.

    Scores are named METRIC_WHO_SPLIT: `who` is gen for the motions under test, compared with a draw of recordings,
    and real for that draw itself, compared with another. So `fid_real_train` is the floor: the FID that perfect
    motions would get at this count. `fid_train_test` is that of train recordings against test recordings: what
    copies of the training set would get.
    """

    card: Card
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
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def protocol(self) -> str:
        """Name and version of the protocol."""
        return PROTOCOL

    def score(self, metric: str, who: str, split: str) -> Spread | None:
        """One score; None when it was not measured."""
        return self.scores.get(f"{metric}_{who}_{split}")

    def to_dict(self) -> dict[str, Any]:
        """Plain types for JSON; numbers that do not exist are null."""
        table = {"protocol": PROTOCOL, **asdict(self)}
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
    if not isinstance(table, dict) or table.pop("protocol", None) != PROTOCOL:
        raise MdtoolError(f"{path} is not a results file of protocol {PROTOCOL!r}: evaluate again")
    try:
        return _from_dict(table)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise MdtoolError(f"{path} is a damaged results file ({error!r}): evaluate again") from error


def _from_dict(table: dict[str, Any]) -> Results:
    """The inverse of `Results.to_dict`, without the protocol."""
    plain = table["card"]
    rows = [CardRow(**_with_nan(row, CardRow)) for row in plain["rows"]]
    actions = [
        ActionRow(**{key: value for key, value in _with_nan(row, ActionRow).items() if key != "ratio"})
        for row in plain["actions"]
    ]
    card = Card(plain["clips"], plain["reference_clips"], rows, actions, tuple(plain["names"]))
    scores = {name: Spread(tuple(spread["values"])) for name, spread in table.pop("scores").items()}
    return Results(**{**table, "card": card, "scores": scores})


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
