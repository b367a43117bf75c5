"""The noise of an input: inverted, then corrected by a search."""

from __future__ import annotations

import pytest

from mdtool.editing.decoding import Decoder
from mdtool.editing.inversion import find_start
from mdtool.editing.optimiser import NoiseSearch
from mdtool.editing.plan import compile_request
from mdtool.editing.request import request_of
from mdtool.editing.source import Source
from mdtool.methods.generate import Generator
from mdtool.motion.motion import Motion
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
