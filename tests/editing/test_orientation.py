"""Joints turned as asked: against their parents, or in the world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mdtool.editing.compiler import compile_request
from mdtool.editing.document import Problems
from mdtool.editing.goals import BodyMotion
from mdtool.editing.orientation import Channels, Turns, rotations, world_rotations
from mdtool.editing.placement import Placement, heading
from mdtool.editing.reading import request_of
from mdtool.editing.report import seen
from mdtool.editing.session import Session
from mdtool.editing.source import Source
from mdtool.methods.generate import Generator
from mdtool.motion.file import write_motions
from mdtool.motion.kinematics import forward_kinematics
from mdtool.motion.motion import Motion, MotionSet
from mdtool.motion.rotations import rot6d_to_matrix
from tests.methods.contract_cases import CASES, fresh
from tests.motion.smooth_motion import smooth_motion

WRIST, ELBOW = 21, 19
UPRIGHT = np.tile(np.eye(3)[:2].reshape(6), (5, 24, 1))


def about_y(degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])[:2].reshape(6)


def body(**turned: float) -> BodyMotion:
    """An upright body of which some joints (j0, j21 …) are turned about their vertical."""
    rot6d = UPRIGHT.copy()
    for joint, degrees in turned.items():
        rot6d[:, int(joint[1:])] = about_y(degrees)
    return BodyMotion(None, {}, rot6d, 20.0)


def wanted(degrees: float, world: bool) -> Turns:
    return Turns((), 1.0, None, np.array([2]), (WRIST,), about_y(degrees)[None, None], world)


@pytest.mark.parametrize(
    ("turned", "local_deg", "world_deg"),
    [
        ({}, 60, 60),
        ({"j21": 60}, 0, 0),
        ({"j0": 60}, 60, 0),  # the whole body
        ({"j0": 40, "j19": -90, "j21": 30}, 30, 80),  # 40 - 90 + 30 = -20
        ({"j0": -100, "j21": 60}, 0, 100),
    ],
)
def test_angles_add_up_along_the_chain(turned: dict[str, float], local_deg: float, world_deg: float) -> None:
    for world, expected in ((False, local_deg), (True, world_deg)):
        found = wanted(60, world).residual(body(**turned))
        assert np.degrees(found) == pytest.approx([expected], abs=1e-5)


def test_world_rotations_are_those_of_forward_kinematics() -> None:
    local = rot6d_to_matrix(torch.randn(2, 7, 24, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    rot6d = local[..., :2, :].flatten(-2)
    joints = (0, 4, 15, WRIST)
    expected = forward_kinematics(local)[0][..., list(joints), :, :]
    torch.testing.assert_close(world_rotations(rot6d, joints), expected)
    np.testing.assert_allclose(world_rotations(rot6d.numpy(), joints), expected.numpy(), atol=1e-12)
    torch.testing.assert_close(rotations(rot6d), local)


def test_the_gradient_turns_every_joint_of_the_chain() -> None:
    rot6d = torch.from_numpy(body(j0=10.0, j19=20.0).rot6d).requires_grad_()
    wanted(60, True).residual(BodyMotion(None, {}, rot6d, 20.0)).sum().backward()
    gradient = rot6d.grad
    assert gradient is not None
    moved = {joint for joint in range(24) if float(gradient[2, joint].abs().sum()) > 1e-6}
    assert moved == {0, 3, 6, 9, 14, 17, ELBOW, WRIST}
    assert float(gradient[[0, 1, 3, 4]].abs().max()) == 0


def goal_of(target: dict[str, Any], folder: Path, source: Source) -> Turns:
    values = {"version": 1, "keep": {}, "targets": [{**target, "pose": f"{folder / 'other.h5'}#7"}]}
    (goal,) = compile_request(*request_of(values, "edit.yaml"), source, 60).goals
    assert isinstance(goal, Turns)
    return goal


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A motion that turns; beside it, in other.h5, another one."""
    other = Motion(*smooth_motion(60, 1), 20.0, "sway")
    write_motions(tmp_path / "other.h5", MotionSet.from_clips([Placement(2.0, 1.0, 3.0).motion(other)]))
    return Source(Placement(0.7, 5.0, 0.0).motion(Motion(*smooth_motion(60, 5), 20.0, "sway")), None, 20.0, "swaying")


