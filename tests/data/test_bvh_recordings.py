"""The real recordings, when they are here: known values, bone directions, feet, joint angles, defects.

Numbers are those of the recordings' own README, measured there with another implementation.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from mdtool.data.archives import open_containers
from mdtool.data.bvh import BvhRecording, parse_bvh
from mdtool.data.bvh_map import SkeletonMap, load_map, match_map
from mdtool.data.bvh_motion import bvh_to_motion, point_positions, source_world
from mdtool.data.bvh_reader import BvhBatch
from mdtool.data.bvh_template import map_template
from mdtool.data.gather import Clip, Gathered, Skipped, gather
from mdtool.data.labels import LabelTable
from mdtool.errors import MdtoolError
from mdtool.motion.motion import TEST, TRAIN, Motion
from mdtool.motion.rotations import matrix_to_axis_angle, rot6d_to_matrix
from mdtool.motion.skeleton import JOINT_INDEX

BONES = (
    "left_hip>left_knee", "left_knee>left_ankle", "left_ankle>left_foot", "left_collar>left_shoulder", "neck>head",
    "left_shoulder>left_elbow", "left_elbow>left_wrist", "left_wrist>left_hand", "spine2>neck",
    "right_shoulder>left_shoulder", "hips>neck", "right_hip>right_knee", "right_knee>right_ankle",
    "right_ankle>right_foot", "right_collar>right_shoulder", "right_shoulder>right_elbow", "right_elbow>right_wrist",
)  # fmt: skip


def _member(folder: Path, archive: str, name: str) -> BvhRecording:
    with zipfile.ZipFile(folder / archive) as opened:
        return parse_bvh(opened.read(name), name)


def _rotation_vectors_deg(motion: Motion, joint: str) -> np.ndarray:
    matrices = rot6d_to_matrix(torch.from_numpy(motion.rot6d[:, JOINT_INDEX[joint]]).double())
    return np.rad2deg(matrix_to_axis_angle(matrices).numpy())


@dataclass
class Measured:
    """What is measured over all clips of some archives."""

    frames: int = 0
    bone_errors_deg: dict[str, list[np.ndarray]] = field(default_factory=dict)
    rotation_vectors_deg: dict[str, list[np.ndarray]] = field(default_factory=dict)
    lowest_toe: list[np.ndarray] = field(default_factory=list)
    lowest_ankle: list[np.ndarray] = field(default_factory=list)
    upright: list[np.ndarray] = field(default_factory=list)

    def bone(self, name: str) -> float:
        return float(np.concatenate(self.bone_errors_deg[name]).mean())

    def joint(self, name: str) -> np.ndarray:
        return np.concatenate(self.rotation_vectors_deg[name]).mean(axis=0)


def _measure(folder: Path, archives: list[str], labels: str) -> Measured:
    result = Measured()
    table = LabelTable([folder / labels])
    for archive in archives:
        for container in open_containers(folder / archive, ".bvh"):
            for name, content in container.read():
                assert isinstance(content, bytes)
                recording = parse_bvh(content, name)
                label = table.find(container.path.name, name)
                assert label is not None
                skeleton_map = match_map(recording, [])
                skip = skeleton_map.skip_first if label.skip_first is None else label.skip_first
                _add(result, recording, skeleton_map, bvh_to_motion(recording, skeleton_map, skip), skip)
    return result


def _add(result: Measured, recording: BvhRecording, skeleton_map: SkeletonMap, motion: Motion, skip: int) -> None:
    world = source_world(recording, skeleton_map, skip)
    positions = motion.positions().astype(np.float64)

    def places(joint: str) -> tuple[np.ndarray, np.ndarray]:
        if joint == "hips":
            left, right = places("left_hip"), places("right_hip")
            return (left[0] + right[0]) / 2, (left[1] + right[1]) / 2
        return point_positions(world, recording, skeleton_map, joint), positions[:, JOINT_INDEX[joint]]

    for bone in BONES:
        start, end = bone.split(">")
        if {start, end} - {"hips"} <= set(skeleton_map.joints) | set(skeleton_map.points):
            source, target = (high - low for low, high in zip(places(start), places(end), strict=True))
            lengths = np.linalg.norm(source, axis=-1) * np.linalg.norm(target, axis=-1)
            cosine = np.clip((source * target).sum(-1) / lengths, -1, 1)
            result.bone_errors_deg.setdefault(bone, []).append(np.rad2deg(np.arccos(cosine)))
    for joint in ("left_knee", "right_knee", "left_elbow", "right_elbow"):
        result.rotation_vectors_deg.setdefault(joint, []).append(_rotation_vectors_deg(motion, joint))
    result.frames += len(motion)
    result.lowest_toe.append(positions[:, [10, 11], 1].min(axis=1))
    result.lowest_ankle.append(positions[:, [7, 8], 1].min(axis=1))
    spine = positions[:, JOINT_INDEX["neck"]] - positions[:, 0]
    result.upright.append(spine[:, 1] / np.linalg.norm(spine, axis=-1))


@pytest.fixture(scope="module")
def bandai(recordings: Path) -> Measured:
    folder = recordings / "bandai-namco"
    return _measure(folder, ["dataset-1.zip", "dataset-2.zip"], "labels.csv")


@pytest.fixture(scope="module")
def cmu(recordings: Path) -> Measured:
    return _measure(recordings / "cmu", ["cmu.zip"], "labels.csv")


def test_bandai_known_values(recordings: Path) -> None:
    recording = _member(recordings, "bandai-namco/dataset-2.zip", "dataset-2/dataset-2_walk_normal_006.bvh")
    positions = recording.world()[1][0]
    for joint, golden in {
        "Hips": (-4.951, 91.352, 502.269),
        "Head": (-5.955, 138.561, 498.605),
        "Hand_L": (-25.260, 97.742, 472.031),
        "Hand_R": (13.159, 84.027, 512.205),
        "Foot_L": (-6.160, 11.739, 517.621),
        "Toes_R": (8.126, 5.565, 485.441),
    }.items():
        np.testing.assert_allclose(positions[recording.joint_index[joint]], golden, atol=6e-4)
    motion = bvh_to_motion(recording, match_map(recording, []))
    np.testing.assert_allclose(motion.root[0], [-0.055, 0.979, 5.252], atol=6e-4)
    np.testing.assert_allclose(_rotation_vectors_deg(motion, "left_knee")[0], [21.4, -0.2, 0.0], atol=0.06)
    np.testing.assert_allclose(_rotation_vectors_deg(motion, "left_shoulder")[0], [1.5, -50.8, -59.9], atol=0.06)


@pytest.mark.slow
def test_bandai_bones_point_where_the_sources_do(bandai: Measured) -> None:
    assert bandai.frames == 64_034
    for bone, error_deg in {
        "left_ankle>left_foot": 16.39,
        "right_ankle>right_foot": 16.39,
        "left_collar>left_shoulder": 2.89,
        "right_collar>right_shoulder": 2.89,
        "neck>head": 0.0,
        "spine2>neck": 1.09,
        "hips>neck": 0.97,
        "right_shoulder>left_shoulder": 0.91,
        "right_hip>right_knee": 0.06,
    }.items():
        assert bandai.bone(bone) == pytest.approx(error_deg, abs=0.006), bone
    for bone in ("left_hip>left_knee", "left_knee>left_ankle", "right_knee>right_ankle", "left_shoulder>left_elbow",
                 "right_shoulder>right_elbow", "left_elbow>left_wrist", "right_elbow>right_wrist"):  # fmt: skip
        assert bandai.bone(bone) < 0.06, bone


@pytest.mark.slow
def test_bandai_stands_on_the_floor_and_bends_the_right_way(bandai: Measured) -> None:
    assert np.median([np.median(toe) for toe in bandai.lowest_toe]) == pytest.approx(0.043, abs=6e-4)
    assert min(toe.min() for toe in bandai.lowest_toe) == pytest.approx(0.017, abs=6e-4)
    assert np.median([ankle.min() for ankle in bandai.lowest_ankle]) == pytest.approx(0.090, abs=6e-4)
    assert np.concatenate(bandai.upright).mean() == pytest.approx(0.989, abs=6e-4)
    for joint, degrees in {
        "left_knee": (33, 0, 0),
        "right_knee": (31, 0, 0),
        "left_elbow": (15, -48, 8),
        "right_elbow": (2, 48, -3),
    }.items():
        np.testing.assert_allclose(bandai.joint(joint), degrees, atol=0.6)


def test_cmu_bones_point_where_the_sources_do(cmu: Measured) -> None:
    assert cmu.frames == 23_375
    for bone, error_deg in {
        "left_ankle>left_foot": 8.00,
        "right_ankle>right_foot": 8.00,
        "neck>head": 9.97,
        "spine2>neck": 5.65,
        "hips>neck": 2.71,
        "right_shoulder>left_shoulder": 0.0,
        "left_hip>left_knee": 0.0,
        "left_knee>left_ankle": 0.0,
        "left_collar>left_shoulder": 0.0,
        "left_shoulder>left_elbow": 0.0,
        "left_elbow>left_wrist": 0.0,
        "left_wrist>left_hand": 0.0,
    }.items():
        assert cmu.bone(bone) == pytest.approx(error_deg, abs=0.011), bone


def test_cmu_feet_and_joints(cmu: Measured) -> None:
    assert np.median([np.median(toe) for toe in cmu.lowest_toe]) == pytest.approx(0.090, abs=6e-4)
    assert np.median([np.percentile(toe, 5) for toe in cmu.lowest_toe]) == pytest.approx(0.059, abs=6e-4)
    assert np.median([ankle.min() for ankle in cmu.lowest_ankle]) == pytest.approx(0.112, abs=6e-4)
    assert np.concatenate(cmu.upright).mean() == pytest.approx(0.976, abs=6e-4)
    for joint, degrees in {
        "left_knee": (45, 0, -1),
        "right_knee": (46, 0, 1),
        "left_elbow": (-1, -53, 27),
        "right_elbow": (-1, 57, -30),
    }.items():
        np.testing.assert_allclose(cmu.joint(joint), degrees, atol=0.6)


def _facing_cosine(motion: Motion) -> float:
    """Mean cosine between the pelvis's horizontal velocity and where it faces, over frames that move."""
    step = max(round(motion.fps / 30), 1)
    rotation = rot6d_to_matrix(torch.from_numpy(motion.rot6d[::step, 0]).double()).numpy()
    facing = rotation[:-1, ::2, 2]
    velocity = np.diff(motion.root[::step, ::2], axis=0) * motion.fps / step
    speed = np.linalg.norm(velocity, axis=-1)
    moving = speed > 0.3
    cosine = (velocity * facing).sum(-1)[moving] / speed[moving] / np.linalg.norm(facing[moving], axis=-1)
    return float(cosine.mean())


