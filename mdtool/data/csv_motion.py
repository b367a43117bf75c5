"""Motion tables (CSV, layout in motion/table.py) with rotations: one table, one clip."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

from mdtool.data.gather import Clip
from mdtool.data.records import labelled
from mdtool.errors import MdtoolError
from mdtool.motion.axes import BODY_VECTORS, axes_matrix
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import matrix_to_rot6d, quaternion_to_matrix
from mdtool.motion.skeleton import JOINT_NAMES, JOINTS
from mdtool.motion.table import position_columns, rotation_columns

_METRES = {"m": 1.0, "cm": 0.01}


def parse_csv(content: bytes, source: str) -> Clip:
    """Read one table, in whatever axes and unit its header names.

    Args:
        source: the file's name, for messages.

    Raises:
        MdtoolError: not such a table, without rotations, or with cells that do not fit; with the line.
    """
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise MdtoolError(f"{source}: not a text file: {error}") from error
    header = _header(lines, source)
    first = next((place for place, line in enumerate(lines) if not line.startswith("#")), len(lines))
    names = [name.strip() for name in lines[first].split(",")] if first < len(lines) else []
    wanted = [*position_columns(JOINT_NAMES[:1]), *rotation_columns()]
    missing = [name for name in wanted if name not in names]
    if missing:
        turned = any(name in names for name in rotation_columns())
        reason = f"it lacks {missing[0]}" if turned else "positions alone do not say how bones are turned"
        raise MdtoolError(f"{source}: no rotations to read, {reason}; write it with `mdtool export --columns both`")
    values = _values(lines, first + 1, len(names), source)[:, [names.index(name) for name in wanted]]
    quaternions = values[:, 3:].reshape(len(values), JOINTS, 4)
    if not np.linalg.norm(quaternions, axis=-1).min() > 0.5:
        raise MdtoolError(f"{source}: a quaternion that is no rotation: all parts are about zero")
    world = axes_matrix(header["axes"])
    matrices = world.T @ quaternion_to_matrix(torch.from_numpy(quaternions)).numpy() @ world
    motion = Motion(
        matrix_to_rot6d(torch.from_numpy(matrices)).numpy().astype(np.float32),
        (_METRES[header["unit"]] * values[:, :3] @ world).astype(np.float32),
        header["fps"],
        name=source,
    )
    return labelled(motion, header, source)


def _header(lines: list[str], source: str) -> dict[str, Any]:
    """The lines `# key: value` as a table, checked."""
    header: dict[str, Any] = {}
    for number, line in enumerate(lines, start=1):
        if not line.startswith("#"):
            break
        key, _, value = line[1:].partition(":")
        try:
            header[key.strip()] = json.loads(value)
        except ValueError as error:
            raise MdtoolError(f"{source}, line {number}: expected `# key: value` with a JSON value") from error
    axes = str(header.get("axes", "")).split()
    fps, unit = header.get("fps"), header.get("unit")
    known = len(axes) == 3 and all(axis in BODY_VECTORS for axis in axes)
    if not known or abs(np.linalg.det(axes_matrix((axes[0], axes[1], axes[2])))) < 0.5:  # type: ignore[arg-type]
        raise MdtoolError(f'{source}: its header needs a line like `# axes: "left up forward"`')
    if not isinstance(fps, int | float) or not 0 < fps < np.inf:
        raise MdtoolError(f"{source}: its header needs a line like `# fps: 30`")
    if unit not in _METRES:
        raise MdtoolError(f'{source}: its header needs a line like `# unit: "m"`')
    return {**header, "axes": (axes[0], axes[1], axes[2]), "fps": float(fps)}


def _values(lines: list[str], first: int, columns: int, source: str) -> np.ndarray:
    """The frames [T, C] float64."""
    rows = [(number, line) for number, line in enumerate(lines[first:], start=first + 1) if line.strip()]
    if not rows:
        raise MdtoolError(f"{source}: it has no frames")
    values = np.empty((len(rows), columns))
    for place, (number, line) in enumerate(rows):
        cells = line.split(",")
        if len(cells) != columns:
            raise MdtoolError(f"{source}, line {number}: {len(cells)} cells where the names are {columns}")
        try:
            values[place] = [float(cell) for cell in cells]
        except ValueError as error:
            raise MdtoolError(f"{source}, line {number}: {error}") from error
        if not np.isfinite(values[place]).all():
            raise MdtoolError(f"{source}, line {number}: NaN or infinite numbers")
    return values