def test_a_pose_is_turned_as_the_input_faces_or_as_its_file_says(tmp_path: Path, source: Source) -> None:
    motion = source.motion
    assert motion is not None
    here = goal_of({"at": 30, "rotations": "world", "joints": ["pelvis", "head"]}, tmp_path, source)
    off = heading(here.rot6d[0, 0]) - (heading(motion.rot6d[30, 0]) - source.world.yaw)
    assert np.exp(1j * off) == pytest.approx(1, abs=1e-5)
    there = goal_of({"at": 30, "rotations": "world", "joints": "pelvis", "align": "world"}, tmp_path, source)
    pose = Placement(2.0).motion(Motion(*smooth_motion(60, 1), 20.0, "sway")).rot6d[7, 0]
    assert np.exp(1j * (heading(there.rot6d[0, 0]) - heading(pose) + source.world.yaw)) == pytest.approx(1, abs=1e-5)
    local = goal_of({"at": 30, "rotations": True, "joints": "head"}, tmp_path, source)
    assert (local.world, local.rot6d.shape) == (False, (1, 1, 6))


def test_a_search_turns_a_joint_in_the_world(tmp_path: Path, source: Source) -> None:
    values = {
        "version": 1, "keep": {"content": "off"},
        "targets": [{"at": 30, "rotations": "world", "joints": "head", "pose": f"{tmp_path / 'other.h5'}#7"}],
        "run": {"steps": 8, "fit_steps": 0, "planted": 0, "select": "best"},
    }  # fmt: skip
    plan = compile_request(*request_of(values, "edit.yaml"), source, 60)
    (edited,) = Session(Generator(fresh(CASES["mdm"]), "raw", "weights"), force=True).edit([plan])
    losses = edited.courses[0].losses["targets[0]"]
    assert min(losses) < 0.9 * losses[0]


def test_observed_channels_are_an_l1_mean_over_six_numbers() -> None:
    """Row [1, 0, 0] becomes [0, 0, 1] by a quarter turn: 2 of 6 numbers are off by 1, of one of two joints."""
    goal = Channels((), 1.0, None, np.array([2]), (0, WRIST), UPRIGHT[2:3, [0, WRIST]])
    assert goal.residual(body(j21=90)) == pytest.approx([(2 / 6) / 2])
    assert goal.residual(body(j19=90)) == pytest.approx([0])
    torched = goal.residual(BodyMotion(None, {}, torch.from_numpy(body(j21=90).rot6d), 20.0))
    assert float(torched) == pytest.approx(1 / 6)


def test_a_mask_observes_rotations_where_the_input_has_them(source: Source) -> None:
    values = {"version": 1, "mask": {"observed": {"joints": "six", "rotations": ["wrists", "pelvis"], "frames": "3-9"}}}
    plan = compile_request(*request_of({**values, "run": {"steps": 8, "select": "best"}}, "edit.yaml"), source, 60)
    places, channels = plan.goals
    assert isinstance(channels, Channels)
    assert (plan.task, channels.joints, channels.frames.tolist()) == ("complete", (0, 20, WRIST), [*range(3, 10)])
    motion = source.motion
    assert motion is not None
    np.testing.assert_allclose(channels.rot6d[:, 1:], motion.rot6d[3:10][:, [20, WRIST]], atol=1e-6)
    turned = heading(channels.rot6d[4, 0]) - heading(motion.rot6d[7, 0]) + source.world.yaw
    assert np.exp(1j * turned) == pytest.approx(1, abs=1e-5)
    assert float(np.mean(channels.error(seen(plan, motion)))) == pytest.approx(0, abs=1e-6)
    (edited,) = Session(Generator(fresh(CASES["mdm"]), "raw", "weights"), force=True).edit([plan])
    losses = edited.courses[0].losses["mask.observed.rotations"]
    assert min(losses) < losses[0]
    assert places.key == ("mask", "observed")


def test_joint_places_show_no_rotations(source: Source) -> None:
    values = {"version": 1, "mask": {"observed": {"rotations": "wrists"}}}
    points = Source(None, source.positions, 20.0, "places")
    with pytest.raises(Problems, match="joint places show no rotations: leave `rotations` out"):
        compile_request(*request_of(values, "edit.yaml"), points, 60)
