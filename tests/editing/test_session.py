"""Edits by every method through the contract: the noise is found, moved and kept, and nothing is asked of a family."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mdtool.editing.chain import Chain
from mdtool.editing.compiler import compile_request
from mdtool.editing.document import Problems
from mdtool.editing.goals import Places
from mdtool.editing.plan import Plan
from mdtool.editing.reading import request_of
from mdtool.editing.report import reports, to_json
from mdtool.editing.report_tables import target_table
from mdtool.editing.sampled import sampled_source
from mdtool.editing.search import search_all
from mdtool.editing.session import Session
from mdtool.editing.source import Source
from mdtool.methods.generate import Generator
from mdtool.motion.file import write_motions
from mdtool.motion.motion import Motion
from tests.editing.stopped_search import stop_searches_at
from tests.methods.contract_cases import CASES, Case, fresh
from tests.motion.smooth_motion import smooth_clips, smooth_motion

MIXED = {"version": 1, "input": {"generate": {"action": "sway", "seed": 4}}, "length": 60}


def plan(values: dict[str, Any], source: Source) -> Plan:
    request, document = request_of({"version": 1, **values}, "edit.yaml")
    return compile_request(request, document, source, 60, force=True)


def recorded(seed: int = 0) -> Source:
    return Source(Motion(*smooth_motion(60, seed), 20.0, "sway", name="swaying"), None, 20.0, "swaying")


@pytest.fixture(params=CASES, ids=lambda name: name.replace(" ", "-"))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_an_edit_by_every_method(case: Case) -> None:
    generator = Generator(fresh(case), "raw", "weights")
    request, _ = request_of(MIXED, "edit.yaml")
    source = sampled_source(generator, request)
    at = {"at": 40, "joint": "pelvis", "xz": (source.way[40, [0, 2]] + [0.2, 0.1]).tolist()}
    (edited,) = Session(generator).edit([plan({"targets": [at], "run": {"steps": 3}}, source)])
    (motion,) = edited.motions
    assert edited.start.how == "stored"
    assert edited.start.reconstruction_m == pytest.approx(0.0, abs=1e-4)
    assert (len(motion), motion.fps) == (60, 20.0)
    assert np.isfinite(motion.root).all()
    assert motion.noise is not None
    assert np.abs(motion.noise - source.motion.noise).max() > 1e-6  # type: ignore[union-attr]


def test_a_recording_is_edited_by_every_method(case: Case) -> None:
    """By inversion where there is one; by a search for its noise where there is none."""
    generator = Generator(fresh(case), "raw", "weights")
    values = {"keep": {}, "run": {"steps": 2, "fit_steps": 2}}
    (edited,) = Session(generator, force=True).edit([plan(values, recorded())])
    assert edited.start.how in ("inverted", "fitted")
    assert np.isfinite(edited.motions[0].rot6d).all()


def debug() -> Session:
    return Session(Generator(fresh(CASES["mdm"]), "raw", "weights"), force=True)


def test_a_batch_of_mixed_edits_gives_what_each_gives_alone() -> None:
    session = debug()
    plans = [
        plan(
            {"targets": [{"at": 30, "joint": "right_wrist", "y": 1.3}], "run": {"steps": 4, "fit_steps": 2}},
            recorded(1),
        ),
        plan(
            {"avoid": [{"pillar": {"at": [0.5, 0.5], "radius": 0.4}}], "run": {"steps": 4, "fit_steps": 2}}, recorded(2)
        ),
        plan({"targets": [{"at": 9, "facing": 90}], "run": {"steps": 4, "fit_steps": 2}}, recorded(3)),
    ]
    together = session.edit(plans)
    for each, alone in zip(together, (session.edit([one])[0] for one in plans), strict=True):
        np.testing.assert_allclose(each.motions[0].noise, alone.motions[0].noise, atol=1e-3)
        assert each.losses == pytest.approx(alone.losses, abs=1e-3)
        for name, values in alone.courses[0].losses.items():
            assert each.courses[0].losses[name] == pytest.approx(values, abs=2e-3)
        assert set(each.courses[0].losses) == set(alone.courses[0].losses)


def test_edits_of_one_input_share_its_start_but_not_another_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a method has no inverse, the search for the input's noise begins with noise of the edit's seed."""
    session, source = debug(), recorded(4)
    monkeypatch.setattr("mdtool.editing.inversion.inverted", lambda *_: None)
    runs = [{"steps": 2, "fit_steps": 1, "seed": seed} for seed in (0, 5, 0)]
    edits = session.edit([plan({"targets": [{"at": 9, "facing": 90}], "run": run}, source) for run in runs])
    assert edits[0].start is edits[2].start
    for run, edited in zip(runs[:2], edits, strict=False):
        (alone,) = session.edit([plan({"targets": [{"at": 9, "facing": 90}], "run": run}, source)])
        np.testing.assert_allclose(edited.start.noise.numpy(), alone.start.noise.numpy(), atol=1e-4)
    assert (edits[0].start.noise - edits[1].start.noise).abs().max() > 0.1


