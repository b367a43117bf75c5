"""From a BVH recording to a Motion on the 24-joint skeleton."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from mdtool.data.bvh import BvhRecording
from mdtool.data.bvh_map import Between, SkeletonMap, aligned_child
from mdtool.errors import MdtoolError
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import matrix_to_quaternion, matrix_to_rot6d, quaternion_to_matrix, slerp
from mdtool.motion.skeleton import ANKLE_HEIGHT, JOINT_INDEX, JOINT_NAMES, JOINTS, OFFSETS, PARENTS

_NEUTRAL_LEG = float(np.linalg.norm(OFFSETS[4]) + np.linalg.norm(OFFSETS[7]))


@dataclass(frozen=True)
class SourceWorld:
    """A recording's joints in mdtool's world axes, still in the file's unit."""

    rotations: np.ndarray
    """[T, J, 3, 3] float64, source joints; columns are the joint's local axes."""
    positions: np.ndarray
    """[T, J, 3] float64."""


def source_world(recording: BvhRecording, skeleton_map: SkeletonMap, first_frame: int = 0) -> SourceWorld:
    """World rotations and positions of a recording, turned into mdtool's axes (x left, y up, z forward)."""
    turn = skeleton_map.world_matrix()
    rotations, positions = recording.world(first_frame)
    if np.array_equal(turn, np.eye(3)):
        return SourceWorld(rotations, positions)
    return SourceWorld(turn @ rotations, positions @ turn.T)


def point_positions(world: SourceWorld, recording: BvhRecording, skeleton_map: SkeletonMap, joint: str) -> np.ndarray:
    """Where the source has the SMPL joint `joint`, [T, 3], file's unit; from [joints] or [points] of the map."""
    point = skeleton_map.points.get(joint)
    if point is not None and point.end_site_of is not None:
        index = recording.joint_index[point.end_site_of]
        return world.positions[:, index] + world.rotations[:, index] @ _end_site(recording, point.end_site_of)
    source = point.joint if point is not None else skeleton_map.joints[joint]
    if isinstance(source, Between):
        first, second = (world.positions[:, recording.joint_index[name]] for name in source.between)
        return first + source.weight * (second - first)
    return world.positions[:, recording.joint_index[str(source)]]


def bvh_to_motion(recording: BvhRecording, skeleton_map: SkeletonMap, skip_first: int | None = None) -> Motion:
    """Convert a recording at its native frame rate.

    World rotations are aligned to the T pose joint by joint (S_j = G_j C_j) and made local along the SMPL tree;
    the root is scaled by leg length and placed so that the middle of the hips coincides with the source's.

    Args:
        skip_first: frames to drop at the start; the map's own number when not given.

    Raises:
        MdtoolError: joints are missing, no frame is left, or the rest pose has no legs.
    """
    missing = skeleton_map.missing_in(recording)
    if missing:
        raise MdtoolError(f"{recording.source}: map {skeleton_map.name!r} names joints it lacks: {', '.join(missing)}")
    skip = skeleton_map.skip_first if skip_first is None else skip_first
    if skip >= len(recording):
        raise MdtoolError(f"{recording.source}: {len(recording)} frames, and the first {skip} are to be dropped")
    # Absurd numbers in a file overflow here; the check below tells of them in one sentence.
    with np.errstate(over="ignore", invalid="ignore"):
        world = source_world(recording, skeleton_map, skip)
        aligned = _aligned_rotations(world, recording, skeleton_map)
        local = aligned.copy()
        for joint in range(1, JOINTS):
            local[:, joint] = np.swapaxes(aligned[:, PARENTS[joint]], -1, -2) @ aligned[:, joint]
        root = _root_path(world, aligned[:, 0], recording, skeleton_map).astype(np.float32)
        rot6d = matrix_to_rot6d(torch.from_numpy(local)).numpy().astype(np.float32)
    if not (np.isfinite(root).all() and np.isfinite(rot6d).all()):
        raise MdtoolError(f"{recording.source}: its numbers are too large to be lengths and angles")
    return Motion(rot6d, root, recording.fps, name=recording.source)


def scale_of(world: SourceWorld, recording: BvhRecording, skeleton_map: SkeletonMap) -> float:
    """Metres per unit of the file that give the recording the neutral skeleton's leg length.

    Raises:
        MdtoolError: thigh and shin have no length.
    """
    chain = [point_positions(world, recording, skeleton_map, name) for name in ("left_hip", "left_knee", "left_ankle")]
    leg = sum(float(np.linalg.norm(low - high, axis=-1).mean()) for high, low in pairwise(chain))
    if not leg > 1e-9:
        raise MdtoolError(f"{recording.source}: thigh and shin have no length, so its size is unknown")
    return _NEUTRAL_LEG / leg


