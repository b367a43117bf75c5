"""Skeleton maps: which source joint is which SMPL joint, and how the source's rest pose differs. Small TOML files.

A map is chosen by joint names: it fits a recording that has every joint the map names. `maps/*.toml` are built in.
Lengths need no unit: a recording is scaled by its own leg length.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from mdtool.data.bvh import BvhRecording
from mdtool.errors import MdtoolError, reason
from mdtool.motion.axes import BODY_VECTORS, BodyDirection
from mdtool.motion.skeleton import JOINT_INDEX, JOINT_NAMES, PARENTS

UNKNOWN = '"?"'
"""What stands in a written map where only the user knows."""
Direction = Literal["+x", "-x", "+y", "-y", "+z", "-z"]
REQUIRED = (
    "pelvis", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "neck",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
"""SMPL joints that every map must name; the others may be missing and then do not turn."""


def _known_joint(name: str) -> str:
    if name not in JOINT_INDEX:
        raise ValueError(f"{name!r} is no joint of the 24; they are {', '.join(JOINT_NAMES)}")
    return name


SmplJoint = Annotated[str, AfterValidator(_known_joint)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Between(_Table):
    """A rotation part of the way (by slerp) from one source joint to another."""

    between: tuple[str, str]
    weight: float = Field(0.5, ge=0, le=1)


class RestAxes(_Table):
    """Where a source joint's local X, Y and Z point in the T pose."""

    axes: tuple[BodyDirection, BodyDirection, BodyDirection]
    pitch_down_deg: float = 0.0
    """Turn of those axes about the body's left: forward goes down, up goes forward."""

    @model_validator(mode="after")
    def _right_handed(self) -> Self:
        if round(np.linalg.det(np.array([BODY_VECTORS[axis] for axis in self.axes]))) != 1:
            raise ValueError(f"axes {list(self.axes)} are not right-handed and perpendicular (X cross Y must be Z)")
        return self

    def matrix(self) -> np.ndarray:
        """The axes as columns, body coordinates (left, up, forward); [3, 3]."""
        angle = np.deg2rad(self.pitch_down_deg)
        sine, cosine = np.sin(angle), np.cos(angle)
        pitch = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
        return pitch @ np.array([BODY_VECTORS[axis] for axis in self.axes], dtype=np.float64).T


class Point(_Table):
    """A place in the source that has no rotation of its own."""

    joint: str | None = None
    end_site_of: str | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.joint is None) == (self.end_site_of is None):
            raise ValueError("give either joint or end_site_of")
        return self


class SkeletonMap(_Table):
    """A source skeleton in terms of the 24-joint one."""

    name: str
    up: Direction = "+y"
    """World axis of the source that points up."""
    forward: Direction = "+z"
    """World axis of the source that the T pose faces."""
    ankle_height: float | Literal["measured"] | None = None
    """Ankle above the floor with the sole flat, file's unit; "measured" takes it from the clip's lowest ankles;
    None leaves the scaled recording at its own height."""
    skip_first: int = Field(0, ge=0)
    """Frames to drop at the start of every file."""
    joints: dict[SmplJoint, str | Between]
    points: dict[SmplJoint, Point] = {}
    rest_axes: dict[str, RestAxes] = {}
    """By source joint; a joint that is not listed stands in the T pose at rotation zero."""
    align: tuple[SmplJoint, ...] = ()
    """SMPL joints whose bone is turned, by the smallest rotation, into the T pose's direction."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        missing = [name for name in REQUIRED if name not in self.joints]
        if missing:
            raise ValueError(f"[joints] lacks {', '.join(missing)}")
        empty = [name for name, source in self.joints.items() if source == ""]
        if empty:
            raise ValueError(f"[joints] has no source joint yet for {', '.join(empty)}; fill it in or delete the line")
        if any(isinstance(self.joints[name], Between) for name in REQUIRED):
            raise ValueError("only spine, collar, head, foot and hand joints can be `between` two others")
        if self.up[1] == self.forward[1]:
            raise ValueError(f"up = {self.up!r} and forward = {self.forward!r} must be different axes")
        stray = set(self.rest_axes) - self.source_joints
        if stray:
            raise ValueError(f"[rest_axes] names {', '.join(sorted(stray))}, which [joints] does not use")
        placed = {name for name, source in self.joints.items() if isinstance(source, str)}
        for name in self.align:
            if name not in placed or aligned_child(name) not in placed | set(self.points):
                raise ValueError(f"align has {name}, whose bone has an end that neither [joints] nor [points] places")
        return self

    @property
    def source_joints(self) -> frozenset[str]:
        """Every source joint that the map names."""
        names: set[str] = set()
        for source in self.joints.values():
            names.update(source.between if isinstance(source, Between) else (source,))
        names.update(point.joint or point.end_site_of or "" for point in self.points.values())
        return frozenset(names)

    def world_matrix(self) -> np.ndarray:
        """Source world to mdtool's world (left, up, forward as x, y, z); [3, 3]."""
        up, forward = _axis_vector(self.up), _axis_vector(self.forward)
        return np.stack([np.cross(up, forward), up, forward])

    def missing_in(self, recording: BvhRecording) -> list[str]:
        """Source joints of the map that the recording does not have."""
        return sorted(self.source_joints - set(recording.joint_index))


