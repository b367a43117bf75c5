"""What a plan minds beside its goals."""

from __future__ import annotations

from typing import Any

import pytest

from mdtool.editing.compiler import compile_request
from mdtool.editing.goals import BodyMotion, Calm
from mdtool.editing.plan import Plan
from mdtool.editing.reading import request_of
from mdtool.editing.source import Source
from mdtool.motion.motion import Motion
from tests.motion.smooth_motion import smooth_motion

TARGET = {"targets": [{"at": 1, "joint": "head", "y": 1.3}]}
AWAY = {"targets": [{"at": 19, "joint": "pelvis", "xz": [1.5, 0]}]}
MASK = {"mask": {"observed": {"joints": "six"}}}


def plan(frames: int = 20, **values: Any) -> Plan:
    source = Source(Motion(*smooth_motion(frames, 0), 20.0), None, 20.0, "swaying")
    return compile_request(*request_of({"version": 1, **values}, "edit.yaml"), source, 60, force=True)


@pytest.mark.parametrize(
    ("wanted", "run", "expected"),
    [
        (TARGET, {}, {"planted": 0.6, "calm": 0.1}),
        (TARGET, {"planted": 0, "smooth": 0.2, "calm": 0}, {"smooth": 0.2}),
        (AWAY, {}, {"planted": 0.6}),
        (AWAY, {"calm": 0.1}, {"planted": 0.6, "calm": 0.1}),
        (MASK, {}, {"smooth": 0.3}),
        (MASK, {"planted": 0.1, "smooth": 0}, {"planted": 0.1}),
        ({"keep": {}}, {}, {}),
    ],
)
def test_feet_are_minded_in_edits_and_jerks_where_the_input_may_shake(
    wanted: dict[str, Any], run: dict[str, Any], expected: dict[str, float]
) -> None:
    assert {habit.term: habit.weight for habit in plan(**wanted, run=run).habits} == expected
    assert not any(habit.hard for habit in plan(**wanted, run=run).habits)


def test_three_frames_have_no_jerk() -> None:
    assert not plan(frames=3, **MASK).habits


def test_an_input_is_no_calmer_than_itself() -> None:
    made = plan(**TARGET)
    (calm,) = [habit for habit in made.habits if isinstance(habit, Calm)]
    columns = {joint: joint for joint in range(24)}
    own = BodyMotion(made.source.positions, columns, None, made.fps)
    assert float(calm.residual(own)[0]) == 0
    hasty = BodyMotion(4 * made.source.positions, columns, None, made.fps)
    assert float(calm.residual(hasty)[0]) == pytest.approx(4 * calm.input_m / 1.25e-3 - 1)
