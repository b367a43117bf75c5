"""The thesis's findings, each checked against what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mdtool.evaluation.results import Results
from mdtool.report.collect import Row, Run, Setup, Study
from mdtool.report.published import HEADINGS, METRICS, ROWS, UESTC_ACTIONS
from mdtool.report.tables import score_of, value

GAIN = 1.8
"""FID by which EMA and importance sampling must beat the baseline of phase 2."""
MONOTONE = 0.9
"""Rank correlation between timestep and draws above which draws increase with the timestep."""
TOLERANCE = 2.0
"""Printed standard deviations within which a number counts as reproduced."""
_CHALLENGERS = ("P2-EMA-A", "P2-EMA-B", "P2-IS", "P2-A+IS", "P2-B+IS")
_BANDS = 10


class Verdict(StrEnum):
    """What the measured numbers say."""

    holds = "holds"
    fails = "does not hold"
    unknown = "cannot be judged"


@dataclass(frozen=True)
class Claim:
    """A finding, the verdict on it, and the numbers behind it."""

    name: str
    sentence: str
    verdict: Verdict
    evidence: str


def check_claims(study: Study) -> list[Claim]:
    """The four findings of the thesis, and whether its numbers are reproduced; evaluations of one setup at a time."""
    return [_early_ema(study), _gains(study), _no_difference(study), _draws_rise(study), _reproduced(study)]


def claims_to_markdown(claims: Sequence[Claim]) -> str:
    """The verdicts as a Markdown section."""
    lines = ["## Claims", "", "| | claim | verdict | numbers |", "|---|---|---|---|"]
    lines += [f"| {c.name} | {c.sentence} | **{c.verdict}** | {c.evidence} |" for c in claims]
    return "\n".join(lines) + "\n"


def _early_ema(study: Study) -> Claim:
    """(a): at the first checkpoint the averaged weights are far ahead of the raw ones."""
    name, sentence = "a", "at the first checkpoint the FID of every EMA is less than half that of the raw weights"
    for setup in study.setups():
        curves = [study.curve(key, setup) for key in ("P2-base", "P2-EMA-A", "P2-EMA-B")]
        if not all(curves):
            continue
        firsts = [curve[0] for curve in curves]
        steps = {entry.checkpoint.step for entry in firsts}
        fids = [_fid_test(entry.results) for entry in firsts]
        if len(steps) > 1 or None in fids:
            continue
        raw, *averaged = [fid[0] for fid in fids if fid]
        last = max(entry.checkpoint.step for entry in curves[0])
        if steps == {last}:
            evidence = f"only one checkpoint (step {last:,}) was evaluated"
            return Claim(name, sentence, Verdict.unknown, evidence)
        verdict = Verdict.holds if max(averaged) < raw / 2 else Verdict.fails
        shares = ", ".join(f"{fid:.2f} ({fid / raw:.2f} of it)" for fid in averaged)
        evidence = f"FID test at step {steps.pop():,}: raw {raw:.2f}; slow and fast EMA {shares}"
        return Claim(name, sentence, verdict, evidence)
    return Claim(name, sentence, Verdict.unknown, "no evaluations of P2-base and both its EMAs at one step and setup")


def _gains(study: Study) -> Claim:
    """(b): both strategies, alone and together, beat the baseline."""
    name = "b"
    sentence = f"every EMA and importance-sampling row of phase 2 beats the baseline's FID test by at least {GAIN:g}"
    found = _complete(study, ("P2-base", *_CHALLENGERS))
    if found is None:
        return Claim(name, sentence, Verdict.unknown, "not all six rows of phase 2 were evaluated in one setup")
    base = _fid_test(found["P2-base"].results)
    fids = {key: _fid_test(found[key].results) for key in _CHALLENGERS}
    if base is None or None in fids.values():
        return Claim(name, sentence, Verdict.unknown, "FID test was not measured")
    gains = {key: base[0] - fid[0] for key, fid in fids.items() if fid}
    told = ", ".join(f"{key} {gain:+.2f} ({gain / base[0]:+.0%})" for key, gain in gains.items())
    verdict = Verdict.holds if min(gains.values()) >= GAIN else Verdict.fails
    return Claim(name, sentence, verdict, f"P2-base {base[0]:.2f} ± {base[1]:.2f}; gains of {told}")


def _no_difference(study: Study) -> Claim:
    """(c): at full length the strategies end where the baseline ends."""
    name, sentence = (
        "c",
        "FID test of P3 and P1-100 differ by no more than one standard deviation (the smaller of both)",
    )
    found = _complete(study, ("P1-100", "P3"))
    pair = [_fid_test(found[key].results) for key in ("P1-100", "P3")] if found else []
    if len(pair) < 2 or pair[0] is None or pair[1] is None:
        return Claim(name, sentence, Verdict.unknown, "P1-100 and P3 were not both evaluated in one setup")
    (one, one_std), (other, other_std) = pair[0], pair[1]
    evidence = f"P1-100 {one:.2f} ± {one_std:.2f}, P3 {other:.2f} ± {other_std:.2f}, difference {other - one:+.2f}"
    if math.isnan(one_std) or math.isnan(other_std):
        return Claim(name, sentence, Verdict.unknown, f"{evidence}; one seed has no standard deviation")
    verdict = Verdict.holds if abs(other - one) <= min(one_std, other_std) else Verdict.fails
    return Claim(name, sentence, verdict, evidence)


def _draws_rise(study: Study) -> Claim:
    """(d): importance sampling draws large timesteps most."""
    name, sentence = "d", "loss-aware sampling draws a timestep the more often the larger it is"
    runs = [run for run in (study.run_of("phase2-is"), study.run_of("phase3")) if run is not None]
    told, verdicts = [], []
    for run in runs:
        after = draws_after_warm_up(run)
        if after is None:
            continue
        correlation = rank_correlation(np.arange(len(after)), after)
        bands = [
            float(band.mean()) * len(after) / after.sum() for band in np.array_split(after, min(_BANDS, len(after)))
        ]
        verdicts.append(correlation >= MONOTONE and bands[-1] > bands[0])
        told.append(
            f"{run.path.name}: rank correlation {correlation:.2f}; lowest tenth drawn {bands[0]:.2f} times as often as "
            f"uniformly, highest {bands[-1]:.2f}"
        )
    if not told:
        return Claim(name, sentence, Verdict.unknown, "no loss-aware run of phase 2 or 3 has recorded draws")
    return Claim(name, sentence, Verdict.holds if all(verdicts) else Verdict.fails, "; ".join(told))


def _reproduced(study: Study) -> Claim:
    """The numbers themselves, within two printed standard deviations."""
    name = "numbers"
    sentence = f"every score of ours lies within {TOLERANCE:g} standard deviations of the printed one"
    setups = [(setup, [row for row in study.rows(setup) if row.key in ROWS]) for setup in study.setups()]
    setup_rows = max((rows for _, rows in setups), key=len, default=[])
    if not setup_rows:
        return Claim(name, sentence, Verdict.unknown, "no row of the thesis was evaluated")
    reason = _not_the_thesis(setup_rows)
    if reason:
        return Claim(name, sentence, Verdict.unknown, reason)
    missed, seen = [], 0
    for row in setup_rows:
        for metric in METRICS:
            score, (mean, std) = score_of(row.results, metric), ROWS[row.key].value(metric)
            if score is not None:
                seen += 1
                if abs(score.mean - mean) > TOLERANCE * std:
                    missed.append(f"{row.key} {HEADINGS[metric]} {value(score, metric)} (printed {mean:g} ± {std:g})")
    evidence = f"{seen - len(missed)} of {seen} within" + (f"; not: {', '.join(missed)}" if missed else "")
    return Claim(name, sentence, Verdict.fails if missed else Verdict.holds, evidence)


def _not_the_thesis(rows: Sequence[Row]) -> str:
    """Why rows cannot be held against the printed ones; empty when they can."""
    actions = len(rows[0].results.actions)
    if actions != UESTC_ACTIONS:
        return f"the recordings are not UESTC's (they have {actions} actions, not {UESTC_ACTIONS})"
    changed = sorted({key for row in rows for key in row.run.changes})
    if changed:
        return f"the runs were not trained as published: {', '.join(changed)} differ"
    return ""


def draws_after_warm_up(run: Run) -> np.ndarray | None:
    """Draws per timestep [N] without the first bin, where the sampler still is uniform; None when nothing is left."""
    if run.draws is None or len(run.draws) < 2:
        return None
    after: np.ndarray = run.draws[1:].sum(0)
    return after if after.sum() else None


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation; equal values share the mean of their ranks. NaN when one of them is constant."""
    ranks = []
    for values in (first, second):
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - (counts - 1) / 2)[inverse])
    if any(rank.std() == 0 for rank in ranks):
        return math.nan
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _complete(study: Study, keys: Sequence[str]) -> dict[str, Row] | None:
    """The rows of `keys` in the first setup that has them all."""
    for setup in study.setups():
        rows = _by_key(study, setup)
        if all(key in rows for key in keys):
            return rows
    return None


def _by_key(study: Study, setup: Setup) -> dict[str, Row]:
    return {row.key: row for row in study.rows(setup)}


def _fid_test(results: Results) -> tuple[float, float] | None:
    """(mean, standard deviation) of FID test."""
    spread = score_of(results, "fid_test")
    return None if spread is None else (spread.mean, spread.std)
