"""Actions on one foot at a time: walking and alternate knee lifting."""

from __future__ import annotations

import numpy as np

from mdtool.data.synthetic.curves import ease, stepwise, stroke
from mdtool.data.synthetic.performer import Take
from mdtool.data.synthetic.pose import SIGNS, Pose

_STANCE = 0.62
"""Share of the stride that a foot is on the floor."""
_PATH_STEPS = 200
"""Points per stride at which the walked path is integrated."""


def walking(take: Take) -> Pose:
    """Steady walk along a slightly curved path: heel first, over the flat foot, off the ball."""
    who = take.performer
    pose = take.stand()
    stride_m = take.draw(1.15, 1.4) * who.vigour
    phase = take.phase(take.draw(1.02, 1.18), spread=0.05)
    path = _Path(take, stride_m, float(phase.max()) + 2)
    surge = phase + 0.006 * np.sin(4 * np.pi * phase + 0.5)
    (x, z), heading = path.point(surge), path.heading(surge)
    half_track, toe_roll, heel_roll = take.draw(0.045, 0.075), take.draw(16, 24), take.draw(52, 62)
    for side, foot in enumerate(pose.feet):
        cycle = phase + 0.5 * side
        place = cycle % 1
        steps = int(cycle.max()) + 3
        # Step k is under the body in the middle of its stance.
        passed = np.maximum(np.arange(steps) + _STANCE / 2 - 0.5 * side, 0)
        at, towards = path.point(passed), path.heading(passed)
        track = SIGNS[side] * half_track + take.rng.normal(0, 0.008, steps)
        ahead = take.rng.normal(0, 0.012, steps) - 0.03
        step_x = at[0] + track * np.cos(np.deg2rad(towards)) + ahead * np.sin(np.deg2rad(towards))
        step_z = at[1] - track * np.sin(np.deg2rad(towards)) + ahead * np.cos(np.deg2rad(towards))
        foot.x = stepwise(cycle, step_x, _STANCE, 1.0, 0.34)
        foot.z = stepwise(cycle, step_z, _STANCE, 1.0, 0.34)
        foot.turn = foot.turn + stepwise(cycle, towards, _STANCE, 1.0)
        foot.lift = 0.046 * who.vigour * stroke(place - _STANCE + 0.014, 0.13, 0.04, 0.215)
        foot.heel_rise = heel_roll * stroke(place - 0.34, 0.33, 0.0, 0.22)
        foot.toe_rise = toe_roll * (ease((place - 0.80) / 0.19) + 1 - ease(place / 0.12))
    # The left foot is in the middle of its stance at phase 0.31, the right one half a stride later.
    angle = 2 * np.pi * (phase - _STANCE / 2)
    over_left = np.cos(angle)
    ahead_left = -np.sin(angle)  # of the left foot, relative to the body: -1 at push-off, +1 at heel strike
    size = take.amount(0.08)
    sway = take.draw(0.016, 0.028) * over_left
    pose.hips[:, 0] += x + sway * np.cos(np.deg2rad(heading))
    pose.hips[:, 2] += z - sway * np.sin(np.deg2rad(heading))
    # The hips sink when the legs are apart, about as far as legs of that length do.
    pose.hips[:, 1] += (stride_m / 1.3) ** 2 * (-0.020 + 0.020 * np.cos(2 * angle))
    pose.softness = 0.012
    swing = take.draw(4, 7) * size
    pose.pelvis[:, 1] += heading - swing * ahead_left
    pose.pelvis[:, 2] += -take.draw(1.5, 3.5) * over_left
    pose.pelvis[:, 0] += 1.5 + 1.0 * np.cos(2 * angle + 0.5)
    pose.spine[:, 1] += 2.0 * swing * ahead_left
    pose.spine[:, 2] += take.draw(1.5, 3.0) * over_left
    pose.spine[:, 0] += 1.5 - 1.2 * np.cos(2 * angle + 0.2)
    pose.head[:, 1] -= 0.9 * swing * ahead_left
    pose.head[:, 0] += 0.8 * np.cos(2 * angle)
    arm_swing, late = take.draw(16, 26) * size, take.draw(0.1, 0.4)
    for side, arm in enumerate(pose.arms):
        forward = np.sin(angle - late) * SIGNS[side]  # with the opposite leg
        arm.flex = arm.flex + 2 + arm_swing * (1 + 0.1 * SIGNS[side]) * forward
        arm.elbow = arm.elbow + 2 + 0.32 * arm_swing * (1 + np.sin(angle - late - 0.35) * SIGNS[side])
        arm.abduct = arm.abduct - 2
        arm.across = 4 * forward
    return pose


