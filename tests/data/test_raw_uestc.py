"""Raw UESTC and back: the motions that went in come out, whichever of the two ways they are read."""

from __future__ import annotations

import pickle
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from mdtool.data.kinect import SkeletonArchive, box_centre, kinect_to_pixels
from mdtool.data.synthetic.raw_humanact12 import write_raw_humanact12
from mdtool.data.synthetic.raw_uestc import FILES, Video, cast, write_raw_uestc
from mdtool.data.synthetic.stand_ins import HUMANACT12_STAND_INS, UESTC_STAND_INS
from mdtool.data.uestc import TRAIN_SUBJECTS, UestcVideo, read_uestc_cache, select_videos
from mdtool.data.uestc_tracks import TrackedVideo, read_uestc_tracks
from mdtool.errors import MdtoolError
from mdtool.motion.action_names import HUMANACT12_ACTIONS, UESTC_ACTIONS
from mdtool.motion.motion import Motion
from tests.data.round_trip import joint_errors_mm

SHAPES = {
    "pred_cam": ((3,), "float32"), "orig_cam": ((4,), "float64"), "pose": ((72,), "float32"),
    "betas": ((10,), "float32"), "joints3d": ((49, 3), "float32"), "bboxes": ((4,), "float64"),
    "frame_ids": ((), "int64"),
}  # fmt: skip


@dataclass(frozen=True)
class Raw:
    """A raw data set and what is true of it."""

    folder: Path
    videos: dict[str, Video]

    def pickle(self, name: str) -> object:
        """Content of one of our own pickles."""
        return pickle.loads((self.folder / name).read_bytes())


def make(folder: Path, clips: int, seed: int) -> Raw:
    """Write a raw data set."""
    return Raw(folder, {video.name: video for video in write_raw_uestc(folder, clips, seed)})


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Raw:
    """40 actions, both cameras of one take each."""
    return make(tmp_path_factory.mktemp("raw"), 2, seed=4)


def _pairs(raw: Raw, videos: list[UestcVideo]) -> Iterator[tuple[UestcVideo, Motion, Motion]]:
    """Each chosen video, what is read, and what was performed."""
    for video in videos:
        yield video, video.motion(UESTC_ACTIONS[video.name.action]), raw.videos[video.name.file].motion


def check_cache(raw: Raw) -> int:
    """The refined cache gives back every motion; how many clips that were."""
    videos = list(select_videos(read_uestc_cache(raw.folder)).videos)
    for _, read, put_in in _pairs(raw, videos):
        assert joint_errors_mm(read, put_in).max() < 0.01
        np.testing.assert_allclose(read.rot6d, put_in.rot6d, atol=2e-6)
        for name in ("action", "split", "subject", "fps", "name"):
            assert getattr(read, name) == getattr(put_in, name)
    return len(videos)


def check_tracks(raw: Raw) -> int:
    """All tracks give back the performer, exactly where VIBE found them; how many clips there were."""
    videos = read_uestc_tracks(raw.folder)
    for video in videos:
        assert video.performer.keys == raw.videos[video.name.file].tracked.performer
    means, filled_errors = [], []
    for video, read, whole in _pairs(raw, list(select_videos(videos).videos)):
        assert isinstance(video, TrackedVideo)
        filled = video.performer.joined()[1][: len(read)]
        first = video.performer.first_frame
        put_in = whole.slice(first, first + len(read))
        read = read.slice(0, len(put_in))  # a late first frame moves what counts beyond the end of what was counted
        filled = filled[: len(put_in)]
        errors = joint_errors_mm(read, put_in, ~filled)
        assert errors[~filled].max() < 0.01
        means.append(errors.mean())
        filled_errors += errors[filled].tolist()
    assert np.mean(means) < 1
    assert 1 < np.mean(filled_errors) < 60  # up to 4 frames in a row, of exercises
    return len(videos)


def test_the_cache_gives_back_the_motions(raw: Raw) -> None:
    moving = sum(video.view == 8 and video.side == 2 for video in raw.videos.values())
    assert check_cache(raw) == 80 - moving
    assert moving > 0


def test_the_tracks_give_back_the_motions(raw: Raw) -> None:
    assert check_tracks(raw) == 80
    tracked = [video.tracked for video in raw.videos.values()]
    assert sum(people.strangers > 0 for people in tracked) > 20
    assert sum(len(people.performer) > 1 for people in tracked) > 20
    assert any(people.performer[0] != 1 for people in tracked)  # the first to be seen is not always the performer


@pytest.mark.slow
def test_a_whole_data_set_comes_back(tmp_path: Path) -> None:
    """2,160 videos, of which the protocol keeps over 2,000."""
    raw = make(tmp_path, 54, seed=0)
    assert check_tracks(raw) == 2160
    assert check_cache(raw) > 2000
    assert {video.view for video in raw.videos.values()} == set(range(1, 9))


def test_the_layout_is_that_of_the_originals(raw: Raw) -> None:
    names = (raw.folder / "info/names.txt").read_text().splitlines()
    counts = [int(line) for line in (raw.folder / "info/num_frames_min.txt").read_text().splitlines()]
    assert (raw.folder / "info/action_classes.txt").read_text().splitlines() == list(UESTC_ACTIONS)
    assert len(names) == len(counts) == len(set(names)) == 80
    cache, tracks = raw.pickle("vibe_cache_refined.pkl"), raw.pickle("vibe_cache_all_tracks.pkl")
    assert isinstance(cache, dict)
    assert isinstance(tracks, list)
    assert cache.keys() == SHAPES.keys()
    for place, (name, count, people) in enumerate(zip(names, counts, tracks, strict=True)):
        assert name in raw.videos
        frames = raw.videos[name].frames
        assert len(raw.videos[name].motion) == min(count, frames)
        for key, (shape, dtype) in SHAPES.items():
            assert (cache[key][place].shape, str(cache[key][place].dtype)) == ((frames, *shape), dtype)
            for track in people.values():
                assert (track[key].shape[1:], str(track[key].dtype)) == (shape, dtype)
    with tarfile.open(raw.folder / "mat_from_skeleton.tar") as archive:
        assert archive.getnames() == [
            f"mat_from_skeleton/{name.replace('color.avi', 'skeleton.mat')}" for name in names
        ]


