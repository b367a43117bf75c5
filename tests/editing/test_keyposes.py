"""Targets taken from other motions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mdtool.editing.compiler import compile_request
from mdtool.editing.document import Problems
from mdtool.editing.goals import BodyMotion, Goal, Places
from mdtool.editing.orientation import Turns
from mdtool.editing.reading import request_of
from mdtool.editing.source import Source
from mdtool.motion.file import read_motions, write_motions
from mdtool.motion.motion import Motion
from tests.motion.smooth_motion import smooth_clips, smooth_motion


def goal_of(target: dict[str, Any], folder: Path) -> Goal:
    write_motions(folder / "other.h5", smooth_clips(2, frames=60))
    values = {"version": 1, "keep": {}, "targets": [{**target, "pose": f"{folder / 'other.h5'}#1:7"}]}
    source = Source(Motion(*smooth_motion(60, 5), 20.0, "sway", name="swaying"), None, 20.0, "swaying")
    (goal,) = compile_request(*request_of(values, "edit.yaml"), source, 60, force=True).goals
    return goal


def test_rotations_count_a_decimetre_per_radian(tmp_path: Path) -> None:
    goal = goal_of({"at": 7, "rotations": True, "weight": 2.0}, tmp_path)
    assert isinstance(goal, Turns)
    assert goal.weight == pytest.approx(0.2)
    other = read_motions(tmp_path / "other.h5")[1]
    body = BodyMotion(None, {}, other.rot6d.astype(float), 20.0)
    assert float(goal.error(body).max()) < 1e-3
    quarter = np.tile(np.array([0.0, -1, 0, 1, 0, 0]), (60, 24, 1))
    turned = goal.error(BodyMotion(None, {}, quarter, 20.0))
    assert 0.5 < float(turned.max()) < np.pi


def test_a_pose_stands_where_the_input_is_or_where_its_file_says(tmp_path: Path) -> None:
    other_pelvis = []
    for align in ("root", "world"):
        goal = goal_of({"at": 7, "align": align}, tmp_path)
        assert isinstance(goal, Places)
        other_pelvis.append(goal.values[0, 0])
    source = Source(Motion(*smooth_motion(60, 5), 20.0, "sway"), None, 20.0, "swaying")
    other = read_motions(tmp_path / "other.h5")[1]
    np.testing.assert_allclose(other_pelvis[0][[0, 2]], source.way[7, [0, 2]], atol=1e-6)
    np.testing.assert_allclose(source.world.done(other_pelvis[1]), other.root[7], atol=1e-5)
    assert other_pelvis[0][1] == pytest.approx(float(other.root[7, 1]), abs=1e-6)


def test_a_pose_that_is_not_to_be_had_is_told(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    write_motions(path, smooth_clips(2, frames=60))
    source = Source(Motion(*smooth_motion(60, 5), 20.0, "sway"), None, 20.0, "swaying")

    def told(pose: str) -> str:
        values = {"version": 1, "keep": {}, "targets": [{"at": 7, "pose": f"{path}#{pose}"}]}
        with pytest.raises(Problems) as found:
            compile_request(*request_of(values, "edit.yaml"), source, 60)
        return found.value.problems[0].told().removeprefix("edit.yaml  targets[0]  ")

    assert told("1:900").startswith(f"{path} has no pose 1:900: it has frames 0 to ")
    assert told("2:0").startswith(f"{path} has no clip 2")
    with h5py.File(path, "a") as file:
        file.attrs["skeleton"] = "mixamo-65"
    assert told("1:7").startswith(f"{path} uses skeleton 'mixamo-65'; mdtool works on")
