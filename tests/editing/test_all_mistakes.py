"""One mistake hides no other: words, frames, places, files and feasibility are told together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mdtool.editing.chain import Chain
from mdtool.editing.document import UNREADABLE, Key, Problem, Problems, gathered, parse_document
from mdtool.editing.reading import read_request
from tests.editing.test_request import HEAD, plan, problems


def places(text: str) -> list[str]:
    """line:column and key of each problem."""
    return [" ".join(line.removeprefix("edit.yaml:").split("  ")[:2]) for line in problems(text)]


EVERYTHING = """version: 1
lenght: 30
keep: {}
targets:
  - {at: 75, joint: haed, y: 1}
  - {at: 10, joint: pelvis, xz: [6, 0]}
  - {at: 50, joint: right_wrist, y: -0.2, weight: 0}
  - {at: 40, joint: head, y: 150, facing: 90}
  - {at: 30, pose: none.h5#0}
path: {points: [[0, 0, 0], [99, 1, 2]]}
limits:
  - {feet: planted, frames: 10-70, weigth: 2}
  - {joint: head, above: 1, below: 0.5}
avoid:
  - {pillar: {at: [0.1, 0], radius: 0.5}}
  - {voxels: {file: none.npz}, safe: wide}
run: {steps: many, stop: erly}
"""


def test_words_frames_files_and_feasibility_are_told_together() -> None:
    found = problems(EVERYTHING)
    assert [int(line.split(":")[1]) for line in found] == [2, 5, 5, 6, 7, 7, 8, 8, 9, 10, 12, 12, 13, 15, 16, 17, 17]
    told = "\n".join(found)
    for part in (
        "lenght  there is no 'lenght' here, did you mean 'length'?",
        "targets[0]  frame 75 is outside the motion: it has 0 to 59",
        "targets[0].joint  no joint 'haed', did you mean 'head'?",
        "targets[1]  this needs 12.0 m/s",
        "targets[2]  right_wrist at y = -0.20 m is below the floor",
        "targets[2].weight  input should be greater than 0, not 0",
        "targets[3]  a target asks for one thing, and this one for y, facing",
        "targets[3].y  150 m is out of reach",
        "none.h5",
        "path  the path's frames 0 to 99 leave the motion",
        "limits[0]  frame 70 is outside the motion",
        "limits[0].weigth  there is no 'weigth' here, did you mean 'weight'?",
        "limits[1]  nothing is above 1 and below 0.5 m",
        "avoid[0]  an obstacle covers the place where the motion starts",
        "avoid[1].safe  must be a finite number in metres, not 'wide'",
        "run.steps  must be a whole number of steps or auto, not 'many'",
        "run.stop  must be 'early' or 'never', not 'erly', did you mean 'early'?",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("targets:\n  - {at: 3, facng: 90}\n", ["3:13 targets[0].facng"]),  # not: it asks for nothing
        ("targets:\n  - {at: 3, what: 90}\n", ["3:13 targets[0].what"]),
        ("targets:\n  - {at: 3, joint: pelvis, xz: [6, 0], what: 90}\n", ["3:5 targets[0]", "3:40 targets[0].what"]),
        ("targets:\n  - {at: 3, joint: haed, xz: [6, 0]}\n", ["3:13 targets[0].joint"]),  # not: too fast for a pelvis
        ("targets:\n  - {at: 3, near: head, within: wide}\n", ["3:25 targets[0].within"]),
        ("targets:\n  - {at: 3, xyz: [0, 150, high]}\n", ["3:22 targets[0].xyz[1]", "3:27 targets[0].xyz[2]"]),
        ("limits:\n  - {joint: head, above: high, below: 0.5}\n", ["3:19 limits[0].above"]),
        ("avoid:\n  - wall: {at: [0, 0, 1], normal: up}\n", ["3:27 avoid[0].wall.normal"]),
        ("avoid:\n  - {box: {size: [1, 1]}, joints: haed}\n", ["3:12 avoid[0].box.size", "3:27 avoid[0].joints"]),
        ("avoid:\n  - union: [3, {pillar: {at: 3}}]\n", [
            "3:13 avoid[0].union[0]", "3:17 avoid[0].union[1].pillar.radius", "3:26 avoid[0].union[1].pillar.at",
        ]),
        ("mask: {observed: {joints: haed, frames: 50-70}}\n", ["2:8 mask.observed", "2:19 mask.observed.joints"]),
        ("keep: {joints: haed, frames: 70}\n", ["2:8 keep.joints", "2:22 keep.frames"]),
        ("keep: 3\nmask: 3\nblend: 3\npath: 3\n", ["2:1 keep", "3:1 mask", "4:1 blend", "5:1 path"]),
        ("targets: 3\n", ["2:1 targets"]),
        ("targets: [3]\n", ["2:11 targets[0]"]),
        ("time: days\ntargets:\n  - {at: 75, joint: head, y: 1}\n", ["2:1 time"]),  # 75 of what?
        ("space: here\ntargets:\n  - {at: 75, joint: pelvis, xz: [40, 1]}\n", ["2:1 space", "4:5 targets[0]"]),
        ("length: 90\ntargets:\n  - {at: 75, joint: head, y: 1}\n", ["2:1 length", "4:5 targets[0]"]),
        ("length: 30\nlength: 40\ntargets:\n  - {at: 75, joint: head, y: 1}\n", ["3:1 length", "5:5 targets[0]"]),
        ("run: {steps: {a: 1}}\n", ["2:7 run.steps"]),
    ],
)  # fmt: skip
def test_a_mistake_has_no_echo_and_hides_nothing(text: str, expected: list[str]) -> None:
    assert places(HEAD + text) == expected


RIGHT = """version: 1
time: frames
space: start
length: 50
keep: {content: normal, frames: 0-20, joints: six}
targets:
  - {at: 49, joint: pelvis, xz: [0.5, 0.5], must: 0.02, spread: 2}
  - {at: 12, joint: l_wrist, near: r_wrist, within: 0.3}
  - {at: 12, facing: 90, space: world}
path: {joint: head, points: [[0, 0, 0], [20, 0.2, 0.2]], curve: linear, speed: free, every: 5}
avoid:
  - {box: {size: [1, 2, 0.2], at: [5, 5]}, move: [[0, [2, 0, 0]], [39, [2, 0, 0], [1, 2, 3]]], safe: 0.2}
  - {union: [{sphere: {at: [9, 9, 9], radius: 1}}, {wall: {at: [0, 0, 30], normal: [0, 0, -1]}}]}
limits: [{joint: head, below: 1.9, frames: 30-40}, {pin: feet, frames: 3-5}]
run: {steps: auto, init_noise: 0.1}
"""


def inside(value: Any, key: Key = ()) -> Iterator[Key]:
    """The keys of everything in a table."""
    for part in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*key, part)
        yield from inside(value[part], (*key, part))


@pytest.mark.parametrize("wrong", [{"q": 1}, None, 10**400], ids=["table", "nothing", "beyond floats"])
def test_whatever_is_written_anywhere_ends_in_problems_with_lines(wrong: Any) -> None:
    assert plan(RIGHT).steps == 300
    for key in inside(yaml.safe_load(RIGHT)):
        values: Any = yaml.safe_load(RIGHT)
        holder = values
        for part in key[:-1]:
            holder = holder[part]
        holder[key[-1]] = wrong
        found: list[Problem] = []
        with gathered(found):
            plan(yaml.safe_dump(values))
        assert all(problem.line > 0 and problem.message for problem in found)


def test_a_value_that_yaml_cannot_read_hides_nothing() -> None:
    assert places(HEAD + "targets:\n  - {at: 2026-13-45, joint: haed, y: 1}\n") == [
        "3:6 targets[0].at", "3:22 targets[0].joint",
    ]  # fmt: skip


def test_what_is_left_of_a_request_is_as_written() -> None:
    document = parse_document(HEAD + "targets:\n  - {at: 3, joint: haed, y: 1}\n  - {at: 4, facing: 9}\n", "edit.yaml")
    first, second = read_request(document).targets
    assert (first.at, first.joint, first.y) == (3, UNREADABLE, 1.0)
    assert second.facing == 9
    assert document.is_broken(("targets", 0))
    assert not document.is_broken(("targets", 1))


def test_what_follows_is_told_with_it(tmp_path: Path) -> None:
    (tmp_path / "second.yaml").write_text(HEAD + "then: third.yaml\ntargets:\n  - {at: 75, jiont: head, y: 1}\n")
    first = plan(HEAD + f"keep: {{}}\nthen: {tmp_path / 'second.yaml'}\n")
    with pytest.raises(Problems) as found:
        Chain.read(first.request, first.document, 60, False, lambda request: request)
    assert "second.yaml:2:1  then  cannot read" in str(found.value)
    (tmp_path / "third.yaml").write_text(HEAD + "limits:\n  - {feet: flat, frames: 70}\n")
    chain = Chain.read(first.request, first.document, 60, False, lambda request: request)
    with pytest.raises(Problems) as found:
        chain.check(first)
    lines = [problem.told().removeprefix(f"{tmp_path}/").split("  ")[:2] for problem in found.value.problems]
    assert lines == [
        ["second.yaml:4:5", "targets[0]"], ["second.yaml:4:14", "targets[0].jiont"],
        ["third.yaml:3:5", "limits[0]"], ["third.yaml:3:6", "limits[0].feet"],
    ]  # fmt: skip
