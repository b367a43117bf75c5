"""Tables: what the columns hold, in the axes of every program, and the way back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mdtool.data.csv_motion import parse_csv
from mdtool.errors import MdtoolError
from mdtool.export.csv import write_csv
from mdtool.export.target import ANY, TARGETS
from mdtool.motion.skeleton import JOINT_NAMES
from tests.export.clips import any_clip, assert_same_labels, assert_same_motion, content, some_clips


@pytest.mark.parametrize("target", [ANY, *TARGETS.values()], ids=["any", *TARGETS])
@pytest.mark.parametrize("columns", ["both", "rotations"])
def test_round_trip(tmp_path: Path, target: object, columns: str) -> None:
    for clip in some_clips():
        write_csv(tmp_path / "a.csv", clip, columns, target.axes, target.csv_unit)  # type: ignore[attr-defined]
        read = parse_csv(*content(tmp_path / "a.csv"))
        assert_same_motion(read.motion, clip)
        assert_same_labels(read.motion, clip)


def test_shape_and_gender_go_there_and_back(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", any_clip(2, gender="female", betas=np.arange(10, dtype=np.float32)))
    read = parse_csv(*content(tmp_path / "a.csv")).motion
    assert read.gender == "female"
    np.testing.assert_array_equal(read.betas, np.arange(10))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("program", "place"),
    [("blender", (1.0, -3.0, 2.0)), ("unity", (-1.0, 2.0, 3.0)), ("unreal", (300.0, -100.0, 200.0))],
)
def test_positions_in_the_axes_of_a_program(tmp_path: Path, program: str, place: tuple[float, ...]) -> None:
    """1 m to the left, 2 m up, 3 m forward."""
    clip, target = any_clip(1), TARGETS[program]
    clip.root[:] = [1, 2, 3]
    write_csv(tmp_path / "a.csv", clip, "positions", target.axes, target.csv_unit)
    lines = [line for line in (tmp_path / "a.csv").read_text().splitlines() if not line.startswith("#")]
    assert lines[0].split(",")[:6] == ["frame", "time_s", "pelvis_x", "pelvis_y", "pelvis_z", "left_hip_x"]
    np.testing.assert_allclose([float(cell) for cell in lines[1].split(",")[2:5]], place, atol=1e-4)


def test_positions_are_the_joints(tmp_path: Path) -> None:
    clip = any_clip(4, fps=25.0)
    write_csv(tmp_path / "a.csv", clip, "positions")
    table = np.genfromtxt(tmp_path / "a.csv", delimiter=",", comments="#", skip_header=5)
    np.testing.assert_allclose(table[:, 1], np.arange(4) / 25)
    np.testing.assert_allclose(table[:, 2:].reshape(4, len(JOINT_NAMES), 3), clip.positions(), atol=1e-6)


def test_positions_alone_cannot_be_read_back(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", any_clip(2), "positions")
    with pytest.raises(MdtoolError, match=r"do not say how bones are turned.*--columns both"):
        parse_csv(*content(tmp_path / "a.csv"))


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match="'angles' are no columns"):
        write_csv(tmp_path / "a.csv", any_clip(2), "angles")
    with pytest.raises(MdtoolError, match="no frames"):
        write_csv(tmp_path / "a.csv", any_clip(2).slice(0, 0))
    assert not list(tmp_path.iterdir())