def test_the_same_seed_is_the_same_result() -> None:
    session = debug()
    values = {"mask": {"observed": {"joints": "six"}}, "run": {"steps": 3, "variations": 2, "seed": 5}}
    first, second = (session.edit([plan(values, recorded())])[0] for _ in range(2))
    for one, other in zip(first.motions, second.motions, strict=True):
        np.testing.assert_array_equal(one.rot6d, other.rot6d)
    assert np.abs(first.motions[0].rot6d - first.motions[1].rot6d).max() > 1e-3


def test_the_result_stands_where_the_input_stood() -> None:
    session, source = debug(), recorded(7)
    values = {"keep": {}, "run": {"steps": 1, "fit_steps": 2, "residual": "constant"}}
    (edited,) = session.edit([plan(values, source)])
    before = source.motion
    assert before is not None
    np.testing.assert_allclose(edited.motions[0].positions(), before.positions(), atol=0.05)


def test_checkpointing_and_a_coarse_half_change_little() -> None:
    session, source = debug(), recorded(1)
    values = {"targets": [{"at": 30, "joint": "right_wrist", "y": 1.3}]}
    plain, saved, coarse = (
        session.edit([plan({**values, "run": {"steps": 4, "fit_steps": 2, **run}}, source)])[0].motions[0].noise
        for run in ({}, {"checkpoint": "step"}, {"coarse": True})
    )
    np.testing.assert_allclose(saved, plain, atol=1e-4)
    assert np.abs(np.asarray(coarse) - np.asarray(plain)).max() > 1e-4


def test_codes_of_a_few_step_generator_stay() -> None:
    """DNO of EMDM searches x_T and the posterior's noises, with the codes frozen."""
    method = fresh(CASES["emdm"])
    session = Session(Generator(method, "raw", "weights"), force=True)
    request, _ = request_of(MIXED, "edit.yaml")
    source = sampled_source(session.decoder.generator, request)
    (edited,) = session.edit([plan({"targets": [{"at": 9, "facing": 90}], "run": {"steps": 4}}, source)])
    packs = torch.from_numpy(np.stack([source.motion.noise, edited.motions[0].noise]))  # type: ignore[union-attr,list-item]
    x, codes, noises = method.unpack(packs)
    assert torch.equal(codes[0], codes[1])
    assert (x[0] != x[1]).any()
    assert (noises[0] != noises[1]).any()


def test_variations_differ_without_being_asked_to() -> None:
    session, values = debug(), {"targets": [{"at": 9, "facing": 90}]}
    three = session.edit([plan({**values, "run": {"steps": 2, "fit_steps": 2, "variations": 3}}, recorded())])[0]
    noise = np.stack([motion.noise for motion in three.motions])
    assert np.abs(noise[1] - noise[2]).max() > 0.1
    (alone,) = session.edit([plan({**values, "run": {"steps": 2, "fit_steps": 2}}, recorded())])[0].motions
    np.testing.assert_allclose(noise[0], alone.noise, atol=1e-3)


