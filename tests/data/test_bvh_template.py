"""Map templates: complete where names tell, honest where they do not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mdtool.data.bvh import parse_bvh
from mdtool.data.bvh_map import SkeletonMap, builtin_maps, load_map
from mdtool.data.bvh_motion import bvh_to_motion
from mdtool.data.bvh_template import map_template
from mdtool.errors import MdtoolError
from mdtool.motion.rotations import matrix_to_rot6d
from mdtool.motion.skeleton import JOINT_NAMES
from tests.data.bvh_texts import SMALL, human_bvh, root_path, smooth_rotations

EXCERPT = Path(__file__).parent / "excerpts" / "cmu_07_01_frames_96_to_104.bvh"
Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
LOCAL, ROOT = smooth_rotations(30, seed=6, largest_rad=0.4), root_path(30)

MIXAMO = (
    "mixamorig:Hips", "mixamorig:LeftUpLeg", "mixamorig:RightUpLeg", "mixamorig:Spine", "mixamorig:LeftLeg",
    "mixamorig:RightLeg", "mixamorig:Spine1", "mixamorig:LeftFoot", "mixamorig:RightFoot", "mixamorig:Spine2",
    "mixamorig:LeftToeBase", "mixamorig:RightToeBase", "mixamorig:Neck", "mixamorig:LeftShoulder",
    "mixamorig:RightShoulder", "mixamorig:Head", "mixamorig:LeftArm", "mixamorig:RightArm", "mixamorig:LeftForeArm",
    "mixamorig:RightForeArm", "mixamorig:LeftHand", "mixamorig:RightHand", "mixamorig:LeftHandMiddle1",
    "mixamorig:RightHandMiddle1",
)  # fmt: skip
BLENDER = (
    "pelvis", "thigh.L", "thigh.R", "spine_01", "calf.L", "calf.R", "spine_02", "foot.L", "foot.R", "spine_03",
    "ball.L", "ball.R", "neck_01", "clavicle.L", "clavicle.R", "head", "upper_arm.L", "upper_arm.R", "forearm.L",
    "forearm.R", "hand.L", "hand.R", "middle.01.L", "middle.01.R",
)  # fmt: skip
RIGIFY = tuple(f"DEF-{name}" for name in BLENDER)
BIPED = tuple("Bip01" if name == "mixamorig:Hips" else name.replace("mixamorig:", "Bip01_") for name in MIXAMO)
COLLARLESS = tuple(
    name.replace("mixamorig:", "")
    .replace("Shoulder", "Collar")
    .replace("Arm", "Shoulder")
    .replace("ForeShoulder", "Elbow")
    for name in MIXAMO
)


def _guess(tmp_path: Path, text: str) -> tuple[SkeletonMap, str]:
    template = map_template(parse_bvh(text, "unknown.bvh"))
    (tmp_path / "guess.toml").write_text(template)
    return load_map(tmp_path / "guess.toml"), template


@pytest.mark.parametrize("names", [JOINT_NAMES, MIXAMO, BLENDER, COLLARLESS, RIGIFY, BIPED])
@pytest.mark.parametrize("world", [np.eye(3), Z_UP])
def test_a_t_pose_skeleton_is_guessed_completely(tmp_path: Path, names: tuple[str, ...], world: np.ndarray) -> None:
    guess, _ = _guess(tmp_path, human_bvh(LOCAL, ROOT, names=names, world=world, scale=100))
    expected = dict(zip(JOINT_NAMES, names, strict=True))
    hands = {name: expected.pop(name) for name in ("left_hand", "right_hand")}
    assert guess.joints == expected
    assert {name: point.joint for name, point in guess.points.items()} == hands
    assert (guess.up, guess.forward) == (("+y", "+z") if world is not Z_UP else ("+z", "-y"))
    motion = bvh_to_motion(parse_bvh(human_bvh(LOCAL, ROOT, names=names, world=world), "again.bvh"), guess)
    np.testing.assert_allclose(motion.rot6d[:, :22], matrix_to_rot6d(torch.from_numpy(LOCAL))[:, :22], atol=1e-5)


def test_the_cmu_skeleton_is_guessed_as_its_map_has_it(tmp_path: Path) -> None:
    guess, _ = _guess(tmp_path, EXCERPT.read_text())
    known = next(skeleton_map for skeleton_map in builtin_maps() if skeleton_map.name == "cmu")
    limbs = [name for name in known.joints if not name.startswith("spine")]
    assert {name: guess.joints[name] for name in limbs} == {name: known.joints[name] for name in limbs}
    assert guess.points == {name: point for name, point in known.points.items() if "hand" in name}


def test_a_skeleton_that_lies_along_its_axes_asks_for_them(tmp_path: Path) -> None:
    axes = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]).T  # local X down, Y left, Z forward: no T pose at zero
    text = human_bvh(LOCAL, ROOT, rest=dict.fromkeys(JOINT_NAMES, axes))
    with pytest.raises(MdtoolError, match=r"line \d+ is still to be filled in.*pelvis"):
        _guess(tmp_path, text)
    template = map_template(parse_bvh(text, "unknown.bvh"))
    assert '"left_knee" = { axes = ["down", "?", "?"] }' in template
    assert '"right_shoulder" = { axes = ["?", "left", "?"] }' in template  # its bone points along -Y
    assert '"pelvis" = { axes = ["?", "?", "?"] }' in template


def test_the_filled_in_template_converts(tmp_path: Path) -> None:
    axes = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]).T
    recording = parse_bvh(human_bvh(LOCAL, ROOT, rest=dict.fromkeys(JOINT_NAMES, axes)), "unknown.bvh")
    filled = re.sub(r'(?<=" = \{ )axes = \[.*\]', 'axes = ["down", "left", "forward"]', map_template(recording))
    (tmp_path / "filled.toml").write_text(filled)
    motion = bvh_to_motion(recording, load_map(tmp_path / "filled.toml"))
    np.testing.assert_allclose(motion.rot6d[:, :22], matrix_to_rot6d(torch.from_numpy(LOCAL))[:, :22], atol=1e-5)


def test_what_cannot_be_guessed_is_left_empty_and_must_be_filled(tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match="no source joint yet for left_hip, right_hip, left_knee"):
        _guess(tmp_path, SMALL)


def test_all_joints_are_listed(tmp_path: Path) -> None:
    _, template = _guess(tmp_path, EXCERPT.read_text())
    for joint in parse_bvh(EXCERPT.read_bytes(), "a.bvh").joints:
        assert re.search(rf"^# +{joint.name}  ", template, re.MULTILINE)
