"""A drawn ball: its silhouette, colour, shadow and anti-aliased edge, and the floor's tiles."""

from __future__ import annotations

import numpy as np
import pytest

from mdtool.body.skinning import Body
from mdtool.render.camera import Camera
from mdtool.render.floor import Floor
from mdtool.render.overlay import Overlay
from mdtool.render.scene import Scene
from mdtool.render.shading import Look
from mdtool.render.shadow import ShadowMap

WIDTH, HEIGHT = 240, 200
CAMERA = Camera(azimuth=0.0, height=0.8, distance=4.0)


def scene(body: Body, **options: object) -> Scene:
    return Scene(CAMERA, Look(body.faces, (0.2, 0.3, 0.9)), WIDTH, HEIGHT, **options)


def difference(scene: Scene, vertices: np.ndarray) -> np.ndarray:
    """How much the body changes the empty room; [HEIGHT, WIDTH]."""
    drawn = scene.draw(vertices, np.zeros(2)).astype(int)
    empty = np.moveaxis(scene.floor.picture(np.zeros(2)), 0, 2).round().astype(int)
    return np.abs(drawn - empty).max(axis=2)


def test_silhouette_of_a_ball(ball_body: Body) -> None:
    vertices = ball_body.vertices.numpy()
    drawn = scene(ball_body).draw(vertices, np.zeros(2)).astype(int)
    blue = (drawn[..., 2] - drawn[..., 0]) > 60
    centre = np.array([[0, vertices[:, 1].mean(), 0]], np.float32)
    pixels, nearness = CAMERA.project(centre, np.zeros(2), WIDTH, HEIGHT)
    radius = 0.3 * CAMERA.focal(HEIGHT) * nearness[0]
    assert blue.sum() == pytest.approx(np.pi * radius**2, rel=0.06)
    rows, columns = np.nonzero(blue)
    np.testing.assert_allclose([columns.mean() + 0.5, rows.mean() + 0.5], pixels[0], atol=1.0)


def test_light_comes_from_above(ball_body: Body) -> None:
    drawn = scene(ball_body).draw(ball_body.vertices.numpy(), np.zeros(2)).astype(int)
    rows, columns = np.nonzero((drawn[..., 2] - drawn[..., 0]) > 60)
    middle = drawn[:, int(columns.mean())].sum(axis=1)
    assert middle[rows.min() + 4] > 1.5 * middle[rows.max() - 3]


def test_shadow_falls_on_the_floor_and_deepens_on_contact(ball_body: Body) -> None:
    floating = ball_body.vertices.numpy()
    resting = floating - [0, floating[:, 1].min(), 0]
    room = scene(ball_body)
    empty = room.floor.picture(np.zeros(2)).sum()
    for vertices in (floating, resting):
        assert room.draw(vertices.astype(np.float32), np.zeros(2)).astype(float).sum() < empty
    x = z = np.zeros(1, np.float32)
    below = [
        ShadowMap(v.astype(np.float32), ball_body.faces, np.array([0, 1.0, 0])).on_floor(x, z)
        for v in (floating, resting)
    ]
    assert below[0][0] == pytest.approx(1.0)  # straight below, all of the key light is taken
    assert below[0][1] < 0.01 < 0.1 < below[1][1]  # the ambient light only by what is close


def test_self_shadow_is_on_the_side_away_from_the_light(ball_body: Body) -> None:
    vertices = ball_body.vertices.numpy()
    lid = vertices * [1.5, 0.05, 1.5] + [0, 2.0, 0]
    both = np.concatenate([vertices, lid]).astype(np.float32)
    faces = np.concatenate([ball_body.faces, ball_body.faces + len(vertices)])
    normals = np.concatenate([vertices - vertices.mean(0), lid - lid.mean(0)])
    normals = (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32)
    shaded = ShadowMap(both, faces, np.array([0, 1.0, 0])).on_body(both, normals)
    assert shaded[: len(vertices)].min() == 1  # everything under the lid
    assert shaded[len(vertices) :][lid[:, 1] > lid[:, 1].mean() + 0.005].max() == 0  # nothing above it


def test_edges_are_smooth(ball_body: Body) -> None:
    """Coverage of edge pixels takes intermediate values with 2 × 2 samples and fewer with one."""
    steps = [
        len(np.unique(difference(scene(ball_body, samples=s, checker=False), ball_body.vertices.numpy())))
        for s in (1, 3)
    ]
    assert steps[1] > steps[0]


