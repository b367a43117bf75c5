"""Mirroring: an involution, the mirror image of every joint, exchanged words."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mdtool.motion.mirror import mirror, swap_sides
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d, rot6d_to_matrix
from mdtool.motion.skeleton import JOINT_INDEX, JOINT_NAMES


def _random_motion(action: str = "wave-left-hand") -> Motion:
    rng = np.random.default_rng(2)
    matrices = axis_angle_to_matrix(torch.from_numpy(rng.normal(size=(6, 24, 3))))
    rot6d = matrix_to_rot6d(matrices).numpy().astype(np.float32)
    return Motion(rot6d, rng.normal(size=(6, 3)).astype(np.float32), 30.0, action=action, name="clip", noise=np.ones(2))


def test_twice_is_the_motion_itself() -> None:
    motion = _random_motion()
    again = mirror(mirror(motion))
    np.testing.assert_array_equal(again.rot6d, motion.rot6d)
    np.testing.assert_array_equal(again.root, motion.root)
    assert (again.action, again.name, again.fps) == (motion.action, motion.name, motion.fps)


def test_every_joint_stands_where_its_twins_image_is() -> None:
    motion = _random_motion()
    positions, mirrored = motion.positions(), mirror(motion).positions()
    for index, name in enumerate(JOINT_NAMES):
        twin = JOINT_INDEX[swap_sides(name.replace("_", " ")).replace(" ", "_")]
        np.testing.assert_allclose(mirrored[:, index], positions[:, twin] * [-1, 1, 1], atol=2e-6)


def test_rotations_are_m_r_m() -> None:
    motion = _random_motion()
    reflection = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
    expected = reflection @ rot6d_to_matrix(torch.from_numpy(motion.rot6d[:, JOINT_INDEX["right_elbow"]])) @ reflection
    result = rot6d_to_matrix(torch.from_numpy(mirror(motion).rot6d[:, JOINT_INDEX["left_elbow"]]))
    torch.testing.assert_close(result, expected)


def test_labels_follow() -> None:
    assert mirror(_random_motion()).action == "wave-right-hand"
    assert mirror(_random_motion("jump")).action == "jump"
    assert mirror(_random_motion("serve"), {"serve": "serve backhand"}).action == "serve backhand"
    assert mirror(_random_motion("turn left"), {"turn left": "turn left"}).action == "turn left"
    assert mirror(_random_motion()).name != "clip"
    assert mirror(_random_motion()).noise is None


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("raise-up-left-hand", "raise-up-right-hand"),
        ("Left hand over right_knee", "Right hand over left_knee"),
        ("bright copyright cleft", "bright copyright cleft"),
        ("upright, lefty", "upright, lefty"),
        ("left stretching", "right stretching"),
    ],
)
def test_words_for_sides(text: str, swapped: str) -> None:
    assert swap_sides(text) == swapped
    assert swap_sides(swapped) == text
