"""Plans as tables for people and as plain types for programs, without a network."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.table import Table

from mdtool.editing.document import key_name
from mdtool.editing.frames import held, in_words
from mdtool.editing.goals import Clear, Goal, Places, describe
from mdtool.editing.joints import reach
from mdtool.editing.plan import Plan


def plan_table(plan: Plan) -> Table:
    """What would be searched for, and how far it is from the input."""
    table = Table("request", "wants", "frames", "must", "weight", "from the input")
    for goal in plan.goals:
        must = "" if goal.must is None else f"{100 * goal.must:g} cm"
        table.add_row(
            key_name(goal.key),
            describe(goal),
            in_words(goal.frames, plan.frames),
            must,
            f"{goal.weight:g}",
            away(plan, goal),
        )
    return table


def away(plan: Plan, goal: Goal) -> str:
    """How far a goal is from what the input does, by places of the pelvis alone: no network, no kinematics."""
    way = plan.source.way
    if isinstance(goal, Clear):
        return f"{goal.safe:.2f} m around {len(goal.obstacles)}"
    if not isinstance(goal, Places) or not goal.hard or len(goal.joints) > 3:
        return ""
    rows = goal.mask[:, 0]
    if not rows[:, [0, 2]].all():
        return ""
    off = np.linalg.norm(np.where(rows, goal.values[:, 0] - held(way, goal.frames), 0), axis=1)
    if goal.joints == (0,):
        where = int(np.argmax(off / np.maximum(goal.frames, 1)))
        speed = off[where] / max(goal.frames[where] / plan.fps, 1e-9)
        return f"{off.max():.2f} m, {speed:.1f} m/s more than the input"
    return f"{off.max():.2f} m from the pelvis, the chain reaches {reach(goal.joints[0]):.2f} m"


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan as plain types."""
    return {
        "file": plan.document.file,
        "task": plan.task,
        "input": plan.source.name,
        "frames": plan.frames,
        "steps": plan.steps,
        "new_noise": plan.random,
        "content": plan.content,
        "action": plan.action_told,
        "goals": [
            {
                "key": key_name(goal.key),
                "wants": describe(goal),
                "frames": goal.frames.tolist(),
                "must": goal.must,
                "weight": goal.weight,
                "from_the_input": away(plan, goal),
            }
            for goal in plan.goals
        ],
        "warnings": [problem.plain() for problem in plan.warnings],
    }