def has_still_pelvis(recording: BvhRecording, skeleton_map: SkeletonMap) -> bool:
    """True when the pelvis and everything above it have zero rotation in every frame: the file lost its heading."""
    columns: list[int] = []
    index = recording.joint_index[str(skeleton_map.joints["pelvis"])]
    while index >= 0:
        columns += recording.joints[index].rotation_columns
        index = recording.joints[index].parent
    return not recording.values[:, columns].any()


def is_upright(recording: BvhRecording, skeleton_map: SkeletonMap) -> bool:
    """True when the mean way from pelvis to neck is nearest to the map's up: a map may fit by names alone."""
    positions = source_world(recording, skeleton_map).positions
    pelvis, neck = (recording.joint_index[str(skeleton_map.joints[name])] for name in ("pelvis", "neck"))
    way = (positions[:, neck] - positions[:, pelvis]).mean(axis=0)
    return bool(way[1] == np.abs(way).max())


def _aligned_rotations(world: SourceWorld, recording: BvhRecording, skeleton_map: SkeletonMap) -> np.ndarray:
    """S_j of every SMPL joint, [T, 24, 3, 3]; a joint with no source turns with its parent."""
    turn = skeleton_map.world_matrix()

    def rest_rotation(source: str) -> np.ndarray:
        axes = skeleton_map.rest_axes.get(source)
        return turn if axes is None else axes.matrix()

    def aligned(source: str) -> np.ndarray:
        return world.rotations[:, recording.joint_index[source]] @ rest_rotation(source).T

    result = np.empty((len(world.rotations), JOINTS, 3, 3))
    for index, name in enumerate(JOINT_NAMES):
        source = skeleton_map.joints.get(name)
        if source is None:
            result[:, index] = result[:, PARENTS[index]]
        elif isinstance(source, Between):
            first, second = (matrix_to_quaternion(torch.from_numpy(aligned(end))) for end in source.between)
            weight = torch.full(first.shape[:-1], source.weight, dtype=first.dtype)
            result[:, index] = quaternion_to_matrix(slerp(first, second, weight)).numpy()
        else:
            result[:, index] = aligned(source)
            if name in skeleton_map.align:
                bone = rest_rotation(source) @ _rest_vector(recording, skeleton_map, name)
                neutral = OFFSETS[JOINT_INDEX[aligned_child(name)]]
                result[:, index] = result[:, index] @ _smallest_rotation(neutral, bone, recording.source, name)
    return result


def _root_path(
    world: SourceWorld, pelvis: np.ndarray, recording: BvhRecording, skeleton_map: SkeletonMap
) -> np.ndarray:
    """Pelvis positions [T, 3] in metres: hips coincide with the source's and flat soles meet y = 0."""
    scale = scale_of(world, recording, skeleton_map)
    hips = [point_positions(world, recording, skeleton_map, name) for name in ("left_hip", "right_hip")]
    root = scale * (hips[0] + hips[1]) / 2 - pelvis @ ((OFFSETS[1] + OFFSETS[2]) / 2)
    height = skeleton_map.ankle_height
    if height == "measured":
        ankles = [point_positions(world, recording, skeleton_map, name)[:, 1] for name in ("left_ankle", "right_ankle")]
        height = float(np.percentile(np.minimum(*ankles), 5))
    if height is not None:
        root[:, 1] += ANKLE_HEIGHT - scale * height
    return root


def _rest_vector(recording: BvhRecording, skeleton_map: SkeletonMap, joint: str) -> np.ndarray:
    """The bone of the SMPL joint `joint` in the source, at rotation zero, in the source joint's own frame; [3]."""
    child = aligned_child(joint)
    point = skeleton_map.points.get(child)
    if point is not None and point.end_site_of is not None:
        end, vector = point.end_site_of, _end_site(recording, point.end_site_of)
    else:
        target = point.joint if point is not None else skeleton_map.joints[child]
        end, vector = str(target), np.zeros(3)
    start = recording.joint_index[str(skeleton_map.joints[joint])]
    index = recording.joint_index[end]
    while index != start:
        if index < 0:
            above = skeleton_map.joints[joint]
            raise MdtoolError(f"{recording.source}: the bone of {joint} needs {end} to hang below {above}")
        vector = vector + np.array(recording.joints[index].offset)
        index = recording.joints[index].parent
    return vector


def _end_site(recording: BvhRecording, joint: str) -> np.ndarray:
    offset = recording.joints[recording.joint_index[joint]].end_site
    if offset is None:
        raise MdtoolError(f"{recording.source}: joint {joint} has no End Site, which the map uses")
    return np.array(offset)


def _smallest_rotation(start: np.ndarray, end: np.ndarray, source: str, joint: str) -> np.ndarray:
    """The rotation of least angle that takes direction `start` to direction `end`; [3, 3]."""
    lengths = np.linalg.norm(start) * np.linalg.norm(end)
    cosine = float(start @ end) / lengths if lengths > 0 else -1.0
    if cosine < -0.999:
        raise MdtoolError(f"{source}: the bone of {joint} has no length or points backwards at rest: give rest_axes")
    axis = np.cross(start, end) / lengths
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + cosine)
