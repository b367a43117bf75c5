"""BVH: the joint tree in its T pose, and Euler angles per frame."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mdtool.atomic import write_text
from mdtool.body.skinning import Body
from mdtool.errors import MdtoolError
from mdtool.export.bones import Skeleton, local_matrices, moving_joints, skeleton_of, with_ground_root
from mdtool.export.clips import require_exportable
from mdtool.export.target import PER_METRE, Unit
from mdtool.motion.euler import EULER_ORDERS, matrix_to_euler
from mdtool.motion.motion import SPLITS, Motion

_DECIMALS = {"m": 7, "cm": 5}
"""Decimals of a length: a ten-thousandth of a millimetre."""
_ANGLE = "%.7f"


def write_bvh(
    path: str | Path, motion: Motion, body: Body, order: str = "ZXY", unit: Unit = "cm", ground_root: bool = False
) -> None:
    """Write one clip as a BVH file, y up, at its native frame rate.

    Rotation zero is the T pose. The root's OFFSET is zero, so that it means the same to readers that add it to the
    position channels and to readers that replace it. Angles run on beyond 180 degrees instead of jumping.

    Args:
        body: whose joints to write, in the shape of the clip's betas; the path is scaled to its legs.
        order: rotation channels of every joint, one of the six orders.
        unit: of lengths.
        ground_root: begin with a joint `root` that carries the path on the floor.

    Raises:
        MdtoolError: an unknown order, a clip without frames or with numbers that are not finite, or no place to write.
    """
    if order not in EULER_ORDERS:
        raise MdtoolError(f"{order!r} is no Euler order for a BVH file: choose from {', '.join(EULER_ORDERS)}")
    require_exportable([motion])
    skeleton = skeleton_of(body, motion.betas, ground_root)
    lines: list[str] = ["HIERARCHY"]
    sequence: list[int] = []
    moving = moving_joints(body.fitted(motion), skeleton)
    _write_joint(lines, sequence, skeleton, 0, 0, order, unit, set(moving))
    matrices = local_matrices(motion)
    angles = matrix_to_euler(with_ground_root(matrices) if ground_root else matrices, order)
    length = f"%.{_DECIMALS[unit]}f"
    columns, formats = [], []
    for joint in sequence:
        if joint in moving:
            columns.append(PER_METRE[unit] * moving[joint])
            formats += [length] * 3
        columns.append(angles[:, joint])
        formats += [_ANGLE] * 3
    row = " ".join(formats)
    lines += ["MOTION", f"Frames: {len(motion)}", f"Frame Time: {1 / motion.fps!r}"]
    lines += [row % tuple(values) for values in np.concatenate(columns, axis=1).tolist()]
    write_text(path, "\n".join(lines) + "\n")


def write_labels(path: str | Path, files: Sequence[Path], clips: Sequence[Motion]) -> None:
    """Write what BVH files cannot say beside them: action, split, subject and text, as `preprocess bvh` looks for it.

    Raises:
        MdtoolError: no place to write.
    """
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["path", "action", "split", "subject", "text"])
    for file, clip in zip(files, clips, strict=True):
        rows.writerow([file.name, clip.action, SPLITS[clip.split], clip.subject, clip.text])
    write_text(path, table.getvalue())


def _write_joint(
    lines: list[str],
    sequence: list[int],
    skeleton: Skeleton,
    joint: int,
    depth: int,
    order: str,
    unit: Unit,
    moving: set[int],
) -> None:
    """Append a joint and all below it to `lines`, and their indices to `sequence` in the order of the channels."""
    indent = "\t" * depth
    offset = np.zeros(3) if joint in moving else skeleton.offsets[joint]
    turns = [f"{letter}rotation" for letter in order]
    channels = ["Xposition", "Yposition", "Zposition", *turns] if joint in moving else turns
    lines.append(f"{indent}{'JOINT' if depth else 'ROOT'} {skeleton.names[joint]}")
    lines.append(indent + "{")
    lines.append(f"{indent}\tOFFSET {_numbers(offset, unit)}")
    lines.append(f"{indent}\tCHANNELS {len(channels)} {' '.join(channels)}")
    sequence.append(joint)
    for child in skeleton.children(joint):
        _write_joint(lines, sequence, skeleton, child, depth + 1, order, unit, moving)
    if joint in skeleton.tips:
        lines += [f"{indent}\tEnd Site", f"{indent}\t{{"]
        lines += [f"{indent}\t\tOFFSET {_numbers(skeleton.tips[joint], unit)}", f"{indent}\t}}"]
    lines.append(indent + "}")


def _numbers(offset: np.ndarray, unit: Unit) -> str:
    return " ".join(f"{value + 0.0:.{_DECIMALS[unit]}f}" for value in PER_METRE[unit] * offset)