def _cmu_batch(recordings: Path, keep_defects: bool) -> tuple[Gathered, dict[str, tuple[str, ...]]]:
    warnings: dict[str, tuple[str, ...]] = {}
    batch = BvhBatch.open([recordings / "cmu/cmu.zip"], keep_defects=keep_defects)
    gathered = gather(
        batch, on_reading=lambda reading: warnings.update({reading.motion.name: reading.warnings})
        if isinstance(reading, Clip) and reading.warnings else None
    )  # fmt: skip
    return gathered, warnings


def test_cmu_batch_leaves_the_defects_out_and_people_walk_forwards(recordings: Path) -> None:
    gathered, warnings = _cmu_batch(recordings, keep_defects=False)
    assert sorted(clip.name for clip in gathered.skipped) == ["cmu/07_12.bvh", "cmu/08_07.bvh", "cmu/09_10.bvh"]
    assert warnings == {}
    assert [sum(clip.split == split for clip in gathered.clips) for split in (TRAIN, TEST)] == [41, 12]
    assert all(clip.fps == 120 for clip in gathered.clips)
    facing = {
        clip.name: _facing_cosine(clip) for clip in gathered.clips if clip.action in ("walk", "run", "basketball")
    }
    backwards = {"cmu/06_06.bvh": -0.98, "cmu/06_07.bvh": -0.96, "cmu/06_08.bvh": -0.01}
    for name, expected in backwards.items():
        assert facing.pop(name) == pytest.approx(expected, abs=0.02)
    assert min(facing[clip.name] for clip in gathered.clips if clip.action in ("walk", "run")) > 0.9


