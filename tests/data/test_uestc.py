"""The UESTC reader: names, choice, counts, and files that do not fit each other."""

from __future__ import annotations

import pickle
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from mdtool.data.gather import Clip, Skipped
from mdtool.data.safe_pickle import StoredArray
from mdtool.data.uestc import (
    SUBJECTS,
    TRAIN_SUBJECTS,
    VibeVideo,
    VideoName,
    clips_from_vibe,
    find_uestc,
    read_actions,
    read_uestc_cache,
    select_videos,
)
from mdtool.errors import MdtoolError
from mdtool.motion.action_names import UESTC_ACTIONS
from mdtool.motion.motion import TEST, TRAIN
from tests.data.uestc_files import NAMES, raw_cache, write_uestc


def test_names() -> None:
    name = VideoName.parse("a39_d3_p113_c2_color.avi")
    assert (name.action, name.view, name.subject, name.side, name.split) == (39, 3, 113, 2, TRAIN)
    assert VideoName.parse("a0_d0_p118_c1_color.avi").split == TEST
    assert len(TRAIN_SUBJECTS) == 51
    for wrong in ("a1_d2_p003_color.avi", "a1_d9_p003_c1_color.avi", "a1_d1_p119_c1_color.avi", "a1_d1_p003_c3_x", ""):
        with pytest.raises(MdtoolError, match=r"no name like|does not have"):
            VideoName.parse(wrong)


def test_the_protocol_has_10650_training_and_13350_test_clips() -> None:
    """1,600 pairs of person and action, 710 of them of training subjects; sixteen videos of each."""
    trained = sorted(TRAIN_SUBJECTS)
    tested = sorted(set(range(1, SUBJECTS + 1)) - TRAIN_SUBJECTS)
    pairs = list(product(trained, range(40)))[:710] + list(product(tested, range(40)))[:890]
    one = np.zeros((60, 72), np.float32)
    videos = [
        VibeVideo(VideoName.parse(f"a{action}_d{view}_p{subject:03d}_c{side}_color.avi"), one, one, one, 60)
        for subject, action in pairs
        for view in range(1, 9)
        for side in (1, 2)
    ]
    everything = select_videos(videos)
    assert (everything.listed, everything.moving, len(everything.videos)) == (25_600, 1_600, 24_000)
    assert (everything.count(TRAIN), everything.count(TEST), everything.short) == (10_650, 13_350, 0)
    front = select_videos(videos, "front")
    assert (front.count(TRAIN), front.count(TEST), front.sideways) == (5_680, 7_120, 11_200)


@pytest.mark.parametrize(("frames", "short"), [(60, 1), (56, 0), (0, 0), (84, 2)])
def test_short_videos_leave_the_training_split_only(tmp_path: Path, frames: int, short: int) -> None:
    selection = select_videos(read_uestc_cache(write_uestc(tmp_path / "uestc")), frames=frames)
    assert selection.short == short
    assert "a2_d4_p117_c1_color.avi" in [video.name.file for video in selection.videos]  # 18 frames, for testing


def test_clips(tmp_path: Path) -> None:
    videos = read_uestc_cache(write_uestc(tmp_path / "uestc"))
    assert [video.name.file for video in videos] == list(NAMES)
    assert isinstance(videos[0].pose, StoredArray)
    clips = [reading.motion for reading in clips_from_vibe(videos) if isinstance(reading, Clip)]
    assert [len(clip) for clip in clips] == [68, 62, 78, 64, 48, 18, 42]
    assert (clips[4].action, clips[4].subject, clips[4].split, clips[4].fps) == (UESTC_ACTIONS[1], "p003", TEST, 30.0)
    raw = raw_cache()
    direct = VibeVideo(videos[4].name, raw["pose"][4], raw["orig_cam"][4], raw["joints3d"][4], 48).motion()
    np.testing.assert_array_equal(direct.rot6d, clips[4].rot6d)
    np.testing.assert_array_equal(direct.root, clips[4].root)


