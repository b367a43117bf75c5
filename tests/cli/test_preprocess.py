"""`mdtool preprocess` as typed."""

from __future__ import annotations

import importlib.util
import re
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from mdtool.cli.preprocess import app
from mdtool.errors import MdtoolError
from mdtool.motion.file import read_motions
from mdtool.motion.skeleton import JOINT_NAMES
from tests.data.bvh_texts import SMALL, human_bvh, root_path, smooth_rotations

MAP = (
    'name = "smpl"\nankle_height = 0.09\n[joints]\n'
    + "".join(f'{name} = "{name.upper()}"\n' for name in JOINT_NAMES)
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a map and ten clips of two actions, which is also the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smpl.toml").write_text(MAP)
    for action in ("walk", "run"):
        (tmp_path / "clips" / action).mkdir(parents=True)
        for clip in range(5):
            text = human_bvh(smooth_rotations(13, clip, 0.3), root_path(13), frame_time="0.008333333")
            named = re.sub(
                r"(?<=ROOT |OINT )\w+", lambda name: name[0].upper(), text
            )  # a skeleton that no built-in map knows
            (tmp_path / "clips" / action / f"{clip}.bvh").write_text(named)
    return tmp_path


def _run(*words: str) -> Result:
    result = CliRunner().invoke(app, list(words))
    if isinstance(result.exception, MdtoolError):
        raise result.exception
    assert result.exception is None, result.output
    return result


def test_a_folder_becomes_a_motion_file(place: Path) -> None:
    result = _run("bvh", "clips", "--map", "smpl.toml")
    motions = read_motions("motions.h5")
    assert (len(motions), motions.actions) == (10, ["run", "walk"])
    assert motions.fps.tolist() == [120.0] * 10
    assert motions.name[:2] == ["run/0.bvh", "run/1.bvh"]
    assert motions.split.tolist() == [0, 0, 0, 0, 1] * 2
    assert motions.provenance["parents"].keys() == {"smpl.toml"}
    assert "10 clips, 130 frames at 120 fps" in result.output
    assert result.output.rstrip().endswith("next: mdtool train")
    assert [line.split()[1:7:2] for line in result.output.splitlines() if "│ walk" in line] == [["walk", "4", "1"]]


def test_resampling_and_another_name(place: Path) -> None:
    result = _run("bvh", "clips/walk", "clips/run", "--map", "smpl.toml", "--fps", "20", "--out", "out/20.h5")
    motions, native = read_motions("out/20.h5"), _native()
    assert motions.fps.tolist() == [20.0] * 10
    np.testing.assert_array_equal(motions.rot6d, np.concatenate([clip.rot6d[::6] for clip in native]))
    assert "next: mdtool train out/20.h5" in result.output


def _native() -> list:
    _run("bvh", "clips/walk", "clips/run", "--map", "smpl.toml", "--out", "native.h5")
    return list(read_motions("native.h5"))


def test_archives_give_the_same_motion_as_the_folder(place: Path) -> None:
    with zipfile.ZipFile("clips.zip", "w") as archive:
        for path in sorted(Path("clips").rglob("*.bvh")):
            archive.write(path)
    with tarfile.open("clips.tar.xz", "w:xz") as tar:
        tar.add("clips")
    expected = sorted((clip.action, clip.root.tobytes()) for clip in _native())
    for name in ("clips.zip", "clips.tar.xz"):
        _run("bvh", name, "--map", "smpl.toml", "--out", "packed.h5")
        packed = read_motions("packed.h5")
        assert sorted((clip.action, clip.root.tobytes()) for clip in packed) == expected
        assert name in packed.provenance["parents"]


def test_labels_splits_and_defects(place: Path) -> None:
    rows = [f"walk/{clip}.bvh,march,{split}" for clip, split in enumerate(("test", "train", "defect", "test", "train"))]
    Path("labels.csv").write_text("path,action,split\n" + "\n".join(rows))
    result = _run("bvh", "clips", "--map", "smpl.toml")
    motions = read_motions("motions.h5")
    assert (motions.actions, motions.split.tolist()) == (["march"], [1, 0, 1, 0])
    assert "labels.csv (found beside it)" in result.output
    assert "skipped walk/2.bvh: labelled as defective" in result.output
    assert "4 clips, 6 skipped" in result.output
    _run("bvh", "clips", "--map", "smpl.toml", "--labels", "labels.csv", "--keep-defects", "--split", "fraction",
         "--test-fraction", "0.4")  # fmt: skip
    assert read_motions("motions.h5").split.tolist() == [0, 0, 1, 0, 1]
    _run("bvh", "clips", "--map", "smpl.toml", "--split", "test")
    assert set(read_motions("motions.h5").split.tolist()) == {1}


def test_a_malformed_file_costs_one_line(place: Path) -> None:
    text = Path("clips/walk/1.bvh").read_text()
    Path("clips/walk/1.bvh").write_text(text[:-40])
    result = _run("bvh", "clips", "--map", "smpl.toml")
    assert len(read_motions("motions.h5")) == 9
    (line,) = [line for line in result.output.splitlines() if line.startswith("skipped")]
    assert line.startswith("skipped walk/1.bvh: line ")
    assert "in the middle of a frame" in line
    assert "9 clips, 1 skipped" in result.output


def test_nothing_usable_is_bad_input(place: Path) -> None:
    with pytest.raises(MdtoolError, match="none of the 10 recordings could be used") as caught:
        _run("bvh", "clips")
    assert caught.value.exit_code == 2
    assert not Path("motions.h5").exists()


def test_an_unknown_skeleton_and_the_map_written_for_it(place: Path) -> None:
    result = _run("bvh", "clips", "--write-map", "mine.toml")
    assert "wrote mine.toml for the 24 joints of run/0.bvh" in result.output
    assert "next: mdtool preprocess bvh clips --map mine.toml" in result.output
    assert not Path("motions.h5").exists()
    _run("bvh", "clips", "--map", "mine.toml")
    assert len(read_motions("motions.h5")) == 10
    Path("labels.csv").write_text("path,action\nrun/0,run\n")
    again = _run("bvh", "clips", "--labels", "labels.csv", "--map", "mine.toml", "--write-map", "my other.toml")
    options = "--labels labels.csv --map mine.toml --map 'my other.toml'"
    assert f"next: mdtool preprocess bvh clips {options}" in again.output
    with pytest.raises(MdtoolError, match=r"mine\.toml exists already"):
        _run("bvh", "clips", "--write-map", "mine.toml")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "no such file or folder: nowhere"),
        (["smpl.toml"], r"smpl\.toml is no \.bvh file"),
        (["clips", "--labels", "no.csv"], r"cannot read the labels no\.csv"),
        (["clips", "--labels", "smpl.toml"], "needs at least the columns path and action"),
        (["clips", "--map", "no.toml"], r"cannot read the map no\.toml"),
        (["clips", "--map", "smpl.toml", "--fps", "0"], "cannot resample to 0"),
        (["clips", "--map", "smpl.toml", "--test-fraction", "2"], "test fraction must lie in"),
        (["clips", "--map", "smpl.toml", "--out", "clips"], "cannot write clips: it is a folder"),
        (["clips/walk/0.bvh", "--map", "small.toml"], r"small\.toml is not a complete skeleton map"),
    ],
)
def test_bad_input(place: Path, words: list[str], message: str) -> None:
    Path("small.toml").write_text('name = "small"\n[joints]\npelvis = "Hips"\n')
    with pytest.raises(MdtoolError, match=message) as caught:
        _run("bvh", *words)
    assert caught.value.exit_code == 2


def test_a_map_for_another_skeleton_does_not_fit(place: Path) -> None:
    Path("small.bvh").write_text(SMALL)
    with pytest.raises(MdtoolError, match=r"small\.bvh: its skeleton fits none of .*smpl, bandai, cmu, mdtool"):
        _run("bvh", "small.bvh", "--map", "smpl.toml")


@pytest.mark.skipif(importlib.util.find_spec("mdtool.data.synthetic") is None, reason="no synthetic motion yet")
def test_synthetic_motion(place: Path) -> None:
    result = _run("synthetic", "--clips", "2", "--seed", "3", "--fps", "20")
    motions = read_motions("motions.h5")
    assert len(motions) == 2 * len(motions.actions)
    assert set(motions.fps) == {20.0}
    assert "next: mdtool train" in result.output
    first = motions.rot6d.copy()
    _run("synthetic", "--clips", "2", "--seed", "3", "--fps", "20")
    np.testing.assert_array_equal(read_motions("motions.h5").rot6d, first)