def test_cmu_defects_are_seen_in_the_motion_too(recordings: Path) -> None:
    _, warnings = _cmu_batch(recordings, keep_defects=True)
    assert set(warnings) == {"cmu/07_12.bvh", "cmu/08_07.bvh", "cmu/09_10.bvh"}
    assert all("below the floor" in " ".join(warnings[name]) for name in warnings)
    assert [name for name in warnings if "m/s" in " ".join(warnings[name])] == ["cmu/09_10.bvh"]


@pytest.mark.slow
def test_bandai_archives_with_their_own_labels(recordings: Path) -> None:
    folder = recordings / "bandai-namco"
    oddities: list[str] = []
    batch = BvhBatch.open([folder / "dataset-2.zip", folder / "dataset-2-more.tar.xz"])
    gathered = gather(
        batch, on_reading=lambda reading: oddities.extend(reading.warnings if isinstance(reading, Clip) else ())
    )  # fmt: skip
    assert (len(gathered.clips), gathered.skipped, oddities) == (771, [], [])
    assert sum(clip.split == TEST for clip in gathered.clips) == 70
    assert len({clip.action for clip in gathered.clips}) == 10
    assert {clip.subject for clip in gathered.clips} == {"A", "B", "C", ""}
    walks = [clip for clip in gathered.clips if clip.action == "walk"]
    assert np.mean([_facing_cosine(clip) for clip in walks]) > 0.97


