"""`mdtool preprocess uestc` and `humanact12` as typed."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from mdtool.motion.file import read_motions
from tests.cli.command_line import done, refused
from tests.data.foreign_files import COMPRESSIONS, Calls, joblib_bytes
from tests.data.test_humanact12 import raw_poses, written
from tests.data.uestc_files import NAMES, raw_cache, write_uestc


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_uestc_where_mdm_has_it() -> None:
    write_uestc(Path("dataset/uestc"))
    printed = done("preprocess", "uestc")
    motions = read_motions("motions.h5")
    assert motions.name == [name for place, name in enumerate(NAMES) if place not in (3, 6)]
    assert motions.split.tolist() == [0, 0, 0, 1, 1]
    assert motions.action.tolist() == [0, 0, 1, 1, 2]
    assert set(motions.fps) == {30.0}
    assert motions.provenance["reader"] == "uestc"
    assert set(motions.provenance["parents"]) == {"vibe_cache_refined.pkl", "names.txt", "num_frames_min.txt"}
    assert "the known names of the 40 actions are taken" in printed
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if "│" in line]
    assert ["videos", "7", "25,600"] in rows
    assert ["without those of the moving camera", "6", "24,000"] in rows
    assert ["training clips, short ones included", "4", "10,650"] in rows
    assert ["training clips", "3", "at most 10,650"] in rows
    assert ["test clips", "2", "13,350"] in rows
    assert "this is not the whole data set" in printed
    assert printed.rstrip().endswith("next: mdtool train")


@pytest.mark.slow
def test_training_goes_on_from_there() -> None:
    write_uestc(Path("dataset/uestc"))
    done("preprocess", "uestc")
    words = ("--preset", "debug", "--steps", 2, "--ema", 0.9995, "--sampler", "loss-aware", "--threads", 1)
    assert "next: mdtool sample" in done("train", *words)


def test_uestc_options() -> None:
    write_uestc(Path("uestc"))
    printed = done("preprocess", "uestc", "uestc", "--view", "front", "--frames", "0", "--out", "front.h5")
    assert read_motions("front.h5").name == [NAMES[0], NAMES[2], NAMES[5], NAMES[6]]
    assert "5,680" in printed
    assert "next: mdtool train front.h5" in printed
    done("preprocess", "uestc", "uestc", "--align-first-frame")
    motions = read_motions("motions.h5")
    np.testing.assert_allclose(motions.rot6d[motions.start[:-1], 0], np.tile([1, 0, 0, 0, 1, 0], (5, 1)), atol=1e-6)


@pytest.mark.parametrize("compression", ["raw", "zlib"])
def test_a_cache_written_by_joblib_gives_the_same_motion(compression: str) -> None:
    write_uestc(Path("plain"))
    write_uestc(Path("joblib"), dump=lambda value: COMPRESSIONS[compression](joblib_bytes(value)))
    for name in ("plain", "joblib"):
        done("preprocess", "uestc", name, "--out", f"{name}.h5")
    np.testing.assert_array_equal(read_motions("plain.h5").rot6d, read_motions("joblib.h5").rot6d)


def test_uestc_bad_input() -> None:
    assert "no dataset/uestc/vibe_cache_refined.pkl or data/uestc/" in refused("preprocess", "uestc")
    write_uestc(Path("evil"), cache={**raw_cache(), "pose": [Calls(os.system, "touch marker")]})
    assert "it wants to use posix.system" in refused("preprocess", "uestc", "evil")
    write_uestc(Path("cut"), dump=lambda value: pickle.dumps(value)[:5000])
    assert "truncated" in refused("preprocess", "uestc", "cut")
    write_uestc(Path("whole"), most_frames=(0,) * 7)
    assert "no clip could be used" in refused("preprocess", "uestc", "whole", "--frames", "0")
    assert "it is a folder" in refused("preprocess", "uestc", "whole", "--out", "whole")
    assert not Path("marker").exists()
    assert not Path("motions.h5").exists()


def test_humanact12() -> None:
    folder = Path("dataset/HumanAct12Poses")
    folder.mkdir(parents=True)
    written(folder, raw_poses())
    printed = done("preprocess", "humanact12")
    motions = read_motions("motions.h5")
    assert (len(motions), len(motions.actions), set(motions.split), set(motions.fps)) == (3, 12, {0}, {20.0})
    assert "3 clips (the data set has about 1,190)" in printed
    assert printed.rstrip().endswith("next: mdtool train")
    written(folder, {"poses": Calls(os.system, "touch marker")})
    assert "nothing of it ran" in refused("preprocess", "humanact12")
    assert "no elsewhere/humanact12poses.pkl" in refused("preprocess", "humanact12", "elsewhere")
    assert not Path("marker").exists()
