"""Skeleton maps: the built-in ones, those a user writes, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mdtool.data.bvh import parse_bvh
from mdtool.data.bvh_map import RestAxes, aligned_child, builtin_maps, load_map, match_map
from mdtool.errors import MdtoolError
from mdtool.motion.skeleton import JOINT_NAMES
from tests.data.bvh_texts import SMALL, SMPL_MAP, human_bvh, root_path, smooth_rotations

EXCERPT = Path(__file__).parent / "excerpts" / "cmu_07_01_frames_96_to_104.bvh"


def test_built_in_maps_are_found_by_joint_names() -> None:
    assert [skeleton_map.name for skeleton_map in builtin_maps()] == ["bandai", "cmu", "mdtool"]
    assert match_map(parse_bvh(EXCERPT.read_bytes(), "a.bvh"), []).name == "cmu"


def test_a_users_map_comes_first_and_may_take_the_place_of_a_built_in_one() -> None:
    own = builtin_maps()[1].model_copy(update={"name": "own"})
    assert match_map(parse_bvh(EXCERPT.read_bytes(), "a.bvh"), [SMPL_MAP, own]).name == "own"


def test_an_unknown_skeleton_is_refused_with_its_joints() -> None:
    with pytest.raises(MdtoolError, match=r"(?s)odd.bvh.*bandai, cmu, mdtool.*--write-map.*2 joints: Hips, Knee"):
        match_map(parse_bvh(SMALL, "odd.bvh"), [])


def test_bandai_rest_axes_are_the_table_of_the_data() -> None:
    axes = next(skeleton_map for skeleton_map in builtin_maps() if skeleton_map.name == "bandai").rest_axes
    np.testing.assert_array_equal(axes["Hips"].matrix(), np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]).T)
    angle = np.deg2rad(39.59)
    down, up = [0, -np.sin(angle), np.cos(angle)], [0, np.cos(angle), np.sin(angle)]
    np.testing.assert_allclose(axes["Foot_L"].matrix(), np.array([down, [1, 0, 0], up]).T, atol=1e-15)
    np.testing.assert_allclose(axes["Foot_R"].matrix(), np.array([down, [-1, 0, 0], up]).T * -1, atol=1e-15)
    for rest in axes.values():
        np.testing.assert_allclose(rest.matrix() @ rest.matrix().T, np.eye(3), atol=1e-15)
        assert np.linalg.det(rest.matrix()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("up", "forward", "left"), [("+y", "+z", "+x"), ("+z", "-y", "+x"), ("+z", "+x", "+y"), ("-y", "+z", "-x")]
)
def test_world_axes_are_turned_without_mirroring(up: str, forward: str, left: str) -> None:
    matrix = SMPL_MAP.model_copy(update={"up": up, "forward": forward}).world_matrix()
    for row, name in zip(matrix, (left, up, forward), strict=True):
        expected = np.zeros(3)
        expected["xyz".index(name[1])] = 1 if name[0] == "+" else -1
        np.testing.assert_array_equal(row, expected)
    assert np.linalg.det(matrix) == pytest.approx(1)


def test_the_far_end_of_a_bone() -> None:
    assert aligned_child("left_hip") == "left_knee"
    assert aligned_child("right_wrist") == "right_hand"
    assert aligned_child("right_hand") == ""


def _map_text(old: str = "", new: str = "") -> str:
    joints = "\n".join(f'{name} = "{name}"' for name in JOINT_NAMES)
    text = f'name = "test"\nup = "+y"\nforward = "+z"\nskip_first = 2\nankle_height = "measured"\n[joints]\n{joints}\n'
    assert old in text
    return text.replace(old, new) if old else text


def test_a_map_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(_map_text())
    skeleton_map = load_map(path)
    assert (skeleton_map.name, skeleton_map.skip_first, skeleton_map.ankle_height) == ("test", 2, "measured")
    recording = parse_bvh(human_bvh(smooth_rotations(3, 0), root_path(3)), "human.bvh")
    assert match_map(recording, [skeleton_map]) is skeleton_map


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "test"', 'name = "test', "is not TOML"),
        ('pelvis = "pelvis"\n', "", "joints. lacks pelvis"),
        ('left_knee = "left_knee"', 'left_knee = ""', "no source joint yet for left_knee"),
        ('pelvis = "pelvis"', 'Pelvis = "pelvis"', "joints: Pelvis: 'Pelvis' is no joint of the 24"),
        ('up = "+y"', 'up = "y"', r"up: Input should be '\+x'"),
        ('up = "+y"', 'up = "-z"', "must be different axes"),
        ("skip_first = 2", "skip_first = -1", "skip_first: Input should be greater"),
        ("skip_first = 2", "skip_frist = 2", "skip_frist: Extra inputs"),
        ('"measured"', '"high"', "ankle_height"),
        ("[joints]", 'align = ["left_toe"]\n[joints]', "'left_toe' is no joint"),
        ("[joints]", 'align = ["left_hand"]\n[joints]', "align has left_hand"),
        ("[joints]", '[rest_axes]\nTail = { axes = ["left", "up", "forward"] }\n[joints]', "rest_axes. names Tail"),
        ("[joints]", '[rest_axes]\nneck = { axes = ["left", "up", "back"] }\n[joints]', "neck: .*not right-handed"),
        (
            "[joints]",
            '[rest_axes]\nneck = { axes = ["left", "?", "back"] }\n[joints]',
            r'line \d+ is still to be filled in, where it has "\?": neck = { axes = \["left", "\?", "back"\] }',
        ),
        ("[joints]", "[points]\nleft_hand = { }\n[joints]", "either joint or end_site_of"),
        ('left_knee = "left_knee"', 'left_knee = { between = ["left_hip", "left_ankle"] }', "can be `between`"),
    ],
)
def test_a_wrong_map_is_told_in_one_sentence(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(_map_text(old, new))
    with pytest.raises(MdtoolError, match=f"wrong.toml.*{message}") as caught:
        load_map(path)
    assert "\n" not in str(caught.value)


def test_a_missing_map_and_a_binary_one(tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match=r"cannot read the map .*nowhere\.toml: No such file or directory; write one"):
        load_map(tmp_path / "nowhere.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MdtoolError, match=r"cannot read the map .*binary\.toml"):
        load_map(tmp_path / "binary.toml")


def test_rest_axes_pitch_turns_forward_down() -> None:
    matrix = RestAxes(axes=("left", "up", "forward"), pitch_down_deg=90).matrix()
    np.testing.assert_allclose(matrix @ [0, 0, 1], [0, -1, 0], atol=1e-15)