def test_skeleton_and_box_are_at_the_same_place_in_the_picture(raw: Raw) -> None:
    archive = SkeletonArchive(raw.folder / "mat_from_skeleton.tar")
    cache = raw.pickle("vibe_cache_refined.pkl")
    assert isinstance(cache, dict)
    for place, name in enumerate(raw.videos):
        joints = archive.skeleton(name)
        assert len(joints) == raw.videos[name].frames
        apart = box_centre(kinect_to_pixels(joints)) - cache["bboxes"][place][:, :2]
        # Perspective against weak perspective; strangers stand 190 px away and more.
        assert np.linalg.norm(apart, axis=-1).mean() < 25
    archive.close()


def test_the_crop_camera_is_the_picture_camera_seen_through_the_box(raw: Raw) -> None:
    """VIBE: sx = s h / 960, sy = s h / 540, tx = (cx - 480) / 480 / sx + the crop's tx, and so on."""
    cache = raw.pickle("vibe_cache_refined.pkl")
    assert isinstance(cache, dict)
    for crop, whole, box in zip(cache["pred_cam"], cache["orig_cam"], cache["bboxes"], strict=True):
        scale = crop[:, :1] * box[:, 3:] / (960, 540)
        np.testing.assert_allclose(scale, whole[:, :2], rtol=1e-5)
        shift = (box[:, :2] - (480, 270)) / (480, 270) / scale + crop[:, 1:]
        np.testing.assert_allclose(shift, whole[:, 2:], atol=1e-4)


def test_both_cameras_see_the_same_performance(raw: Raw) -> None:
    takes: dict[tuple, list[Motion]] = {}
    for video in select_videos(read_uestc_cache(raw.folder)).videos:
        takes.setdefault((video.name.action, video.name.view, video.name.subject), []).append(video.motion())
    pairs = [motions for motions in takes.values() if len(motions) == 2]
    assert len(pairs) > 30
    for front, second in pairs:
        frames = min(len(front), len(second))
        apart = front.positions()[:frames] - second.positions()[:frames]
        apart -= apart[:, :1].mean(0)
        assert np.abs(apart).max() < 1e-4


def test_stand_ins_cover_all_actions_and_differ() -> None:
    for stand_ins, names in ((UESTC_STAND_INS, UESTC_ACTIONS), (HUMANACT12_STAND_INS, HUMANACT12_ACTIONS)):
        assert tuple(stand_ins) == names
        assert len(set(stand_ins.values())) == len(names)


def test_subjects_of_both_splits_and_all_views_take_turns() -> None:
    for action in range(40):
        cast_of = [cast(action, take) for take in range(118 * 8)]
        assert len(set(cast_of)) == len(cast_of)
        assert {subject for subject, _ in cast_of} == set(range(1, 119))
        first = {subject for subject, _ in cast_of[:24]}
        assert {subject in TRAIN_SUBJECTS for subject in first} == {True, False}
        assert {view for _, view in cast_of[:8]} == set(range(1, 9))


def test_a_take_depends_on_the_seed_alone(raw: Raw, tmp_path: Path) -> None:
    fewer = make(tmp_path / "fewer", 1, seed=4)
    assert len(fewer.videos) == 40
    for name, video in fewer.videos.items():
        np.testing.assert_array_equal(video.motion.rot6d, raw.videos[name].motion.rot6d)
        np.testing.assert_array_equal(video.motion.root, raw.videos[name].motion.root)


def test_nothing_of_a_data_set_is_overwritten(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("precious")
        with pytest.raises(MdtoolError, match="exists already"):
            write_raw_uestc(tmp_path, 1)
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [Path(name).name]
        (tmp_path / name).unlink()
    write_raw_humanact12(tmp_path, 1)
    with pytest.raises(MdtoolError, match="exists already"):
        write_raw_humanact12(tmp_path, 1)


@pytest.mark.parametrize(("clips", "seed", "message"), [(0, 0, "0"), (1889, 0, "1 to 1888"), (1, -1, "seed -1")])
def test_senseless_numbers_are_refused(tmp_path: Path, clips: int, seed: int, message: str) -> None:
    with pytest.raises(MdtoolError, match=message):
        write_raw_uestc(tmp_path, clips, seed)
    assert not list(tmp_path.iterdir())


def test_humanact12_comes_back(tmp_path: Path) -> None:
    from mdtool.data.gather import Clip
    from mdtool.data.humanact12 import find_humanact12, read_humanact12

    put_in = write_raw_humanact12(tmp_path, 2, seed=1)
    read = list(read_humanact12(find_humanact12(tmp_path)).clips())
    assert len(read) == len(put_in) == 24
    for clip, motion in zip(read, put_in, strict=True):
        assert isinstance(clip, Clip)
        assert (clip.motion.action, clip.motion.fps) == (motion.action, motion.fps)
        assert joint_errors_mm(clip.motion, motion).max() < 0.01
        assert torch.from_numpy(clip.motion.rot6d).isfinite().all()
