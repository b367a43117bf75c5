"""BVH files: the joint tree, the channels and the frames, as the file says them.

Angles are degrees, intrinsic, applied in the order of each joint's CHANNELS line (R = R_first R_second R_third).
Position channels REPLACE the joint's OFFSET, axis by axis; they do not add to it. Lengths are in the file's unit.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from mdtool.data.bvh_hierarchy import BvhJoint, parse_hierarchy
from mdtool.errors import MdtoolError
from mdtool.motion.kinematics import forward_kinematics
from mdtool.motion.rotations import euler_to_matrix

_MOTION = re.compile(r"^[ \t]*MOTION[ \t]*$", re.MULTILINE | re.IGNORECASE)
_FRAMES = re.compile(r"^\s*Frames\s*:\s*(\S+)\s*$", re.IGNORECASE)
_FRAME_TIME = re.compile(r"^\s*Frame\s+Time\s*:\s*(\S+)\s*$", re.IGNORECASE)
_SHORTEST_FRAME_S, _LONGEST_FRAME_S = 1e-5, 60.0
_WHOLE_FPS_TOLERANCE = 1e-5  # 0.0333333 s is 30 fps written with seven digits; 0.008342 s is not 120 fps


@dataclass(frozen=True)
class BvhRecording:
    """One BVH file in memory: J joints, T frames, C channels."""

    source: str
    """The file's name, for messages."""
    joints: tuple[BvhJoint, ...]
    """Parents before children."""
    frame_time_s: float
    values: np.ndarray
    """[T, C] float64, the channels in file order."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def fps(self) -> float:
        """Frames per second; a frame time that is a rounded whole rate gives that rate (0.0333333 s → 30)."""
        fps = 1 / self.frame_time_s
        whole = round(fps)
        return float(whole) if whole and abs(fps - whole) <= _WHOLE_FPS_TOLERANCE * whole else fps

    @cached_property
    def joint_index(self) -> dict[str, int]:
        """Joint name → place in `joints`."""
        return {joint.name: index for index, joint in enumerate(self.joints)}

    def world(self, first_frame: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """World rotations [T, J, 3, 3] and positions [T, J, 3] (file's unit, float64) from `first_frame` on."""
        values = self.values[first_frame:]
        offsets = np.tile(np.array([joint.offset for joint in self.joints]), (len(values), 1, 1))
        matrices = torch.eye(3, dtype=torch.float64).repeat(len(values), len(self.joints), 1, 1)
        by_order: dict[str, tuple[list[int], list[list[int]]]] = {}
        for index, joint in enumerate(self.joints):
            for column, axis in joint.position_columns:
                offsets[:, index, axis] = values[:, column]
            if joint.rotation_order:
                indices, columns = by_order.setdefault(joint.rotation_order, ([], []))
                indices.append(index)
                columns.append(joint.rotation_columns)
        for order, (indices, columns) in by_order.items():
            matrices[:, indices] = euler_to_matrix(torch.from_numpy(values[:, columns]), order)
        parents = tuple(joint.parent for joint in self.joints)
        if len(parents) == 1:
            return matrices.numpy(), offsets
        rotations, positions = forward_kinematics(matrices, offsets=torch.from_numpy(offsets), parents=parents)
        return rotations.numpy(), positions.numpy()


def parse_bvh(content: bytes | str, source: str) -> BvhRecording:
    """Parse the content of a BVH file.

    Args:
        source: the file's name, for messages.

    Raises:
        MdtoolError: malformed content; the message has the file and the line.
    """
    text = _decode(content).replace("\r\n", "\n").replace("\r", "\n")
    marker = _MOTION.search(text)
    if marker is None:
        raise MdtoolError(f"{source}: not a complete BVH file: it has no MOTION line; get the file again")
    joints = parse_hierarchy(text[: marker.start()], source)
    lines = text[marker.start() :].split("\n")
    first_line = text.count("\n", 0, marker.start()) + 1
    frames, frame_time_s, skip = _parse_motion_header(lines, first_line, source)
    channels = sum(len(joint.channels) for joint in joints)
    values = _parse_rows(lines, skip, first_line, frames, channels, source)
    return BvhRecording(source, joints, frame_time_s, values)


def _decode(content: bytes | str) -> str:
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _parse_motion_header(lines: list[str], first_line: int, source: str) -> tuple[int, float, int]:
    """(frames, frame time in seconds, how many lines of `lines` the header takes)."""
    found: list[tuple[str, int]] = []
    for index in range(1, len(lines)):
        if not lines[index].strip():
            continue
        pattern, example = ((_FRAMES, "Frames: 120"), (_FRAME_TIME, "Frame Time: 0.0333333"))[len(found)]
        match = pattern.match(lines[index])
        if match is None:
            raise MdtoolError(f"{source}, line {first_line + index}: expected a line like `{example}` here")
        found.append((match[1], index))
        if len(found) == 2:
            break
    else:
        raise MdtoolError(f"{source}, line {first_line}: the file ends in the header of its MOTION section")
    (frames_word, frames_at), (time_word, time_at) = found
    try:
        frames = int(frames_word)
    except ValueError:
        frames = -1
    if frames < 1:
        raise MdtoolError(f"{source}, line {first_line + frames_at}: {frames_word} is not a number of frames above 0")
    try:
        frame_time_s = float(time_word)
    except ValueError:
        frame_time_s = 0.0
    if not _SHORTEST_FRAME_S <= frame_time_s <= _LONGEST_FRAME_S:
        raise MdtoolError(
            f"{source}, line {first_line + time_at}: {time_word} is no frame time in seconds, such as 0.0333333"
        )
    return frames, frame_time_s, time_at + 1


def _parse_rows(lines: list[str], skip: int, first_line: int, frames: int, channels: int, source: str) -> np.ndarray:
    """The frames [T, C]; one line each, blank lines ignored."""
    rows = [index for index in range(skip, len(lines)) if lines[index] and not lines[index].isspace()]
    for index in rows[:frames]:
        count = len(lines[index].split())
        if count != channels:
            where = "the file ends in the middle of a frame: " if index == rows[-1] and count < channels else ""
            raise MdtoolError(
                f"{source}, line {first_line + index}: {where}{count} values where its joints have {channels} channels"
            )
    if len(rows) != frames:
        last = first_line + (rows[-1] if rows else skip - 1)
        raise MdtoolError(
            f"{source}, line {last}: the header promises {frames} frames, the file has {len(rows)}; get it again"
        )
    if channels == 0:
        raise MdtoolError(f"{source}: its joints have no channels, so there is no motion in it")
    try:
        with warnings.catch_warnings():
            # A character that is no number ends the fast parse: a warning in older numpy, an error in newer.
            warnings.simplefilter("error", DeprecationWarning)
            values = np.fromstring("\n".join(lines[index] for index in rows), sep=" ")
    except (ValueError, DeprecationWarning):
        values = np.empty(0)
    if values.size != frames * channels or not np.isfinite(values).all():
        raise _first_bad_number(lines, rows, first_line, source)
    return values.reshape(frames, channels)


def _first_bad_number(lines: list[str], rows: list[int], first_line: int, source: str) -> MdtoolError:
    for index in rows:
        for word in lines[index].split():
            try:
                finite = np.isfinite(float(word))
            except ValueError:
                finite = False
            if not finite:
                return MdtoolError(f"{source}, line {first_line + index}: {word[:20]!r} is not a finite number")
    return MdtoolError(f"{source}, line {first_line + rows[0]}: the frames cannot be read as numbers")
