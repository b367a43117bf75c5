"""What each protocol asks for, and that its rows stay among themselves."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from mdtool.errors import MdtoolError
from mdtool.evaluation import distribution
from mdtool.evaluation.published import evaluate_by, paper_row, sample_by
from mdtool.evaluation.results import Results, Spread, read_results, write_results
from mdtool.evaluation.rules import RULES, rules_named
from mdtool.evaluation.tables import protocol_table, result_tables
from mdtool.methods.generate import Generator
from mdtool.methods.mdm import MDM
from mdtool.motion.motion import MotionSet
from tests.evaluation.test_protocol import ACTIONS, Actor, RootReader, clip


def motions(splits: tuple[int, ...] = (0, 1), clips: int = 30) -> MotionSet:
    rng = np.random.default_rng(0)
    made = [clip(action, rng.normal(), split=split) for split in splits for action in ACTIONS for _ in range(clips)]
    return MotionSet.from_clips(made, ACTIONS)


@pytest.fixture(scope="module")
def thesis() -> Results:
    return evaluate_by(RULES["thesis"], motions(), RootReader(), Actor(), seeds=(1, 2), count=60)


def test_seeds_counts_and_spreads_are_the_published_ones() -> None:
    asked = {name: (rules.seeds[0], rules.seeds[-1], rules.count, rules.plus_minus) for name, rules in RULES.items()}
    assert asked == {
        "ours": (0, 19, 1000, "ci95"),
        "thesis": (1, 20, 1000, "std"),
        "mdm": (0, 19, 1000, "std"),
        "actor": (0, 19, 3000, "1.96 var"),
        "unconditional": (0, 19, 1000, "ci95"),
    }
    assert len({rules.title for rules in RULES.values()}) == len(RULES)
    with pytest.raises(MdtoolError, match="choose from ours, unconditional, thesis, mdm, actor"):
        rules_named("emdm")


def test_a_protocol_runs_its_own_seeds_and_tells_departures(thesis: Results) -> None:
    assert (thesis.protocol, thesis.seeds) == ("thesis 1", [1, 2])
    assert thesis.departures == ["2 seeds instead of 20", "60 motions per set instead of 1000"]
    actor = Actor()
    whole = evaluate_by(RULES["mdm"], motions(clips=2), RootReader(), actor, count=6, splits=(0,))
    assert whole.seeds == list(range(20))
    assert whole.departures == ["6 motions per set instead of 1000"]


def test_pairs_come_from_one_stream_per_seed_in_the_published_order() -> None:
    class Recorder(RootReader):
        """Features are the trait, which is kept."""

        def __init__(self) -> None:
            super().__init__()
            self.seen: list[np.ndarray] = []

        def features_and_logits(self, rot6d: torch.Tensor, root: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            features, logits = super().features_and_logits(rot6d, root)
            self.seen.append(np.concatenate([features.numpy(), logits.numpy()], axis=1).astype(np.float64))
            return features, logits

    judge = Recorder()
    results = evaluate_by(RULES["mdm"], motions(), judge, Actor(), seeds=(3,), count=40)
    rng = np.random.RandomState(3)
    # Looks per split: the second draw of recordings, the first one, the samples.
    for split, looks in (("train", judge.seen[:3]), ("test", judge.seen[3:])):
        for who, table in (("gen", looks[2]), ("real", looks[1])):
            features, labels = table[:, :2], table[:, 2:].argmax(1)
            pairs = distribution.draw_pairs(len(features), rng)
            expected = distribution.diversity(features, pairs)
            assert results.scores[f"diversity_{who}_{split}"].values[0] == pytest.approx(expected)
            pairs = distribution.draw_action_pairs(labels, rng)
            # The recogniser knows four actions, of which three occur: the published sum is divided by all.
            expected = distribution.multimodality(features, pairs) * 3 / 4
            assert results.scores[f"multimodality_{who}_{split}"].values[0] == pytest.approx(expected)


def test_actor_takes_no_recording_twice() -> None:
    results = evaluate_by(RULES["actor"], motions(clips=4), RootReader(), Actor(), seeds=(0, 1))
    assert results.count == 12
    assert "sets of 12 instead of 3000" in results.notes[0]


def test_recordings_without_splits_are_one_set() -> None:
    for splits in ((0,), (1,)):
        results = evaluate_by(RULES["mdm"], motions(splits), RootReader(), Actor(), seeds=(0, 1), count=30)
        assert results.splits == ["all"]
        assert {"fid_gen_all", "fid_real_all", "accuracy_gen_all"} <= set(results.scores)
        assert set(results.confusion) == {"gen_all", "real_all"}
        row = paper_row(results)
        assert row.fid_train is not None
        assert row.fid_test is None


def test_the_paper_row_has_the_spread_of_its_protocol(thesis: Results) -> None:
    values = (0.5, 0.7, 0.9)
    named = {f"{metric}_gen_train": Spread(values) for metric in ("fid", "accuracy", "diversity", "multimodality")}
    given = replace(thesis, scores={**named, "fid_gen_test": Spread(values)})
    for title, spread in (
        ("thesis 1", np.std(values, ddof=1)),
        ("actor 1", 1.96 * np.var(values)),
        ("action-to-motion 1", 1.96 * np.std(values, ddof=1) / np.sqrt(3)),
    ):
        for cell in paper_row(replace(given, protocol=title)):
            assert cell == pytest.approx((0.7, spread))
    with pytest.raises(MdtoolError, match="no 'real' scores"):
        paper_row(given, "real")


def test_rows_of_different_protocols_counts_or_recordings_have_different_keys(thesis: Results) -> None:
    others = [
        replace(thesis, protocol="mdm 1"),
        replace(thesis, count=100),
        replace(thesis, seeds=[1]),
        replace(thesis, recogniser_sha256="f" * 64),
        replace(thesis, data="x.h5", provenance={"parents": {"x.h5": "abc"}}),
    ]
    assert len({result.ranking_key for result in (thesis, *others)}) == 6
    moved = replace(thesis, data="elsewhere/x.h5", provenance={"parents": {"x.h5": "abc"}})
    assert moved.ranking_key == others[-1].ranking_key
    assert replace(thesis, target="another run").ranking_key == thesis.ranking_key


def test_the_file_names_its_protocol_and_older_files_are_ours(thesis: Results, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    extended = evaluate_by(
        RULES["thesis"], motions(), RootReader(), Actor(), seeds=(1, 2), count=60, splits=(0,), fid_infinity=True
    )
    write_results(path, extended)
    again = read_results(path)
    assert again.to_dict() == extended.to_dict()
    assert again.rules is RULES["thesis"]
    assert set(again.extrapolation) == {"gen_train", "real_train"}
    text = path.read_text()
    assert '"plus_minus": "std"' in text
    write_results(path, replace(thesis, protocol="action-to-motion 1"))
    old = path.read_text().replace('"departures"', '"notes"', 1)
    path.write_text(old.replace('"extrapolation": {},', "").replace('"plus_minus": "ci95",', ""))
    assert read_results(path).rules is RULES["ours"]


def test_fid_for_infinity_is_pooled_over_seeds_and_printed_with_its_floor() -> None:
    results = evaluate_by(
        RULES["ours"], motions(clips=100), RootReader(), Actor(shift=5.0), seeds=range(4), count=200, fid_infinity=True
    )
    assert set(results.extrapolation) == {"gen_train", "real_train", "gen_test", "real_test"}
    # As in test_protocol: the trait moves by 5, its square by 25 on average with a spread of √102 instead of √2.
    expected = 25 + 25**2 + (np.sqrt(102) - np.sqrt(2)) ** 2
    for split in ("train", "test"):
        found, floor = (results.extrapolation[f"{who}_{split}"] for who in ("gen", "real"))
        assert found.counts[-1] == 4 * 200
        assert floor.counts[-1] == 2 * 200  # one half of the seeds against the other
        assert found.fid == pytest.approx(expected, rel=0.1)
        assert abs(floor.fid) < 0.01 * expected
    text = printed(results)
    assert "FID, N → ∞" in text
    assert "half the 95 % confidence interval" in text


def test_protocols_stand_side_by_side_without_a_rank(thesis: Results) -> None:
    actor = evaluate_by(RULES["actor"], motions(), RootReader(), Actor(), seeds=(0, 1), count=60)
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(protocol_table([thesis, actor]))
    text = console.export_text()
    assert "not comparable" in " ".join(text.split())
    assert [line.split("│")[1].strip() for line in text.splitlines() if "60 × 2" in line] == ["thesis"] * 2 + [
        "actor"
    ] * 2
    assert "standard deviation over seeds" in printed(thesis)
    assert "2 seeds instead of 20" in printed(thesis)
    assert "1.96 · variance" in printed(actor)


def test_a_published_protocol_samples_all_steps_and_shows_raw_rotations() -> None:
    torch.manual_seed(0)
    settings = {"layers": 1, "width": 16, "heads": 2, "feedforward": 16, "diffusion_steps": 5, "sample_steps": 2}
    generator = Generator(MDM({**settings, "sampler": "ddim", "temperature": 0.5}, ["a"], 30.0), "raw", "0" * 64)
    given = {"steps": None, "sampler": None, "guidance": None, "temperature": None}
    assert sample_by(RULES["thesis"], generator, given) == []
    assert generator.options == {"steps": 5, "sampler": "ddpm", "guidance": 1.0, "temperature": 1.0}
    raw = generator.sample([0], seed=0).rot6d
    assert np.abs(np.linalg.norm(raw[..., :3], axis=-1) - 1).max() > 0.1
    assert sample_by(RULES["mdm"], generator, {**given, "steps": 3}) == ["steps 3 instead of 5"]
    assert generator.options["steps"] == 3
    assert sample_by(RULES["ours"], generator, given) == []
    assert generator.options == given
    plain = generator.sample([0], seed=0).rot6d
    np.testing.assert_allclose(np.linalg.norm(plain[..., :3], axis=-1), 1, atol=1e-5)


def printed(results: Results) -> str:
    console = Console(width=200, file=io.StringIO(), record=True)
    for table in result_tables(results):
        console.print(table)
    return " ".join(console.export_text().split())  # captions are wrapped
