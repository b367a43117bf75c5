"""The thesis's figures 4.1 to 4.3, from a study: FID over training, draws of timesteps, strips of poses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mdtool.body.mannequin import mannequin
from mdtool.motion.file import read_motions
from mdtool.render.exhibit import exhibits
from mdtool.render.strip import strip_picture
from mdtool.report.collect import Run, Setup, Study
from mdtool.report.plots import Curve, curves_plot, draws_plot, figure_png, figure_svg
from mdtool.report.published import ROWS, STRIP_ACTIONS
from mdtool.report.tables import describe_setup, score_of

STRIP_FRAMES = 34
"""Figure 4.3 shows every third frame of frames 1 … 34."""
STRIP_EVERY = 3
STRIP_ROWS = 4


@dataclass(frozen=True)
class Plot:
    """A figure of the report."""

    name: str
    """File name without suffix, like figure-4.1a."""
    title: str
    caption: str
    figure: Figure

    def svg(self) -> str:
        """The figure as SVG text, with the caption for those who cannot see it."""
        return figure_svg(self.figure, f"{self.title}. {self.caption}")

    def png(self) -> bytes:
        """The figure as a PNG file's bytes."""
        return figure_png(self.figure)


def study_plots(study: Study) -> list[Plot]:
    """Every figure 4.1 and 4.2 that the study has data for, and the curves of runs beyond the thesis."""
    plots: list[Plot | None] = [
        _curves(study, "figure-4.1a", "Phase 2: FID over training", ("P2-base", "P2-EMA-A", "P2-EMA-B", "P2-IS")),
        _draws(study.run_of("phase2-is"), "figure-4.1b", "Phase 2"),
        _curves(study, "figure-4.2a", "Phase 3: FID over training", ("P1-100", "P3")),
        _draws(study.run_of("phase3"), "figure-4.2b", "Phase 3"),
        _beyond(study),
        _others(study),
    ]
    return [plot for plot in plots if plot is not None]


def study_strip(
    study: Study, workers: int | None = None, progress: Callable[[int, int], None] | None = None
) -> tuple[Run, np.ndarray] | None:
    """Figure 4.3: poses of the last run that has samples, one action a row; (run, picture [height, width, 3] uint8).

    Phase 3's run is taken when it has samples. None when no run has any.
    """
    with_samples = [run for run in study.runs if run.samples is not None]
    phase3 = study.run_of("phase3")
    if phase3 in with_samples:
        with_samples.append(phase3)
    if not with_samples:
        return None
    run = with_samples[-1]
    motions = read_motions(Path(str(run.samples)))
    first = {motion.action: motion for motion in reversed(list(motions))}
    names = [*(name for name in STRIP_ACTIONS if name in first), *reversed(first)]
    chosen = [first[name] for name in dict.fromkeys(names)][:STRIP_ROWS]
    clips = [motion.slice(0, min(len(motion), STRIP_FRAMES)) for motion in chosen]
    return run, strip_picture(exhibits(clips), mannequin(), STRIP_EVERY, workers, progress=progress)


def fid_curve(study: Study, key: str, setup: Setup, label: str | None = None) -> Curve | None:
    """FID test of a row over training; FID train where there is no test split; None without two checkpoints."""
    evaluations = study.curve(key, setup)
    metric = fid_metric(study, setup)
    spreads = [(entry.checkpoint.step, score_of(entry.results, metric)) for entry in evaluations]
    there = [(step, spread) for step, spread in spreads if spread is not None]
    if len(there) < 2:
        return None
    steps, scores = zip(*there, strict=True)
    return Curve(label or key, steps, [score.mean for score in scores], [score.std for score in scores])


def fid_metric(study: Study, setup: Setup) -> str:
    """fid_test where the evaluations of a setup have it, else fid_train."""
    rows = study.rows(setup)
    return "fid_test" if any(score_of(row.results, "fid_test") for row in rows) else "fid_train"


def _curves(study: Study, name: str, title: str, keys: tuple[str, ...]) -> Plot | None:
    """Curves of rows in the first setup that has any of them."""
    for setup in study.setups():
        found = [fid_curve(study, key, setup) for key in keys]
        curves = [curve for curve in found if curve is not None]
        if curves:
            return _plot(study, setup, name, title, curves)
    return None


def _beyond(study: Study) -> Plot | None:
    """The baseline beside every variation of a row of phase 2."""
    for setup in study.setups():
        keys = [row.key for row in study.rows(setup)]
        varied = [key for key in keys if key not in ROWS and key.partition(" + ")[0] in ROWS]
        found = [fid_curve(study, key, setup) for key in (*(("P2-base", "P2-IS") if varied else ()), *varied)]
        curves = [curve for curve in found if curve is not None]
        if varied and curves:
            return _plot(study, setup, "figure-beyond", "Beyond the thesis: FID over training", curves)
    return None


def _others(study: Study) -> Plot | None:
    """Curves of runs that are none of the thesis's."""
    for setup in study.setups():
        keys = [row.key for row in study.rows(setup) if row.key.partition(" + ")[0] not in ROWS]
        curves = [curve for curve in (fid_curve(study, key, setup) for key in keys) if curve is not None]
        if curves:
            return _plot(study, setup, "figure-runs", "FID over training", curves)
    return None


def _plot(study: Study, setup: Setup, name: str, title: str, curves: list[Curve]) -> Plot:
    split = fid_metric(study, setup).removeprefix("fid_")
    results = study.rows(setup)[0].results
    caption = (
        f"FID against {split} recordings, mean over {setup.seeds} seeds, band ± one standard deviation; "
        f"{describe_setup(setup, results)}"
    )
    floor = score_of(results, f"fid_{split}", "real")
    if floor is not None:
        caption += f"; floor {floor.mean:.2f}"
    return Plot(name, title, caption, curves_plot(curves, title, f"FID {split}"))


def _draws(run: Run | None, name: str, phase: str) -> Plot | None:
    """The heat map of a run's draws."""
    if run is None or run.draws is None or not run.draws.sum():
        return None
    title = f"{phase}: which timesteps were drawn"
    caption = f"draws of {run.path.name} per timestep, divided by what uniform sampling would draw"
    return Plot(name, title, caption, draws_plot(run.draws, run.steps_per_row, title))
