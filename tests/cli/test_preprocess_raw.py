"""`mdtool preprocess synthetic --as …` and `mdtool preprocess uestc --from-vibe-tracks` as typed."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from mdtool.motion.action_names import HUMANACT12_ACTIONS, UESTC_ACTIONS
from mdtool.motion.file import read_motions
from tests.cli.command_line import done, refused


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One video of each action, and what went in beside it."""
    folder = tmp_path_factory.mktemp("typed")
    told = done("preprocess", "synthetic", "--as", "uestc", folder / "raw", "--clips", 1, "--out", folder / "in.h5")
    assert "40 clips of stand-ins for 40 actions" in told
    assert told.rstrip().endswith("--from-vibe-tracks")
    return folder


@pytest.fixture
def tracks(raw: Path, tmp_path: Path) -> Path:
    """A folder with three of its videos, to be broken."""
    (tmp_path / "info").mkdir()
    for name in ("names", "num_frames_min"):
        lines = (raw / "raw/info" / f"{name}.txt").read_text().splitlines()[:3]
        (tmp_path / "info" / f"{name}.txt").write_text("\n".join(lines))
    people = pickle.loads((raw / "raw/vibe_cache_all_tracks.pkl").read_bytes())[:3]
    for tracks in people:
        whole = tracks[min(tracks)]
        tracks.clear()
        tracks.update({1: whole, 2: whole})
    (tmp_path / "vibe_cache_all_tracks.pkl").write_bytes(pickle.dumps(people))
    (tmp_path / "mat_from_skeleton.tar").write_bytes((raw / "raw/mat_from_skeleton.tar").read_bytes())
    return tmp_path


def test_both_ways_give_what_went_in(raw: Path) -> None:
    told = done("preprocess", "uestc", raw / "raw", "--out", raw / "cache.h5")
    assert "next: mdtool train" in told
    told = done("preprocess", "uestc", raw / "raw", "--from-vibe-tracks", "--gap", "slerp", "--out", raw / "tracks.h5")
    assert "videos have several tracks" in told
    assert "frames are filled in (slerp)" in told
    put_in = read_motions(raw / "in.h5")
    assert put_in.actions == list(UESTC_ACTIONS)
    for name in ("cache.h5", "tracks.h5"):
        motions = read_motions(raw / name)
        assert motions.actions == put_in.actions
        assert set(motions.name) <= set(put_in.name)
        assert len(motions) >= 35
    assert read_motions(raw / "tracks.h5").provenance["gap"] == "slerp"
    assert "mat_from_skeleton.tar" in read_motions(raw / "tracks.h5").provenance["parents"]


def test_humanact12_as_typed(tmp_path: Path) -> None:
    told = done("preprocess", "synthetic", tmp_path / "raw", "--as", "humanact12", "--clips", 1)
    assert told.splitlines()[-1] == f"next: mdtool preprocess humanact12 {tmp_path / 'raw'}"
    done("preprocess", "humanact12", tmp_path / "raw", "--out", tmp_path / "m.h5")
    assert read_motions(tmp_path / "m.h5").actions == list(HUMANACT12_ACTIONS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("synthetic", "--as", "uestc"), "--as needs a DIR"),
        (("synthetic", "--as", "uestc", "x", "--fps", 20), "goes without --fps"),
        (("synthetic", "--as", "uestc", "x", "--test-fraction", 0.5), "goes without --fps and --test-fraction"),
        (("synthetic", "x"), "goes with --as"),
        (("uestc", "x", "--gap", "slerp"), "--gap is for --from-vibe-tracks"),
        (("uestc", "x", "--from-vibe-tracks"), "x/vibe_cache_all_tracks.pkl"),
    ],
)
def test_words_that_do_not_go_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused("preprocess", *words)
    assert not list(tmp_path.iterdir())


def _rewrite_tracks(folder: Path, change: Callable[[list], object]) -> None:
    path = folder / "vibe_cache_all_tracks.pkl"
    people = pickle.loads(path.read_bytes())
    changed = change(people)
    path.write_bytes(pickle.dumps(people if changed is None else changed))


def _skeletons(folder: Path, *members: tuple[str, bytes]) -> None:
    with tarfile.open(folder / "mat_from_skeleton.tar", "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def _skeleton_of_first(folder: Path, **variables: np.ndarray) -> None:
    name = (folder / "info/names.txt").read_text().splitlines()[0].replace("color.avi", "skeleton.mat")
    stream = io.BytesIO()
    savemat(stream, variables)
    _skeletons(folder, (f"mat_from_skeleton/{name}", stream.getvalue()))


def _frame_ids(values: list[int]) -> Callable[[list], None]:
    def change(people: list) -> None:
        track = people[0][1]
        rest = np.arange(values[-1] + 1, values[-1] + 1 + len(track["frame_ids"]) - len(values))
        people[0] = {1: {**track, "frame_ids": np.concatenate([values, rest])}}

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "mat_from_skeleton.tar").unlink(), "mat_from_skeleton.tar; the choice among several"),
        (lambda folder: (folder / "mat_from_skeleton.tar").write_bytes(b"no tar" * 99), "no whole tar file"),
        (lambda folder: _skeletons(folder), "_c1_color.avi has several tracks"),
        (lambda folder: _skeleton_of_first(folder, v=np.zeros((4, 74))), "[4, 74] numbers do not make frames of 25"),
        (lambda folder: _skeleton_of_first(folder, w=np.zeros((4, 75))), "no variable 'v'; variables: w"),
        (lambda folder: _rewrite_tracks(folder, lambda people: people[1].clear()), "no person was tracked"),
        (lambda folder: _rewrite_tracks(folder, lambda people: people[:2]), "2 videos, names.txt 3"),
        (lambda folder: _rewrite_tracks(folder, lambda people: {"pose": people}), "holds a dict, not a list"),
        (lambda folder: _rewrite_tracks(folder, _frame_ids([-1, 0, 1])), "'frame_ids' must be 0 or more"),
        (lambda folder: _rewrite_tracks(folder, _frame_ids([5, 5, 6])), "'frame_ids' must be 0 or more and increasing"),
        (
            lambda folder: _rewrite_tracks(folder, lambda people: people[0][1].update(pose=np.zeros((3, 24, 3)))),
            "'pose' must be [frames, 72], not [3, 24, 3]",
        ),
        (lambda folder: (folder / "info/names.txt").write_text("a0_d1_p1.avi\n" * 3), "line 1: 'a0_d1_p1.avi' is no"),
    ],
)
def test_bad_input_is_one_sentence(
    tracks: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], object], message: str
) -> None:
    damage(tracks)
    assert message in refused("preprocess", "uestc", tracks, "--from-vibe-tracks", "--out", tracks / "m.h5")
    assert not (tracks / "m.h5").exists()
