"""Signs that a recording is broken, found in the motion itself."""

from __future__ import annotations

import numpy as np

from mdtool.motion.motion import Motion
from mdtool.motion.skeleton import ANKLE_HEIGHT, JOINT_NAMES, TOE_HEIGHT

FASTEST_M_S = 15.0
"""No joint of an intact recording is faster (a sprinter's foot reaches about 12 m/s beside the ground)."""
DEEPEST_M = 0.06
"""Soles lower than this are under the floor; intact recordings stay within 0.04 m."""


def motion_defects(motion: Motion) -> list[str]:
    """One sentence per sign: a joint too fast, feet under the floor in at least 5 % of the frames."""
    positions = motion.positions()
    found = []
    if len(motion) > 1:
        speeds = np.linalg.norm(np.diff(positions, axis=0), axis=-1) * motion.fps
        frame, joint = np.unravel_index(int(speeds.argmax()), speeds.shape)
        if speeds[frame, joint] > FASTEST_M_S:
            found.append(
                f"{JOINT_NAMES[joint]} moves at {speeds[frame, joint]:.0f} m/s at frame {frame} "
                f"(people stay below {FASTEST_M_S:.0f})"
            )
    ankles, toes = positions[:, [7, 8], 1] - ANKLE_HEIGHT, positions[:, [10, 11], 1] - TOE_HEIGHT
    depth = -float(np.percentile(np.minimum(ankles, toes).min(axis=1), 5))
    if depth > DEEPEST_M:
        found.append(f"its feet are {depth:.2f} m below the floor")
    return found
