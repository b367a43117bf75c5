"""Actions of the torso and the head: stretching to the left, toe touches, head circling."""

from __future__ import annotations

import numpy as np

from mdtool.data.synthetic.curves import ease, stroke
from mdtool.data.synthetic.performer import Take
from mdtool.data.synthetic.pose import LEFT, RIGHT, SIGNS, Pose


def left_stretching(take: Take) -> Pose:
    """Bend to the left with the right arm arching overhead, the left hand on the hip or sliding down the thigh."""
    who = take.performer
    pose = take.stand(take.draw(0.16, 0.23), toe_out_deg=take.draw(2, 10))
    phase = take.phase(take.draw(2.7, 3.6))
    lean = stroke(phase, 0.34, 0.16, 0.34, who.ramp)
    bounce = 0.08 * np.sin(2 * np.pi * phase * 6) * ease(2 * lean - 1) * take.draw(0, 1)
    lean = (lean + bounce) * take.amount()
    reach = stroke(phase + 0.07, 0.40, 0.19, 0.40)
    pose.hips[:, 0] -= 0.055 * lean
    pose.pelvis[:, 2] += 9 * lean
    pose.spine[:, 2] += take.draw(34, 40) * lean
    pose.spine[:, 1] += take.draw(-5, 3) * lean
    pose.head[:, 2] += take.draw(8, 16) * lean
    pose.head[:, 1] += take.draw(-10, 6) * lean
    right, left = pose.arms[RIGHT], pose.arms[LEFT]
    right.abduct = right.abduct + (take.draw(158, 174) - right.abduct) * reach
    right.axial = right.axial + 65 * reach
    right.elbow = right.elbow + take.draw(10, 24) * reach
    right.supinate = right.supinate + 20 * reach
    if take.rng.random() < 0.6:
        left.reach = take.hand_on_hip()
        left.supinate = left.supinate * 0 + 20
        left.wrist = left.wrist * 0 + 45
    else:
        left.abduct = left.abduct + 20 * lean
        left.elbow = left.elbow * (1 - 0.5 * lean)
    return pose


def standing_toe_touches(take: Take) -> Pose:
    """Bend down over straight legs until the hands reach the toes, then up with the arms raised."""
    who = take.performer
    pose = take.stand(take.draw(0.09, 0.16))
    phase = take.phase(take.draw(2.8, 3.6))
    down = stroke(phase, 0.40, 0.08, 0.38, who.ramp)
    depth = down * (0.94 + 0.35 * (take.amount() - 1))
    pose.hips[:, 2] -= take.draw(0.11, 0.15) * depth
    pose.hips[:, 1] -= take.draw(0.0, 0.02) * depth
    curl = take.draw(70, 84)
    pose.pelvis[:, 0] += take.draw(78, 86) * depth
    pose.spine[:, 0] += curl * stroke(phase - 0.02, 0.40, 0.08, 0.38) * 0.97 - 6 * (1 - down)
    pose.head[:, 0] += take.draw(-12, 14) * depth
    raised = take.draw(20, 160) * stroke(phase + 0.44, 0.36, 0.04, 0.40)
    torso_bend = pose.pelvis[:, 0] + pose.spine[:, 0]
    reach_deg = take.draw(0, 8)
    for side, arm in enumerate(pose.arms):
        arm.flex = arm.flex * (1 - down) + raised + (torso_bend + reach_deg + 2 * SIGNS[side]) * down
        arm.abduct = arm.abduct * (1 - 0.9 * down)
        arm.elbow = arm.elbow * (1 - 0.6 * down)
        overhead = raised / 180
        arm.axial = arm.axial - 50 * overhead
        arm.supinate = arm.supinate - 30 * down + 60 * overhead
        arm.curl = arm.curl * (1 - 0.7 * down)
    return pose


def head_anticlockwise_circling(take: Take) -> Pose:
    """Hands on the hips, the head rolls forward, left, back and right: anticlockwise as seen from above."""
    pose = take.stand(take.draw(0.11, 0.18))
    phase = take.phase(take.draw(2.2, 3.2))
    angle = 2 * np.pi * (phase + 0.03 * np.sin(2 * np.pi * phase + take.draw(0, 6)))
    size = take.amount()
    forward, left = np.cos(angle), np.sin(angle)
    pose.head[:, 0] += size * (34 * forward + 5)
    pose.head[:, 2] += size * 31 * left
    pose.head[:, 1] += -size * 6 * left
    follow = take.draw(1.5, 4.5)
    lagging = angle - 0.4
    pose.spine[:, 0] += follow * np.cos(lagging)
    pose.spine[:, 2] += follow * np.sin(lagging)
    pose.hips[:, 0] -= 0.004 * follow * left
    pose.hips[:, 2] -= 0.003 * follow * forward
    for arm in pose.arms:
        arm.reach = take.hand_on_hip()
        arm.supinate = arm.supinate * 0 + 20
        arm.wrist = arm.wrist * 0 + 45
    return pose
