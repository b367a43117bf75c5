"""Evaluations of every checkpoint of a run: one results file each, in the run's folder evaluations/."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdtool.errors import MdtoolError
from mdtool.evaluation.results import Results, read_results
from mdtool.training.checkpoint import RunFolder

FOLDER = "evaluations"


@dataclass(frozen=True)
class Checkpoint:
    """Weights of a run at one step."""

    step: int
    track: str
    """raw, or ema:DECAY."""


@dataclass(frozen=True)
class Evaluated:
    """A checkpoint and what an evaluation found."""

    checkpoint: Checkpoint
    results: Results


def checkpoints(run: str | Path, track: str | None = None, last: bool = False) -> list[Checkpoint]:
    """Every checkpoint that a run holds, step by step, without the untrained weights of step 0.

    Args:
        track: these weights only.
        last: those of the newest step only.

    Raises:
        MdtoolError: there are none.
    """
    folder = RunFolder(run)
    folder.read_config()
    steps = [step for step in folder.steps() if step > 0]
    found = [Checkpoint(step, name) for step in (steps[-1:] if last else steps) for name in folder.tracks(step)]
    chosen = [checkpoint for checkpoint in found if track in (None, checkpoint.track)]
    if not chosen:
        there = ", ".join(dict.fromkeys(checkpoint.track for checkpoint in found)) or "none yet"
        raise MdtoolError(f"{run} has no weights {track or ''}: it has {there}")
    return chosen


def setup_key(setup: dict[str, Any]) -> str:
    """Eight letters that stand for how an evaluation is done: protocol, judge, recordings, seeds, count, sampler …"""
    return hashlib.sha256(json.dumps(setup, sort_keys=True).encode()).hexdigest()[:8]


def results_path(run: str | Path, checkpoint: Checkpoint, key: str) -> Path:
    """Where the results of a checkpoint lie; another `setup_key` is another file."""
    name = f"step-{checkpoint.step:09d}-{checkpoint.track.replace(':', '-')}-{key}.json"
    return Path(run) / FOLDER / name


def is_evaluated(run: str | Path, checkpoint: Checkpoint, path: Path) -> bool:
    """Whether a checkpoint's results are at `path` and belong to the weights that are there now."""
    if not path.exists():
        return False
    try:
        results = read_results(path)
    except MdtoolError:
        return False
    weights = RunFolder(run).weights_sha256(checkpoint.track, checkpoint.step)
    return bool(results.provenance.get("checkpoint_sha256") == weights)


def read_evaluations(run: str | Path) -> list[Evaluated]:
    """All results in a run's folder, by step and track.

    Raises:
        MdtoolError: one of the files is damaged.
    """
    found = []
    for path in sorted((Path(run) / FOLDER).glob("step-*.json")):
        results = read_results(path)
        _, step, rest = path.stem.split("-", 2)
        found.append(Evaluated(Checkpoint(int(step), rest.rpartition("-")[0].replace("ema-", "ema:", 1)), results))
    return found