def test_tracking_changes_nothing_but_the_floor(ball_body: Body) -> None:
    room = scene(ball_body)
    vertices = ball_body.vertices.numpy()
    here = room.draw(vertices, np.zeros(2)).astype(int)
    step = np.array([1.0, 2.0], np.float32)  # whole periods of the checker
    there = room.draw(vertices + np.array([1, 0, 2], np.float32), step).astype(int)
    assert np.abs(here - there).max() <= 2


def test_markings_are_dark(ball_body: Body) -> None:
    vertices = ball_body.vertices.numpy()
    band = np.abs(vertices[:, 1] - vertices[:, 1].mean()) - 0.08
    look = Look(ball_body.faces, (0.9, 0.9, 0.9), accent=band.astype(np.float32))
    drawn = Scene(CAMERA, look, WIDTH, HEIGHT).draw(vertices, np.zeros(2)).astype(int)
    plain = Scene(CAMERA, Look(ball_body.faces, (0.9, 0.9, 0.9)), WIDTH, HEIGHT).draw(vertices, np.zeros(2)).astype(int)
    pixel, _ = CAMERA.project(np.array([[0, vertices[:, 1].mean(), 0.3]], np.float32), np.zeros(2), WIDTH, HEIGHT)
    column, row = pixel[0].astype(int)
    assert drawn[row, column].mean() < 0.5 * plain[row, column].mean()
    top, _ = CAMERA.project(np.array([[0, vertices[:, 1].mean() + 0.22, 0.2]], np.float32), np.zeros(2), WIDTH, HEIGHT)
    column, row = top[0].astype(int)
    assert np.abs(drawn[row, column] - plain[row, column]).max() <= 1


def test_body_beyond_the_picture_is_no_error(ball_body: Body) -> None:
    vertices = ball_body.vertices.numpy() + np.array([30, 0, 0], np.float32)
    assert difference(scene(ball_body), vertices).max() <= 1


