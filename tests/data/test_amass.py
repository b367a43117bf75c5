"""AMASS trees: HumanML3D's rule of what counts, both ways to 20 fps, trims, splits, shapes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import roma
import torch

from mdtool.data.amass import AmassTree, Segment, cut_segment, read_index, segment_counts
from mdtool.data.gather import Clip, Note, gather
from mdtool.data.synthetic.raw_amass import write_raw_amass
from mdtool.errors import MdtoolError
from mdtool.motion.motion import TEST, TRAIN, Motion
from mdtool.motion.rotations import rot6d_to_matrix
from mdtool.motion.skeleton import JOINTS

INDEX = """source_path,start_frame,end_frame,new_name
./pose_data/KIT/3/kick_poses.npy,0,117,000000.npy
./pose_data/humanact12/humanact12/P11G01R02F1812T1847A0402.npy,0,-1,000001.npy
./pose_data/CMU/80/80_63_poses.npy,516,548,000002.npy
./pose_data/CMU/80/80_63_poses.npy,516,547,000003.npy
./pose_data/Eyes_Japan_Dataset/aita/turn-03-look at-aita_poses.npy,5,205,000004.npy
./pose_data/KIT/9/lost_poses.npy,0,100,000005.npy
"""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Motion]]:
    """A small tree, and what went in."""
    folder = tmp_path_factory.mktemp("amass")
    return folder, write_raw_amass(folder, 1)


def test_what_counts(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text(INDEX)
    for split, names in {"train": "000000 M000000 000001 000003 M000004", "val": "000002", "test": "000004"}.items():
        (tmp_path / f"{split}.txt").write_text("\n".join(names.split()) + "\n")
    segments = read_index(tmp_path / "index.csv", tmp_path)
    assert [(segment.name, segment.split) for segment in segments] == [
        ("000000", "train"), ("000002", "val"), ("000004", "test"),
    ]  # fmt: skip
    assert segments[2].source == "Eyes_Japan_Dataset/aita/turn-03-look at-aita_poses"
    assert segment_counts(segments) == {"train": 1, "val": 1, "test": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "needs the columns"),
        (INDEX.replace(",117,", ",x,"), "line 2"),
        (INDEX + "./pose_data/KIT/9/cut_poses.npy,0,100\n", "cut short"),
        (None, "cannot read"),
    ],
)
def test_a_wrong_index_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.txt").write_text("000000\n")
    if text is not None:
        (tmp_path / "index.csv").write_text(text)
    with pytest.raises(MdtoolError, match=message):
        read_index(tmp_path / "index.csv", tmp_path)


def recording(frames: int, fps: float) -> Motion:
    """A path that tells the time in seconds."""
    rot6d = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (frames, JOINTS, 1))
    root = np.zeros((frames, 3), np.float32)
    root[:, 0] = np.arange(frames) / fps
    return Motion(rot6d, root, fps)


@pytest.mark.parametrize(("fps", "every"), [(120.0, 6), (119.88, 5), (59.0, 2), (150.0, 7), (250.0, 12), (20.0, 1)])
def test_both_ways_to_20_fps(fps: float, every: int) -> None:
    """The same span of time, once as HumanML3D labels it and once at a true 20 fps."""
    whole, segment = recording(int(20 * fps), fps), Segment("x", 10, 110, "000000", "train")
    strided = cut_segment(whole, segment, "humanml3d", trimmed_s=1.0)
    exact = cut_segment(whole, segment, "exact", trimmed_s=1.0)
    assert strided is not None
    assert exact is not None
    assert (len(strided), strided.fps, exact.fps) == (100, 20.0, 20.0)
    np.testing.assert_allclose(strided.root[:, 0], (30 + np.arange(100)) * every / fps, atol=1e-5)
    np.testing.assert_allclose(exact.root[:, 0], 30 * every / fps + np.arange(len(exact)) / 20, atol=1e-5)
    assert abs(len(exact) / 20 - 100 * every / fps) <= 0.05
    assert cut_segment(whole, replace(segment, start=5000, end=5100), "exact") is None


def test_a_tree_by_its_index(raw: tuple[Path, list[Motion]]) -> None:
    folder, put_in = raw
    segments = read_index(folder / "index.csv", folder)
    assert not {"900000", "900001"} & {segment.name for segment in segments}
    made = gather(AmassTree(folder, segments)).clips
    assert len(made) == sum(segment.split != "val" for segment in segments)
    assert {clip.fps for clip in made} == {20.0}
    assert max(len(clip) for clip in made) <= 205
    assert {clip.split for clip in made} == {TRAIN, TEST}
    for clip in made:
        source = put_in[int(clip.name)]
        lead = 60 if "Eyes_Japan" in source.name else 0
        every = int(source.fps / 20)
        first = source.rot6d[lead * every, :22]  # SMPL-H has no hand joints
        np.testing.assert_allclose(clip.rot6d[0, :22], first, atol=2e-5)
        np.testing.assert_allclose(clip.root[0], source.root[lead * every], atol=1e-5)
    validation = gather(AmassTree(folder, segments, held_out="val")).clips
    assert {clip.name for clip in validation if clip.split == TEST} == {s.name for s in segments if s.split == "val"}


def test_whole_recordings_keep_their_rates_and_motion(raw: tuple[Path, list[Motion]]) -> None:
    folder, put_in = raw
    by_name = {motion.name: motion for motion in put_in}
    clips = [reading.motion for reading in AmassTree(folder) if isinstance(reading, Clip)]
    assert {clip.fps for clip in clips} == {100.0, 120.0, 60.0, 59.0}
    for clip in clips:
        source = by_name[clip.name]
        turns = (rot6d_to_matrix(torch.from_numpy(motion.rot6d[:, :22])) for motion in (clip, source))
        assert float(roma.rotmat_geodesic_distance(*turns).max()) < 2e-3
        np.testing.assert_allclose(clip.root, source.root, atol=1e-5)


def test_shapes_of_one_model_only(raw: tuple[Path, list[Motion]]) -> None:
    folder, put_in = raw
    by_name = {motion.name: motion for motion in put_in}
    readings = list(AmassTree(folder))
    shaped = [reading.motion for reading in readings if isinstance(reading, Clip) and reading.motion.betas is not None]
    assert 0 < len(shaped) < len(put_in)
    for clip in shaped:
        np.testing.assert_allclose(clip.betas, by_name[clip.name].betas, atol=1e-6)
    assert any("body shapes of another model" in reading.text for reading in readings if isinstance(reading, Note))
    female = [reading for reading in AmassTree(folder, gender="female") if isinstance(reading, Clip)]
    assert 0 < len(female) < len(put_in)
    assert all(clip.motion.betas is not None for clip in female)
    assert {clip.motion.gender for clip in female} == {"female"}
    everybody = {reading.motion.gender for reading in readings if isinstance(reading, Clip)}
    assert everybody == {"neutral", "male", "female"}, "whose shape was left out is known all the same"
    segments = read_index(folder / "index.csv", folder)
    assert all(clip.gender for clip in gather(AmassTree(folder, segments)).clips), "a cut keeps it"


def test_missing_recordings_are_told_once(raw: tuple[Path, list[Motion]]) -> None:
    folder, _ = raw
    lost = [Segment(f"KIT/9/lost{k}_poses", 0, 100, f"{k:06d}", "train") for k in range(3)]
    readings = list(AmassTree(folder, lost))
    assert [type(reading) for reading in readings] == [Note]
    assert "3 recordings of the index are not there" in readings[0].text  # type: ignore[union-attr]
