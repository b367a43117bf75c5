"""Edits by every method through the contract: the noise is found, moved and kept, and nothing is asked of a family."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mdtool.editing.chain import Chain, search_all
from mdtool.editing.plan import Plan, compile_request
from mdtool.editing.request import request_of
from mdtool.editing.sampled import sampled_source
from mdtool.editing.session import Session
from mdtool.editing.source import Source
from mdtool.methods.generate import Generator
from mdtool.motion.motion import Motion
from tests.methods.contract_cases import CASES, Case, fresh
from tests.motion.smooth_motion import smooth_motion

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


def test_a_chain_goes_on_from_the_noise_before() -> None:
    session, source = debug(), recorded()
    first = plan({"targets": [{"at": 30, "joint": "head", "y": 1.4}], "run": {"steps": 2, "fit_steps": 2}}, source)
    then = request_of({"version": 1, "keep": {}, "run": {"steps": 2, "anchor": "original"}}, "then.yaml")
    saved: list[int] = []
    (edited,) = search_all(
        session, [first], [Chain((then,), 60, True)], None, None, lambda made: saved.append(len(made))
    )
    assert edited.plan.document.file == "then.yaml"
    assert edited.start.how == "stored"
    assert edited.start.reconstruction_m == pytest.approx(0.0, abs=1e-4)
    assert saved[-1] == 1
    assert torch.is_grad_enabled()
