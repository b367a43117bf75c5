"""The edit request: what may be written into the file, section by section, and what is wrong with one.

Space: metres, right-handed, y up, floor at y = 0. `space: start` (the default) has its origin under the pelvis of
frame 0 and +z where the pelvis of frame 0 faces.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mdtool.editing.document import suggestion
from mdtool.editing.frames import check_frames
from mdtool.editing.joints import Joints, joint_index
from mdtool.editing.run_section import Run, no_boolean
from mdtool.editing.section import Section
from mdtool.editing.solids import SolidSpec

FARTHEST_M = 50.0
"""A coordinate beyond this is taken for centimetres or millimetres."""


def _metres(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number in metres, not {value!r}")
    if not abs(value) < 1e300:  # NaN, infinite, or an integer that no float holds
        raise ValueError(f"must be a finite number in metres, not {value}")
    if abs(value) > FARTHEST_M:
        raise ValueError(f"{value:g} m is out of reach: lengths are in metres, so write 150 cm as 1.5")
    return float(value)


def _pose_name(value: str) -> str:
    if not re.fullmatch(r".+#(\d+:)?-?\d+", value):
        raise ValueError(f"{value!r} names no pose: write FILE#FRAME, or FILE#CLIP:FRAME, e.g. sit.h5#0:12")
    return value


def _space(value: str) -> str:
    if not re.fullmatch(r"start|world|current|pelvis@-?\d+", value):
        raise ValueError(
            f"no space {value!r}{suggestion(value, SPACES)}: choose start, world, current, or pelvis@FRAME"
        )
    return value


def _which_rotations(value: Any) -> Any:
    return {True: "local", False: None}[value] if isinstance(value, bool) else value


SPACES = ("start", "world", "current", "pelvis@0")
Metres = Annotated[float, BeforeValidator(_metres)]
Length = Annotated[float, BeforeValidator(_metres), Field(ge=0)]
Frames = Annotated[Any, AfterValidator(check_frames)]
Joint = Annotated[str, AfterValidator(lambda name: joint_index(name) is None or name)]
Pose = Annotated[str, AfterValidator(_pose_name)]
Space = Annotated[str, AfterValidator(_space)]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Generated(Section):
    """A sample to begin with."""

    action: str | None = None
    seed: int = Field(0, ge=0)


class Input(Section):
    """The motion to edit."""

    file: str | None = None
    clip: int = Field(0, ge=0)
    frames: Frames | None = None
    """The part of it to edit."""
    generate: Generated | None = None

    @model_validator(mode="after")
    def _one(self) -> Input:
        if self.file is not None and self.generate is not None:
            raise ValueError("give `file` or `generate`, not both")
        return self


class Keep(Section):
    """What should stay as it is."""

    content: Annotated[Literal["off", "soft", "normal", "strong"], BeforeValidator(no_boolean)] = "normal"
    frames: Frames | None = None
    joints: Joints = "all"

    @model_validator(mode="after")
    def _whole(self) -> Keep:
        if "joints" in self.model_fields_set and self.frames is None:
            raise ValueError('`joints` are kept at `frames`: add `frames`, such as "*"')
        return self


_ALONE = {
    "joint": ("place", "speed", "near"),
    "align": ("pose",),
    "rotations": ("pose",),
    "within": ("near",),
    "spread": ("place",),
    "space": ("place", "facing"),
}
"""Words of a target, and the kinds of target that they belong to."""


class Target(Section):
    """One thing that should hold at some frames: a place, a pose, a direction, a speed or a distance."""

    at: Frames
    joint: Joint | None = None
    joints: Joints | None = None
    """Joints of a pose."""
    x: Metres | None = None
    y: Metres | None = None
    z: Metres | None = None
    xz: Annotated[list[Metres], Field(min_length=2, max_length=2)] | None = None
    xyz: Annotated[list[Metres], Field(min_length=3, max_length=3)] | None = None
    pose: Pose | None = None
    align: Literal["world", "root"] = "root"
    """Where a pose stands: as in its file, or with its pelvis over that of the motion and facing as it does."""
    rotations: Annotated[Literal["local", "world"] | None, BeforeValidator(_which_rotations)] = None
    """Match the pose's rotations instead of its joints' places: each joint's against its parent (`true` is local too),
    or in the world."""
    facing: float | None = Field(None, ge=-360, le=360, allow_inf_nan=False)
    """Degrees about the vertical; 0 is +z, 90 is +x."""
    speed: float | None = Field(None, ge=0, le=12, allow_inf_nan=False)
    """Of the joint, metres per second over the ground."""
    near: Joint | None = None
    """Another joint, to be `within` so many metres of."""
    within: Length | None = None
    must: Length | None = None
    """Largest error, metres; the command fails when it is missed."""
    weight: Weight = 1.0
    spread: int = Field(0, ge=0, le=60)
    """Neighbouring frames that are drawn along, with weights that fall like a cosine."""
    space: Space | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Target:
        places = [name for name in ("x", "y", "z", "xz", "xyz") if getattr(self, name) is not None]
        kinds = [name for name in ("pose", "facing", "speed", "near") if getattr(self, name) is not None]
        if len(kinds) + bool(places) != 1:
            said = ", ".join([*places, *kinds]) or "nothing"
            raise ValueError(
                f"a target asks for one thing, and this one for {said}: give x, y, z, xz, xyz, pose, facing, speed "
                "or near"
            )
        if ("xyz" in places or "xz" in places) and len(places) > 1 and set(places) != {"xz", "y"}:
            raise ValueError(f"{' and '.join(places)} say the same coordinate twice: give xyz, or single ones")
        if self.near is not None and self.within is None:
            raise ValueError("`near` needs `within`, a distance in metres")
        if self.joints is not None and self.pose is None:
            raise ValueError("`joints` goes with `pose`; a place or speed is of one `joint`")
        if self.must is not None and (self.facing is not None or self.rotations):
            raise ValueError("`must` is in metres and does not go with `facing` or `rotations`")
        for word, without in _ALONE.items():
            used = word in self.model_fields_set and getattr(self, word) != Target.model_fields[word].default
            if used and (set(kinds) or {"place"}).isdisjoint(without):
                raise ValueError(f"`{word}` says nothing of {kinds[0] if kinds else 'a place'}: leave it out")
        return self

    @property
    def axes(self) -> dict[int, float]:
        """Axis → wanted coordinate."""
        found = {axis: value for axis, value in enumerate((self.x, self.y, self.z)) if value is not None}
        for values, axes in ((self.xz, (0, 2)), (self.xyz, (0, 1, 2))):
            found |= dict(zip(axes, values or (), strict=False))
        return found


class PathSpec(Section):
    """A way over the ground."""

    joint: Joint = "pelvis"
    points: list[list[float]] | None = None
    """[frame, x, z] each."""
    file: str | None = None
    """CSV of frame, x, z."""
    curve: Literal["catmull", "linear"] = "catmull"
    speed: Literal["timed", "constant", "free"] = "timed"
    """timed: each point at its frame; constant: at an even speed from the first to the last; free: on the line in any
    time, with the first and the last point at their frames."""
    every: int = Field(5, gt=0)
    """Frames between the targets that the path becomes."""
    must: Length | None = None
    weight: Weight = 1.0
    space: Space | None = None

    @model_validator(mode="after")
    def _one(self) -> PathSpec:
        if (self.points is None) == (self.file is None):
            raise ValueError("a path needs `points`, or the `file` of a CSV, and not both")
        for place, point in enumerate(self.points or []):
            if len(point) != 3 or not all(abs(number) < 1e5 for number in point):
                raise ValueError(f"point {place} must be [frame, x, z], three finite numbers, not {point}")
        return self


class Limit(Section):
    """A bound that should hold over a range of frames."""

    joint: Joint | None = None
    joints: Joints | None = None
    axis: Literal["x", "y", "z"] = "y"
    above: Metres | None = None
    below: Metres | None = None
    feet: Literal["above_floor", "planted"] | None = None
    """above_floor: soles stay above it; planted: while a foot touches it, one foot stands still."""
    pin: Joints | None = None
    """Joints that must not move over the frames."""
    frames: Frames = "*"
    weight: Weight = 1.0
    must: Length | None = None
    space: Space | None = None

    @model_validator(mode="after")
    def _one(self) -> Limit:
        bound = self.above is not None or self.below is not None
        if bound + (self.feet is not None) + (self.pin is not None) != 1:
            raise ValueError(
                "a limit is one of: above or below with a joint, `feet: above_floor` or `feet: planted`, or `pin` with "
                "joints"
            )
        if bound and (self.joint is None) == (self.joints is None):
            raise ValueError("a limit needs `joint`, or `joints`, and not both")
        if not bound:
            idle = [word for word in ("joint", "joints", "axis", "space") if word in self.model_fields_set]
            if idle:
                raise ValueError(f"`{idle[0]}` goes with above or below: leave it out")
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise ValueError(f"nothing is above {self.above:g} and below {self.below:g} m: swap the two numbers")
        return self


class Observed(Section):
    """What the input shows; the rest is made up."""

    joints: Joints = "all"
    rotations: Joints | None = None
    """Joints whose rotations it shows too, which places alone leave open: a wrist's twist."""
    frames: Frames = "*"