def test_floor_tiles_are_half_a_metre_and_average_out() -> None:
    floor = Floor(CAMERA, WIDTH, HEIGHT)
    here, half, whole = (floor.picture(np.array([x, 0.0]))[:, -1] for x in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(here, whole, atol=0.1)
    assert np.abs(here - half).mean() > 5
    np.testing.assert_allclose(
        (here + half) / 2, np.broadcast_to((here + half).mean(1, keepdims=True) / 2, here.shape), atol=3
    )


def test_sky_has_no_floor_and_the_sheet_no_sky() -> None:
    floor = Floor(CAMERA, WIDTH, HEIGHT)
    top = floor.picture(np.zeros(2))[:, : floor.first_row]
    assert 0 < floor.first_row < HEIGHT / 2
    assert np.ptp(top, axis=2).max() == 0
    assert np.ptp(Floor(CAMERA, WIDTH, HEIGHT, checker=False).picture(np.zeros(2)), axis=(1, 2)).max() == 0


def test_going_round_a_ball_moves_only_the_floor(ball_body: Body) -> None:
    """From a quarter turn on, the tiles of half a metre look the same again; an eighth shows them on their corners."""
    middle = np.array([0.25, 0.25], np.float32)  # of a tile
    vertices = ball_body.vertices.numpy() + np.float32([0.25, 0, 0.25])
    room = scene(ball_body)
    start, eighth, quarter = (room.draw(vertices, middle, turn).astype(int) for turn in (0, np.pi / 4, np.pi / 2))
    ball = (start[..., 2] - start[..., 0]) > 60
    assert np.abs(start - quarter)[ball].mean() < 2
    assert np.abs(room.floor.picture(middle) - room.floor.picture(middle, np.pi / 2)).max() < 0.1
    assert np.abs(start - eighth)[~ball].mean() > 3


def test_a_turned_scene_is_the_scene_of_a_camera_elsewhere(ball_body: Body) -> None:
    """What is to the right of a camera in front is nearest to one that went round by a quarter."""
    vertices = ball_body.vertices.numpy() + np.float32([0.5, 0, 0])
    beside = Camera(azimuth=np.pi / 2, height=0.8, distance=4.0)
    look = Look(ball_body.faces, (0.2, 0.3, 0.9))
    there = Scene(beside, look, WIDTH, HEIGHT).draw(vertices, np.zeros(2)).astype(int)
    turned = scene(ball_body).draw(vertices, np.zeros(2), np.pi / 2).astype(int)
    silhouettes = [(picture[..., 2] - picture[..., 0]) > 60 for picture in (there, turned)]
    assert (silhouettes[0] ^ silhouettes[1]).sum() < 0.01 * silhouettes[0].sum()


def green(picture: np.ndarray) -> np.ndarray:
    return (picture[..., 1].astype(int) - picture[..., 0]) > 50


def test_contacts_are_green_discs_on_the_floor(ball_body: Body) -> None:
    room, vertices = scene(ball_body), ball_body.vertices.numpy()
    place = np.array([[0.6, 0.4]], np.float32)
    drawn = green(room.draw(vertices, np.zeros(2), overlay=Overlay(contacts=place)))
    pixel, _ = CAMERA.project(np.array([[0.6, 0, 0.4]], np.float32), np.zeros(2), WIDTH, HEIGHT)
    rows, columns = np.nonzero(drawn)
    np.testing.assert_allclose([columns.mean(), rows.mean()], pixel[0], atol=1.5)
    assert not green(room.draw(vertices, np.zeros(2))).any()
    # The mark goes round with the world.
    turned = green(room.draw(vertices, np.zeros(2), np.pi / 2, Overlay(contacts=place)))
    pixel, _ = CAMERA.project(np.array([[-0.4, 0, 0.6]], np.float32), np.zeros(2), WIDTH, HEIGHT)
    rows, columns = np.nonzero(turned)
    np.testing.assert_allclose([columns.mean(), rows.mean()], pixel[0], atol=1.5)


def test_trails_are_hidden_by_the_body_and_fade(ball_body: Body) -> None:
    room, vertices = scene(ball_body), ball_body.vertices.numpy()
    height = float(vertices[:, 1].mean())
    across = np.linspace(-1.1, 1.1, 20, dtype=np.float32)

    def changed(depth: float) -> np.ndarray:
        path = np.stack([across, np.full_like(across, height), np.full_like(across, depth)], axis=1)
        away = path + np.float32([0, 90, 0])
        trails = np.stack([path, away, away, away])
        before = room.draw(vertices, np.zeros(2)).astype(int)
        return np.abs(room.draw(vertices, np.zeros(2), overlay=Overlay(trails=trails)) - before).sum(axis=2)

    behind, before = changed(-0.6), changed(0.6)
    middle = slice(WIDTH // 2 - 10, WIDTH // 2 + 10)
    assert behind[:, middle].max() == 0
    assert before[:, middle].max() > 60
    assert before[:, WIDTH * 2 // 3 :].max() > 2 * before[:, : WIDTH // 5].max() > 0


def test_a_ghost_lets_the_room_shine_through_and_hides_behind_the_body(ball_body: Body) -> None:
    vertices = ball_body.vertices.numpy()
    look = Look(ball_body.faces, (0.2, 0.3, 0.9))
    room = Scene(CAMERA, look, WIDTH, HEIGHT, ghost=Look(ball_body.faces, (0.9, 0.3, 0.2)))
    plain = room.draw(vertices, np.zeros(2)).astype(int)

    def with_ghost(x: float, z: float) -> np.ndarray:
        return room.draw(vertices, np.zeros(2), overlay=Overlay(ghost=vertices + np.float32([x, 0, z]))).astype(int)

    solid = scene(ball_body).draw(vertices, np.zeros(2))
    np.testing.assert_array_equal(plain, solid)
    beside = with_ghost(0.8, 0.0)
    red = (beside[..., 0] - beside[..., 2]) > 40
    assert red.sum() > 500
    assert beside[red].mean() < plain[red].mean()
    ball = (plain[..., 2] - plain[..., 0]) > 60
    behind, before = with_ghost(0.0, -0.9), with_ghost(0.0, 0.9)
    inside = ball & np.roll(ball, 6, 0) & np.roll(ball, -6, 0) & np.roll(ball, 6, 1) & np.roll(ball, -6, 1)
    np.testing.assert_array_equal(behind[inside], plain[inside])
    assert np.abs(before - plain)[inside].mean() > 20
