"""Joints found by bones: the same ones that their names give, whatever the skeleton is called and however it stands."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from mdtool.data.bvh import parse_bvh
from mdtool.data.bvh_map import load_map
from mdtool.data.bvh_shape import joints_by_shape
from mdtool.data.bvh_template import map_template
from mdtool.motion.skeleton import JOINT_NAMES, OFFSETS
from tests.data.bvh_texts import SMALL, human_bvh, root_path, smooth_rotations

EXCERPT = Path(__file__).parent / "excerpts" / "cmu_07_01_frames_96_to_104.bvh"
Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
LOCAL, ROOT = smooth_rotations(30, seed=6, largest_rad=0.4), root_path(30)
NAMELESS = tuple(f"bone{chr(ord('A') + (7 * index) % 24)}" for index in range(24))
SPINE = ("spine1", "spine2", "spine3")
HANDS = ("left_hand", "right_hand")


@pytest.mark.parametrize("world", [np.eye(3), Z_UP, np.diag([-1.0, 1, -1])])
@pytest.mark.parametrize("scale", [1, 100])
def test_a_skeleton_without_telling_names_is_found(world: np.ndarray, scale: float) -> None:
    recording = parse_bvh(human_bvh(LOCAL, ROOT, names=NAMELESS, world=world, scale=scale), "a.bvh")
    expected = {joint: name for joint, name in zip(JOINT_NAMES, NAMELESS, strict=True) if joint not in SPINE + HANDS}
    assert joints_by_shape(recording) == expected


def test_sides_do_not_follow_the_order_of_the_file() -> None:
    mirrored = OFFSETS * [-1, 1, 1]  # what the file calls left is on the right
    found = joints_by_shape(parse_bvh(human_bvh(LOCAL, ROOT, offsets=mirrored), "a.bvh"))
    assert (found["left_knee"], found["right_wrist"]) == ("right_knee", "left_wrist")


def test_an_actor_need_not_be_symmetric() -> None:
    offsets = OFFSETS.copy()
    offsets[[4, 20]] *= 1.04  # left thigh and left forearm
    assert joints_by_shape(parse_bvh(human_bvh(LOCAL, ROOT, offsets=offsets), "a.bvh"))["left_elbow"] == "left_elbow"


def test_bones_say_what_the_names_of_cmu_say() -> None:
    found = joints_by_shape(parse_bvh(EXCERPT.read_text(), "a.bvh"))
    assert found["pelvis"] == "hip"
    assert (found["left_hip"], found["right_knee"], found["right_ankle"]) == ("lThigh", "rShin", "rFoot")
    assert (found["left_collar"], found["left_shoulder"], found["right_wrist"]) == ("lCollar", "lShldr", "rHand")
    assert (found["neck"], found["head"]) == ("neck", "head")


def test_no_limbs_no_guess() -> None:
    assert joints_by_shape(parse_bvh(SMALL, "a.bvh")) == {}


def test_without_toes_left_and_right_stay_open() -> None:
    text = human_bvh(LOCAL, ROOT, names=NAMELESS)
    for toe in (NAMELESS[10], NAMELESS[11]):
        text = re.sub(rf"(JOINT {toe}\n\s*{{\n\s*OFFSET) [^\n]*", r"\1 0 0 0", text)
    assert joints_by_shape(parse_bvh(text, "a.bvh")) == {}


def test_the_written_map_is_complete_and_tells_how_it_came_about(tmp_path: Path) -> None:
    template = map_template(parse_bvh(human_bvh(LOCAL, ROOT, names=NAMELESS, world=Z_UP), "a.bvh"))
    (tmp_path / "map.toml").write_text(template)
    guess = load_map(tmp_path / "map.toml")
    assert (guess.up, guess.forward) == ("+z", "-y")
    assert guess.joints["spine2"] == NAMELESS[JOINT_NAMES.index("spine2")]
    assert "these joints were found by the bones" in template
