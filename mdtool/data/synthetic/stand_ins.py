"""Stand-ins for the actions of UESTC and HumanAct12: our exercises under those names, each in a way of its own.

They are not the exercises that the names say, only as many distinct, believable ones: the trunk and the legs of one
exercise, the arms of another where given, its own pace, size, side, and a bend, turn or lean of the trunk on top.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mdtool.data.synthetic.assemble import assemble
from mdtool.data.synthetic.company import EXERCISES
from mdtool.data.synthetic.performer import Take, performer
from mdtool.data.synthetic.pose import Pose
from mdtool.motion.action_names import HUMANACT12_ACTIONS, UESTC_ACTIONS
from mdtool.motion.mirror import mirror
from mdtool.motion.motion import Motion

_Trunk = tuple[float, float, float]
_STILL: _Trunk = (0.0, 0.0, 0.0)
_FACING_DEG, _PLACE_M = 5.0, 0.12
"""Spread of the direction in which a performer stands, and how far from the middle."""


@dataclass(frozen=True)
class StandIn:
    """One exercise made of others."""

    body: str
    """Exercise that the legs and the trunk do."""
    arms: str = ""
    """Exercise that the arms do; that of the body when empty."""
    tempo: float = 1.0
    """Duration of a movement relative to the exercise's."""
    vigour: float = 1.0
    """Size of a movement relative to the exercise's."""
    mirrored: bool = False
    trunk: _Trunk = _STILL
    """Degrees by which the chest bends forward, turns left and leans left on top, there and back in `period_s`."""
    period_s: float = 2.0


_JACK, _SQUAT, _STRETCH, _CLAP, _PUNCH = "jumping-jack", "squatting", "left-stretching", "rotation-clapping", "punching"
_CIRCLE, _HEAD, _KNEES = "arm-circling", "head-anticlockwise-circling", "alternate-knee-lifting"
_TOES, _WALK = "standing-toe-touches", "walking"

_UESTC = (
    StandIn(_KNEES, _PUNCH, 1.1),
    StandIn(_KNEES, tempo=0.75, vigour=0.85),
    StandIn(_JACK),
    StandIn(_SQUAT),
    StandIn(_SQUAT, _KNEES, 0.9, 0.8, trunk=(6, 0, 0)),
    StandIn(_SQUAT, _STRETCH, 1.1, 0.75, trunk=(0, 0, 7)),
    StandIn(_STRETCH),
    StandIn(_JACK, _TOES, 1.05),
    StandIn(_KNEES, _CLAP, 0.9, 1.05, trunk=(0, 0, -4)),
    StandIn(_CLAP),
    StandIn(_HEAD, _SQUAT, 0.9, 0.7),
    StandIn(_HEAD, _CLAP, 0.85, 0.6),
    StandIn(_PUNCH),
    StandIn(_HEAD, _PUNCH, 1.4, 0.5),
    StandIn(_HEAD, _STRETCH, 0.8, 0.5, mirrored=True),
    StandIn(_HEAD, _TOES, 0.7, 0.5),
    StandIn(_HEAD, _CIRCLE, 0.7, 0.5),
    StandIn(_STRETCH, tempo=0.8, vigour=0.3, mirrored=True),
    StandIn(_CIRCLE),
    StandIn(_HEAD, _JACK, 1.4, 0.5, trunk=(3, 0, 0), period_s=1.2),
    StandIn(_CLAP, _SQUAT, 1.2, 0.4, trunk=(-6, 0, 0), period_s=2.6),
    StandIn(_HEAD),
    StandIn(_HEAD, _JACK, 1.9, 0.4),
    StandIn(_CLAP, _STRETCH, 1.3, 0.6),
    StandIn(_TOES, tempo=1.15, vigour=0.8),
    StandIn(_STRETCH, _CLAP, 1.25, 0.7),
    StandIn(_STRETCH, _HEAD, 0.85, 0.8, mirrored=True),
    StandIn(_KNEES, _HEAD, 1.15, 1.05, trunk=(14, 10, 0)),
    StandIn(_CLAP, _HEAD, 1.1, 1.05),
    StandIn(_HEAD, _TOES, 1.3, 0.6, trunk=(-5, 0, 6), period_s=3.2),
    StandIn(_HEAD, _SQUAT, 1.5, 0.5, trunk=(12, 0, 0), period_s=3.4),
    StandIn(_KNEES, _SQUAT, 1.4),
    StandIn(_SQUAT, _HEAD, 0.85, 0.45, trunk=(8, 6, 0)),
    StandIn(_KNEES),
    StandIn(_TOES, _CIRCLE, 1.2, 0.7, trunk=(0, 12, 0), period_s=1.8),
    StandIn(_JACK, _HEAD, 0.85, 0.7),
    StandIn(_TOES),
    StandIn(_SQUAT, _CIRCLE, 1.3, 0.3),
    StandIn(_JACK, _KNEES, 0.9, 0.6, mirrored=True),
    StandIn(_KNEES, tempo=0.5, vigour=0.75, trunk=(5, 0, 0), period_s=1.0),
)
_HUMANACT12 = (
    StandIn(_JACK),
    StandIn(_WALK),
    StandIn(_WALK, _PUNCH, 0.75, 1.1),
    StandIn(_JACK, _TOES, 1.1),
    StandIn(_HEAD, _STRETCH, 1.1, 0.5, mirrored=True),
    StandIn(_SQUAT, _TOES, 1.1, 0.8),
    StandIn(_SQUAT, _HEAD, 1.4),
    StandIn(_HEAD, _PUNCH, 1.5, 0.5),
    StandIn(_CLAP, _PUNCH, 1.2, 0.5),
    StandIn(_HEAD, _STRETCH, 1.6, 0.6),
    StandIn(_PUNCH),
    StandIn(_CLAP, _CIRCLE, 0.9),
)
UESTC_STAND_INS: dict[str, StandIn] = dict(zip(UESTC_ACTIONS, _UESTC, strict=True))
"""UESTC's name → what is done under it."""
HUMANACT12_STAND_INS: dict[str, StandIn] = dict(zip(HUMANACT12_ACTIONS, _HUMANACT12, strict=True))
"""HumanAct12's name → what is done under it."""


def perform(stand_in: StandIn, take: Take, person: int, seed: int) -> Motion:
    """One take of a stand-in by person number `person`, near the middle of the floor and facing about +z."""
    take.performer_index = person
    usual = performer(seed, person)
    take.performer = replace(usual, tempo=usual.tempo * stand_in.tempo, vigour=usual.vigour * stand_in.vigour)
    facing_deg = float(np.clip(take.rng.normal(0, _FACING_DEG), -2 * _FACING_DEG, 2 * _FACING_DEG))
    place = (take.draw(-_PLACE_M, _PLACE_M), take.draw(-_PLACE_M, _PLACE_M))
    pose = _layered(EXERCISES[stand_in.body], EXERCISES.get(stand_in.arms), take)
    swing = (1 - np.cos(2 * np.pi * take.phase(stand_in.period_s))) / 2
    pose.spine += swing[:, None] * np.array(stand_in.trunk)
    rot6d, root = assemble(take.imprecise(pose), facing_deg, place)
    motion = Motion(rot6d, root, fps=float(1 / take.time_s[1]), subject=f"performer-{person}")
    return mirror(motion) if stand_in.mirrored else motion


def _layered(body: Callable[[Take], Pose], arms: Callable[[Take], Pose] | None, take: Take) -> Pose:
    pose = body(take)
    return pose if arms is None else replace(pose, arms=arms(take).arms)