def aligned_child(joint: str) -> str:
    """The SMPL joint at the far end of `joint`'s bone; the first one where several bones leave it."""
    index = JOINT_INDEX[joint]
    return JOINT_NAMES[PARENTS.index(index)] if index in PARENTS else ""


def load_map(path: str | Path) -> SkeletonMap:
    """Read a map file.

    Raises:
        MdtoolError: missing, not TOML, or not a complete map; with the place in the file.
    """
    try:
        return _parse_map(Path(path).read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise MdtoolError(f"cannot read the map {path}: {reason(error)}; write one with --write-map FILE") from error


@lru_cache(maxsize=1)
def builtin_maps() -> tuple[SkeletonMap, ...]:
    """The maps that come with mdtool."""
    folder = files("mdtool.data") / "maps"
    found = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name)
    return tuple(_parse_map(entry.read_text(encoding="utf-8"), entry.name) for entry in found)


def match_map(recording: BvhRecording, maps: Sequence[SkeletonMap]) -> SkeletonMap:
    """The first of `maps`, then of the built-in ones, that fits the recording's joints.

    Raises:
        MdtoolError: none fits; the message lists the recording's joints.
    """
    for candidate in (*maps, *builtin_maps()):
        if not candidate.missing_in(recording):
            return candidate
    known = ", ".join(candidate.name for candidate in (*maps, *builtin_maps()))
    raise MdtoolError(
        f"{recording.source}: its skeleton fits none of the maps ({known}); "
        f"write a map with --write-map FILE, fill it in and give it with --map FILE. "
        f"Its {len(recording.joints)} joints: {', '.join(recording.joint_index)}"
    )


def first_unknown(readings: Iterable[BvhRecording | MdtoolError], maps: Sequence[SkeletonMap]) -> BvhRecording:
    """The first recording whose skeleton fits no map; the first one of all when every skeleton is known.

    Raises:
        MdtoolError: there is no recording at all; the first error among the readings, where there is one.
    """
    first: BvhRecording | None = None
    problem: MdtoolError | None = None
    for reading in readings:
        if isinstance(reading, MdtoolError):
            problem = problem or reading
            continue
        first = first or reading
        try:
            match_map(reading, maps)
        except MdtoolError:
            return reading
    if first is None:
        raise problem or MdtoolError("no recording found")
    return first


def _parse_map(text: str, source: str) -> SkeletonMap:
    for number, line in enumerate(text.splitlines(), start=1):
        if UNKNOWN in line.partition("#")[0]:
            raise MdtoolError(
                f"{source}, line {number} is still to be filled in, where it has {UNKNOWN}: {line.strip()}"
            )
    try:
        return SkeletonMap.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise MdtoolError(f"{source} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(f"{part}: " for part in first["loc"][:2])
        problem = first["msg"].removeprefix("Value error, ")
        raise MdtoolError(f"{source} is not a complete skeleton map: {place}{problem}") from error


def _axis_vector(direction: str) -> np.ndarray:
    vector = np.zeros(3)
    vector["xyz".index(direction[1])] = 1 if direction[0] == "+" else -1
    return vector
