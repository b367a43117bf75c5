"""From BVH to a Motion: closed forms on a skeleton of our own, known values on a real excerpt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mdtool.data.bvh import parse_bvh
from mdtool.data.bvh_map import Between, Point, RestAxes, builtin_maps
from mdtool.data.bvh_motion import (
    bvh_to_motion,
    has_still_pelvis,
    point_positions,
    scale_of,
    source_world,
)
from mdtool.errors import MdtoolError
from mdtool.motion.rotations import matrix_to_axis_angle, matrix_to_rot6d, rot6d_to_matrix
from mdtool.motion.skeleton import JOINT_INDEX, JOINT_NAMES, OFFSETS, PARENTS
from tests.data.bvh_texts import SMPL_MAP, human_bvh, root_path, smooth_rotations

EXCERPT = Path(__file__).parent / "excerpts" / "cmu_07_01_frames_96_to_104.bvh"
CMU = next(skeleton_map for skeleton_map in builtin_maps() if skeleton_map.name == "cmu")
Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # x stays left, y becomes z, forward becomes -y
LOCAL, ROOT = smooth_rotations(7, seed=3), root_path(7)
ROT6D = matrix_to_rot6d(torch.from_numpy(LOCAL)).numpy()


def _rotation_vectors_deg(rot6d: np.ndarray) -> np.ndarray:
    return np.rad2deg(matrix_to_axis_angle(rot6d_to_matrix(torch.from_numpy(rot6d).double())).numpy())


@pytest.mark.parametrize(
    ("written", "changes"),
    [
        ({}, {}),
        ({"order": "XYZ"}, {}),
        ({"order": "YZX", "scale": 100.0}, {"ankle_height": 9.0}),
        ({"scale": 39.37}, {"ankle_height": None}),
        ({"world": Z_UP}, {"up": "+z", "forward": "-y"}),
    ],
    ids=["plain", "other-order", "centimetres", "inches", "z-up"],
)
def test_a_motion_written_as_bvh_comes_back(written: dict, changes: dict) -> None:
    recording = parse_bvh(human_bvh(LOCAL, ROOT, **written), "round.bvh")
    motion = bvh_to_motion(recording, SMPL_MAP.model_copy(update=changes))
    np.testing.assert_allclose(motion.rot6d, ROT6D, atol=2e-6)
    np.testing.assert_allclose(motion.root, ROOT, atol=2e-6)
    assert motion.fps == 30.0
    assert motion.rot6d.dtype == motion.root.dtype == np.float32


def test_local_axes_that_differ_from_the_t_pose_are_undone() -> None:
    axes = {
        "down": RestAxes(axes=("down", "left", "forward")),
        "slope": RestAxes(axes=("back", "left", "down"), pitch_down_deg=30),
    }
    tables = {name: axes["slope" if "ankle" in name or "foot" in name else "down"] for name in JOINT_NAMES}
    text = human_bvh(LOCAL, ROOT, rest={name: table.matrix() for name, table in tables.items()})
    motion = bvh_to_motion(parse_bvh(text, "axes.bvh"), SMPL_MAP.model_copy(update={"rest_axes": tables}))
    np.testing.assert_allclose(motion.rot6d, ROT6D, atol=2e-6)
    np.testing.assert_allclose(motion.root, ROOT, atol=2e-6)


def test_aligned_bones_keep_the_direction_they_have_in_the_source() -> None:
    offsets = OFFSETS.copy()
    offsets[JOINT_INDEX["left_elbow"]] = [0.20, -0.19, 0.02]  # an A pose
    offsets[JOINT_INDEX["right_elbow"]] = [-0.02, -0.27, 0.0]  # the arm hangs
    offsets[JOINT_INDEX["left_knee"]] = [0.10, -0.38, 0.05]
    aligned = ("left_hip", "left_shoulder", "right_shoulder")
    recording = parse_bvh(human_bvh(LOCAL, ROOT, offsets=offsets), "a-pose.bvh")
    skeleton_map = SMPL_MAP.model_copy(update={"align": aligned})
    world = source_world(recording, skeleton_map)
    positions = bvh_to_motion(recording, skeleton_map).positions()
    for joint in aligned:
        index = JOINT_INDEX[joint]
        child = PARENTS.index(index)
        ends = [point_positions(world, recording, skeleton_map, JOINT_NAMES[end]) for end in (index, child)]
        source, result = ends[1] - ends[0], positions[:, child] - positions[:, index]
        cosine = (source * result).sum(-1) / np.linalg.norm(source, axis=-1) / np.linalg.norm(result, axis=-1)
        np.testing.assert_allclose(cosine, 1, atol=1e-6)


def test_a_bone_that_points_backwards_at_rest_needs_axes() -> None:
    offsets = OFFSETS.copy()
    offsets[JOINT_INDEX["left_knee"]] = [0, 0.399, 0]
    recording = parse_bvh(human_bvh(LOCAL, ROOT, offsets=offsets), "backwards.bvh")
    with pytest.raises(MdtoolError, match=r"backwards\.bvh: the bone of left_hip .*give rest_axes"):
        bvh_to_motion(recording, SMPL_MAP.model_copy(update={"align": ("left_hip",)}))


def test_a_joint_between_two_turns_half_way_and_one_without_source_not_at_all() -> None:
    local = np.tile(np.eye(3), (1, 24, 1, 1))
    local[0, JOINT_INDEX["spine2"]] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]  # 90 degrees about x
    joints = {name: name for name in JOINT_NAMES if name not in ("spine1", "left_hand")}
    half = SMPL_MAP.model_copy(update={"joints": {**joints, "spine1": Between(between=("pelvis", "spine2"))}})
    motion = bvh_to_motion(parse_bvh(human_bvh(local, ROOT[:1]), "half.bvh"), half)
    degrees = _rotation_vectors_deg(motion.rot6d[0])
    np.testing.assert_allclose(degrees[[3, 6]], [[45, 0, 0], [45, 0, 0]], atol=1e-3)
    np.testing.assert_allclose(motion.rot6d[0, 22], [1, 0, 0, 0, 1, 0], atol=1e-7)


def test_a_bigger_person_is_scaled_to_the_neutral_legs_and_feet_stay_on_the_floor() -> None:
    still = np.tile(np.eye(3), (2, 24, 1, 1))
    giant = OFFSETS * 1.25
    root = np.array([[0, 1.007, 0], [1.0, 1.007, 0]]) * 1.25
    recording = parse_bvh(human_bvh(still, root, offsets=giant, scale=100), "giant.bvh")
    skeleton_map = SMPL_MAP.model_copy(update={"ankle_height": 11.25})
    motion = bvh_to_motion(recording, skeleton_map)
    assert scale_of(source_world(recording, skeleton_map), recording, skeleton_map) == pytest.approx(0.008)
    np.testing.assert_allclose(motion.root[0], [0, 1.007, 0], atol=1e-6)
    np.testing.assert_allclose(motion.root[1] - motion.root[0], [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(motion.positions()[:, [7, 8], 1], 0.090, atol=1e-6)


def test_a_measured_floor_is_that_of_the_lowest_ankles() -> None:
    still = np.tile(np.eye(3), (40, 24, 1, 1))
    root = np.tile([0, 3.0, 0], (40, 1))
    root[20:, 1] += 0.5
    skeleton_map = SMPL_MAP.model_copy(update={"ankle_height": "measured"})
    motion = bvh_to_motion(parse_bvh(human_bvh(still, root), "high.bvh"), skeleton_map)
    np.testing.assert_allclose(motion.positions()[:20, 7, 1], 0.090, atol=1e-6)
    np.testing.assert_allclose(motion.root[20:, 1], 1.507, atol=1e-6)


def test_first_frames_are_dropped() -> None:
    recording = parse_bvh(human_bvh(LOCAL, ROOT), "skip.bvh")
    skeleton_map = SMPL_MAP.model_copy(update={"skip_first": 2})
    np.testing.assert_allclose(bvh_to_motion(recording, skeleton_map).root, ROOT[2:], atol=2e-6)
    np.testing.assert_allclose(bvh_to_motion(recording, skeleton_map, skip_first=5).root, ROOT[5:], atol=2e-6)
    assert len(bvh_to_motion(recording, skeleton_map, skip_first=0)) == 7
    with pytest.raises(MdtoolError, match=r"skip\.bvh: 7 frames, and the first 7"):
        bvh_to_motion(recording, skeleton_map, skip_first=7)


def test_known_values_of_a_real_recording() -> None:
    motion = bvh_to_motion(parse_bvh(EXCERPT.read_bytes(), EXCERPT.name), CMU, skip_first=0)
    np.testing.assert_allclose(motion.root[4], [0.550, 1.007, -0.635], atol=6e-4)
    degrees = _rotation_vectors_deg(motion.rot6d[4])
    np.testing.assert_allclose(degrees[JOINT_INDEX["left_knee"]], [29.2, -0.2, -1.0], atol=0.06)
    np.testing.assert_allclose(degrees[JOINT_INDEX["left_shoulder"]], [18.6, -23.2, -70.1], atol=0.06)
    assert motion.fps == 120.0


def test_an_end_site_is_a_place() -> None:
    recording = parse_bvh(EXCERPT.read_bytes(), EXCERPT.name)
    world = source_world(recording, CMU)
    ankle, toe = (point_positions(world, recording, CMU, name) for name in ("left_ankle", "left_foot"))
    np.testing.assert_allclose(np.linalg.norm(toe - ankle, axis=-1), 12.705, atol=1e-3)


def test_pelvis_that_never_turns_is_noticed() -> None:
    still = LOCAL.copy()
    still[:, 0] = np.eye(3)
    assert has_still_pelvis(parse_bvh(human_bvh(still, ROOT), "a.bvh"), SMPL_MAP)
    assert not has_still_pelvis(parse_bvh(human_bvh(LOCAL, ROOT), "b.bvh"), SMPL_MAP)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joints": {**SMPL_MAP.joints, "neck": "Nacken"}}, "names joints it lacks: Nacken"),
        (
            {"align": ("left_wrist",), "points": {"left_hand": Point(joint="right_hand")}},
            "needs right_hand to hang below",
        ),
        ({"align": ("left_wrist",), "points": {"left_hand": Point(end_site_of="pelvis")}}, "pelvis has no End Site"),
    ],
)
def test_maps_that_do_not_fit_the_file(changes: dict, message: str) -> None:
    recording = parse_bvh(human_bvh(LOCAL, ROOT), "human.bvh")
    with pytest.raises(MdtoolError, match=f"human.bvh: .*{message}"):
        bvh_to_motion(recording, SMPL_MAP.model_copy(update=changes))


def test_a_person_without_legs_and_numbers_beyond_reason() -> None:
    offsets = OFFSETS.copy()
    offsets[[4, 5, 7, 8]] = 0
    with pytest.raises(MdtoolError, match="thigh and shin have no length"):
        bvh_to_motion(parse_bvh(human_bvh(LOCAL, ROOT, offsets=offsets), "legless.bvh"), SMPL_MAP)
    text = human_bvh(LOCAL, ROOT).replace("\n0.00000000 1.00000000 0.00000000", "\n1e300 1.0 0.0")
    with pytest.raises(MdtoolError, match="too large"):
        bvh_to_motion(parse_bvh(text, "far.bvh"), SMPL_MAP)