class Mask(Section):
    """For noisy or incomplete recordings."""

    observed: Observed = Observed()


class Blend(Section):
    """Another motion to go on with."""

    with_: str = Field(alias="with")
    clip: int = Field(0, ge=0)
    seam: int = Field(10, ge=0, le=60)
    """Frames on each side of the joint that are left to the model."""
    skip: int = Field(0, ge=0)
    """Frames at the beginning of the other motion that are not used."""


class EditRequest(Section):
    """A whole request."""

    version: Literal[1]
    input: Input = Input()
    time: Literal["frames", "seconds"] = "frames"
    space: Space = "start"
    length: Annotated[int, Field(gt=1)] | None = None
    keep: Keep | None = None
    targets: list[Target] = Field([])
    path: PathSpec | None = None
    avoid: list[SolidSpec] = Field([])
    limits: list[Limit] = Field([])
    mask: Mask | None = None
    blend: Blend | None = None
    run: Run = Run()
    then: str | None = None
    """Another request, for what this one makes."""


def resolved(path: str, beside: str) -> Path:
    """A path in a request: as it is, or beside the request's own file."""
    own = Path(path).expanduser()
    if own.is_absolute() or os.path.exists(own):  # which a name too long for any file does not break
        return own
    return Path(beside).parent / own
