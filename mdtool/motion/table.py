"""The layout of motion tables (CSV): lines `# key: value` (JSON values), a line of column names, one line per frame.

Keys: fps; axes, where x, y and z point seen from a person in the rest pose ("left up forward" is mdtool's own world);
unit, m or cm; and action, split, subject, name, text, gender, betas where they are known. Columns: frame, time_s; then
JOINT_x, JOINT_y, JOINT_z (world positions; always those of the pelvis) and JOINT_qw, _qx, _qy, _qz (local rotations
as unit quaternions, that of the pelvis in the world), all in those axes and that unit.
"""

from __future__ import annotations

from collections.abc import Sequence

from mdtool.motion.skeleton import JOINT_NAMES

TIME_COLUMNS = ("frame", "time_s")


def position_columns(joints: Sequence[str] = JOINT_NAMES) -> list[str]:
    """Columns of joint positions, three per joint."""
    return [f"{joint}_{axis}" for joint in joints for axis in "xyz"]


def rotation_columns() -> list[str]:
    """Columns of the 24 local rotations, four per joint."""
    return [f"{joint}_q{part}" for joint in JOINT_NAMES for part in "wxyz"]
