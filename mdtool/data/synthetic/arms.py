"""Actions of the arms: arm circling, punching, clapping with a twist of the body."""

from __future__ import annotations

import numpy as np

from mdtool.data.synthetic.curves import stroke
from mdtool.data.synthetic.performer import Take
from mdtool.data.synthetic.pose import RIGHT, SIGNS, Pose, Reach


def arm_circling(take: Take) -> Pose:
    """Both straight arms swing in full circles beside the body, all forward or all backward."""
    pose = take.stand(take.draw(0.10, 0.17))
    direction = 1 if take.rng.random() < 0.5 else -1
    phase = take.phase(take.draw(1.25, 1.75))
    up = np.zeros_like(phase)
    for side, arm in enumerate(pose.arms):
        apart = 0.012 * SIGNS[side] * take.draw(-1, 1)
        # An arm is lighter on its way down: the circle is a little quicker there.
        angle = 2 * np.pi * (direction * (phase + apart) + 0.02 * np.sin(2 * np.pi * phase))
        back = (1 - np.sin(angle)) / 2
        overhead = (1 - np.cos(angle)) / 2
        up = up + overhead / 2
        arm.flex = np.rad2deg(angle)
        arm.abduct = take.draw(14, 24) + 20 * take.amount() * back * (0.4 + 0.6 * overhead) + 4 * overhead
        arm.elbow = take.draw(5, 9) + 5 * back * overhead
        # Half of the turn of an arm that goes over the top happens in the forearm.
        arm.axial = arm.axial * 0 - 25 * back * (1 - overhead) - 70 * overhead
        arm.supinate = arm.supinate * 0 + 75 * overhead
        arm.curl = arm.curl * 0.4
    ride = np.cos(2 * np.pi * phase - 0.5)
    pose.spine[:, 0] += take.draw(2, 5) * ride - 3 * up
    pose.pelvis[:, 0] += -take.draw(0.5, 2) * ride
    pose.head[:, 0] += 2.5 * up
    pose.hips[:, 1] += -0.012 + 0.010 * take.draw(0.4, 1) * np.cos(2 * np.pi * phase + 2.6)
    pose.hips[:, 2] += 0.008 * ride
    return pose


def punching(take: Take) -> Pose:
    """Straight punches, left and right in turn, from a guard before the chin; the body turns into each."""
    who = take.performer
    pose = take.stand(take.draw(0.13, 0.19))
    lead = who.lead
    phase = take.phase(take.draw(1.25, 1.7))
    size = take.amount(0.04)
    stagger = take.draw(0.08, 0.16)
    for side, foot in enumerate(pose.feet):
        foot.z = foot.z + (stagger if side == lead else -stagger)
        foot.turn = foot.turn + (-6 if side == lead else 14) * SIGNS[side]
    pose.hips[:, 1] -= take.draw(0.035, 0.07)
    bounce = 0.010 * np.cos(4 * np.pi * phase)
    pose.hips[:, 1] += bounce
    guard = np.array([take.draw(0.08, 0.12), take.draw(0.42, 0.47), take.draw(0.23, 0.28)])
    target = np.array([take.draw(0.10, 0.17), take.draw(0.35, 0.42), 0.64])
    twist = np.zeros_like(phase)
    for side, arm in enumerate(pose.arms):
        cycle = phase + (0.0 if side == lead else 0.5)
        punch = stroke(cycle, 0.24, 0.03, 0.30)
        early = stroke(cycle + 0.02, 0.24, 0.03, 0.32)
        twist = twist - SIGNS[side] * early * size
        rear = 0.35 if side == lead else 1.0
        if side != lead:
            pose.feet[side].heel_rise = 22 * early * size
        pose.hips[:, 2] += 0.022 * early * rear
        loose = 0.01 * np.stack([take.drift(1, 0.2, 0.6) for _ in range(3)], -1)
        path = guard + loose + (target - guard) * (punch * (0.94 + 0.06 * size))[:, None]
        elbow = np.array([0.55, -1.0, -0.25]) + np.array([0.35, 0.15, 0.0]) * punch[:, None]
        arm.reach = Reach(path, elbow)
        arm.supinate = -20 - 50 * punch
        arm.wrist = 0 * punch
        arm.curl = 0 * punch + 145
    pose.pelvis[:, 1] += 9 * twist
    pose.spine[:, 1] += 19 * twist
    pose.head[:, 1] -= 21 * twist
    pose.spine[:, 0] += take.draw(4, 9)
    pose.head[:, 0] += take.draw(-4, 4)
    return pose


def rotation_clapping(take: Take) -> Pose:
    """The arms open wide, the body turns to one side and the hands clap there; then the other side."""
    who = take.performer
    pose = take.stand(take.draw(0.14, 0.21))
    phase = take.phase(take.draw(2.2, 3.0))
    start = 0.5 * (who.lead == RIGHT)
    turn = (
        stroke(phase + start, 0.26, 0.06, 0.24, who.ramp) - stroke(phase + start + 0.5, 0.26, 0.06, 0.24, who.ramp)
    ) * take.amount()
    clap = stroke(2 * phase - 0.04, 0.46, 0.04, 0.44)
    pose.pelvis[:, 1] += 14 * turn
    pose.spine[:, 1] += take.draw(30, 38) * turn
    pose.head[:, 1] += take.draw(2, 10) * turn
    pose.spine[:, 0] += 3 * clap
    pose.hips[:, 0] += 0.02 * turn
    level = take.draw(80, 90) + take.drift(1.5)
    for side, arm in enumerate(pose.arms):
        arm.abduct = level - 3 * clap + SIGNS[side] * 4 * turn * (1 - clap)
        arm.flex = arm.flex * 0
        arm.across = -4 + 92 * clap
        arm.elbow = 14 + 12 * clap
        arm.axial = arm.axial * 0 + 25 + 20 * clap
        arm.supinate = arm.supinate * 0 + 10 + 35 * clap
        arm.wrist = arm.wrist * 0
        arm.curl = arm.curl * 0.2
    return pose
