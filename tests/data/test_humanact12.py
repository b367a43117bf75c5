"""The HumanAct12 reader on small files."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from mdtool.data.gather import Clip, Skipped
from mdtool.data.humanact12 import find_humanact12, read_humanact12
from mdtool.errors import MdtoolError


def raw_poses() -> dict:
    """Three clips of the layout of humanact12poses.pkl."""
    rng = np.random.default_rng(0)
    lengths = (30, 12, 70)
    return {
        "poses": [0.1 * rng.standard_normal((frames, 72)) for frames in lengths],
        "oldposes": [],
        "joints3D": [rng.standard_normal((frames, 24, 3)) for frames in lengths],
        "y": [0, 11, 8],
    }


def written(folder: Path, content: object) -> Path:
    """The file with this content."""
    path = folder / "humanact12poses.pkl"
    path.write_bytes(pickle.dumps(content))
    return path


def test_clips(tmp_path: Path) -> None:
    raw = raw_poses()
    readings = list(read_humanact12(written(tmp_path, raw)).clips(fps=15.0))
    clips = [reading.motion for reading in readings if isinstance(reading, Clip)]
    assert [len(clip) for clip in clips] == [30, 12, 70]
    assert [clip.action for clip in clips] == ["warm_up", "throw", "turn steering wheel"]
    assert {clip.fps for clip in clips} == {15.0}
    # The pelvis goes where joint 0 goes; y down becomes y up.
    path = raw["joints3D"][2][:, 0] - raw["joints3D"][2][0, 0]
    np.testing.assert_allclose(clips[2].root - clips[2].root[0], path * [1, -1, -1], atol=1e-5)


def test_a_clip_with_numbers_that_are_none_is_skipped(tmp_path: Path) -> None:
    raw = raw_poses()
    raw["poses"][1][3, 3] = np.inf
    readings = list(read_humanact12(written(tmp_path, raw)).clips())
    assert [reading.name for reading in readings if isinstance(reading, Skipped)] == ["humanact12/0001"]


def test_where_the_file_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MdtoolError, match=r"no dataset/HumanAct12Poses/humanact12poses\.pkl or data/HumanAct12Poses"):
        find_humanact12(None)
    folder = Path("data/HumanAct12Poses")
    folder.mkdir(parents=True)
    path = written(folder, {})
    assert find_humanact12(None) == path == find_humanact12(Path("data")) == find_humanact12(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.pop("y"), r"has no list 'y' \(it has poses, oldposes, joints3D\)"),
        (lambda raw: raw["y"].pop(), "3 poses, 3 joints3D and 2 labels"),
        (lambda raw: raw["y"].__setitem__(1, 12), "label 1 is 12, not 0 to 11"),
        (lambda raw: raw["y"].__setitem__(1, "run"), "label 1 is run"),
        (
            lambda raw: raw["poses"].__setitem__(0, np.zeros((30, 69))),
            r"entry 0 of 'poses' must be an array \[30, 72\]",
        ),
        (lambda raw: raw["poses"].__setitem__(0, np.zeros((0, 72))), "entry 0 of 'joints3D' must be"),
        (lambda raw: raw["joints3D"].__setitem__(2, None), r"entry 2 of 'joints3D' must be an array \[70, 24, 3\]"),
    ],
)
def test_files_that_do_not_fit(tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    raw = raw_poses()
    change(raw)
    with pytest.raises(MdtoolError, match=message):
        read_humanact12(written(tmp_path, raw))


def test_another_pickle(tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match="holds a int, not the dict of HumanAct12"):
        read_humanact12(written(tmp_path, 3))
