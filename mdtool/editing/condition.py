"""Whether an edit tells the network the input's action, or asks for something that the action never does.

The paper's search has no condition. A network of few actions rebuilds and keeps its input better when it is told, but
who raises a hand in one place then stays in that place: a target across the room pulls and does not move them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mdtool.editing.frames import held
from mdtool.editing.goals import Clear, Goal, Places
from mdtool.editing.joints import reach

if TYPE_CHECKING:
    from mdtool.editing.source import Source

_SLACK_M = 0.25
"""How far beyond its input's own travel an action's motions are taken: a step to the side."""


def strays(source: Source, goals: list[Goal]) -> tuple[float, float] | None:
    """(metres by which the body must leave its way, metres that the input travels) when the first is much more.

    Args:
        goals: in the space `start`.
    """
    way = source.way[:, (0, 2)]
    travels = float(np.linalg.norm(way - way[0], axis=1).max())
    away = 0.0
    for goal in goals:
        if isinstance(goal, Clear) and 0 in goal.joints:
            away = max(away, -float(goal.margin(held(source.way, goal.frames)).min()))
        if not isinstance(goal, Places) or not goal.hard or goal.group != "pose":
            continue
        now = held(way, goal.frames)[:, None]
        off = np.linalg.norm(np.where(goal.mask[..., (0, 2)], goal.values[..., (0, 2)] - now, 0.0), axis=-1)
        arms = np.array([reach(joint) for joint in goal.joints])
        away = max(away, float((off - arms).max()))
    return (away, travels) if away > travels + _SLACK_M else None
