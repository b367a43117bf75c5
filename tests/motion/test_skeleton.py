"""The skeleton is a tree, symmetric, and as tall as it says."""

from __future__ import annotations

import numpy as np

from mdtool.motion.skeleton import (
    ANKLE_HEIGHT,
    FEET,
    JOINT_INDEX,
    JOINT_NAMES,
    JOINTS,
    MIRROR_PAIRS,
    OFFSETS,
    PARENTS,
    STANDING_PELVIS_HEIGHT,
    TOE_HEIGHT,
    chains_to,
    levels,
    mirror_permutation,
    rest_positions,
)


def test_parents_come_before_their_children() -> None:
    assert len(PARENTS) == len(OFFSETS) == JOINTS == 24
    assert PARENTS[0] == -1
    assert all(0 <= parent < joint for joint, parent in enumerate(PARENTS) if joint)


def test_levels_hold_every_joint_once_below_its_parent() -> None:
    done = {0}
    for joints, above in levels():
        assert set(above) <= done
        assert [PARENTS[joint] for joint in joints] == above
        assert not done & set(joints)
        done |= set(joints)
    assert done == set(range(JOINTS))


def test_chains_hold_what_a_joint_hangs_from() -> None:
    assert chains_to(FEET) == [0, 1, 2, 4, 5, 7, 8, 10, 11]
    assert chains_to([]) == [0]
    assert chains_to(range(JOINTS)) == list(range(JOINTS))


def test_rest_pose_is_symmetric() -> None:
    positions = rest_positions()
    for left, right in MIRROR_PAIRS:
        np.testing.assert_allclose(positions[left] * [-1, 1, 1], positions[right], atol=1e-12)
        assert JOINT_NAMES[left].replace("left", "right") == JOINT_NAMES[right]
        assert positions[left, 0] > 0, "the body's left is +x"
    permutation = mirror_permutation()
    assert [permutation[index] for index in permutation] == list(range(JOINTS))
    assert permutation[JOINT_INDEX["head"]] == JOINT_INDEX["head"]


def test_rest_pose_stands_on_the_floor() -> None:
    height = rest_positions()[:, 1] + STANDING_PELVIS_HEIGHT
    np.testing.assert_allclose(height[list(FEET)], [ANKLE_HEIGHT, TOE_HEIGHT, ANKLE_HEIGHT, TOE_HEIGHT], atol=1e-9)
    assert [JOINT_NAMES[joint] for joint in FEET] == ["left_ankle", "left_foot", "right_ankle", "right_foot"]
    assert 1.4 < height[JOINT_INDEX["head"]] < 1.7


def test_rest_positions_are_sums_of_offsets() -> None:
    hand = 0.0
    joint = JOINT_INDEX["left_hand"]
    while joint > 0:
        hand, joint = hand + OFFSETS[joint], PARENTS[joint]
    np.testing.assert_allclose(rest_positions()[JOINT_INDEX["left_hand"]], hand)
