"""BVH: read back by mdtool and by bvhio, in every order and unit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bvhio
import numpy as np
import pytest

from mdtool.body.mannequin import mannequin
from mdtool.body.skinning import posed_joints
from mdtool.body.smpl import smpl_body
from mdtool.data.bvh import parse_bvh
from mdtool.data.bvh_map import match_map
from mdtool.data.bvh_motion import bvh_to_motion
from mdtool.errors import MdtoolError
from mdtool.export.bvh import write_bvh
from mdtool.motion.euler import EULER_ORDERS
from mdtool.motion.motion import Motion
from mdtool.motion.skeleton import JOINT_NAMES, OFFSETS
from tests.body.test_smpl import save, synthetic
from tests.export.clips import any_clip, assert_same_motion, content, some_clips


def read_back(path: Path) -> Motion:
    recording = parse_bvh(*content(path))
    return bvh_to_motion(recording, match_map(recording, ()))


@pytest.mark.parametrize("order", EULER_ORDERS)
@pytest.mark.parametrize(("unit", "ground_root"), [("cm", False), ("m", True)])
def test_round_trip(tmp_path: Path, order: str, unit: str, ground_root: bool) -> None:
    for clip in some_clips():
        write_bvh(tmp_path / "a.bvh", clip, mannequin(), order, unit, ground_root)  # type: ignore[arg-type]
        assert_same_motion(read_back(tmp_path / "a.bvh"), clip)


@pytest.mark.parametrize(("unit", "scale"), [("cm", 0.01), ("m", 1.0)])
def test_bvhio_finds_our_joints(tmp_path: Path, unit: str, scale: float) -> None:
    clip = any_clip(5)
    write_bvh(tmp_path / "a.bvh", clip, mannequin(), "ZXY", unit)  # type: ignore[arg-type]
    root = bvhio.readAsHierarchy(str(tmp_path / "a.bvh"))
    for frame, positions in enumerate(clip.positions()):
        root.loadPose(frame)
        found = {joint.Name: np.array(joint.PositionWorld) for joint, _, _ in root.layout()}
        got = scale * np.array([found[name] for name in JOINT_NAMES])
        np.testing.assert_allclose(got, positions, atol=1e-5)


def test_the_rest_pose_is_the_t_pose_with_tips(tmp_path: Path) -> None:
    write_bvh(tmp_path / "a.bvh", any_clip(2), mannequin(), unit="m")
    joints = {joint.name: joint for joint in parse_bvh(*content(tmp_path / "a.bvh")).joints}
    assert set(joints) == set(JOINT_NAMES)
    offsets = np.array([joints[name].offset for name in JOINT_NAMES])
    np.testing.assert_allclose(offsets, OFFSETS, atol=1e-6)
    tips = {name: np.array(joint.end_site) for name, joint in joints.items() if joint.end_site is not None}
    assert set(tips) == {"head", "left_foot", "right_foot", "left_hand", "right_hand"}
    assert 0.1 < tips["head"][1] < 0.3
    assert 0.02 < tips["left_foot"][2] < 0.2
    assert 0.03 < tips["left_hand"][0] < 0.2
    assert tips["right_hand"][0] == pytest.approx(-tips["left_hand"][0], abs=2e-3)


def test_the_bones_of_a_named_body(tmp_path: Path) -> None:
    """A body with fingers: BVH shows the 24 joints, hands in the middle of the fingers' roots; rotations come back."""
    body = smpl_body(save(tmp_path / "model.npz", synthetic(52)))
    clip = replace(any_clip(3), betas=np.linspace(-1, 1, 10, dtype=np.float32))
    write_bvh(tmp_path / "a.bvh", clip, body, unit="m")
    recording = parse_bvh(*content(tmp_path / "a.bvh"))
    places = posed_joints(body, clip)
    found = recording.world()[1][:, [recording.joint_index[name] for name in JOINT_NAMES[:22]]]
    np.testing.assert_allclose(found, places[:, :22], atol=1e-5)
    roots = places[0, [22, 25, 28, 31, 34]].mean(axis=0)
    np.testing.assert_allclose(recording.world()[1][0, recording.joint_index["left_hand"]], roots, atol=1e-5)
    read = read_back(tmp_path / "a.bvh")
    np.testing.assert_allclose(read.rot6d, clip.rot6d, atol=1e-6)


def test_angles_do_not_jump(tmp_path: Path) -> None:
    rot6d, root = some_clips()[0].rot6d, some_clips()[0].root
    angle = np.linspace(0, 4 * np.pi, len(rot6d))
    turning = rot6d.copy()
    zero = np.zeros_like(angle)
    turning[:, 0] = np.stack([np.cos(angle), zero, np.sin(angle), zero, zero + 1, zero], axis=1)
    write_bvh(tmp_path / "a.bvh", Motion(turning, root, 30.0), mannequin())
    columns = parse_bvh(*content(tmp_path / "a.bvh")).values[:, 3:]
    assert np.abs(np.diff(columns, axis=0)).max() < 30
    assert np.ptp(columns[:, 2]) == pytest.approx(720, abs=1e-3)


def test_mistakes(tmp_path: Path) -> None:
    clip = any_clip(2)
    with pytest.raises(MdtoolError, match=r"'XYX' is no Euler order.*ZXY"):
        write_bvh(tmp_path / "a.bvh", clip, mannequin(), "XYX")
    with pytest.raises(MdtoolError, match="no frames"):
        write_bvh(tmp_path / "a.bvh", clip.slice(0, 0), mannequin())
    with pytest.raises(MdtoolError, match="NaN"):
        write_bvh(tmp_path / "a.bvh", replace(clip, root=np.full_like(clip.root, np.nan)), mannequin())
    assert not list(tmp_path.iterdir())
