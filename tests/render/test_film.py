"""Films of comparisons: tiles, ghosts, overlays and cameras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mdtool.body.skinning import Body
from mdtool.errors import MdtoolError
from mdtool.motion.motion import Motion, MotionSet
from mdtool.motion.skeleton import JOINT_INDEX
from mdtool.render.exhibit import choose_clips, compared, exhibits, in_step, partners
from mdtool.render.film import Film
from mdtool.render.overlay import TRAIL_JOINTS

MakeMotion = Callable[..., Motion]


def test_a_comparison_stands_in_the_halves_of_one_cell(make_motion: MakeMotion, ball_body: Body) -> None:
    one, other = make_motion(action="walk"), make_motion(action="walk", speed=1.0)
    film = Film(compared([(one, other, True)] * 2, ("real", "made")), ball_body, 400, 100, 20.0)
    cells = [tile.cell for tile in film.sheet.tiles]
    assert [cell.top for cell in cells] == [0, 0, 0, 0]
    assert [round(cell.left / 100) for cell in cells] == [0, 1, 2, 3]
    cameras = [tile.camera for tile in film.sheet.tiles]
    assert cameras[0] == cameras[1]


def test_versions_of_one_clip_share_the_fixed_camera(make_motion: MakeMotion, ball_body: Body) -> None:
    still, walks = make_motion(frames=20), make_motion(frames=20, speed=2.0)
    for same_world, apart in ((True, 0.0), (False, 0.95)):
        film = Film(compared([(still, walks, same_world)], ("a", "b")), ball_body, 200, 100, 20.0, "fixed")
        (left, right), *_ = film._poses([0])
        assert right.centre[1] - left.centre[1] == pytest.approx(apart, abs=0.01)


def test_a_ghost_of_another_world_starts_where_the_clip_starts(make_motion: MakeMotion, ball_body: Body) -> None:
    motion = make_motion(frames=10, speed=1.0)
    away = replace(motion, root=motion.root + np.float32([5, 0, 3]))
    for same_world, distance in ((False, 0.0), (True, np.hypot(5, 3))):
        film = Film(compared([(motion, away, same_world)], ("a", "b"), ghost=True), ball_body, 100, 100, 20.0)
        assert len(film.sheet.tiles) == 1
        (pose,), *_ = film._poses([0])
        assert pose.overlay.ghost is not None
        apart = np.linalg.norm(pose.overlay.ghost.mean(0) - pose.vertices.mean(0))
        assert apart == pytest.approx(distance, abs=1e-4)
    assert np.linalg.norm(film._centres[0][0] - [2.5, 1.5]) < 0.3  # the camera looks between the two


def test_contacts_and_trails_follow_the_joints(make_motion: MakeMotion, ball_body: Body) -> None:
    motion = make_motion(frames=40, fps=20.0)
    lifted = motion.root.copy()
    lifted[20:, 1] += 0.3
    film = Film(exhibits([replace(motion, root=lifted)]), ball_body, 64, 64, 20.0, show=("contacts", "trails"))
    poses = [pose for (pose,) in film._poses([0, 5, 30])]
    joints = motion.positions()
    feet = [JOINT_INDEX[name] for name in ("left_ankle", "left_foot", "right_ankle", "right_foot")]
    np.testing.assert_allclose(poses[0].overlay.contacts, joints[0][feet][:, [0, 2]], atol=1e-5)
    assert len(poses[2].overlay.contacts) == 0
    assert [pose.overlay.trails.shape for pose in poses] == [(4, 1, 3), (4, 6, 3), (4, 21, 3)]
    np.testing.assert_allclose(poses[1].overlay.trails[:, -1], joints[5][list(TRAIL_JOINTS)], atol=1e-5)


def test_an_orbit_goes_round_once_in_twelve_seconds(make_motion: MakeMotion, ball_body: Body) -> None:
    shown = exhibits([make_motion(frames=25, fps=2.0)])
    film = Film(shown, ball_body, 64, 64, 2.0, "orbit")
    turns = [pose.turn for (pose,) in film._poses(range(25))]
    np.testing.assert_allclose(np.diff(turns), 2 * np.pi / 24)
    assert [pose.turn for (pose,) in Film(shown, ball_body, 64, 64, 2.0)._poses([3])] == [0.0]


def test_everything_stays_in_the_picture_all_the_way_round(make_motion: MakeMotion, ball_body: Body) -> None:
    film = Film(exhibits([make_motion(frames=24, fps=2.0)]), ball_body, 128, 96, 2.0, "orbit")
    camera, joints = film.sheet.tiles[0].camera, make_motion().positions()[0]
    for turn in np.linspace(0, 2 * np.pi, 13):
        sin, cos = np.sin(turn), np.cos(turn)
        seen = joints @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        pixels, _ = camera.project(seen.astype(np.float32), np.zeros(2), 128, 96)
        assert pixels.min() > 0
        assert (pixels < [128, 96]).all()


def sets(make_motion: MakeMotion) -> tuple[MotionSet, MotionSet]:
    first = MotionSet.from_clips([make_motion(action=name) for name in ("run", "walk", "walk")])
    second = MotionSet.from_clips([make_motion(action=name, frames=12) for name in ("walk", "run", "walk", "sit")])
    return first, second


def test_partners_are_versions_of_a_clip_or_of_the_same_action(make_motion: MakeMotion) -> None:
    first, second = sets(make_motion)
    assert in_step(first, first)
    assert partners(first, [2, 0], first, "itself") == [2, 0]
    assert not in_step(first, second)
    assert partners(first, [0, 1, 2], second, "second.h5") == [1, 0, 2]
    with pytest.raises(MdtoolError, match=r"first.h5 has no clip of 'sit' to compare with"):
        partners(second, [3], first, "first.h5")


def test_chosen_clips(make_motion: MakeMotion) -> None:
    first, _ = sets(make_motion)
    assert choose_clips(first, [], [], 2, "f") == [0, 1]
    assert choose_clips(first, [2, 2], [], 9, "f") == [2, 2]
    assert choose_clips(first, [], ["walk"], 9, "f") == [1, 2]
    with pytest.raises(MdtoolError, match="f has no clip 3: it has clips 0 to 2"):
        choose_clips(first, [3], [], 9, "f")
    with pytest.raises(MdtoolError, match="leave out --action"):
        choose_clips(first, [0], ["walk"], 9, "f")
