"""The numbers that the thesis printed, and which run and weights each of its rows belongs to."""

from __future__ import annotations

from dataclasses import dataclass

METRICS = ("fid_train", "fid_test", "accuracy", "diversity", "multimodality")
"""Columns of the thesis's tables, in its order."""
HEADINGS = {
    "fid_train": "FID train",
    "fid_test": "FID test",
    "accuracy": "accuracy",
    "diversity": "diversity",
    "multimodality": "multimodality",
}
REAL = "Real"


@dataclass(frozen=True)
class Published:
    """One printed row."""

    key: str
    """Name of the row in the thesis's experiments; REAL for recordings."""
    label: str
    printed: tuple[str, ...]
    """`mean ± spread` of each of METRICS, digit for digit; the spread is the standard deviation over 20 seeds for rows
    of the thesis, and what their authors printed for the others."""
    preset: str = ""
    """Preset of the run that makes this row; empty for other people's methods."""
    ema: int | None = None
    """Which of the preset's EMA tracks, counted from 0; None for the raw weights."""
    decay: str = ""
    """Decay of that track, as the label has it; a run of another length has another."""

    def value(self, metric: str) -> tuple[float, float]:
        """(mean, spread) of one of METRICS."""
        mean, _, spread = self.printed[METRICS.index(metric)].partition(" ± ")
        return float(mean), float(spread)


_ROWS = (
    Published(REAL, "Real", ("2.92 ± 0.26", "2.79 ± 0.29", "0.988 ± 0.001", "33.34 ± 0.32", "14.16 ± 0.06")),
    Published("INR", "INR", ("9.55 ± 0.06", "15.00 ± 0.09", "0.941 ± 0.001", "31.59 ± 0.19", "14.68 ± 0.07")),
    Published("MDM", "MDM", ("9.98 ± 1.33", "12.81 ± 1.46", "0.950 ± 0.000", "33.02 ± 0.28", "14.26 ± 0.12")),
    Published(
        "P1-1000",
        "P1-1000 (1,000 diffusion steps)",
        ("12.37 ± 0.86", "12.59 ± 1.22", "0.91 ± 0.01", "32.24 ± 0.51", "14.89 ± 0.35"),
        "phase1-1000",
    ),
    Published(
        "P1-100",
        "P1-100 (100 diffusion steps)",
        ("10.30 ± 0.98", "13.31 ± 0.93", "0.94 ± 0.01", "33.49 ± 0.55", "14.04 ± 0.20"),
        "phase1-100",
    ),
    Published(
        "P2-base",
        "P2-base (uniform, raw)",
        ("18.287 ± 1.081", "17.904 ± 1.318", "0.886 ± 0.010", "31.884 ± 0.550", "15.089 ± 0.308"),
        "phase2-base",
    ),
    Published(
        "P2-EMA-A",
        "P2-EMA-A (uniform, EMA 0.9999)",
        ("12.983 ± 0.990", "16.074 ± 0.948", "0.916 ± 0.011", "33.717 ± 0.517", "14.218 ± 0.269"),
        "phase2-base",
        0,
        "0.9999",
    ),
    Published(
        "P2-EMA-B",
        "P2-EMA-B (uniform, EMA 0.9995)",
        ("12.688 ± 1.075", "15.885 ± 0.929", "0.913 ± 0.012", "33.592 ± 0.526", "14.377 ± 0.266"),
        "phase2-base",
        1,
        "0.9995",
    ),
    Published(
        "P2-IS",
        "P2-IS (loss-aware, raw)",
        ("14.317 ± 1.205", "15.507 ± 1.216", "0.902 ± 0.009", "32.726 ± 0.566", "14.889 ± 0.270"),
        "phase2-is",
    ),
    Published(
        "P2-A+IS",
        "P2-A+IS (loss-aware, EMA 0.9999)",
        ("12.997 ± 1.054", "15.760 ± 0.931", "0.919 ± 0.011", "33.675 ± 0.533", "14.039 ± 0.280"),
        "phase2-is",
        0,
        "0.9999",
    ),
    Published(
        "P2-B+IS",
        "P2-B+IS (loss-aware, EMA 0.9995)",
        ("12.535 ± 1.083", "15.020 ± 0.948", "0.919 ± 0.011", "33.539 ± 0.572", "14.204 ± 0.258"),
        "phase2-is",
        1,
        "0.9995",
    ),
    Published(
        "P3",
        "P3 (loss-aware, EMA 0.9995)",
        ("9.468 ± 0.819", "13.166 ± 0.826", "0.939 ± 0.008", "33.783 ± 0.487", "14.120 ± 0.216"),
        "phase3",
        0,
        "0.9995",
    ),
)
ROWS = {row.key: row for row in _ROWS}
"""Every printed row by its key, in the thesis's order."""

TABLES = {
    "4.1": ("Phase 1: the number of diffusion steps", (REAL, "INR", "MDM", "P1-1000", "P1-100")),
    "4.2": (
        "Phase 2: EMA and importance sampling",
        ("P2-base", "P2-EMA-A", "P2-EMA-B", "P2-IS", "P2-A+IS", "P2-B+IS"),
    ),
    "4.3": ("Phase 3: both strategies at full length", (REAL, "INR", "MDM", "P1-1000", "P1-100", "P3")),
}
"""Number of each table → (title, keys of its rows)."""

PUBLISHED_ON = "UESTC, 40 actions, with the recogniser of ACTOR; 1,000 motions × 20 seeds in the rows of the thesis"
"""What the printed rows were measured on."""
UESTC_ACTIONS = 40
STRIP_ACTIONS = (
    "standing-toe-touches",
    "standing-rotation",
    "left-stretching",
    "head-anticlockwise-circling",
)
"""Actions of figure 4.3."""


def row_of(preset: str, ema: int | None) -> Published | None:
    """The printed row of a preset's raw weights (None) or of its n-th EMA track; None when there is none."""
    return next((row for row in _ROWS if row.preset and (row.preset, row.ema) == (preset, ema)), None)
