"""The 24-joint SMPL skeleton: names, tree, neutral offsets, left/right pairs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

JOINT_NAMES: tuple[str, ...] = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
    "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hand", "right_hand",
)  # fmt: skip
JOINTS = len(JOINT_NAMES)
JOINT_INDEX: dict[str, int] = {name: index for index, name in enumerate(JOINT_NAMES)}

PARENTS: tuple[int, ...] = (
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21,
)  # fmt: skip

# Neutral skeleton in metres, parent to child, T pose, y up, facing +z, the body's left = +x, 1.70 m tall.
# The rounded mean of three openly licensed skeletons; not SMPL's template, so SMPL joints will differ.
OFFSETS = np.array(
    [
        [0, 0, 0],
        [0.082, -0.080, 0],
        [-0.082, -0.080, 0],
        [0, 0.098, 0],
        [0, -0.399, 0],
        [0, -0.399, 0],
        [0, 0.112, 0],
        [0, -0.438, 0],
        [0, -0.438, 0],
        [0, 0.063, 0],
        [0, -0.048, 0.112],
        [0, -0.048, 0.112],
        [0, 0.137, 0],
        [0.040, 0.105, 0],
        [-0.040, 0.105, 0],
        [0, 0.0705, 0],
        [0.099, -0.005, 0],
        [-0.099, -0.005, 0],
        [0.276, 0, 0],
        [-0.276, 0, 0],
        [0.253, 0, 0],
        [-0.253, 0, 0],
        [0.085, 0, 0],
        [-0.085, 0, 0],
    ],
    dtype=np.float64,
)
OFFSETS.setflags(write=False)

STANDING_PELVIS_HEIGHT = 1.007
"""Height of the pelvis above the floor (metres) when the neutral skeleton stands in its rest pose."""
ANKLE_HEIGHT = 0.090
"""Height of the ankle joints above the floor (metres) with the sole flat."""
TOE_HEIGHT = 0.042
"""Height of the foot (toe) joints above the floor (metres) with the sole flat."""

FEET: tuple[int, ...] = (7, 10, 8, 11)
"""Left ankle, left foot, right ankle, right foot: the order of the foot-contact loss."""

MIRROR_PAIRS: tuple[tuple[int, int], ...] = (
    (1, 2), (4, 5), (7, 8), (10, 11), (13, 14), (16, 17), (18, 19), (20, 21), (22, 23),
)  # fmt: skip


def mirror_permutation() -> list[int]:
    """Index list that swaps every left joint with its right twin; [24]."""
    order = list(range(JOINTS))
    for left, right in MIRROR_PAIRS:
        order[left], order[right] = right, left
    return order


def levels(parents: tuple[int, ...] = PARENTS) -> list[tuple[list[int], list[int]]]:
    """Group the joints by depth below the root, so that forward kinematics is one product per depth.

    Returns:
        (joints, their parents) for depth 1, 2, …; the root itself is left out.
    """
    depth = [0] * len(parents)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            depth[joint] = depth[parent] + 1
    return [
        (
            [joint for joint in range(len(parents)) if depth[joint] == level],
            [parents[joint] for joint in range(len(parents)) if depth[joint] == level],
        )
        for level in range(1, max(depth) + 1)
    ]


def chains_to(joints: Iterable[int]) -> list[int]:
    """The joints and all that they hang from, the root first and every parent before its children."""
    needed = {0}
    for joint in joints:
        while joint > 0:
            needed.add(joint)
            joint = PARENTS[joint]
    return sorted(needed)


def rest_positions(offsets: np.ndarray = OFFSETS, parents: tuple[int, ...] = PARENTS) -> np.ndarray:
    """Joint positions of the rest pose relative to the pelvis; [J, 3], metres."""
    positions = np.array(offsets, dtype=np.float64)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            positions[joint] += positions[parent]
    return positions
