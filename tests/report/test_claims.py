"""The verdicts, on runs whose numbers are made up."""

from __future__ import annotations

import numpy as np
import pytest

from mdtool.report.claims import Verdict, check_claims, claims_to_markdown, rank_correlation
from mdtool.report.collect import Run, Study
from tests.report.constructed import rising_draws, run, thesis_study


def verdicts(study: Study) -> dict[str, Verdict]:
    return {claim.name: claim.verdict for claim in check_claims(study)}


def test_the_printed_numbers_support_the_printed_claims() -> None:
    claims = check_claims(thesis_study())
    assert {claim.name: claim.verdict for claim in claims} == dict.fromkeys(("a", "b", "c", "d", "numbers"), "holds")
    evidence = {claim.name: claim.evidence for claim in claims}
    assert evidence["a"] == (
        "FID test at step 25,000: raw 305.00; slow and fast EMA 71.00 (0.23 of it), 69.00 (0.23 of it)"
    )
    assert "P2-base 17.90 ± 1.32; gains of P2-EMA-A +1.83 (+10%)" in evidence["b"]
    assert evidence["c"].endswith("difference -0.14")
    assert evidence["numbers"] == "45 of 45 within"


def test_nothing_is_judged_from_nothing() -> None:
    assert set(verdicts(Study([run("phase1-1000", {})])).values()) == {Verdict.unknown}


def test_a_slow_start_of_the_ema_refutes_a() -> None:
    fids = {"raw": {10: 300.0, 20: 20.0}, "ema:0.9999": {10: 149.0, 20: 9.0}, "ema:0.9995": {10: 151.0, 20: 9.0}}
    assert verdicts(Study([run("phase2-base", fids)]))["a"] == Verdict.fails
    fids["ema:0.9995"][10] = 149.9
    assert verdicts(Study([run("phase2-base", fids)]))["a"] == Verdict.holds
    alone = {track: {20: values[20]} for track, values in fids.items()}
    assert verdicts(Study([run("phase2-base", alone)]))["a"] == Verdict.unknown, "the last is not the first"


@pytest.mark.parametrize(("worst", "verdict"), [(18.2, Verdict.holds), (18.21, Verdict.fails)])
def test_b_asks_for_a_gain_in_every_row(worst: float, verdict: Verdict) -> None:
    base = run("phase2-base", {"raw": {9: 20.0}, "ema:0.9999": {9: 10.0}, "ema:0.9995": {9: 10.0}})
    aware = run("phase2-is", {"raw": {9: worst}, "ema:0.9999": {9: 10.0}, "ema:0.9995": {9: 10.0}})
    assert verdicts(Study([base, aware]))["b"] == verdict
    assert verdicts(Study([base]))["b"] == Verdict.unknown


def test_c_compares_with_the_smaller_deviation() -> None:
    # printed deviations of FID test: 0.93 (P1-100) and 0.826 (P3)
    for fid, verdict in ((13.31 + 0.82, Verdict.holds), (13.31 + 0.83, Verdict.fails)):
        assert verdicts(Study([run("phase1-100"), run("phase3", {"ema:0.9995": {250_000: fid}})]))["c"] == verdict


def test_rows_of_different_recognisers_counts_or_protocols_are_never_held_against_each_other() -> None:
    for other in ({"recogniser": "cd" * 32}, {"count": 500}, {"data": "other.h5"}, {"seeds": [0, 1]}):
        assert verdicts(Study([run("phase1-100"), run("phase3", **other)]))["c"] == Verdict.unknown


@pytest.mark.parametrize(
    ("draws", "verdict"),
    [
        (rising_draws(), Verdict.holds),
        (rising_draws()[:, ::-1], Verdict.fails),
        (np.full((4, 100), 80), Verdict.fails),
        (rising_draws()[:1], Verdict.unknown),  # only the bin of the warm-up
        (rising_draws(timesteps=4), Verdict.holds),  # fewer timesteps than bands
    ],
)
def test_d_reads_the_draws_after_the_warm_up(draws: np.ndarray, verdict: Verdict) -> None:
    bare = run("phase2-is")
    assert verdicts(Study([Run(bare.path, bare.config, bare.evaluations, draws, 1250)]))["d"] == verdict


def test_numbers_are_compared_only_where_the_run_is_the_published_one() -> None:
    off = run("phase1-100", {"raw": {250_000: 13.31 + 2.01 * 0.93}})
    claim = check_claims(Study([off]))[-1]
    assert claim.verdict == Verdict.fails
    assert claim.evidence == "4 of 5 within; not: P1-100 FID test 15.18 ± 0.93 (printed 13.31 ± 0.93)"
    other_data = check_claims(Study([run("phase1-100", actions=["walk", "run"])]))[-1]
    assert (other_data.verdict, "2 actions, not 40" in other_data.evidence) == (Verdict.unknown, True)
    smaller = check_claims(Study([run("phase1-100", changes=["model.layers=2"])]))[-1]
    assert (smaller.verdict, "model.layers differ" in smaller.evidence) == (Verdict.unknown, True)


def test_a_variation_is_not_mistaken_for_the_run_that_it_varies() -> None:
    study = Study([run("phase2-is", changes=["model.timestep_sampler=uniform"]), run("phase2-base")])
    assert verdicts(study)["b"] == Verdict.unknown


def test_rank_correlation_against_its_definition() -> None:
    assert rank_correlation(np.array([1, 2, 3, 4]), np.array([10, 20, 400, 8000])) == pytest.approx(1)
    assert rank_correlation(np.array([1, 2, 3, 4]), np.array([4, 3, 2, 1])) == pytest.approx(-1)
    # ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: covariance 4.5 / sqrt(4.5 * 5)
    assert rank_correlation(np.array([1, 2, 3, 4]), np.array([1, 5, 5, 9])) == pytest.approx(4.5 / np.sqrt(22.5))
    assert np.isnan(rank_correlation(np.arange(4), np.ones(4)))


def test_markdown_of_the_verdicts() -> None:
    text = claims_to_markdown(check_claims(Study([run("phase1-100")])))
    assert text.splitlines()[:4] == ["## Claims", "", "| | claim | verdict | numbers |", "|---|---|---|---|"]
    assert (
        "| numbers | every score of ours lies within 2 standard deviations of the printed one | **holds** | 5" in text
    )
