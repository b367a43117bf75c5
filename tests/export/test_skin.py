"""Skins for files of triangles: cut along the markings, four joints each."""

from __future__ import annotations

import numpy as np
import trimesh

from mdtool.body.mannequin import mannequin
from mdtool.export.skin import cut, fewest_joints, skin_of


def test_a_cut_ball_is_the_same_ball_in_two_parts() -> None:
    ball = trimesh.creation.icosphere(subdivisions=2)
    faces, level = np.asarray(ball.faces), np.asarray(ball.vertices)[:, 1] - 0.213
    above, below, (first, second, share) = cut(faces, level)
    points = np.asarray(ball.vertices)
    points = np.concatenate([points, points[first] + share[:, None] * (points[second] - points[first])])
    assert points[above][..., 1].min() > 0.213 - 1e-9
    assert points[below][..., 1].max() < 0.213 + 1e-9
    whole = trimesh.Trimesh(points, np.concatenate([above, below]), process=False)
    assert whole.is_watertight
    assert whole.is_winding_consistent
    assert abs(whole.volume - ball.volume) < 1e-9
    assert len(np.unique(np.stack([first, second]), axis=1).T) == len(first)


def test_shares_sum_to_one_and_keep_the_largest() -> None:
    weights = np.random.default_rng(0).dirichlet(np.full(9, 0.3), 500)
    weights[0] = [1, 0, 0, 0, 0, 0, 0, 0, 0]
    joints, shares = fewest_joints(weights)
    assert shares.dtype == np.uint16
    assert (shares.sum(axis=1, dtype=np.int64) == 65535).all()
    assert joints[0].tolist() == [0, 0, 0, 0]
    kept = np.sort(weights, axis=1)[:, -4:]
    np.testing.assert_allclose(np.sort(shares / 65535, axis=1), kept / kept.sum(axis=1, keepdims=True), atol=4 / 65535)


def test_the_mannequin_has_a_visor_on_the_front_of_its_head() -> None:
    skin = skin_of(mannequin())
    seen = skin.vertices[np.unique(skin.marked)]
    assert seen[:, 1].min() > 1.5
    assert seen[:, 2].mean() > 0.05
    assert abs(seen[:, 0].mean()) < 0.01
    assert skin.vertices[:, 1].min() == 0
    np.testing.assert_allclose(np.linalg.norm(skin.normals, axis=1), 1, atol=1e-5)
    whole = trimesh.Trimesh(skin.vertices, np.concatenate([skin.plain, skin.marked]), process=False)
    assert whole.is_watertight
