"""When the network is told the input's action: unless a target is out of that action's way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mdtool.editing.compiler import compile_request
from mdtool.editing.condition import strays
from mdtool.editing.plan import Plan
from mdtool.editing.reading import request_of
from mdtool.editing.source import Source
from mdtool.motion.motion import Motion
from mdtool.motion.skeleton import STANDING_PELVIS_HEIGHT

IDENTITY = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (60, 24, 1))


def moving(metres: float) -> Source:
    """A body that glides so far along +z."""
    root = np.zeros((60, 3), np.float32)
    root[:, 1], root[:, 2] = STANDING_PELVIS_HEIGHT, np.linspace(0, metres, 60)
    return Source(Motion(IDENTITY, root, 20.0, "wave", name="waving"), None, 20.0, "waving")


def plan(source: Source, target: dict[str, Any], **run: Any) -> Plan:
    values = {"version": 1, "targets": [{"at": 59, **target}], "run": run}
    return compile_request(*request_of(values, "edit.yaml"), source, 60, force=True)


@pytest.mark.parametrize(
    ("travels", "target", "told"),
    [
        (0.05, {"joint": "pelvis", "xz": [0.8, 0.6]}, False),
        (0.05, {"joint": "pelvis", "xz": [0.1, 0.1]}, True),
        (2.0, {"joint": "pelvis", "xz": [0.8, 0.6]}, True),
        (0.05, {"joint": "right_wrist", "xyz": [0.4, 1.2, 0.4]}, True),
        (0.05, {"joint": "right_wrist", "xyz": [2.0, 1.2, 2.0]}, False),
        (0.05, {"joint": "pelvis", "y": 0.4}, True),
        (0.05, {"facing": 180}, True),
    ],
)
def test_an_action_is_told_unless_the_target_is_out_of_its_way(
    travels: float, target: dict[str, Any], told: bool
) -> None:
    assert plan(moving(travels), target).tells_action is told
    assert plan(moving(travels), target, condition="keep").tells_action
    assert not plan(moving(travels), target, condition="none").tells_action


def test_the_reason_is_told() -> None:
    found = plan(moving(0.05), {"joint": "pelvis", "xz": [0.8, 0.65]})
    assert strays(found.source, found.goals) == pytest.approx((1.0, 0.05), abs=1e-3)
    assert found.action_told == "not told: a target is 1.00 m off the input's way, and the input moves 0.05 m"
    assert plan(moving(0.05), {"joint": "pelvis", "y": 0.4}, condition="none").action_told == "not told"
    assert plan(moving(2.0), {"joint": "pelvis", "xz": [0, 2]}).action_told == "told"


@pytest.mark.parametrize(("travels", "told"), [(0.05, False), (2.0, True)])
def test_who_stands_in_the_way_of_an_obstacle_may_walk_out_of_it(travels: float, told: bool) -> None:
    def tells(z: float) -> bool:
        crossing = {"pillar": {"at": [0, z], "radius": 0.3}, "move": [[0, [2, 0, 0]], [59, [-2, 0, 0]]]}
        values = {"version": 1, "avoid": [crossing]}
        return compile_request(*request_of(values, "edit.yaml"), moving(travels), 60, force=True).tells_action

    assert tells(0.9 * travels / 2) is told
    assert tells(5.0)


def test_new_noise_has_no_way_to_stray_from() -> None:
    assert plan(moving(0.05), {"joint": "pelvis", "xz": [0.8, 0.6]}, init="random").tells_action
