"""Targets that come from other motions: key poses, and the motion that a blend goes on with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mdtool.editing.document import Key
from mdtool.editing.goals import Goal, Places
from mdtool.editing.joints import joint_indices
from mdtool.editing.orientation import M_PER_RADIAN, Turns, world_rotations
from mdtool.editing.placement import Placement, stands_at
from mdtool.editing.request import Target, resolved
from mdtool.editing.source import load_source
from mdtool.motion.motion import Motion

if TYPE_CHECKING:
    from mdtool.editing.plan import Plan


def pose_goal(plan: Plan, key: Key, target: Target, frames: np.ndarray) -> Goal:
    """A pose of another motion at some frames; a run of frames takes the poses that follow each other.

    Raises:
        ValueError: the file has no such pose.
        MdtoolError: the file cannot be read.
    """
    assert target.pose is not None
    name, _, place = target.pose.rpartition("#")
    clip, _, frame = place.rpartition(":")
    path = resolved(name, plan.document.file)
    other = load_source(path, int(clip or 0), None, plan.fps, False)
    if other.motion is None:
        raise ValueError(f"{path} holds joint places: a key pose comes from a motion file")
    first = int(frame) + (len(other) if int(frame) < 0 else 0)
    picks = first + np.arange(len(frames)) if _consecutive(frames) else np.full(len(frames), first)
    if not 0 <= first < len(other) or picks[-1] >= len(other):
        raise ValueError(f"{path} has no pose {target.pose.rpartition('#')[2]}: it has frames 0 to {len(other) - 1}")
    joints = joint_indices(target.joints if target.joints is not None else "all")
    to_start = plan.source.world.inverse()
    if target.align == "root":
        to_start = _over_the_input(plan, float(frames[0])).after(stands_at(other.motion, first).inverse())
    if target.rotations is not None:
        turns = other.motion.rot6d[picks].astype(float)[:, list(joints)]
        if target.rotations == "world":
            whole = to_start.motion(other.motion).rot6d[picks].astype(float)
            turns = world_rotations(whole, joints)[..., :2, :].reshape(*turns.shape)
        weight = M_PER_RADIAN * target.weight
        return Turns(key, weight, None, frames, joints, turns, world=target.rotations == "world")
    values = to_start.done(other.motion.positions()[picks].astype(np.float64))[:, list(joints)]
    return Places(key, target.weight, target.must, frames, joints, values, np.ones(values.shape, bool))


def blend_goal(plan: Plan) -> Goal:
    """The input, which is to be its last half, up to the seam, and the other motion placed to go on from there.

    Raises:
        ValueError: the seam leaves nothing of one of them.
        MdtoolError: the other file cannot be used.
    """
    blend = plan.request.blend
    assert blend is not None
    path = resolved(blend.with_, plan.document.file)
    other = load_source(path, blend.clip, None, plan.fps, False)
    first = plan.source.motion
    if first is None or other.motion is None:
        raise ValueError("a blend joins two motions with rotations, not joint places")
    half = len(first)
    rest = plan.frames - half
    if rest <= blend.seam or half <= blend.seam:
        raise ValueError(f"a seam of {blend.seam} frames on each side leaves nothing of {plan.frames}: make it shorter")
    if blend.skip + rest > len(other):
        raise ValueError(
            f"{path} has {len(other)} frames, and {rest} after the first {blend.skip} are needed: lower `skip` or "
            "`length`"
        )
    tail = other.motion.slice(blend.skip, blend.skip + rest)
    joined = np.concatenate([first.positions(), _continued(first, tail).positions()]).astype(np.float64)
    values = plan.source.world.undone(joined)[:, list(joint_indices("all"))]
    frames = np.flatnonzero(np.abs(np.arange(plan.frames) - half + 0.5) > blend.seam)
    values = values[frames]
    joints = joint_indices("all")
    return Places(("blend",), 1.0, None, frames, joints, values, np.ones(values.shape, bool), hard=False)


def _continued(head: Motion, tail: Motion) -> Motion:
    """The second motion placed so that it goes on where and as the first ends: one frame's step further."""
    end, begin = stands_at(head, -1), stands_at(tail, 0)
    step = (head.root[-1] - head.root[-2]) if len(head) > 1 else np.zeros(3)
    further = Placement(end.yaw, end.x + float(step[0]), end.z + float(step[2]))
    return further.after(begin.inverse()).motion(tail)


def _over_the_input(plan: Plan, frame: float) -> Placement:
    """Where the input's pelvis is at a frame, in the space `start`."""
    motion = plan.source.motion
    if motion is None:
        return Placement()
    place = int(min(frame, len(motion) - 1))
    if frame > place and place < len(motion) - 1:
        from mdtool.motion.resample import resample_at

        motion, place = resample_at(motion, np.array([frame / motion.fps])), 0
    return plan.source.world.inverse().after(stands_at(motion, place))


def _consecutive(frames: np.ndarray) -> bool:
    return len(frames) > 1 and bool((np.diff(frames) == 1).all())
