"""What a report is about: runs, the evaluations of their checkpoints, and which of those may stand side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mdtool.config import RunConfig, TrainConfig, load_preset, validated
from mdtool.errors import MdtoolError
from mdtool.evaluation.checkpoints import Checkpoint, Evaluated, read_evaluations
from mdtool.evaluation.results import Results, read_results
from mdtool.methods.registry import makes_motion
from mdtool.report.published import ROWS, Published, row_of
from mdtool.training.checkpoint import RAW, RunFolder, readable_runs

STUDIED = (
    ("model", "timestep_sampler", "timesteps"),
    ("model", "step_weighting", "weighting"),
    ("train", "ema_switch_every", "switch EMA every"),
)
"""Settings (section, key, in words) that make another method of a run: it gets a row of its own, beside the printed."""
SAMPLING = ("steps", "sampler", "guidance", "temperature")
"""Options of `mdtool evaluate` that say how motions are sampled, as results have them in their provenance."""
SAMPLES = "samples.h5"
"""Motions of a run for the strips, in its folder."""


@dataclass(frozen=True)
class Setup:
    """How an evaluation was done; only evaluations of one setup are comparable."""

    protocol: str
    count: int
    seeds: int
    recogniser_sha256: str
    data: str
    """Hash of the recordings, or their path when the results do not say."""
    frames: int
    fps: float
    sampling: str = ""
    """How motions were sampled where that was asked for, "steps 20, guidance 2.5"; else as the run or protocol does."""

    @staticmethod
    def of(results: Results) -> Setup:
        """The setup of a results file."""
        return Setup(*results.ranking_key, _sampling(results))


@dataclass(frozen=True)
class Row:
    """One line of a table of ours: a run's weights at the last evaluated step."""

    key: str
    """The thesis's name of it, or one made of the run's name and its weights."""
    label: str
    run: Run
    evaluated: Evaluated

    @property
    def results(self) -> Results:
        """What the evaluation found."""
        return self.evaluated.results


@dataclass(frozen=True)
class Run:
    """A training run with its evaluations."""

    path: Path
    config: RunConfig
    evaluations: list[Evaluated] = field(default_factory=list)
    draws: np.ndarray | None = None
    """Draws per bin of optimiser steps and timestep [bins, N]."""
    steps_per_row: int = 1

    @property
    def samples(self) -> Path | None:
        """The run's motions for the strips, when there are any."""
        path = self.path / SAMPLES
        return path if path.exists() else None

    @cached_property
    def preset(self) -> dict[str, Any]:
        """The preset's table that the run started from, resolved; empty when there is none of that name (any more)."""
        try:
            table = load_preset(self.config.preset)
        except MdtoolError:
            return {}
        train = validated(TrainConfig, table.get("train", {}), self.config.preset).model_dump()
        return {"train": train, "model": table.get("model", {})}

    @property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """Settings that differ from the preset: section.key → (preset's value, run's value); None where not given."""
        own = {"train": self.config.train.model_dump(), "model": self.config.model}
        return {
            f"{section}.{key}": (self.preset[section].get(key), own[section].get(key))
            for section in own
            if self.preset
            for key in sorted({*self.preset[section], *own[section]})
            if self.preset[section].get(key) != own[section].get(key)
        }

    def variation(self) -> str:
        """What was studied beyond the preset, in words; empty when nothing."""
        changes, words = self.changes, []
        for section, key, name in STUDIED:
            value = changes.get(f"{section}.{key}", (None, None))[1]
            if value not in (None, 0, "none"):
                unit = " steps" if key == "ema_switch_every" else ""
                words.append(f"{name} {_in_words(value)}{unit}")
        return ", ".join(words)

    def row_name(self, track: str) -> tuple[str, str]:
        """(key, label) of the row of one of the run's weights."""
        published = self.published(track)
        weights = track if track == RAW else f"EMA {track.partition(':')[2]}"
        if published is None:
            return f"{self.path.name} {track}", f"{self.path.name} ({weights})"
        variation = self.variation()
        if variation:
            return f"{published.key} + {variation}", f"{published.key} + {variation}"
        decay = track.partition(":")[2]
        return published.key, published.label.replace(published.decay, decay) if decay else published.label

    def published(self, track: str) -> Published | None:
        """The printed row that these weights are made to reach, or vary."""
        if track == RAW:
            return row_of(self.config.preset, None)
        decays = [f"ema:{decay:g}" for decay in self.config.train.ema]
        return row_of(self.config.preset, decays.index(track)) if track in decays else None


