"""An edit that comes no nearer is searched for again without what may hold it: its habits, then the action."""

from __future__ import annotations

from dataclasses import replace
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


def edits(save: Any = None, wanted: Any = None, **run: Any) -> list[Edited]:
    source = Source(Motion(*smooth_motion(60, 0), 20.0, "sway", name="swaying"), None, 20.0, "swaying")
    session = Session(Generator(fresh(CASES["mdm"]), "raw", "weights"), force=True)
    values = {"version": 1, "run": {"steps": 20, "fit_steps": 0, "warmup": 0, **run}}
    wanted = wanted or ({"targets": [TOO_HIGH]}, {"targets": [{"at": 30, "joint": "pelvis", "y": 0.9, "must": 9}]})
    plans = [compile_request(*request_of({**values, **one}, "edit.yaml"), source, 60, force=True) for one in wanted]
    return session.edit(plans, save=save, save_every_s=0.0)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[list[Edited]]:
    """What every search of a session came to."""
    search, found = Session._searched, list[list[Edited]]()

    def watched(session: Session, *given: Any) -> list[Edited]:
        found.append(search(session, *given))
        return found[-1]

    monkeypatch.setattr(Session, "_searched", watched)
    return found


def test_what_is_stuck_is_searched_for_again(searches: list[list[Edited]]) -> None:
    saved: list[int] = []
    far, near = edits(lambda made: saved.append(len(made)))
    assert [[edited.plan.without for edited in each] for each in searches] == [["", ""], ["habits"], ["action"]]
    tried = [each[0] for each in searches]
    assert [len(edited.plan.habits) for edited in tried] == [2, 0, 2]
    assert [edited.plan.tells_action for edited in tried] == [True, True, False]
    assert far.errors[0] == min(edited.errors[0] for edited in tried)
    assert far.steps == sum(edited.steps for edited in tried)
    assert (near.steps, near.stuck) == (searches[0][1].steps, False)
    assert set(saved) == {2}
    before = [f"a search that {what} came no nearer than {{:.2f}} m" for what in ("minded them", "told it")]
    nearest = min(edited.errors[0] for edited in tried[:2])
    assert tried[1].warnings[-1] == f"feet and jerks were not minded: {before[0].format(tried[0].errors[0])}"
    assert tried[2].plan.action_told == f"not told: {before[1].format(nearest)}"


def test_a_request_that_says_what_to_mind_is_taken_at_its_word(searches: list[list[Edited]]) -> None:
    edits(planted=0.6, calm=0.1, condition="keep")
    assert len(searches) == 1
    edits(planted=0.6, calm=0.1)
    assert [each[0].plan.without for each in searches[1:]] == ["", "action"]
    edits(stop="never")
    assert len(searches) == 4


@pytest.mark.parametrize(
    ("keep", "run", "advised"),
    [
        ({"content": "strong"}, {}, "try `keep: {content: normal}`"),
        ({"content": "normal"}, {}, ""),
        ({}, {"content": 0.05}, "try `content: 0.002`"),
    ],
)
def test_a_content_term_that_may_hold_it_back_is_named(keep: dict, run: dict, advised: str) -> None:
    (far,) = edits(wanted=[{"targets": [TOO_HIGH], "keep": keep}], **run)
    assert far.stuck
    assert bool(far.advice) == bool(advised)
    assert all(advised in line and far.how_stuck in line for line in far.advice)


def test_who_stays_in_an_obstacle_is_stuck_too(searches: list[list[Edited]]) -> None:
    everywhere = {"avoid": [{"box": {"at": [0, 1, 0], "size": [40, 40, 40]}}]}
    (edited,) = edits(wanted=[everywhere], condition="keep")
    assert [each[0].plan.without for each in searches] == ["", "habits"]
    assert edited.off[0] > 2
    assert edited.how_stuck == f"came no nearer than {edited.errors[0]:.2f} m"
    assert replace(edited, errors=[0.01]).how_stuck == "stayed inside an obstacle"


def test_a_stop_of_the_second_search_keeps_the_better_one(
    monkeypatch: pytest.MonkeyPatch, searches: list[list[Edited]]
) -> None:
    (once, _) = edits(planted=0.6, calm=0.1, condition="keep")
    step, taken = NoiseSearch.step, list[int]()

    def stop(search: NoiseSearch) -> None:
        taken.append(0)
        if len(taken) > once.steps + 1:
            raise KeyboardInterrupt
        step(search)

    monkeypatch.setattr(NoiseSearch, "step", stop)
    made = edits()
    assert len(searches) == 3
    assert [edited.ended for edited in made] == ["interrupted"] * 2
    assert made[0].errors[0] <= once.errors[0] + 1e-6


def test_an_input_that_cannot_be_rebuilt_without_the_action_keeps_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    search = Session._searched

    def refuse(session: Session, plans: Any, *rest: Any) -> list[Edited]:
        if plans[0].without == "action":
            raise MdtoolError("the model rebuilds the input only to 90 cm per joint")
        return search(session, plans, *rest)

    monkeypatch.setattr(Session, "_searched", refuse)
    assert [edited.ended for edited in edits()] == ["stopped early"] * 2
