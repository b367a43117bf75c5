"""An edit that comes no nearer where the network is told the action is searched for again without."""

from __future__ import annotations

from typing import Any

import pytest

from mdtool.editing.compiler import compile_request
from mdtool.editing.edited import Edited
from mdtool.editing.optimiser import NoiseSearch
from mdtool.editing.reading import request_of
from mdtool.editing.session import Session
from mdtool.editing.source import Source
from mdtool.errors import MdtoolError
from mdtool.methods.generate import Generator
from mdtool.motion.motion import Motion
from tests.methods.contract_cases import CASES, fresh
from tests.motion.smooth_motion import smooth_motion

TOO_HIGH = {"at": 30, "joint": "right_wrist", "y": 2.9}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search is stuck as soon as it has not got much better for two steps."""
    for name, value in {"_EARLIEST": 2, "_STALLED_STEPS": 2, "_STALLED_SHARE": 0.9, "_COOL_DOWN": 2}.items():
        monkeypatch.setattr(f"mdtool.editing.optimiser.{name}", value)


def edits(save: Any = None, **run: Any) -> list[Edited]:
    source = Source(Motion(*smooth_motion(60, 0), 20.0, "sway", name="swaying"), None, 20.0, "swaying")
    session = Session(Generator(fresh(CASES["mdm"]), "raw", "weights"), force=True)
    values = {"version": 1, "run": {"steps": 20, "fit_steps": 0, "warmup": 0, **run}}
    wanted = ({"targets": [TOO_HIGH]}, {"targets": [{"at": 30, "joint": "pelvis", "y": 0.9, "must": 9}]})
    plans = [compile_request(*request_of({**values, **one}, "edit.yaml"), source, 60, force=True) for one in wanted]
    return session.edit(plans, save=save, save_every_s=0.0)


def test_what_is_stuck_is_searched_for_again_without_the_action() -> None:
    saved: list[int] = []
    far, near = edits(lambda made: saved.append(len(made)))
    (once, _) = edits(condition="keep")
    (free, _) = edits(condition="none")
    assert far.errors[0] == pytest.approx(min(once.errors[0], free.errors[0]), abs=1e-4)
    assert far.steps == once.steps + free.steps
    assert (once.stuck, near.stuck, near.plan.stuck_m) == (True, False, None)
    assert set(saved) == {2}
    if far.plan.stuck_m is not None:
        assert far.plan.action_told == f"not told: a search that told it came no nearer than {once.errors[0]:.2f} m"


def test_a_stop_of_the_second_search_keeps_the_better_one(monkeypatch: pytest.MonkeyPatch) -> None:
    (once, _) = edits(condition="keep")
    step, taken = NoiseSearch.step, list[int]()

    def stop(search: NoiseSearch) -> None:
        taken.append(0)
        if len(taken) > once.steps + 1:
            raise KeyboardInterrupt
        step(search)

    monkeypatch.setattr(NoiseSearch, "step", stop)
    made = edits()
    assert [edited.ended for edited in made] == ["interrupted"] * 2
    assert made[0].errors[0] <= once.errors[0] + 1e-6


def test_an_input_that_cannot_be_rebuilt_without_the_action_keeps_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    search = Session._searched

    def refuse(session: Session, plans: Any, *rest: Any) -> list[Edited]:
        if plans[0].stuck_m is not None:
            raise MdtoolError("the model rebuilds the input only to 90 cm per joint")
        return search(session, plans, *rest)

    monkeypatch.setattr(Session, "_searched", refuse)
    assert [edited.ended for edited in edits()] == ["stopped early"] * 2
