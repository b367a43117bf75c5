"""The noise of an input: inverted, then corrected by a search."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mdtool.editing.compiler import compile_request
from mdtool.editing.decoding import Decoder
from mdtool.editing.inversion import REFUSE_M, Start, find_start, health_of
from mdtool.editing.optimiser import NoiseSearch
from mdtool.editing.reading import request_of
from mdtool.editing.session import Session
from mdtool.editing.source import Source
from mdtool.errors import MdtoolError
from mdtool.methods.generate import Generator
from mdtool.motion.motion import Motion
from tests.editing.stopped_search import stop_searches_at
from tests.methods.contract_cases import CASES, fresh
from tests.motion.smooth_motion import smooth_motion


def test_a_search_corrects_what_an_inversion_loses() -> None:
    decoder = Decoder(Generator(fresh(CASES["mdm"]), "raw", "weights"))
    source = Source(Motion(*smooth_motion(60, 3), 20.0, "sway", name="swaying"), None, 20.0, "swaying")
    errors = []
    for steps in (0, 40):
        values = {"version": 1, "keep": {}, "run": {"fit_steps": steps, "invert_steps": 10}}
        plan = compile_request(*request_of(values, "edit.yaml"), source, 60, force=True)
        start = find_start(decoder, plan, decoder.features(plan), force=True)
        assert start.how == ("fitted" if steps else "inverted")
        errors.append((start.unfitted_m, start.reconstruction_m))
    assert errors[0][0] == errors[0][1] == pytest.approx(errors[1][0])
    assert errors[1][1] < 0.5 * errors[1][0]


def test_a_fit_that_is_stopped_gives_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_searches_at(3, monkeypatch)
    session = Session(Generator(fresh(CASES["mdm"]), "raw", "weights"), force=True)
    values = {"version": 1, "targets": [{"at": 9, "facing": 90}], "run": {"fit_steps": 50}}
    source = Source(Motion(*smooth_motion(60, 3), 20.0, "sway", name="swaying"), None, 20.0, "swaying")
    (edited,) = session.edit([compile_request(*request_of(values, "edit.yaml"), source, 60, force=True)])
    assert (edited.ended, edited.steps, len(edited.motions[0])) == ("interrupted", 0, 60)
    assert np.isfinite(edited.motions[0].root).all()


@pytest.mark.parametrize(("lost_m", "sound", "told"), [(0.004, True, 1), (0.08, True, 2), (0.08, False, 3)])
def test_what_is_told_of_a_start(lost_m: float, sound: bool, told: int) -> None:
    noise = torch.randn(25, 6, 60, generator=torch.Generator().manual_seed(0)) * (1.0 if sound else 1.4)
    start = Start(noise, "fitted", health_of(noise, 3), None, lost_m)
    said = start.told("a walk")
    assert said[0] == f"fitted noise rebuilds a walk to {100 * lost_m:.1f} cm per joint"
    assert len(said) == told
    assert ("standard deviation 1.4" in said[-1]) is not sound


def test_noise_that_drags_along_time_is_not_gaussian() -> None:
    slow = torch.randn(25, 6, 30, generator=torch.Generator().manual_seed(0)).repeat_interleave(2, dim=2)
    health = health_of(slow, 3)
    assert health.lag == pytest.approx(0.5, abs=0.05)
    assert not health.sound
    assert health_of(slow[:, :, ::2], 3).sound


def test_an_input_that_the_model_cannot_rebuild_is_refused_unless_forced() -> None:
    decoder = Decoder(Generator(fresh(CASES["mdm"]), "raw", "weights"))
    source = Source(Motion(*smooth_motion(60, 3), 20.0, "sway", name="swaying"), None, 20.0, "swaying")
    values = {"version": 1, "keep": {}, "run": {"fit_steps": 0, "invert_steps": 1, "sampler": "ddim-1"}}
    plan = compile_request(*request_of(values, "edit.yaml"), source, 60, force=True)
    assert (find_start(decoder, plan, decoder.features(plan), force=True).reconstruction_m or 0) > REFUSE_M
    with pytest.raises(MdtoolError, match="the model rebuilds the input only to"):
        find_start(decoder, plan, decoder.features(plan), force=False)


def test_a_fit_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    step = NoiseSearch.step
    monkeypatch.setattr(NoiseSearch, "step", lambda self: (taken.append(self.taken), step(self)))
    decoder = Decoder(Generator(fresh(CASES["mdm"]), "raw", "weights"))
    source = Source(Motion(*smooth_motion(60, 3), 20.0, "sway", name="swaying"), None, 20.0, "swaying")
    values = {"version": 1, "keep": {}, "run": {"fit_steps": 50}}
    plan = compile_request(*request_of(values, "edit.yaml"), source, 60, force=True)
    find_start(decoder, plan, decoder.features(plan), force=True, until_s=0.0)
    assert taken == [0]
