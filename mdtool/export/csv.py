"""A table of one clip for spreadsheets and scripts: joint positions, rotations, or both."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from mdtool.atomic import write_text
from mdtool.errors import MdtoolError
from mdtool.export.bones import local_matrices
from mdtool.export.clips import clip_record, require_exportable
from mdtool.export.target import PER_METRE, Unit
from mdtool.motion.axes import MDTOOL_AXES, Axes, axes_matrix
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import matrix_to_quaternion
from mdtool.motion.skeleton import JOINT_NAMES
from mdtool.motion.table import TIME_COLUMNS, position_columns, rotation_columns

COLUMNS = ("positions", "rotations", "both")


def write_csv(
    path: str | Path, motion: Motion, columns: str = "both", axes: Axes = MDTOOL_AXES, unit: Unit = "m"
) -> None:
    """Write one clip as a table (layout in motion/table.py), at its native frame rate.

    Args:
        columns: joint "positions", "rotations" with the pelvis position, or "both". Positions alone cannot be read
            back: they do not say how a bone is turned about itself.
        axes: where x, y and z point.
        unit: of positions.

    Raises:
        MdtoolError: unknown columns, a clip without frames or with numbers that are not finite, or no place to write.
    """
    if columns not in COLUMNS:
        raise MdtoolError(f"{columns!r} are no columns of a table: choose from {', '.join(COLUMNS)}")
    require_exportable([motion])
    world = axes_matrix(axes)
    positions = motion.positions() if columns != "rotations" else motion.root[:, None]
    names = [*TIME_COLUMNS, *position_columns(JOINT_NAMES[: positions.shape[1]])]
    values = [
        np.arange(len(motion))[:, None],
        np.arange(len(motion))[:, None] / motion.fps,
        (PER_METRE[unit] * positions.astype(np.float64) @ world.T).reshape(len(motion), -1),
    ]
    formats = ["%d", "%.9f"] + [f"%.{7 if unit == 'm' else 5}f"] * values[-1].shape[1]
    if columns != "positions":
        turned = world @ local_matrices(motion) @ world.T
        values.append(matrix_to_quaternion(torch.from_numpy(turned)).numpy().reshape(len(motion), -1))
        names += rotation_columns()
        formats += ["%.9f"] * values[-1].shape[1]
    header = {**clip_record(motion), "axes": " ".join(axes), "unit": unit}
    lines = [f"# {key}: {json.dumps(value)}" for key, value in header.items()]
    lines.append(",".join(names))
    row = ",".join(formats)
    lines += [row % tuple(frame) for frame in np.concatenate(values, axis=1).tolist()]
    write_text(path, "\n".join(lines) + "\n")
