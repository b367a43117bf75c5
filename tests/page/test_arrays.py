"""What the page stores is the motion that went in."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mdtool.body.mannequin import mannequin
from mdtool.body.skinning import posed_joints
from mdtool.body.smpl import smpl_body
from mdtool.motion.contacts import foot_contacts
from mdtool.motion.kinematics import forward_kinematics
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d, quaternion_to_matrix
from mdtool.motion.skeleton import JOINTS, STANDING_PELVIS_HEIGHT
from mdtool.page.arrays import QUATERNION_UNITS, body_to_json, bytes_of_clip, motion_to_json, typed_array
from mdtool.page.motions import Row, player_data
from tests.body.test_smpl import save, synthetic


def decoded(stored: dict[str, str]) -> np.ndarray:
    """What the player's decode.js reads."""
    return np.frombuffer(base64.b64decode(stored["data"]), np.dtype(f"<{stored['kind']}"))


def tumbling(frames: int = 30) -> Motion:
    """Every joint turns by large random angles, half turns included."""
    rng = np.random.default_rng(3)
    angles = torch.from_numpy(rng.normal(scale=1.5, size=(frames, JOINTS, 3)))
    root = rng.normal(size=(frames, 3)) + np.array([0, STANDING_PELVIS_HEIGHT, 0])
    rot6d = matrix_to_rot6d(axis_angle_to_matrix(angles)).numpy().astype(np.float32)
    return Motion(rot6d, root.astype(np.float32), 20.0)


def test_joints_of_the_stored_motion_lie_where_those_of_the_motion_do() -> None:
    motion = tumbling()
    stored = motion_to_json(motion, mannequin())
    quaternions = decoded(stored["rotations"]).reshape(-1, JOINTS, 4) / QUATERNION_UNITS
    root = decoded(stored["root"]).reshape(-1, 3)
    matrices = quaternion_to_matrix(torch.from_numpy(quaternions))
    _, positions = forward_kinematics(matrices, torch.from_numpy(root.astype(np.float64)))
    assert np.abs(positions.numpy() - motion.positions()).max() < 2e-4


@pytest.mark.parametrize("joints", [24, 52])
def test_a_shaped_body_of_a_file_stands_in_the_page_as_in_a_film(tmp_path: Path, joints: int) -> None:
    body = smpl_body(save(tmp_path / "model.npz", synthetic(joints)))
    betas = [None, np.linspace(-2, 2, 10).astype(np.float32)]
    motions = [replace(tumbling(), betas=shape) for shape in (betas[0], betas[1], betas[1])]
    data = player_data(["a"], [Row("r", "n", [motion]) for motion in motions], body)
    assert [clip["shape"] for clip in data["clips"]] == [0, 1, 1]
    assert len(data["body"]["shapes"]) == 2
    for motion, clip in zip(motions, data["clips"], strict=True):
        rest = np.array(data["body"]["shapes"][clip["shape"]]["joints"])
        parents = tuple(data["body"]["parents"])
        offsets = torch.from_numpy(rest - rest[[max(parent, 0) for parent in parents]])
        quaternions = decoded(clip["rotations"]).reshape(-1, joints, 4) / QUATERNION_UNITS
        root = torch.from_numpy(decoded(clip["root"]).reshape(-1, 3).astype(np.float64))
        _, positions = forward_kinematics(quaternion_to_matrix(torch.from_numpy(quaternions)), root, offsets, parents)
        assert np.abs(positions.numpy() - posed_joints(body, body.fitted(motion))).max() < 1e-3


def test_contact_bits_are_the_feet_in_contact() -> None:
    motion = tumbling()
    bits = decoded(motion_to_json(motion, mannequin())["contacts"])
    expected = foot_contacts(motion.positions(), motion.fps)
    np.testing.assert_array_equal((bits[:, None] >> np.arange(4)) & 1, expected)


@pytest.mark.parametrize("frames", [1, 2, 59, 1000])
def test_size_of_a_clip_is_not_underestimated(frames: int) -> None:
    stored = motion_to_json(tumbling(frames), mannequin())
    arrays = sum(len(stored[name]["data"]) for name in ("rotations", "root", "contacts"))
    assert arrays < bytes_of_clip(frames, JOINTS) < arrays + 600


def test_bytes_are_little_endian_whatever_the_array_is() -> None:
    assert typed_array(np.array([1, 258], ">u2")) == {
        "kind": "u2",
        "data": base64.b64encode(b"\x01\0\x02\x01").decode(),
    }


def test_the_mesh_keeps_its_skinning() -> None:
    body, stored = mannequin(), body_to_json(mannequin())
    index = decoded(stored["skin_index"]).reshape(-1, 4)
    weight = decoded(stored["skin_weight"]).reshape(-1, 4) / 65535
    dense = np.zeros(body.weights.shape)
    np.add.at(dense, (np.arange(len(index))[:, None], index), weight)
    assert np.abs(dense - body.weights.numpy()).max() < 2e-5
    np.testing.assert_array_equal(decoded(stored["faces"]).reshape(-1, 3), body.faces)
    assert len(stored["shapes"][0]["joints"]) + len(stored["helpers"]) == body.weights.shape[1]