@pytest.mark.parametrize("name", ["mdm", "nerm"])
def test_of_restarts_the_best_is_kept_and_all_are_told(name: str) -> None:
    """Four restarts are four variations of which the best stays; two variations of two, the best of each two."""
    session = Session(Generator(fresh(CASES[name]), "raw", "weights"), force=True)
    values = {"targets": [{"at": 30, "joint": "right_wrist", "y": 1.3}]}
    run = {"steps": 3, "fit_steps": 0, "init_noise": 0.8}
    (all_four,) = session.edit([plan({**values, "run": {**run, "variations": 4}}, recorded())])
    losses = np.array(all_four.losses)
    assert len(set(losses.round(6))) == 4
    assert all_four.restarts == [[loss] for loss in all_four.losses]
    for count, expected in ((1, [losses.argmin()]), (2, [losses[:2].argmin(), 2 + losses[2:].argmin()])):
        restarted = {**run, "variations": count, "restarts": 4 // count}
        (edited,) = session.edit([plan({**values, "run": restarted}, recorded())])
        assert np.array(edited.restarts).ravel() == pytest.approx(losses)
        assert edited.losses == pytest.approx(losses[expected].tolist())
        assert [course.losses["objective"][-1] for course in edited.courses] == pytest.approx(
            [all_four.courses[place].losses["objective"][-1] for place in expected]
        )
        for motion, place in zip(edited.motions, expected, strict=True):
            np.testing.assert_array_equal(motion.noise, all_four.motions[place].noise)
        (found, *_) = reports(edited)
        assert (f"best of {4 // count} restarts" in str(target_table(found).title), found.loss) == (
            True,
            edited.losses[0],
        )
        assert to_json(edited, [reports(edited)])["variations"][0]["restarts"] == edited.restarts[0]


@pytest.mark.parametrize(("name", "lines"), [("emdm", 2), ("mdm", 0)])
def test_words_that_a_method_has_no_use_for_are_told(name: str, lines: int) -> None:
    told: list[str] = []
    session = Session(Generator(fresh(CASES[name]), "raw", "weights"), True, told.append)
    session.edit(
        [plan({"keep": {}, "run": {"steps": 1, "fit_steps": 0, "sampler": "ddim-5", "coarse": True}}, recorded())]
    )
    assert len([line for line in told if "changes nothing" in line]) == lines


def test_what_is_wrong_with_a_later_request_is_told_before_the_first_search() -> None:
    first = plan({"keep": {}}, recorded())
    wrong = request_of({"version": 1, "targets": [{"at": 75, "facing": 0}]}, "then.yaml")
    with pytest.raises(Problems):
        Chain((wrong,), 60, False).check(first)
    Chain((request_of({"version": 1, "targets": [{"at": 59, "facing": 0}]}, "then.yaml"),), 60, False).check(first)


def test_a_stop_ends_all_edits_that_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    session = debug()
    stop_searches_at(2, monkeypatch)
    runs = [{"steps": 5, "fit_steps": 0}, {"steps": 6, "fit_steps": 0}]  # two groups
    plans = [plan({"targets": [{"at": 9, "facing": 90}], "run": run}, recorded()) for run in runs]
    then = request_of({"version": 1, "keep": {}}, "then.yaml")
    chains = [Chain((then,), 60, True)] * 2
    (edited,) = search_all(session, plans, chains, None, None, lambda made: None)
    assert (edited.ended, edited.plan.document.file, edited.steps) == ("interrupted", "edit.yaml", 2)


def test_a_blend_stands_where_its_first_clip_ends(tmp_path: Path) -> None:
    rot6d, root = smooth_motion(60, 1)
    root = root + np.linspace(0, 3, 60)[:, None].astype(np.float32) * np.array([1, 0, 0], np.float32)
    walk = Source(Motion(rot6d, root, 20.0, "sway", name="a walk"), None, 20.0, "a walk")
    write_motions(tmp_path / "other.h5", smooth_clips(2, frames=60))
    made = plan({"blend": {"with": str(tmp_path / "other.h5"), "seam": 5}}, walk)
    assert (made.frames, len(made.source), made.source.first) == (60, 30, 30)
    np.testing.assert_allclose(made.source.world.done(np.zeros(3))[[0, 2]], root[30, [0, 2]], atol=1e-6)
    (goal,) = made.goals
    assert isinstance(goal, Places)
    assert sorted({*range(60)} - {*goal.frames.tolist()}) == list(range(25, 35))
    np.testing.assert_allclose(goal.values[:25], made.source.positions[:25][:, list(goal.joints)], atol=1e-6)


def test_a_chain_goes_on_from_the_noise_before() -> None:
    session, source = debug(), recorded()
    first = plan({"targets": [{"at": 30, "joint": "head", "y": 1.4}], "run": {"steps": 2, "fit_steps": 2}}, source)
    then = request_of({"version": 1, "keep": {}, "run": {"steps": 2, "anchor": "original"}}, "then.yaml")
    saved: list[int] = []
    (edited,) = search_all(
        session, [first], [Chain((then,), 60, True)], None, None, lambda made: saved.append(len(made))
    )
    assert edited.plan.document.file == "then.yaml"
    assert [each.plan.document.file for each in edited.history] == ["edit.yaml"]
    assert edited.start.how == "stored"
    assert edited.start.reconstruction_m == pytest.approx(0.0, abs=1e-4)
    assert saved[-1] == 1
    assert torch.is_grad_enabled()


def test_what_follows_an_edit_is_of_the_same_part_of_its_clip() -> None:
    whole = recorded(3)
    part = replace(whole, path=Path("walk.h5"), clip=2).part(10, 50)
    first = plan({"keep": {}, "run": {"steps": 1, "fit_steps": 0}}, part)
    seen: list[Plan] = []
    then = request_of({"version": 1, "keep": {}, "run": {"steps": 1}}, "then.yaml")
    (edited,) = search_all(
        debug(), [first], [Chain((then,), 60, True)], None, None, lambda made: seen.append(made[0].plan)
    )
    source = edited.plan.source
    assert (source.path, source.clip, source.first, len(source)) == (Path("walk.h5"), 2, 10, 40)
    assert seen[0].source.first == 10
