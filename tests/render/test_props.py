"""Targets and obstacles of an edit: where they are in which frame, and that a picture has them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mdtool.body.skinning import Body
from mdtool.errors import MdtoolError
from mdtool.motion.marks import KEY, Marks, Point, Solid, marks_of
from mdtool.motion.motion import Motion
from mdtool.render.camera import Camera
from mdtool.render.exhibit import exhibits, with_marks
from mdtool.render.film import Film
from mdtool.render.overlay import Overlay
from mdtool.render.props import props_at
from mdtool.render.scene import Scene
from mdtool.render.shading import Look

SQUARE = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]
MARKS = Marks(
    points=[Point(10, (0.0, 1.2, 0.5), 21, "xyz"), Point(30, (1.0, 0.0, 0.0))],
    lines=[[(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]],
    solids=[
        Solid(SQUARE, 0.0, 2.0, [(0.0, 0.0, 0.0, 0.0, 0.0), (20.0, 2.0, 0.0, 0.0, np.pi / 2)]),
        Solid([(0.0, 3.0)], 0.5, 1.5, [(0.0, 0.0, 0.0, 0.0, 0.0)]),
    ],
)


def test_marks_survive_a_file() -> None:
    import json

    provenance = json.loads(json.dumps({KEY: [MARKS.plain(), Marks().plain()]}))
    again = marks_of(provenance, 0)
    assert again.points == MARKS.points
    assert again.lines == MARKS.lines
    np.testing.assert_allclose(again.solids[0].places, MARKS.solids[0].places)
    assert marks_of(provenance, 1) == Marks()
    assert marks_of({}, 5) == Marks()
    with pytest.raises(MdtoolError, match=r"the marks of clip 2 .* are damaged"):
        marks_of(provenance, 2)


def test_a_moving_obstacle_is_drawn_where_it_is() -> None:
    start, middle, ball = props_at(MARKS, 0, 20.0)[0], props_at(MARKS, 10, 20.0)[0], props_at(MARKS, 0, 20.0)[1]
    np.testing.assert_allclose(start.vertices[:, 0].max(), 0.5, atol=1e-6)
    np.testing.assert_allclose(middle.vertices.mean(0), [1.0, 1.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(middle.vertices[:, 0].max(), 1 + np.sqrt(0.5), atol=1e-6)  # turned by 45°
    np.testing.assert_allclose(np.linalg.norm(ball.vertices - [0, 1, 3], axis=1), 0.5, atol=1e-6)


def test_heights_alone_and_whole_poses_are_kept_and_not_drawn() -> None:
    height, pose = Point(5, (0.0, 1.0, 0.0), 15, "y"), [Point(7, (0.0, 1.0, k), k, "xyz") for k in range(22)]
    assert Marks(points=[height, *pose, *MARKS.points]).drawable().points == MARKS.points
    many = [Point(k, (0.0, 0.0, 0.0)) for k in range(200)]
    assert len(Marks(points=many).drawable().points) == 60


def test_a_target_shows_when_its_time_has_come() -> None:
    (early, now) = (props_at(MARKS, frame, 20.0)[3] for frame in (0, 10))
    assert np.ptp(now.vertices[:, 1]) > np.ptp(early.vertices[:, 1])
    assert now.colour != early.colour
    on_the_floor = props_at(MARKS, 0, 20.0)[4]
    assert on_the_floor.vertices[:, 1].max() < 0.05


def test_a_body_hides_what_is_behind_it(ball_body: Body) -> None:
    scene = Scene(Camera(0.0, 0.8, 4.0), Look(ball_body.faces, (0.2, 0.3, 0.9)), 160, 120)
    vertices = ball_body.vertices.numpy()
    bare = scene.draw(vertices, np.zeros(2)).astype(int)

    def changed(z: float) -> int:
        solid = Solid(
            [(0.0, z)], float(vertices[:, 1].mean()) - 0.1, float(vertices[:, 1].mean()) + 0.1, MARKS.solids[1].places
        )
        overlay = Overlay(props=props_at(Marks(solids=[solid]), 0, 20.0))
        return int((np.abs(scene.draw(vertices, np.zeros(2), overlay=overlay).astype(int) - bare).max(2) > 8).sum())

    assert changed(1.5) > 50
    assert changed(-1.0) == 0


def test_a_film_of_an_edited_clip(make_motion: Callable[..., Motion], ball_body: Body) -> None:
    (shown,) = with_marks(exhibits([make_motion()]), {KEY: [MARKS.plain()]}, [0], "edited.h5")
    frames = [
        next(Film([shown], ball_body, 160, 120, 20.0, show=show).pictures(1, [0])).astype(int)
        for show in ((), ("targets",))
    ]
    assert (np.abs(frames[0] - frames[1]).max(2) > 8).sum() > 100
    with pytest.raises(MdtoolError, match=r"sample\.h5 has no targets to show"):
        with_marks([shown], {}, [0], "sample.h5")
