"""Obstacles of a request stand in its space and move in its unit of time; a broken file of one ends in a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from mdtool.editing.goals import Clear
from mdtool.editing.marking import marks
from mdtool.editing.obstacles import Setting, build_obstacle
from mdtool.editing.placement import Placement
from mdtool.editing.preview import write_preview
from mdtool.editing.solids import SolidSpec
from mdtool.editing.source import Source
from mdtool.motion.file import write_motions
from mdtool.motion.motion import Motion, MotionSet
from tests.editing.test_request import FRAMES, HEAD, plan, problems, source
from tests.motion.smooth_motion import smooth_clips, smooth_motion


def elsewhere() -> Source:
    """A motion that begins away from the origin and faces away from +z."""
    here = source().motion
    assert here is not None
    moved = Placement(np.radians(50), 2.0, -3.0).motion(here)
    return replace(source(), motion=moved)


@pytest.mark.parametrize(
    "spec",
    [
        {"box": {"at": [9, 4], "size": [0.4, 1, 2], "yaw": 20}},
        {"wall": {"at": [8, 0, 0], "normal": [-1, 0, 1]}},
        {"capsule": {"start": [7, 0, 5], "end": [7, 2, 6], "radius": 1}, "move": [[0, [0, 0, 0], 10], [9, [1, 0, 2]]]},
        {"box": {"size": [0.4, 1, 2]}, "move": [[0, [9, 1, 4], [20, 30, 40]], [59, [9, 1, 5]]]},
        {"person": {"file": "other.h5"}, "move": [[0, [6, 0, 6]]]},
    ],
    ids=lambda spec: " ".join(spec),
)  # fmt: skip
def test_in_the_space_world_an_obstacle_stands_where_the_file_would_have_it(
    spec: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_motions("other.h5", smooth_clips(1, frames=FRAMES))
    made = plan(HEAD + yaml.safe_dump({"space": "world", "avoid": [spec]}), of=elsewhere())
    (goal,) = made.goals
    assert isinstance(goal, Clear)
    points = np.random.default_rng(0).uniform([-2, 0, -6], [10, 2, 6], (FRAMES, 30, 3))
    there = build_obstacle(SolidSpec.model_validate(spec), Setting(FRAMES, 20.0, "edit.yaml", Placement()))
    found = goal.obstacles[0].distance(made.source.world.undone(points))
    np.testing.assert_allclose(found, there.distance(points), atol=1e-6)
    write_preview(tmp_path / "plan.png", made)


def test_pictures_show_an_obstacle_in_the_space_of_its_request() -> None:
    text = HEAD + "space: world\navoid:\n  - {sphere: {radius: 0.3}, move: [[0, [5, 1, 6], 40]]}\n"
    (ball,) = marks(plan(text, of=elsewhere())).solids
    np.testing.assert_allclose(ball.places, [(0.0, 5.0, 1.0, 6.0, np.radians(40))], atol=1e-6)


def test_an_obstacle_moves_by_seconds_where_the_request_counts_them() -> None:
    move = "avoid:\n  - {{sphere: {{radius: 0.3}}, move: [[{}, [5, 1, 5]], [{}, [9, 1, 5]]]}}\n"
    by_frames, by_seconds = (
        plan(HEAD + words + move.format(*keys)).goals[0].obstacles[0].shift  # type: ignore[attr-defined]
        for words, keys in (("", (10, 50)), ("time: seconds\n", (0.5, 2.5)))
    )
    np.testing.assert_allclose(by_seconds, by_frames)
    np.testing.assert_allclose(by_frames[[0, 30, 59], 0], [5, 7, 9])


def test_another_person_walks_at_the_rate_of_their_file(tmp_path: Path) -> None:
    rot6d, root = smooth_motion(2 * FRAMES, 3)
    other = Motion(rot6d, root, 40.0)
    write_motions(tmp_path / "other.h5", MotionSet.from_clips([other]))
    spec = SolidSpec.model_validate({"person": {"file": str(tmp_path / "other.h5"), "radius": 0.1}})
    person = build_obstacle(spec, Setting(FRAMES, 20.0, "edit.yaml", Placement()))
    wrists = other.positions()[::2, 20:22].astype(float)
    np.testing.assert_allclose(person.distance(wrists)[:-1], -0.1, atol=2e-3)


GRID = {"distance": np.ones((2, 3, 4)), "origin": np.array([5.0, 0, 5]), "cell": np.array(0.1)}


def test_a_grid_is_read_and_a_broken_one_told(tmp_path: Path) -> None:
    path = tmp_path / "grid.npz"
    text = HEAD + f"avoid:\n  - voxels: {{file: {path}}}\n"
    np.savez(path, **GRID)
    assert plan(text).goals[0].obstacles[0].shape.cell == 0.1  # type: ignore[attr-defined]
    for name, values in (
        ("distance", np.full((2, 3, 4), np.nan)),
        ("distance", np.ones((2, 3))),
        ("origin", np.array([np.inf, 0, 0])),
        ("cell", np.array([0.1, 0.1, 0.1])),
        ("cell", np.array(0.0)),
    ):
        np.savez(path, **{**GRID, name: values})
        (told,) = problems(text)
        assert f"{path}: distance must be [x, y, z] with 2 points or more each" in told
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:40] + b"?" * 40 + whole[80:], b"", np.zeros(3).tobytes()):
        path.write_bytes(content)
        (told,) = problems(text)
        assert told.startswith(f"edit.yaml:3:5  avoid[0]  {path} is no grid of distances")
