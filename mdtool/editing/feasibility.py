"""What a request asks that a body cannot do, found before any search: reach, speed, height, walls, contradictions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mdtool.editing.document import Problem
from mdtool.editing.goals import BodyMotion, Clear, Places
from mdtool.editing.joints import reach
from mdtool.editing.obstacles import nearest
from mdtool.motion.skeleton import JOINT_NAMES

if TYPE_CHECKING:
    from mdtool.editing.plan import Plan

FAST_M_S, FASTEST_M_S = 3.0, 8.0
"""Speeds of the pelvis that deserve a warning, and that nobody runs in a few frames."""
HIGHEST_PELVIS_M = 1.25
"""The pelvis of the 1.70 m skeleton in a jump from the spot."""
_SINKS_M = 0.05
"""How far below the floor a place may be: feet of generated and recorded key poses sink by centimetres."""
_SAME_M = 1e-3


def infeasible(plan: Plan) -> list[Problem]:
    """Everything that is wrong with the goals of a plan; contradictions are errors, the rest yields to --force."""
    wanted = _wanted(plan)
    return [
        *_contradictions(plan, wanted),
        *_heights(plan),
        *_limbs(plan, wanted),
        *_speeds(plan, wanted),
        *_walls(plan),
    ]


Wanted = dict[tuple[float, int], dict[int, tuple[float, int]]]
"""(frame, joint) → axis → (coordinate, which goal)."""


def _hard(plan: Plan) -> list[tuple[int, Places]]:
    return [(place, goal) for place, goal in enumerate(plan.goals) if isinstance(goal, Places) and goal.hard]


def _coordinates(plan: Plan) -> Iterator[tuple[int, Places, float, int, int, float]]:
    """(which goal, the goal, frame, joint, axis, coordinate) of everything that hard goals ask for themselves."""
    for place, goal in _hard(plan):
        for row, frame in enumerate(goal.frames):
            if goal.asked is not None and frame not in goal.asked:
                continue
            for column, joint in enumerate(goal.joints):
                for axis in np.flatnonzero(goal.mask[row, column]):
                    yield place, goal, float(frame), joint, int(axis), float(goal.values[row, column, axis])


def _wanted(plan: Plan) -> Wanted:
    found: Wanted = {}
    for place, _, frame, joint, axis, value in _coordinates(plan):
        found.setdefault((frame, joint), {}).setdefault(axis, (value, place))
    return found


def _contradictions(plan: Plan, wanted: Wanted) -> list[Problem]:
    """The first coordinate of each goal that an earlier goal wants elsewhere."""
    problems: dict[int, Problem] = {}
    for place, goal, frame, joint, axis, own in _coordinates(plan):
        value, first = wanted[frame, joint][axis]
        if place in problems or first == place or abs(value - own) <= _SAME_M:
            continue
        line = plan.document.problem(plan.goals[first].key, "").line
        problems[place] = plan.document.problem(
            goal.key,
            f"{JOINT_NAMES[joint]} {'xyz'[axis]} at frame {frame:g} is to be {own:.2f} here and "
            f"{value:.2f} in line {line}: keep one of the two",
        )
    return list(problems.values())


def _heights(plan: Plan) -> list[Problem]:
    problems = []
    for _, goal in _hard(plan):
        for column, joint in enumerate(goal.joints):
            heights = goal.values[:, column, 1][goal.mask[:, column, 1]]
            if not len(heights):
                continue
            name = JOINT_NAMES[joint]
            if heights.min() < -_SINKS_M:
                problems.append(
                    plan.document.problem(
                        goal.key, f"{name} at y = {heights.min():.2f} m is below the floor (y = 0): y points up", True
                    )
                )
            most = HIGHEST_PELVIS_M + reach(joint)
            if heights.max() > most:
                problems.append(
                    plan.document.problem(
                        goal.key,
                        f"{name} at y = {heights.max():.2f} m is higher than the body reaches ({most:.2f} m): lower it",
                        True,
                    )
                )
    return problems


def _limbs(plan: Plan, wanted: Wanted) -> list[Problem]:
    problems = []
    for (frame, joint), axes in wanted.items():
        pelvis = wanted.get((frame, 0), {})
        shared = [axis for axis in axes if axis in pelvis and joint]
        if not shared:
            continue
        away = float(np.linalg.norm([axes[axis][0] - pelvis[axis][0] for axis in shared]))
        if away > reach(joint) + _SAME_M:
            key = plan.goals[axes[shared[0]][1]].key
            problems.append(
                plan.document.problem(
                    key,
                    f"{JOINT_NAMES[joint]} at frame {frame:g} is {away:.2f} m from where the pelvis is to be, and the "
                    f"chain between them is {reach(joint):.2f} m long: move one of them",
                    True,
                )
            )
    return problems


def _speeds(plan: Plan, wanted: Wanted) -> list[Problem]:
    """Straight lines between places that the pelvis must have, or must be near for a joint to be at its target."""
    stops: list[tuple[float, np.ndarray, float, int | None]] = [(0, np.zeros(2), 0.0, None)] if not plan.free else []
    for (frame, joint), axes in sorted(wanted.items()):
        if 0 in axes and 2 in axes:
            stops.append((frame, np.array([axes[0][0], axes[2][0]]), reach(joint), axes[0][1]))
    problems = []
    for (before, start, slack, _), (frame, end, reached, goal) in pairwise(stops):
        way = max(0.0, float(np.linalg.norm(end - start)) - slack - reached)
        if goal is None or way < _SAME_M:
            continue
        if frame == before:
            if frame == 0 and not plan.free:
                message = "frame 0 is where the motion starts and stays there: use a later frame, or `space: world`"
                problems.append(plan.document.problem(plan.goals[goal].key, message, True))
            continue
        speed = way / ((frame - before) / plan.fps)
        if speed > FAST_M_S:
            told = f"{speed:.1f} m/s from frame {before:g} ({way:.2f} m in {(frame - before) / plan.fps:.2f} s)"
            if speed > FASTEST_M_S:
                message = f"this needs {told}, faster than anyone runs: move the target nearer or later"
            else:
                message = f"warning: this needs {told}, as fast as running"
            problems.append(plan.document.problem(plan.goals[goal].key, message, True))
    return problems


def _walls(plan: Plan) -> list[Problem]:
    problems = []
    for clear in (goal for goal in plan.goals if isinstance(goal, Clear)):
        standing = np.zeros((plan.frames, 1, 3)) + plan.source.way[0]
        if 0 in clear.joints and not plan.free and nearest(list(clear.obstacles), standing)[0, 0] < 0:
            message = "an obstacle covers the place where the motion starts: move it away"
            problems.append(plan.document.problem(clear.key, message, True))
        for _, goal in _hard(plan):
            for column, joint in enumerate(goal.joints):
                rows = goal.mask[:, column][:, [0, 2]].all(1)
                if joint not in clear.joints or not rows.any():
                    continue
                points = np.zeros((plan.frames, 1, 3))
                places = np.where(goal.mask[:, column], goal.values[:, column], plan.source.way[0])
                rounded = np.rint(goal.frames).astype(int)
                points[rounded, 0] = places
                body = BodyMotion(points, {joint: 0}, np.zeros((plan.frames, 24, 6)), plan.fps)
                alone = Clear(clear.key, 1.0, None, clear.frames, (joint,), clear.obstacles, clear.safe)
                depth = clear.safe - alone.clearance(body)[rounded, 0]
                deepest = int(np.argmax(np.where(rows, depth, -np.inf)))
                if depth[deepest] > _SAME_M:
                    problems.append(
                        plan.document.problem(
                            goal.key,
                            f"{JOINT_NAMES[joint]} at frame {goal.frames[deepest]:g} is to be {depth[deepest]:.2f} m "
                            f"inside the safe zone of an obstacle: move the target, or make `safe` smaller",
                            True,
                        )
                    )
    return problems
