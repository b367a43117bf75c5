"""Projection by hand-made cases, and framing: what must be in the picture is in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mdtool.motion.motion import Motion
from mdtool.render.camera import Camera
from mdtool.render.framing import CameraMode, frame_motions, natural_aspect

MakeMotion = Callable[..., Motion]
WIDTH, HEIGHT = 640, 360


def test_target_is_in_the_middle_and_left_of_the_body_is_right_in_the_picture() -> None:
    camera = Camera(azimuth=0.0, height=1.0, distance=4.0, pitch=0.0)
    points = np.array([[0, 1, 0], [0.5, 1, 0], [0, 1.5, 0], [0, 1, 2]], np.float32)
    pixels, nearness = camera.project(points, np.zeros(2), WIDTH, HEIGHT)
    np.testing.assert_allclose(pixels[[0, 3]], [[320, 180]] * 2, atol=1e-3)
    np.testing.assert_allclose(nearness, [1 / 4, 1 / 4, 1 / 4, 1 / 2], rtol=1e-5)
    scale = camera.focal(HEIGHT) / 4
    np.testing.assert_allclose(pixels[1], [320 + 0.5 * scale, 180], atol=1e-3)
    np.testing.assert_allclose(pixels[2], [320, 180 - 0.5 * scale], atol=1e-3)


def test_axes_are_a_right_handed_frame_without_roll() -> None:
    axes = Camera(azimuth=0.7, height=1.0, distance=4.0, pitch=0.3).axes
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(np.cross(axes[0], axes[1]), axes[2], atol=1e-6)
    assert axes[0, 1] == 0


def test_moving_the_centre_moves_the_camera_with_it() -> None:
    camera = Camera(azimuth=0.7, height=1.0, distance=4.0)
    points, centre = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32), np.array([3.0, -2.0])
    still, _ = camera.project(points, np.zeros(2), WIDTH, HEIGHT)
    moved, _ = camera.project(points + np.array([3, 0, -2], np.float32), centre, WIDTH, HEIGHT)
    np.testing.assert_allclose(still, moved, atol=1e-2)


@pytest.mark.parametrize("mode", ["track", "fixed"])
@pytest.mark.parametrize("speed", [0.0, 2.5])
@pytest.mark.parametrize("aspect", [16 / 9, 0.6])
def test_every_joint_of_every_frame_is_in_the_picture(
    make_motion: MakeMotion, mode: CameraMode, speed: float, aspect: float
) -> None:
    motion = make_motion(frames=60, speed=speed)
    camera, centres = frame_motions([motion], aspect, mode)[0]
    width = round(HEIGHT * aspect)
    pixels = np.concatenate(
        [
            camera.project(joints.astype(np.float32), centre, width, HEIGHT)[0]
            for joints, centre in zip(motion.positions(), centres, strict=True)
        ]
    )
    assert pixels.min() > 0
    assert pixels[:, 0].max() < width
    assert pixels[:, 1].max() < HEIGHT
    if mode == "track" or speed == 0:  # and the body is not a dot either
        assert max(np.ptp(pixels[:, 1]) / HEIGHT, np.ptp(pixels[:, 0]) / width) > 0.6


def test_tracking_follows_smoothly_and_fixed_does_not_move(make_motion: MakeMotion) -> None:
    motion = make_motion(frames=80, speed=1.5)
    shaken = replace(motion, root=motion.root + np.array([0.05, 0, 0], np.float32) * (np.arange(80) % 2)[:, None])
    _, follow = frame_motions([shaken], 1.0, "track")[0]
    assert np.abs(follow[30:50, 1] - motion.root[30:50, 2]).max() < 0.02
    assert np.ptp(np.diff(follow[30:50, 0])) < 0.002
    _, still = frame_motions([shaken], 1.0, "fixed")[0]
    assert np.ptp(still, axis=0).max() == 0


def test_the_camera_sees_the_face(make_motion: MakeMotion) -> None:
    """The camera stands before the person whichever way he turns."""
    motion = make_motion()
    for turn in (0.0, 1.0, 3.0):
        rot6d = motion.rot6d.copy()
        rot6d[:, 0] = [np.cos(turn), 0, np.sin(turn), 0, 1, 0]
        camera, _ = frame_motions([replace(motion, rot6d=rot6d)], 1.0, "track")[0]
        assert camera.axes[2] @ [np.sin(turn), 0, np.cos(turn)] > 0.7


def test_clips_side_by_side_share_one_scale(make_motion: MakeMotion) -> None:
    shots = frame_motions([make_motion(), make_motion(speed=3.0), make_motion(action="b")], 1.0, "fixed")
    assert len({camera.distance for camera, _ in shots}) == 1
    assert len({camera.height for camera, _ in shots}) == 1


def test_wide_poses_get_wide_tiles(make_motion: MakeMotion) -> None:
    spread = make_motion()
    narrow = spread.rot6d.copy()
    for joint, sign in ((16, -1), (17, 1)):  # arms down
        narrow[:, joint] = [0, -sign, 0, sign, 0, 0]
    assert natural_aspect(replace(spread, rot6d=narrow)) < natural_aspect(spread)