FOREIGN = {"cmu1/jumping_jacks": (31, 30.003), "fair1/jumping": (27, 119.875), "rokoko/jesse_dance": (60, 100.0)}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_skeletons_are_refused_with_their_joints(recordings: Path, name: str) -> None:
    recording = _member(recordings, "misc/animated-drawings.zip", f"animated-drawings/{name}.bvh")
    joints, fps = FOREIGN[name]
    assert recording.fps == pytest.approx(fps, abs=5e-4)
    with pytest.raises(MdtoolError, match=f"fits none of the maps.* Its {joints} joints: Hips, "):
        match_map(recording, [])


def test_all_foreign_recordings_are_skipped_in_a_batch(recordings: Path) -> None:
    readings = list(BvhBatch.open([recordings / "misc/animated-drawings.zip"]))
    assert sum(isinstance(reading, Skipped) for reading in readings) == 6
    assert not any(isinstance(reading, Clip) for reading in readings)


@pytest.mark.parametrize(
    "name", ["fair1/dab", "fair1/jumping", "fair1/wave_hello", "fair1/zombie", "cmu1/jumping_jacks"]
)
def test_foreign_skeletons_convert_with_their_guessed_maps(recordings: Path, tmp_path: Path, name: str) -> None:
    recording = _member(recordings, "misc/animated-drawings.zip", f"animated-drawings/{name}.bvh")
    (tmp_path / "guess.toml").write_text(map_template(recording))
    skeleton_map = load_map(tmp_path / "guess.toml")
    assert (skeleton_map.up, skeleton_map.forward) == (("+z", "-y") if name.startswith("fair1") else ("+y", "+z"))
    motion = bvh_to_motion(recording, skeleton_map)
    _assert_human(motion)
    if name == "fair1/zombie":
        assert _facing_cosine(motion) > 0.8  # it staggers


def test_a_skeleton_along_its_axes_converts_with_a_filled_in_map(recordings: Path, tmp_path: Path) -> None:
    recording = _member(recordings, "misc/animated-drawings.zip", "animated-drawings/rokoko/jesse_dance.bvh")
    template = map_template(recording)
    (tmp_path / "rokoko.toml").write_text(template)
    with pytest.raises(MdtoolError, match=r'line \d+ is still to be filled in.*"Hips" = { axes ='):
        load_map(tmp_path / "rokoko.toml")
    rest = {
        "left up forward": ["Hips", "LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand"],
        "right up back": ["RightShoulder", "RightArm", "RightForeArm", "RightHand"],
        "up right forward": ["Spine", "Spine1", "Spine2", "Neck", "Head"],
        "down left forward": ["LeftUpLeg", "LeftLeg", "RightUpLeg", "RightLeg"],
        "forward up right": ["LeftFoot", "RightFoot", "LeftToeBase", "RightToeBase"],
    }
    head = template[: template.rindex("[rest_axes]")]
    filled = [f"{joint} = {{ axes = {axes.split()} }}" for axes, joints in rest.items() for joint in joints]
    (tmp_path / "rokoko.toml").write_text(head + "[rest_axes]\n" + "\n".join(filled))
    motion = bvh_to_motion(recording, load_map(tmp_path / "rokoko.toml"))
    _assert_human(motion)
    assert _rotation_vectors_deg(motion, "left_elbow").mean(axis=0)[1] < -20
    assert _rotation_vectors_deg(motion, "right_elbow").mean(axis=0)[1] > 20


def _assert_human(motion: Motion) -> None:
    """Upright, of human size, on the floor, and with knees that bend forwards."""
    positions = motion.positions()
    spine = positions[:, JOINT_INDEX["neck"]] - positions[:, 0]
    assert (spine[:, 1] / np.linalg.norm(spine, axis=-1)).mean() > 0.85
    ankles = np.minimum(positions[:, 7, 1], positions[:, 8, 1])
    assert np.percentile(ankles, 5) == pytest.approx(0.090, abs=0.02)
    for joint in ("left_knee", "right_knee"):
        bend = _rotation_vectors_deg(motion, joint)
        assert np.abs(bend[:, 1:]).mean() < 2
        assert bend[:, 0].max() > 20 or bend[:, 0].std() < 2  # wave_hello stands still