def test_a_video_that_cannot_be_a_clip_is_skipped(tmp_path: Path) -> None:
    cache = raw_cache()
    cache["orig_cam"][0][5, 0] = 0.0
    cache["pose"][1][3, 7] = np.nan
    folder = write_uestc(tmp_path / "uestc", cache=cache, most_frames=(70, 70, 0, 70, 70, 70, 70))
    readings = list(clips_from_vibe(read_uestc_cache(folder)))
    skipped = {reading.name: reading.reason for reading in readings if isinstance(reading, Skipped)}
    assert list(skipped) == list(NAMES[:3])
    assert "not finite" in skipped[NAMES[0]]
    assert "no frame" in skipped[NAMES[2]]


def test_actions(tmp_path: Path) -> None:
    folder = write_uestc(tmp_path / "uestc")
    assert read_actions(folder)[0] == list(UESTC_ACTIONS)
    path = folder / "info" / "action_classes.txt"
    path.write_text("\n".join(UESTC_ACTIONS))
    assert read_actions(folder) == (list(UESTC_ACTIONS), "")
    path.write_text("\n".join(["jumping", *UESTC_ACTIONS[1:]]))
    names, difference = read_actions(folder)
    assert names[0] == "jumping"
    assert "calls action 0 'jumping', elsewhere it is 'punching-and-knee-lifting'; the file is followed" in difference
    path.write_text("a\nb")
    assert "has 2 actions, not 40" in read_actions(folder)[1]
    with pytest.raises(MdtoolError, match=r"names\.txt, line 6: .* is of action 2; the list has 2"):
        read_uestc_cache(folder, ["a", "b"])
    path.write_text("a\nb\na")
    with pytest.raises(MdtoolError, match="has 'a' twice"):
        read_actions(folder)


def test_where_the_data_set_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MdtoolError, match=r"no dataset/uestc/vibe_cache_refined\.pkl or data/uestc/"):
        find_uestc(None)
    write_uestc(Path("data/uestc"))
    assert find_uestc(None) == Path("data/uestc") == find_uestc(Path("data"))
    with pytest.raises(MdtoolError, match="no elsewhere/"):
        find_uestc(Path("elsewhere"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cache: cache.pop("orig_cam"), "has no list 'orig_cam'"),
        (lambda cache: cache["pose"].pop(), "6 entries of 'pose', names.txt 7 and num_frames_min.txt 7"),
        (
            lambda cache: cache["pose"].__setitem__(2, np.zeros((80, 69), np.float32)),
            r"pose of a1_d8_p002_c1_color\.avi",
        ),
        (lambda cache: cache["joints3d"].__setitem__(2, np.zeros((79, 49, 3))), r"joints3d of a1_d8_p002_c1"),
        (lambda cache: cache["orig_cam"].__setitem__(2, np.zeros((80, 4), int)), r"orig_cam of a1_d8_p002_c1"),
        (lambda cache: cache["pose"].__setitem__(2, None), r"pose of a1_d8_p002_c1_color\.avi must be an array"),
    ],
)
def test_caches_that_do_not_fit(tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    cache = raw_cache()
    change(cache)
    with pytest.raises(MdtoolError, match=message):
        read_uestc_cache(write_uestc(tmp_path / "uestc", cache=cache))


def test_files_that_are_something_else(tmp_path: Path) -> None:
    folder = write_uestc(tmp_path / "uestc", cache=[1, 2])
    with pytest.raises(MdtoolError, match="holds a list, not a dict"):
        read_uestc_cache(folder)
    (folder / "info" / "num_frames_min.txt").write_text("12\nmany\n")
    with pytest.raises(MdtoolError, match=r"num_frames_min\.txt, line 2: 'many' is no number"):
        read_uestc_cache(folder)
    (folder / "info" / "names.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MdtoolError, match=r"cannot read .*names\.txt: it is no text"):
        read_uestc_cache(folder)
    (folder / "info" / "names.txt").unlink()
    with pytest.raises(MdtoolError, match=r"cannot read .*names\.txt: No such file"):
        read_uestc_cache(folder)


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    folder = write_uestc(tmp_path / "uestc")
    videos = read_uestc_cache(folder)
    (folder / "vibe_cache_refined.pkl").write_bytes(pickle.dumps(1))
    with pytest.raises(MdtoolError, match="become shorter"):
        list(clips_from_vibe(videos))
    (folder / "vibe_cache_refined.pkl").unlink()
    with pytest.raises(MdtoolError, match="cannot be read any more"):
        list(clips_from_vibe(videos))