class _Path:
    """A line on the floor that wavers in direction, measured in strides."""

    def __init__(self, take: Take, stride_m: float, strides: float) -> None:
        place = np.linspace(0, strides, int(strides * _PATH_STEPS) + 1)
        waves = take.rng.normal(0, 4, 2), take.rng.random(2)
        self._place = place
        self._heading = sum(
            size * np.sin(2 * np.pi * (place * per_stride + offset))
            for size, offset, per_stride in zip(*waves, (0.13, 0.21), strict=True)
        )
        ahead = np.deg2rad(self._heading)
        step_m = stride_m * place[1]
        self._x, self._z = (
            np.concatenate([[0.0], np.cumsum((run[1:] + run[:-1]) / 2)]) * step_m
            for run in (np.sin(ahead), np.cos(ahead))
        )

    def point(self, strides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x and z after so many strides; metres."""
        return np.interp(strides, self._place, self._x), np.interp(strides, self._place, self._z)

    def heading(self, strides: np.ndarray) -> np.ndarray:
        """Direction after so many strides; degrees to the left of +z."""
        return np.interp(strides, self._place, self._heading)


def alternate_knee_lifting(take: Take) -> Pose:
    """Lift one knee to hip height, then the other; the arms swing against the legs or rest on the hips."""
    who = take.performer
    pose = take.stand(take.draw(0.085, 0.115))
    phase = take.phase(take.draw(1.7, 2.3))
    on_hips = take.rng.random() < 0.3
    height = take.draw(0.37, 0.46)
    late = take.draw(0.0, 0.03)
    for side, sign in enumerate(SIGNS):
        cycle = phase + (0.0 if side == who.lead else 0.5)
        lifted = stroke(cycle, 0.22, 0.03, 0.22, who.ramp) * take.amount(0.05)
        heel = stroke(cycle + 0.045, 0.16, 0.20, 0.155)
        shift = stroke(cycle + 0.13, 0.2, 0.30, 0.22)
        foot = pose.feet[side]
        foot.lift = height * lifted
        foot.z = foot.z + 0.27 * lifted**1.5
        foot.x = foot.x - sign * 0.02 * lifted
        foot.heel_rise = take.draw(24, 32) * heel
        pose.hips[:, 0] -= sign * 0.058 * shift
        pose.pelvis[:, 2] -= sign * 4 * lifted
        pose.pelvis[:, 0] -= 7 * lifted
        pose.pelvis[:, 1] -= sign * 4 * lifted
        pose.spine[:, 2] += sign * 5 * lifted
        pose.spine[:, 0] += 5 * lifted
        pose.spine[:, 1] += sign * 9 * lifted
        pose.head[:, 1] -= sign * 5 * lifted
        arm, opposite = pose.arms[side], pose.arms[1 - side]
        if on_hips:
            arm.reach = take.hand_on_hip()
            arm.supinate = arm.supinate * 0 + 20
            arm.wrist = arm.wrist * 0 + 45
            continue
        swing = stroke(cycle - late, 0.24, 0.02, 0.24)
        opposite.flex = opposite.flex + 52 * swing
        opposite.elbow = opposite.elbow + 48 * swing
        arm.flex = arm.flex - 16 * swing
        arm.elbow = arm.elbow + 8 * swing
    return pose
