"""From the camera's frame to the world, by closed-form answers."""

from __future__ import annotations

import math

import numpy as np
import torch

from mdtool.data.vibe import camera_path, camera_to_world, turn_about_vertical
from mdtool.motion.features import lowest_sole
from mdtool.motion.rotations import rot6d_to_matrix


def test_depth_of_the_camera() -> None:
    """The reference's get_z is 2.6455026 for a scale of 0.7, whatever the joints."""
    scales = np.array([0.7, 0.35])
    camera = np.stack([scales, scales, [0.1, 0.3], [0.0, -0.2]], axis=1)
    np.testing.assert_allclose(camera_path(camera), [[0, 0, 0], [0.2, -0.2, 2.6455026]], atol=1e-7)


def test_who_stands_before_the_camera_stands_in_the_world() -> None:
    """VIBE's upright person has a half turn about x; in the world that is no turn at all, feet on the floor."""
    pose = np.zeros((3, 72), np.float32)
    pose[:, 0] = np.pi
    pelvis = np.array([[0.5, 0.2, 3.0], [0.5, 0.1, 3.0], [0.7, 0.2, 2.0]])
    rot6d, root = camera_to_world(pose, pelvis)
    np.testing.assert_allclose(rot6d, np.tile([1, 0, 0, 0, 1, 0], (3, 24, 1)), atol=1e-6)
    # y down becomes y up; towards the camera becomes forward.
    np.testing.assert_allclose(root - root[0], [[0, 0, 0], [0, 0.1, 0], [0.2, 0, 1.0]], atol=1e-6)
    assert root[0, 0] == root[0, 2] == 0
    height = lowest_sole(torch.from_numpy(rot6d)[None], torch.from_numpy(root)[None])
    assert abs(float(height)) < 1e-6


def test_the_side_view_is_turned_to_the_front() -> None:
    """Who is seen from view 2 (90 degrees) walks along x in that camera and towards the front camera in the world."""
    pose = np.zeros((2, 72), np.float32)
    pose[:, 0] = np.pi
    pelvis = np.array([[0.0, 0, 0], [1.0, 0, 0]])
    turned = camera_to_world(pose, pelvis, turn_about_vertical(-2 * math.pi / 4))[1]
    np.testing.assert_allclose(turned[1] - turned[0], [0, 0, -1], atol=1e-6)


def test_alignment_undoes_the_first_orientation_and_changes_nothing_else() -> None:
    rng = np.random.default_rng(0)
    pose = rng.standard_normal((5, 72)).astype(np.float32)
    pelvis = rng.standard_normal((5, 3))
    plain, path = camera_to_world(pose, pelvis)
    aligned, straight = camera_to_world(pose, pelvis, turn_about_vertical(1.0), align_first_frame=True)
    np.testing.assert_allclose(aligned[0, 0], [1, 0, 0, 0, 1, 0], atol=1e-6)
    np.testing.assert_array_equal(plain[:, 1:], aligned[:, 1:])
    first = rot6d_to_matrix(torch.from_numpy(plain[0, 0])).numpy()
    np.testing.assert_allclose((path - path[0]) @ first, straight - straight[0], atol=1e-5)
