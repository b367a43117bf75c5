"""A batch of recordings: labels, maps, what is skipped and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mdtool.data.bvh_reader import BvhBatch
from mdtool.data.gather import Clip, Note, Skipped
from mdtool.errors import MdtoolError
from mdtool.motion.motion import TEST, TRAIN
from tests.data.bvh_texts import SMALL, SMPL_MAP, human_bvh, root_path, smooth_rotations

LOCAL, ROOT = smooth_rotations(4, seed=1, largest_rad=0.3), root_path(4)
HUMAN = human_bvh(LOCAL, ROOT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("walk/1.bvh", "walk/2.bvh", "run/1.bvh"):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HUMAN)
    return tmp_path / "set"


def _read(*sources: Path, **options) -> tuple[list[Clip], list[Skipped], list[str]]:
    readings = list(BvhBatch.open(sources, maps=[SMPL_MAP], **options))
    return (
        [reading for reading in readings if isinstance(reading, Clip)],
        [reading for reading in readings if isinstance(reading, Skipped)],
        [reading.text for reading in readings if isinstance(reading, Note)],
    )


def test_folder_names_are_the_actions_where_no_labels_are(folder: Path) -> None:
    clips, skipped, notes = _read(folder)
    assert [(clip.motion.name, clip.motion.action) for clip in clips] == [
        ("run/1.bvh", "run"),
        ("walk/1.bvh", "walk"),
        ("walk/2.bvh", "walk"),
    ]
    assert not any(clip.has_split or clip.warnings for clip in clips)
    assert (skipped, notes) == ([], ["labels of set: folder names"])


def test_labels_beside_the_recordings_are_used_and_said(folder: Path) -> None:
    (folder.parent / "labels.csv").write_text(
        "path,action,split,subject,skip_first,text\n"
        "walk/1.bvh,stroll,test,07,1,a slow walk\nwalk/2.bvh,stroll,,,,\nrun/1.bvh,jog,train,,,\n"
    )
    clips, _, notes = _read(folder)
    assert notes == [f"labels of set: {folder.parent / 'labels.csv'} (found beside it)"]
    jog, first, second = clips
    assert (first.motion.action, first.motion.split, first.motion.subject) == ("stroll", TEST, "07")
    assert (first.motion.text, len(first.motion)) == ("a slow walk", 3)
    assert (jog.motion.split, jog.has_split, second.has_split) == (TRAIN, True, False)


def test_two_label_files_that_fit_are_not_chosen_between(folder: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text("path,action\nwalk/1.bvh,stroll\n")
    clips, _, notes = _read(folder)
    assert notes == ["labels of set: folder names (a.csv, b.csv fit: choose with --labels)"]
    assert {clip.motion.action for clip in clips} == {"walk", "run"}
    clips, skipped, notes = _read(folder, labels=[folder / "a.csv"])
    assert [clip.motion.action for clip in clips] == ["stroll"]
    assert [reading.reason for reading in skipped] == ["no row of the label file names it"] * 2
    assert notes == ["labels of set: a.csv"]


def test_defects_are_left_out_unless_asked_for(folder: Path) -> None:
    (folder / "labels.csv").write_text(
        "path,action,split,quality,note\n"
        "walk/1.bvh,walk,defect,,\nwalk/2.bvh,walk,train,defect,no feet\nrun/1.bvh,run,test,ok,\n"
    )
    clips, skipped, _ = _read(folder)
    assert [clip.motion.action for clip in clips] == ["run"]
    assert [reading.reason.split(": ")[1] for reading in skipped] == [
        "marked as a defect (--keep-defects keeps it)",
        "no feet (--keep-defects keeps it)",
    ]
    clips, skipped, _ = _read(folder, keep_defects=True)
    assert [(clip.motion.split, clip.has_split) for clip in clips] == [(TEST, True), (TRAIN, True), (TRAIN, True)]


def test_a_bad_file_costs_one_line(folder: Path) -> None:
    (folder / "walk/0.bvh").write_text(HUMAN[:-30])
    (folder / "run/2.bvh").write_bytes(b"\x00\x01")
    clips, skipped, _ = _read(folder)
    assert len(clips) == 3
    assert [reading.name for reading in skipped] == ["run/2.bvh", "walk/0.bvh"]
    assert skipped[1].reason.startswith("line ")
    assert not any(reading.name in reading.reason or "\n" in reading.reason for reading in skipped)


def test_a_damaged_archive_does_not_stop_the_others(folder: Path) -> None:
    (folder / "more.zip").write_bytes(b"PK no")
    clips, skipped, _ = _read(folder)
    assert len(clips) == 3
    assert [(reading.name, "damaged" in reading.reason) for reading in skipped] == [("more.zip", True)]


def test_an_unknown_skeleton_lists_its_joints_once(folder: Path) -> None:
    for name in ("run/2.bvh", "walk/3.bvh"):
        (folder / name).write_text(SMALL)
    clips, skipped, _ = _read(folder)
    assert len(clips) == 3
    assert "Its 2 joints: Hips, Knee" in skipped[0].reason
    assert skipped[1].reason == "its skeleton fits no map (the same joints as run/2.bvh)"


def test_a_map_that_fits_by_names_alone_is_told(tmp_path: Path) -> None:
    z_up = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    (tmp_path / "lying.bvh").write_text(human_bvh(LOCAL, ROOT, world=z_up))
    (clip,), _, _ = _read(tmp_path / "lying.bvh")
    assert "its body is not along the +y of map smpl: if it stands, --write-map makes another map" in clip.warnings


def test_oddities_are_told(tmp_path: Path) -> None:
    still = LOCAL.copy()
    still[:, 0] = np.eye(3)
    (tmp_path / "odd.bvh").write_text(human_bvh(still, ROOT - [0, 0.5, 0]))
    (clip,), _, _ = _read(tmp_path / "odd.bvh")
    floor, rotation = clip.warnings
    assert "m below the floor" in floor
    assert rotation == "its root rotation is zero in every frame"


def test_the_recording_to_write_a_map_for_is_the_first_unknown_one(folder: Path) -> None:
    assert BvhBatch.open([folder], maps=[SMPL_MAP]).unknown_recording().source == "run/1.bvh"  # all are known
    (folder / "walk/0.bvh").write_text("broken")
    (folder / "walk/3.bvh").write_text(SMALL)
    assert BvhBatch.open([folder], maps=[SMPL_MAP]).unknown_recording().source == "walk/3.bvh"
    with pytest.raises(MdtoolError, match=r"0\.bvh: not a complete BVH file"):
        BvhBatch.open([folder / "walk/0.bvh"]).unknown_recording()


def test_how_many_there_are_is_known_before_reading(folder: Path) -> None:
    assert len(BvhBatch.open([folder, folder / "walk/1.bvh"])) == 4
