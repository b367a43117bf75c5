"""The layout of AMASS files (Mahmood et al. 2019): z-up SMPL parameters, `trans` apart from the pelvis.

| name | shape | meaning |
|---|---|---|
| poses | [T, 156] or [T, 72] | axis-angle, joint 0 first: 22 body and 30 finger joints (SMPL-H), or the 24 of SMPL |
| trans | [T, 3] | metres; SMPL turns the body about its resting pelvis, so the pelvis is at trans + that place |
| betas | [16] | body shape of the model of that gender |
| mocap_framerate, gender | scalars | frames per second; male, female or neutral |

mdtool adds what makes its own files exact: `rest_pelvis` [3], the resting pelvis that was taken off trans; `hands`
[T, 2, 3], the turns of SMPL's two hand joints, which SMPL-H has not; and action, split, subject, name and text.
"""

from __future__ import annotations

import numpy as np

from mdtool.motion.axes import AMASS_AXES, axes_matrix

WORLD = axes_matrix(AMASS_AXES)
"""mdtool's y-up world to AMASS's z-up one; [3, 3]."""

REST_PELVIS = np.array([0.0, -0.23, 0.03])
"""Pelvis in the rest pose of SMPL's own coordinates, metres, y up; models and shapes differ by about 2 cm."""

BODY_JOINTS = 22
"""Joints that SMPL and SMPL-H share; SMPL's last two are the hands."""

WIDTHS = {"smplh": 156, "smpl": 72}
"""Columns of `poses` by body model."""

FINGER_BASES = ((22, 25, 28, 31), (37, 40, 43, 46))
"""First joints of SMPL-H's index, middle, little and ring finger, left and right: what a hand joint turns."""


def full_poses(turns: np.ndarray, model: str) -> np.ndarray:
    """Axis-angle turns of SMPL's 24 joints [T, 24, 3] as the columns of `poses`; [T, 72] or, for "smplh", [T, 156].

    SMPL-H has no hand joints: their turns go to the fingers' first joints.
    """
    if model == "smpl":
        return turns.reshape(len(turns), -1)
    poses = np.zeros((len(turns), WIDTHS[model] // 3, 3))
    poses[:, :BODY_JOINTS] = turns[:, :BODY_JOINTS]
    for hand, bases in enumerate(FINGER_BASES):
        poses[:, bases] = turns[:, BODY_JOINTS + hand, None]
    return poses.reshape(len(turns), -1)
