"""Trained runs of several families side by side: how good, how fast, how large.

Each run is measured in a process of its own, one after the other on one machine.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from mdtool.errors import MdtoolError
from mdtool.evaluation.checkpoints import FOLDER
from mdtool.evaluation.memory import peak_megabytes
from mdtool.evaluation.results import read_results
from mdtool.methods.contract import FieldMethod
from mdtool.methods.generate import Generator
from mdtool.training.device import use_threads
from mdtool.training.run import load_generator, newest_of

FAST_FPS = 120.0
"""Second rate at which a run with a time axis is timed."""

Edit = Callable[[Generator], dict[str, Any]]
"""Makes an edit with a run, and tells how long it took; found by its name in another process."""


def run_of(name: str, folder: Path, console: Console) -> Path:
    """The run that a word names: a folder, or the newest run of a method under `folder`.

    Raises:
        MdtoolError: neither is there.
    """
    if Path(name, "config.toml").exists():
        return Path(name)
    found = newest_of(folder, lambda method: method == name, console)
    if found is None:
        raise MdtoolError(
            f"no trained run of {name!r} under {folder}/, and no run folder of that name: train one first"
        )
    return found


def compare(runs: list[Path], batch: int, repeats: int, threads: int, edit: Edit | None = None) -> list[dict[str, Any]]:
    """A row per run.

    Args:
        batch: motions per call where throughput is measured.
        repeats: timed repeats, of which medians are reported.
        edit: what it tells of each run is in the row too.

    Returns:
        method, run, parameters, calls, frames, fps; seconds per motion alone and motions per second in a batch; seconds
        of a step of an edit's search (decoding and its gradient); megabytes that a batch needs beyond the loaded
        network (Linux), at the default rate and at 120 fps for runs with a time axis; accuracy and FID of the newest
        evaluation in the run's folder.
    """
    rows = []
    spawn = multiprocessing.get_context("spawn")
    for run in runs:
        row: dict[str, Any] = {"run": str(run), **quality(run)}
        with spawn.Pool(1) as alone:
            row |= alone.apply(measure, (str(run), batch, repeats, threads, 0.0))
            if edit:
                row |= alone.apply(_edited, (str(run), threads, edit))
        if row["time_axis"]:
            with spawn.Pool(1) as alone:
                fast = alone.apply(measure, (str(run), batch, repeats, threads, FAST_FPS))
            row |= {f"{key}_at_120": fast[key] for key in ("motion_s", "peak_mb")}
        rows.append(row)
    return rows


def quality(run: Path) -> dict[str, Any]:
    """Scores of the newest evaluation in the run's folder, with what makes them comparable; empty without one."""
    files = sorted((run / FOLDER).glob("*.json"), key=lambda path: path.stat().st_mtime)
    if not files:
        return {}
    results = read_results(files[-1])
    found: dict[str, Any] = {"protocol": results.protocol, "count": results.count}
    for split in results.splits[:1]:
        for metric in ("accuracy", "fid"):
            spread = results.score(metric, "gen", split)
            if spread is not None:
                found[metric] = spread.mean
        floor = results.score("fid", "real", split)
        found |= {"split": split, "fid_floor": None if floor is None else floor.mean}
    return found


def _edited(run: str, threads: int, edit: Edit) -> dict[str, Any]:
    use_threads(threads)
    return edit(load_generator(run))


def measure(run: str, batch: int, repeats: int, threads: int, fps: float) -> dict[str, Any]:
    """Speed and memory of one run, in the process that calls this; `fps` 0 is the run's own rate."""
    use_threads(threads)
    generator = load_generator(run)
    method, about = generator.method, generator.method.describe()
    labels = [0] * batch
    axis = {"fps": fps} if fps else {}
    generator.sample(labels[:1], 0, batch=1, **axis)  # type: ignore[arg-type]
    peak_mb = peak_megabytes(lambda: generator.sample(labels, 0, batch=batch, **axis))  # type: ignore[arg-type]

    def timed(count: int) -> float:
        spent = []
        for _ in range(repeats):
            began_s = time.perf_counter()
            generator.sample(labels[:count], 0, batch=count, **axis)  # type: ignore[arg-type]
            spent.append(time.perf_counter() - began_s)
        return statistics.median(spent)

    noise = method.noise([torch.Generator().manual_seed(0)])
    method.requires_grad_(False)
    steps = []
    for _ in range(repeats):
        began_s = time.perf_counter()
        searched = noise.clone().requires_grad_()
        label = torch.zeros(1, dtype=torch.int64) if about.conditions == "action" else None
        method.decode(searched, label, **method.smooth_options()).square().sum().backward()
        steps.append(time.perf_counter() - began_s)
    return {
        "method": about.method,
        "parameters": about.parameters,
        "calls": about.network_calls,
        "frames": generator.frames,
        "fps": fps or generator.fps,
        "time_axis": isinstance(method, FieldMethod),
        "motion_s": timed(1),
        "motions_per_s": batch / timed(batch),
        "search_step_s": statistics.median(steps),
        "peak_mb": peak_mb,
    }