@dataclass(frozen=True)
class Study:
    """All runs of a report."""

    runs: list[Run]
    passed_over: list[str] = field(default_factory=list)
    """What is wrong with runs of a folder of runs that could not be read."""

    def setups(self) -> list[Setup]:
        """Every way in which something was evaluated; the one with most evaluations first."""
        found = [Setup.of(entry.results) for run in self.runs for entry in run.evaluations]
        return sorted(set(found), key=lambda setup: (-found.count(setup), astuple(setup)))

    def rows(self, setup: Setup) -> list[Row]:
        """The last evaluated step of every run's weights, printed rows first and in the thesis's order."""
        rows = []
        for run in self.runs:
            newest: dict[str, Evaluated] = {}
            for entry in run.evaluations:
                if Setup.of(entry.results) == setup:
                    newest[entry.checkpoint.track] = entry
            rows += [Row(*run.row_name(track), run, entry) for track, entry in newest.items()]
        order = {key: place for place, key in enumerate(ROWS)}
        return sorted(rows, key=lambda row: order.get(row.key, len(order)))

    def curve(self, key: str, setup: Setup) -> list[Evaluated]:
        """Evaluations of one row, one at every step."""
        found = {
            (run.path, entry.checkpoint.step): entry
            for run in self.runs
            for entry in run.evaluations
            if run.row_name(entry.checkpoint.track)[0] == key and Setup.of(entry.results) == setup
        }
        return list(found.values())

    def run_of(self, preset: str) -> Run | None:
        """The run of a preset, without variations."""
        return next((run for run in self.runs if run.config.preset == preset and not run.variation()), None)


def read_study(targets: Sequence[str | Path]) -> Study:
    """Runs and their evaluations.

    Args:
        targets: run folders; folders that hold runs at any depth; results files that `mdtool evaluate` made of runs.

    Raises:
        MdtoolError: a folder without runs, a results file that is about no run, or a damaged file; among several runs
            of one folder, one whose settings cannot be read is only noted.
    """
    files = [Path(target) for target in targets if Path(target).is_file()]
    passed_over: list[str] = []
    folders = [path for target in targets if Path(target) not in files for path in find_runs(target, passed_over)]
    loose = [(path, read_results(path)) for path in files]
    for path, results in loose:
        if not results.provenance.get("checkpoint_sha256") or not (Path(results.target) / "config.toml").exists():
            raise MdtoolError(f"{path} is about {results.target or 'recordings'}, not about a run that is here")
        folders.append(Path(results.target))
    runs = {path.resolve(): path for path in folders}
    study = Study([read_run(path) for path in runs.values()], passed_over)
    for _, results in loose:
        run = study.runs[list(runs).index(Path(results.target).resolve())]
        run.evaluations.append(Evaluated(_checkpoint_of(results, run), results))
        run.evaluations.sort(key=lambda entry: entry.checkpoint.step)
    return study


def find_runs(target: str | Path, passed_over: list[str]) -> list[Path]:
    """Folders of generators' runs at or under a folder, by name.

    Args:
        target: a run, or a folder of runs.
        passed_over: gets a sentence for every run below `target` whose settings cannot be read.

    Raises:
        MdtoolError: there are none, or `target` is itself a run that cannot be read.
    """
    target = Path(target)
    found = sorted(path.parent for path in target.rglob("config.toml"))
    if target in found:
        RunFolder(target).read_config()
    runs = [run.path for run, config in readable_runs(found, passed_over.append) if makes_motion(config.method)]
    if not runs:
        raise MdtoolError(f"there is no generator's run in {target}: make one with `mdtool train`, or give its folder")
    return runs


def read_run(path: str | Path) -> Run:
    """A run with its evaluations and its draws.

    Raises:
        MdtoolError: no run, or a damaged file.
    """
    folder = RunFolder(path)
    draws, per_row = folder.read_histogram() or (None, 1)
    return Run(folder.path, folder.read_config(), read_evaluations(path), draws, per_row)


def _checkpoint_of(results: Results, run: Run) -> Checkpoint:
    """The weights that a results file of a run is about."""
    track = str(results.provenance.get("weights", RAW))
    step = results.provenance.get("step")
    return Checkpoint(int(step) if step is not None else RunFolder(run.path).newest_step(), track)


def _sampling(results: Results) -> str:
    """What was asked of the sampling, in words; a published protocol keeps its own choices, and notes departures."""
    if results.rules.published:
        asked = [words.partition(" instead of ")[0] for words in results.departures if words.startswith(SAMPLING)]
    else:
        given = ((name, results.provenance.get(name)) for name in SAMPLING)
        asked = [f"{name} {value}" for name, value in given if value is not None]
    return ", ".join(asked)


def _in_words(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
