"""The three-stage fit to a field: the noise, the latent, an offset to the last layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.editing.compiler import compile_request
from mdtool.editing.edited import Edited
from mdtool.editing.optimiser import Judged, NoiseSearch, Search
from mdtool.editing.reading import request_of
from mdtool.editing.report import reports, to_json
from mdtool.editing.report_tables import search_line
from mdtool.editing.session import Session
from mdtool.editing.source import Source
from mdtool.editing.stages import SMOOTH_S, latent_stage, latents_of, layer_stage
from mdtool.methods.contract import FieldMethod
from mdtool.methods.generate import Generator
from mdtool.motion.motion import Motion
from mdtool.motion.pose_vectors import ROTATION_SCALE
from mdtool.motion.skeleton import JOINTS
from tests.methods.contract_cases import CASES, fresh
from tests.motion.smooth_motion import smooth_motion

TIMES_S = torch.arange(60) / 20
TARGETS = [{"at": [20, 40], "joint": "right_wrist", "xyz": [-0.3, 1.2, 0.3]}, {"at": 59, "joint": "head", "y": 1.1}]


def field() -> FieldMethod:
    method = fresh(CASES["nerm"])
    assert isinstance(method, FieldMethod)
    return method


def at_height(features: Tensor, rows: Tensor) -> Judged:
    """The pelvis a decimetre above standing half-way, and two centimetres less for every sample."""
    off = (features[:, JOINTS, 1, 30] - 0.1 + 0.02 * rows).abs()
    return Judged(off, {}, off, off < 1e-3)


def edited(run: dict[str, Any], name: str = "nerm", told: list[str] | None = None, **values: Any) -> Edited:
    source = Source(Motion(*smooth_motion(60, 0), 20.0, "sway", name="swaying"), None, 20.0, "swaying")
    request = {"version": 1, "run": {"fit_steps": 0, **run}, **(values or {"targets": TARGETS})}
    plan = compile_request(*request_of(request, "edit.yaml"), source, 60, force=True)
    tell = None if told is None else told.append
    return Session(Generator(fresh(CASES[name]), "raw", "weights"), True, tell).edit([plan])[0]


def test_an_offset_is_as_long_as_what_it_changes() -> None:
    method = field()
    latents = torch.randn(2, len(method.white_mean), generator=torch.Generator().manual_seed(0))
    stage = layer_stage(method, TIMES_S, torch.arange(2), latents, Search(), at_height)
    weights = torch.randn(stage.searching.noise.shape, generator=torch.Generator().manual_seed(1))
    mine = torch.arange(2)
    change = stage.decode(weights, mine) - method.poses(latents, TIMES_S)
    turns = ROTATION_SCALE * change[:, :JOINTS].flatten(1, 2).double()
    bend = turns.diff(n=2, dim=-1) * (20 * SMOOTH_S) ** 2
    length = (turns.square().sum((1, 2)) + bend.square().sum((1, 2))) / len(TIMES_S)
    torch.testing.assert_close(length, weights[:, :, : 6 * JOINTS].double().square().sum((1, 2)), rtol=1e-3, atol=0.0)
    torch.testing.assert_close(stage.decode(torch.zeros_like(weights), mine), method.poses(latents, TIMES_S))


def test_each_stage_reaches_what_it_is_asked_for_of_its_own_samples() -> None:
    method, rows = field(), torch.tensor([3, 1])
    begin = torch.zeros(2, len(method.white_mean))
    search = Search(steps=200, time_axis=None)
    latent = latent_stage(method, TIMES_S, rows, begin, search, at_height)
    torch.testing.assert_close(latents_of(method, latent), begin)
    layers = layer_stage(method, TIMES_S, rows, begin, search, at_height)
    for stage in (latent, layers):
        first = at_height(stage.features(), rows).loss
        stage.searching.run()
        last = at_height(stage.features(), rows).loss
        assert (last < 0.01).all()
        assert (last < 0.2 * first).all()


def test_what_a_stage_misses_is_left_to_the_next() -> None:
    found = edited({"steps": 20})
    stages = found.stages[0]
    assert [one.stage for one in stages] == ["noise", "latent", "last layers"]
    errors = [one.error_m for one in stages]
    assert errors[2] < errors[0]
    assert found.steps == sum(one.steps for one in stages) == 60
    (report,) = reports(found)
    assert report.objective_error == pytest.approx(errors[2], abs=1e-4)
    assert "off after each stage: noise" in search_line(report)
    assert [one["stage"] for one in to_json(found, [[report]])["variations"][0]["stages"]] == [s.stage for s in stages]


def test_one_stage_is_enough_where_it_is_told_so_or_a_mask_may_show_noise() -> None:
    assert len(edited({"steps": 2, "stages": 1}).stages[0]) == 1
    observed = {"mask": {"observed": {"joints": "six"}}}
    assert len(edited({"steps": 2}, **observed).stages[0]) == 1
    assert len(edited({"steps": 2, "stages": 2}, **observed).stages[0]) == 2


def test_later_stages_are_only_for_what_is_unmet() -> None:
    """A target that the input meets ends with the noise; its neighbour in the batch goes on, as it would alone."""
    source = Source(Motion(*smooth_motion(60, 0), 20.0, "sway", name="swaying"), None, 20.0, "swaying")
    session = Session(Generator(field(), "raw", "weights"), True)
    run = {"steps": 4, "fit_steps": 0}
    plans = [
        compile_request(*request_of({"version": 1, "targets": [target], "run": run}, "x.yaml"), source, 60, force=True)
        for target in ({"at": 30, "joint": "head", "y": 1.1, "must": 5.0}, TARGETS[0])
    ]
    met, unmet = session.edit(plans)
    assert ([len(found.stages[0]) for found in (met, unmet)]) == [1, 3]
    (alone,) = session.edit(plans[1:])
    np.testing.assert_allclose(unmet.motions[0].root, alone.motions[0].root, atol=1e-4)


def test_an_interrupted_stage_leaves_its_best(monkeypatch: pytest.MonkeyPatch) -> None:
    step, calls = NoiseSearch.step, iter(range(100))

    def stop(search: NoiseSearch) -> None:
        if next(calls) == 13:
            raise KeyboardInterrupt
        step(search)

    monkeypatch.setattr(NoiseSearch, "step", stop)
    found = edited({"steps": 8})
    assert found.ended == "interrupted"
    assert [(one.stage, one.steps) for one in found.stages[0]] == [("noise", 8), ("latent", 5)]
    (report,) = reports(found)
    assert report.objective_error == pytest.approx(found.stages[0][-1].error_m, abs=1e-4)


def test_a_budget_is_shared_among_the_stages() -> None:
    source = Source(Motion(*smooth_motion(60, 0), 20.0, "sway", name="swaying"), None, 20.0, "swaying")
    values = {"version": 1, "targets": TARGETS, "run": {"steps": 20_000, "fit_steps": 0, "stop": "never"}}
    plan = compile_request(*request_of(values, "edit.yaml"), source, 60, force=True)
    (found,) = Session(Generator(field(), "raw", "weights"), True).edit([plan], seconds=1.5)
    assert [one.stage for one in found.stages[0]] == ["noise", "latent", "last layers"]


def test_stages_mean_nothing_to_a_method_without_a_field() -> None:
    told: list[str] = []
    found = edited({"steps": 1, "stages": 2}, "mdm", told)
    assert len(found.stages[0]) == 1
    assert "`run: {stages: …}` changes nothing: the motions of mdm are made of noise alone" in told
