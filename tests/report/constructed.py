"""Runs and evaluations made up from numbers, so that what a report says about them is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mdtool.config import RunConfig, load_preset, override
from mdtool.evaluation.checkpoints import Checkpoint, Evaluated
from mdtool.evaluation.physical import Card
from mdtool.evaluation.results import Results, Spread
from mdtool.report.collect import Run, Study
from mdtool.report.published import METRICS, ROWS, row_of

UESTC = [f"action {k}" for k in range(40)]


def spread(mean: float, std: float) -> Spread:
    """Three values with exactly this mean and unbiased standard deviation."""
    return Spread((mean - std, mean, mean + std))


def results(scores: dict[str, tuple[float, float]], recogniser: str = "ab" * 32, **more: Any) -> Results:
    """Results of (mean, std) by metric of a table, for a generator; recordings score FID 2.5."""
    names = {
        "accuracy": "accuracy_gen_train",
        "diversity": "diversity_gen_train",
        "multimodality": "multimodality_gen_train",
    }
    names |= {"fid_train": "fid_gen_train", "fid_test": "fid_gen_test"}
    measured = {names[metric]: spread(*value) for metric, value in scores.items()}
    measured |= {"fid_real_train": spread(2.5, 0.1), "fid_real_test": spread(2.75, 0.2)}
    settings = {
        "data": "motions.h5",
        "actions": UESTC,
        "seeds": [0, 1, 2],
        "count": 1000,
        "splits": ["train", "test"],
        "frames": 60,
        "fps": 30.0,
        **more,
    }
    return Results(
        card=Card(0, 0, [], [], ("tested", "recordings")), recogniser_sha256=recogniser, scores=measured, **settings
    )


def printed_scores(key: str) -> dict[str, tuple[float, float]]:
    """What the thesis printed for a row."""
    return {metric: ROWS[key].value(metric) for metric in METRICS}


def run(
    preset: str, fids: dict[str, dict[int, float]] | None = None, changes: list[str] | None = None, **more: Any
) -> Run:
    """A run of a preset, as published.

    Args:
        fids: track → step → FID test, with the printed scores for the rest; the printed numbers at the last step when
            not given.
        changes: `section.key=value` that differ from the preset.
    """
    table = load_preset(preset)
    override(table, changes or [])
    config = RunConfig(
        method="mdm", preset=preset, data="motions.h5", data_sha256="", actions=UESTC, fps=30.0,
        train=table["train"], model=table["model"],
    )  # fmt: skip
    tracks = ["raw", *(f"ema:{decay:g}" for decay in config.train.ema)]
    evaluations = []
    for place, track in enumerate(tracks):
        row = row_of(preset, place - 1 if place else None)
        if row is None:
            continue
        values = {config.train.steps: row.value("fid_test")[0]} if fids is None else fids.get(track, {})
        for step, fid in values.items():
            scores = printed_scores(row.key) | {"fid_test": (fid, row.value("fid_test")[1])}
            evaluations.append(Evaluated(Checkpoint(step, track), results(scores, **more)))
    name = preset if not changes else f"{preset}-{changes[0].partition('=')[2]}"
    return Run(Path("runs") / name, config, evaluations)


def rising_draws(bins: int = 20, timesteps: int = 100) -> np.ndarray:
    """Draws that grow with the timestep after a first, uniform bin."""
    draws = np.tile(np.arange(1, timesteps + 1) * 10, (bins, 1))
    draws[0] = 505
    return draws


def thesis_study() -> Study:
    """All five runs with the printed numbers, and the figure's first checkpoints."""
    base = {
        "raw": {25_000: 305.0, 50_000: 60.0, 75_000: 22.0, 100_000: 19.0, 125_000: 17.904},
        "ema:0.9999": {25_000: 71.0, 50_000: 30.0, 75_000: 20.0, 100_000: 17.0, 125_000: 16.074},
        "ema:0.9995": {25_000: 69.0, 50_000: 29.0, 75_000: 19.0, 100_000: 16.5, 125_000: 15.885},
    }
    aware = {
        "raw": {25_000: 208.0, 50_000: 50.0, 75_000: 21.0, 100_000: 17.0, 125_000: 15.507},
        "ema:0.9999": {125_000: 15.760},
        "ema:0.9995": {125_000: 15.020},
    }
    runs = [run("phase1-1000"), run("phase1-100"), run("phase2-base", base), run("phase2-is", aware), run("phase3")]
    for k in (3, 4):
        runs[k] = Run(runs[k].path, runs[k].config, runs[k].evaluations, rising_draws(), 1250)
    return Study(runs)
