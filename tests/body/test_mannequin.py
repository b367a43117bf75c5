"""The mannequin: a closed body of human size that stands on the floor, bends without collapsing, and is cached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from mdtool.body import mannequin as module
from mdtool.body.binding import MOST_JOINTS
from mdtool.body.flesh import REST_JOINTS
from mdtool.body.mannequin import build, cache_path, mannequin
from mdtool.body.skinning import Body
from mdtool.motion.rotations import axis_angle_to_matrix
from mdtool.motion.skeleton import JOINT_INDEX, JOINTS


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Body]:
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    mannequin.cache_clear()
    yield mannequin()
    patch.undo()
    mannequin.cache_clear()


def mesh_of(body: Body) -> trimesh.Trimesh:
    return trimesh.Trimesh(body.vertices.numpy(), body.faces, process=False)


def posed(body: Body, **axis_angles: tuple[float, float, float]) -> np.ndarray:
    pose = torch.zeros(JOINTS, 3)
    for name, axis_angle in axis_angles.items():
        pose[JOINT_INDEX[name]] = torch.tensor(axis_angle)
    return body.posed(axis_angle_to_matrix(pose), body.joints[0]).numpy()


def test_closed_and_outward(body: Body) -> None:
    mesh = mesh_of(body)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.euler_number == 2
    assert 6000 < len(mesh.vertices) < 8500
    assert 0.050 < mesh.volume < 0.075  # 50 to 75 litres: a person of 1.70 m


def test_human_measures(body: Body) -> None:
    vertices = body.vertices.numpy()
    assert vertices[:, 1].min() == pytest.approx(0.0, abs=2e-3)
    assert vertices[:, 1].max() == pytest.approx(1.70, abs=0.01)
    assert np.ptp(vertices[:, 0]) == pytest.approx(1.70, abs=0.05)  # arm span equals height

    def width(height: float, beside: float) -> float:
        ring = vertices[(np.abs(vertices[:, 1] - height) < 0.02) & (np.abs(vertices[:, 0]) < beside)]
        return float(np.ptp(ring[:, 0]))

    hips, waist, chest = width(0.94, 0.4), width(1.12, 0.4), width(1.27, 0.4)
    assert waist < 0.90 * hips
    assert waist < 0.95 * chest
    nose = vertices[np.abs(vertices[:, 1] - 1.56) < 0.03]
    assert nose[nose[:, 2].argmax(), 0] == pytest.approx(0, abs=0.01)
    assert nose[:, 2].max() > -nose[:, 2].min() + 0.02  # the face looks forward


def test_mirror_symmetric(body: Body) -> None:
    """The mirrored skin is the skin: every vertex has one at its mirror image, up to the smoothing of the mesh."""
    vertices = body.vertices.numpy()
    left = vertices[vertices[:, 0] > 0.02]
    right = vertices[vertices[:, 0] < -0.02] * [-1, 1, 1]
    assert len(left) == len(right)
    nearest = np.array([np.linalg.norm(right - vertex, axis=1).min() for vertex in left[::7]])
    assert nearest.max() < 2e-3


def test_weights_are_shares_of_few_joints_nearby(body: Body) -> None:
    weights = body.weights.numpy()
    assert weights.shape == (len(body.vertices), JOINTS + len(body.helpers))
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-5)
    assert weights.min() >= 0
    assert (weights > 0).sum(1).max() <= MOST_JOINTS
    followed = [*range(JOINTS), *(helper.joint for helper in body.helpers)]
    distance = np.linalg.norm(body.vertices.numpy()[:, None] - REST_JOINTS[followed], axis=2)
    assert distance[weights > 0.3].max() < 0.48  # the shin, the longest bone, and the flesh around it
    sides = np.array([np.sign(REST_JOINTS[joint, 0]) for joint in followed])
    crossing = np.sign(body.vertices.numpy()[:, :1]) * sides < 0
    assert weights[crossing & (np.abs(body.vertices.numpy()[:, :1]) > 0.05)].max() < 0.01


@pytest.mark.parametrize(
    ("pose", "least"),
    [
        ({"left_shoulder": (0, 0, 1.45), "right_shoulder": (0, 0, -1.45)}, 0.93),
        ({"left_shoulder": (0, 0, -1.3), "right_shoulder": (0, 0, 1.3)}, 0.93),
        (
            {"left_hip": (-1.6, 0, 0), "right_hip": (-1.6, 0, 0), "left_knee": (1.8, 0, 0), "right_knee": (1.8, 0, 0)},
            0.88,
        ),
        ({"left_elbow": (0, -1.8, 0), "right_elbow": (0, 1.8, 0)}, 0.95),
    ],
)
def test_bending_keeps_the_volume(body: Body, pose: dict, least: float) -> None:
    """Collapsing joints lose volume: arms up, arms down, a squat and bent elbows keep nearly all of it."""
    bent = trimesh.Trimesh(posed(body, **pose), body.faces, process=False)
    assert least < bent.volume / mesh_of(body).volume < 1.05


def test_arm_raised_forwards_keeps_its_girth(body: Body) -> None:
    """Raised forwards over the head, an arm is twisted by half a turn; without helper joints it would pinch off."""
    shoulder = REST_JOINTS[JOINT_INDEX["left_shoulder"]]
    vertices = body.vertices.numpy()
    down = axis_angle_to_matrix(torch.tensor([0.0, 0.0, -1.3]))
    forward = axis_angle_to_matrix(torch.tensor([-3.0, 0.0, 0.0]))
    matrices = torch.eye(3).repeat(JOINTS, 1, 1)
    matrices[JOINT_INDEX["left_shoulder"]] = forward @ down
    bent = body.posed(matrices, body.joints[0]).numpy()
    bone = (forward @ down)[:, 0].numpy()
    for along in np.linspace(0.04, 0.24, 6):
        ring = np.abs(vertices[:, 0] - shoulder[0] - along) < 0.012
        offset = bent[ring] - shoulder
        across = offset - (offset @ bone)[:, None] * bone
        girth = np.linalg.norm(across - across.mean(0), axis=1).mean()
        rest = np.linalg.norm(vertices[ring][:, 1:] - vertices[ring][:, 1:].mean(0), axis=1).mean()
        assert girth > 0.75 * rest


def test_cache_is_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    arrays = build()
    calls = []
    monkeypatch.setattr(module, "build", lambda: calls.append(1) or arrays)
    mannequin.cache_clear()
    first = mannequin()
    assert cache_path().is_file()
    assert cache_path().parent == tmp_path / "mdtool"
    mannequin.cache_clear()
    second = mannequin()
    assert len(calls) == 1
    np.testing.assert_array_equal(first.vertices, second.vertices)
    cache_path().write_bytes(cache_path().read_bytes()[:1000])
    mannequin.cache_clear()
    mannequin()
    assert len(calls) == 2  # a damaged cache is made anew
    mannequin.cache_clear()


def test_unwritable_cache_costs_nothing_but_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    mannequin.cache_clear()
    assert len(mannequin().vertices) > 6000
    mannequin.cache_clear()
