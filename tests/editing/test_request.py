"""Bad requests: every mistake is told with its line, its place and a remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdtool.editing.compiler import compile_request
from mdtool.editing.document import Problems, parse_document
from mdtool.editing.frames import frame_indices, in_words
from mdtool.editing.goals import BodyMotion
from mdtool.editing.joints import joint_index, joint_indices, reach
from mdtool.editing.plan import Plan
from mdtool.editing.reading import read_request
from mdtool.editing.source import Source
from mdtool.motion.motion import Motion
from tests.motion.smooth_motion import smooth_motion

FRAMES = 60


def source(seed: int = 0) -> Source:
    rot6d, root = smooth_motion(FRAMES, seed)
    return Source(Motion(rot6d, root, 20.0, "hop", name="a hop"), None, 20.0, "a hop")


def plan(text: str, force: bool = False, most: int = FRAMES, of: Source | None = None) -> Plan:
    document = parse_document(text, "edit.yaml")
    return compile_request(read_request(document), document, of or source(), most, force)


def problems(text: str, **options: Any) -> list[str]:
    with pytest.raises(Problems) as found:
        plan(text, **options)
    return [problem.told() for problem in found.value.problems]


HEAD = "version: 1\n"
BAD: dict[str, tuple[str, str]] = {
    "not yaml": (HEAD + "targets: [\n", "edit.yaml:3:1  not YAML: "),
    "no version": ("targets: []\n", "edit.yaml:1:1  version  `version` is missing: begin the file with `version: 1`"),
    "unknown key": (
        HEAD + "targets:\n  - {at: 3, jiont: head, y: 1}\n",
        "edit.yaml:3:13  targets[0].jiont  there is no 'jiont' here, did you mean 'joint'?; allowed: at, joint",
    ),
    "key given twice": (
        HEAD + "length: 30\nlength: 40\n",
        "edit.yaml:3:1  length  given twice, first in line 2: keep one of the two",
    ),
    "wrong unit": (
        HEAD + "targets:\n  - {at: 3, joint: head, y: 150}\n",
        "edit.yaml:3:26  targets[0].y  150 m is out of reach: lengths are in metres, so write 150 cm as 1.5",
    ),
    "wrong shape": (
        HEAD + "targets:\n  - {at: 3, joint: pelvis, xz: [1, 2, 3]}\n",
        "edit.yaml:3:28  targets[0].xz  list should have at most 2 items after validation, not 3, not [1, 2, 3]",
    ),
    "not a number": (
        HEAD + "targets:\n  - {at: 3, joint: head, y: .nan}\n",
        "edit.yaml:3:26  targets[0].y  must be a finite number in metres, not nan",
    ),
    "infinite": (
        HEAD + "targets:\n  - {at: 3, joint: head, y: -.inf}\n",
        "edit.yaml:3:26  targets[0].y  must be a finite number in metres, not -inf",
    ),
    "a length that no float holds": (
        HEAD + f"targets:\n  - {{at: 3, joint: head, y: 1{'0' * 400}}}\n",
        "edit.yaml:3:26  targets[0].y  must be a finite number in metres, not 1000",
    ),
    "a frame that no float holds": (
        HEAD + f"targets:\n  - {{at: 1{'0' * 400}, joint: head, y: 1}}\n",
        "edit.yaml:3:6  targets[0].at  a frame must be a finite number below 1e+09, not 1000",
    ),
    "a range to the end of time": (
        HEAD + f"keep: {{frames: 0-{'9' * 400}}}\n",
        "edit.yaml:2:8  keep.frames  a frame must be a finite number below 1e+09, not 0-9999",
    ),
    "a file's name that no disk holds": (
        HEAD + f"path: {{file: {'a' * 300}}}\n",
        "edit.yaml:2:1  path  cannot read aaa",
    ),
    "frame outside": (
        HEAD + "targets:\n  - {at: 75, joint: head, y: 1.5}\n",
        "edit.yaml:3:5  targets[0]  frame 75 is outside the motion: it has 0 to 59",
    ),
    "unknown joint": (
        HEAD + "targets:\n  - {at: 3, joint: rigth_wrist, y: 1}\n",
        "edit.yaml:3:13  targets[0].joint  no joint 'rigth_wrist', did you mean 'right_wrist'?",
    ),
    "empty mask": (
        HEAD + "mask: {observed: {joints: [], frames: all}}\n",
        "edit.yaml:2:19  mask.observed.joints  the list of joints is empty: name one, or a group such as upper_body",
    ),
    "a mask of no frame": (
        HEAD + "mask: {observed: {frames: []}}\n",
        "edit.yaml:2:19  mask.observed.frames  an empty list of frames; write a frame (12), one from the end (-1), a",
    ),
    "joints that are no names": (
        HEAD + "mask: {observed: {joints: 3}}\n",
        "edit.yaml:2:19  mask.observed.joints  joints are names, not 3",
    ),
    "contradiction": (
        HEAD + "targets:\n  - {at: 30, joint: head, y: 1.5}\n  - {at: 20-40, joint: head, y: 1.2}\n",
        "edit.yaml:4:5  targets[1]  head y at frame 30 is to be 1.20 here and 1.50 in line 3: keep one of the two",
    ),
    "inside an obstacle": (
        HEAD + "targets:\n  - {at: 50, joint: pelvis, xz: [1, 2]}\navoid:\n  - pillar: {at: [1, 2.3], radius: 0.5}\n",
        "edit.yaml:3:5  targets[0]  pelvis at frame 50 is to be 0.43 m inside the safe zone of an obstacle: "
        "move the target, or make `safe` smaller",
    ),
    "too fast": (
        HEAD + "targets:\n  - {at: 10, joint: pelvis, xz: [6, 0]}\n",
        "edit.yaml:3:5  targets[0]  this needs 12.0 m/s from frame 0 (6.00 m in 0.50 s), faster than anyone runs: "
        "move the target nearer or later",
    ),
    "out of a limb's reach": (
        HEAD + "targets:\n  - {at: 50, joint: pelvis, xz: [0, 1]}\n  - {at: 50, joint: l_wrist, xz: [0, 2.5]}\n",
        "edit.yaml:4:5  targets[1]  left_wrist at frame 50 is 1.50 m from where the pelvis is to be, and the chain "
        "between them is 1.01 m long: move one of them",
    ),
    "below the floor": (
        HEAD + "targets:\n  - {at: 50, joint: right_wrist, y: -0.2}\n",
        "edit.yaml:3:5  targets[0]  right_wrist at y = -0.20 m is below the floor (y = 0): y points up",
    ),
    "above anybody": (
        HEAD + "targets:\n  - {at: 50, joint: head, y: 3}\n",
        "edit.yaml:3:5  targets[0]  head at y = 3.00 m is higher than the body reaches (1.73 m): lower it",
    ),
    "obstacle over the start": (
        HEAD + "avoid:\n  - pillar: {at: [0.1, 0], radius: 0.5}\n",
        "edit.yaml:3:5  avoid[0]  an obstacle covers the place where the motion starts: move it away",
    ),
    "two places at once": (
        HEAD + "avoid:\n  - {sphere: {radius: 0.2}, move: [[3, [4, 1, 4]], [9, [4, 1, 5]], [3, [5, 1, 4]]]}\n",
        "edit.yaml:3:5  avoid[0]  two keys of `move` are at the same time",
    ),
    "an obstacle where the input is": (
        HEAD + "space: current\navoid:\n  - sphere: {radius: 0.5}\n",
        "edit.yaml:4:5  avoid[0]  `space: current` has no axes of its own: write it in the targets that it is for",
    ),
    "too long": (HEAD + "length: 90\nkeep: {}\n", "edit.yaml:2:1  length  the model makes 60 frames at most, not 90"),
    "two shapes": (
        HEAD + "avoid:\n  - {pillar: {radius: 1}, wall: {at: [0, 0, 1], normal: [0, 0, -1]}}\n",
        "edit.yaml:3:5  avoid[0]  an obstacle has one shape, and this one has pillar and wall: give one of sphere",
    ),
    "no pose": (
        HEAD + "targets:\n  - {at: 3, pose: sit.h5}\n",
        "edit.yaml:3:13  targets[0].pose  'sit.h5' names no pose: write FILE#FRAME, or FILE#CLIP:FRAME",
    ),
    "two wishes": (
        HEAD + "targets:\n  - {at: 3, joint: head, y: 1, facing: 90}\n",
        "edit.yaml:3:5  targets[0]  a target asks for one thing, and this one for y, facing: give x, y, z",
    ),
    "wrong word": (
        HEAD + "keep: {content: strnog}\n",
        "edit.yaml:2:8  keep.content  must be 'off', 'soft', 'normal' or 'strong', not 'strnog', did you mean 'strong'",
    ),
    "half a frame": (
        HEAD + "targets:\n  - {at: 2.5, joint: head, y: 1}\n",
        "edit.yaml:3:5  targets[0]  frame 2.5 is no whole number: count in frames, or set `time: seconds`",
    ),
    "crossing path": (
        HEAD + "path: {points: [[0, 0, 0], [50, 1, 2], [40, 1, 3]]}\n",
        "edit.yaml:2:1  path  the frames of a path's points must grow from point to point",
    ),
    "a word without its kind": (
        HEAD + "targets:\n  - {at: 3, facing: 90, spread: 4}\n",
        "edit.yaml:3:5  targets[0]  `spread` says nothing of facing: leave it out",
    ),
    "a must in radians": (
        HEAD + "targets:\n  - {at: 3, pose: a.h5#1, rotations: true, must: 0.1}\n",
        "edit.yaml:3:5  targets[0]  `must` is in metres and does not go with `facing` or `rotations`",
    ),
    "other rotations": (
        HEAD + "targets:\n  - {at: 3, pose: a.h5#1, rotations: global}\n",
        "edit.yaml:3:27  targets[0].rotations  must be 'local' or 'world', not 'global'",
    ),
    "a limit's idle word": (
        HEAD + "limits:\n  - {feet: planted, joint: head}\n",
        "edit.yaml:3:5  limits[0]  `joint` goes with above or below: leave it out",
    ),
    "kept joints without frames": (
        HEAD + "keep: {joints: head}\n",
        "edit.yaml:2:1  keep  `joints` are kept at `frames`: add `frames`",
    ),
    "a corner twice": (
        HEAD + "avoid:\n  - polygon: {corners: [[0, 0], [1, 0], [1, 0], [0, 1]]}\n",
        "edit.yaml:3:5  avoid[0].polygon  corners 1 and 2 are the same: leave one out",
    ),
    "a prism upside down": (
        HEAD + "avoid:\n  - polygon: {corners: [[0, 0], [1, 0], [1, 1]], low: 2, high: 1}\n",
        "edit.yaml:3:5  avoid[0].polygon  `low` (2) must be below `high` (1)",
    ),
    "nothing wanted": (
        HEAD + "keep: {content: off}\n",
        "edit.yaml:1:1  the request wants nothing: add targets, path, avoid, limits, mask or blend",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_told_with_line_place_and_remedy(name: str) -> None:
    text, told = BAD[name]
    found = problems(text)
    assert len(found) == 1, found
    assert found[0].startswith(told), found[0]


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = HEAD + "lenght: 9\ntargets:\n  - {at: 3, joint: haed, y: 1}\n  - {joint: head, y: 1}\n"
    assert [line.split("  ")[1] for line in problems(text)] == ["lenght", "targets[0].joint", "targets[1].at"]


@pytest.mark.parametrize(
    "name",
    [
        "inside an obstacle",
        "too fast",
        "below the floor",
        "obstacle over the start",
        "out of a limb's reach",
        "above anybody",
    ],
)
def test_force_yields_on_what_seems_infeasible(name: str) -> None:
    assert plan(BAD[name][0], force=True).warnings
    problems(BAD["contradiction"][0], force=True)


def test_running_is_a_warning() -> None:
    made = plan(HEAD + "targets:\n  - {at: 10, joint: pelvis, xz: [2, 0]}\n")
    assert "warning: this needs 4.0 m/s" in made.warnings[0].message


def test_an_input_longer_than_the_model_is_refused_with_the_words_that_help() -> None:
    (told,) = problems(HEAD + "keep: {}\n", most=40)
    assert told.endswith("makes 40 at most: write `input: {frames: 0-39}`, or --frames 0-39")


def test_words_that_yaml_reads_as_booleans() -> None:
    assert plan(HEAD + "keep: {}\nrun: {checkpoint: off}\n").request.run.checkpoint == "off"
    assert plan(HEAD + "targets: [{at: 3, facing: 10}]\nkeep: {content: off}\n").content == 0


def test_a_ring_may_end_where_it_began() -> None:
    ring = "[[3, 3], [4, 3], [4, 4], [3, 4], [3, 3]]"
    (goal,) = plan(HEAD + f"avoid:\n  - polygon: {{corners: {ring}}}\n").goals
    distances = goal.error(BodyMotion(source().positions, {k: k for k in range(24)}, None, 20.0))
    assert np.isfinite(distances).all()


def test_json_is_a_request_too(tmp_path: Path) -> None:
    made = plan('{"version": 1, "targets": [{"at": -1, "joint": "pelvis", "xz": [0.5, 0.5]}]}')
    assert made.goals[0].frames.tolist() == [FRAMES - 1]


@pytest.mark.parametrize(
    ("spec", "frames"),
    [(3, [3]), (-1, [9]), ("2-4", [2, 3, 4]), ([1, "8--1"], [1, 8, 9]), ("*", list(range(10))), ("last", [9])],
)
def test_frames(spec: object, frames: list[int]) -> None:
    assert frame_indices(spec, 10).tolist() == frames


def test_seconds() -> None:
    assert frame_indices("0.5-0.7", 20, 10.0).tolist() == [5, 6, 7]
    assert in_words(np.array([1, 5, 6, 7]), 20) == "1, 5-7"


@pytest.mark.parametrize("word", ["right_wrist", "r_wrist", "right wrist", "RightWrist", "right-wrist"])
def test_joints_as_people_write_them(word: str) -> None:
    assert joint_index(word) == 21


def test_groups_and_reach() -> None:
    assert joint_indices("six") == (0, 10, 11, 15, 20, 21)
    assert joint_indices(["hands", "pelvis"]) == (0, 20, 21)
    assert joint_index("root") == 0
    assert reach(4) == pytest.approx(np.hypot(0.082, 0.080) + 0.399)
    assert reach(20, 18) == pytest.approx(0.253)


def test_feet_of_key_poses_may_sink_by_centimetres() -> None:
    lines = "version: 1\ntargets:\n  - {at: 30, joint: left_foot, y: %s}\n"
    assert not plan(lines % -0.04).warnings
    assert "below the floor" in str(problems(lines % -0.06))
