"""Moments between frames: by the field itself where there is one, between the neighbouring poses elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mdtool.editing.compiler import compile_request
from mdtool.editing.document import Problems
from mdtool.editing.explain import plan_json
from mdtool.editing.frames import held, in_words, moments
from mdtool.editing.goals import Places
from mdtool.editing.marking import marks
from mdtool.editing.moments import poses_between
from mdtool.editing.placement import Placement, stands_at
from mdtool.editing.plan import Plan
from mdtool.editing.program import Program
from mdtool.editing.reading import request_of
from mdtool.editing.report import report, reports, seen
from mdtool.editing.session import Session
from mdtool.editing.source import Source
from mdtool.methods.contract import FieldMethod
from mdtool.methods.generate import Generator
from mdtool.motion.file import write_motions
from mdtool.motion.motion import Motion, MotionSet
from mdtool.motion.resample import resample_at
from tests.methods.contract_cases import CASES, fresh
from tests.motion.smooth_motion import smooth_motion

MOTION = Motion(*smooth_motion(60, 3), 20.0, "sway", name="swaying")
WRIST = 21


def plan(**values: Any) -> Plan:
    source = Source(MOTION, None, 20.0, "swaying")
    request = {"version": 1, "time": "seconds", **values}
    return compile_request(*request_of(request, "edit.yaml"), source, 60, force=True)


def test_a_moment_in_seconds_is_a_frame_or_lies_between_two() -> None:
    np.testing.assert_allclose(moments([1.5, 0.62], 60, 20.0), [12.4, 30.0])
    assert moments([1.5, "0.2-0.3"], 60, 20.0).tolist() == [4, 5, 6, 30]
    assert moments(0.62, 60, 20.0).dtype == np.float64
    assert moments([1.5, -1], 60, 20.0).dtype == np.int64
    assert moments(1 / 3, 60, 30.0).tolist() == [10]
    np.testing.assert_allclose(moments(-0.51, 60, 20.0), [49.8])
    assert in_words(np.array([12.4, 30.0]), 60) == "12.4, 30"
    with pytest.raises(ValueError, match=r"time 2.96 is outside the motion: it has 0 to 2.95 s"):
        moments(2.96, 60, 20.0)


def test_what_is_held_goes_on_linearly_between_frames() -> None:
    np.testing.assert_allclose(held(np.array([0.0, 2.0, 6.0]), np.array([0.25, 1.5, 2.0, 9.0])), [0.5, 4.0, 6.0, 6.0])


def test_poses_between_are_those_of_resampling_and_have_gradients() -> None:
    still = np.repeat(MOTION.rot6d[:1], 60, axis=0)
    rot6d = torch.from_numpy(np.stack([MOTION.rot6d, still])).requires_grad_()
    root = torch.from_numpy(np.stack([MOTION.root, MOTION.root])).requires_grad_()
    turned, moved = poses_between(rot6d, root, np.array([12.4, 58.9]))
    expected = resample_at(MOTION, np.array([12.4, 58.9]) / 20)
    np.testing.assert_allclose(turned[0].detach(), expected.rot6d, atol=1e-5)
    np.testing.assert_allclose(moved[0].detach(), expected.root, atol=1e-6)
    (turned.sum() + moved.sum()).backward()
    for part in (rot6d, root):
        assert part.grad is not None
        assert torch.isfinite(part.grad).all()
        assert part.grad[:, [12, 13, 58, 59]].abs().sum() > 0


def test_goals_see_the_poses_between_frames() -> None:
    """What the motion does at 0.62 s is what is wanted there: nothing is missed, and a frame's error is not."""
    between = resample_at(MOTION, np.array([0.62]))
    home = plan(keep={}, targets=[{"at": 0.6, "facing": 0}]).source.world
    place = home.undone(between.positions().astype(float))[0, WRIST]
    at = {"at": 0.62, "joint": "right_wrist", "xyz": place.tolist()}
    wanted = plan(targets=[at, {"at": 0.62, "joint": "right_wrist", "near": "right_hand", "within": 0.5}])
    np.testing.assert_allclose(wanted.between, [12.4])
    program = Program(wanted.goals, 60, 20.0, Placement(), wanted.between)
    own = home.inverse().motion(MOTION)
    judged = program.judge(torch.from_numpy(own.rot6d)[None], torch.from_numpy(own.root)[None])
    assert float(judged.error) < 1e-5
    rows = report(wanted, MOTION, None).targets
    assert rows[0].error < 1e-5
    rounded = plan(targets=[{**at, "at": 0.6}])
    assert report(rounded, MOTION, None).targets[0].error > 1e-3
    assert plan_json(wanted)["goals"][0]["frames"] == pytest.approx([12.4])
    assert [point.frame for point in marks(wanted).points] == [12]


def test_speeds_and_rotations_between_frames() -> None:
    one = plan(targets=[{"at": 0.62, "speed": 1.0}, {"at": 0.62, "facing": 30}])
    found = report(one, MOTION, None).targets
    step = MOTION.root[13] - MOTION.root[12]
    assert found[0].error == pytest.approx(abs(20 * np.hypot(step[0], step[2]) - 1), abs=1e-4)
    both = [report(plan(targets=[{"at": at, "facing": 30}]), MOTION, None).targets[0].error for at in (0.6, 0.65)]
    assert min(both) < found[1].error < max(both)


def test_a_spread_target_and_a_key_pose_between_frames(tmp_path: Any) -> None:
    spread = plan(targets=[{"at": 0.62, "xz": [0.1, 0.2], "spread": 2}]).goals[0]
    assert isinstance(spread, Places)
    np.testing.assert_allclose(spread.frames, [11, 12, 12.4, 13, 14])
    assert spread.shares is not None
    assert spread.shares.argmax() == 2
    write_motions(tmp_path / "pose.h5", MotionSet.from_clips([MOTION]))
    pose = {"at": 0.62, "pose": f"{tmp_path / 'pose.h5'}#12", "joints": "right_wrist", "align": "root"}
    wanted = plan(keep={}, targets=[pose])
    off = {frame: wanted.goals[0].error(seen(wanted, shifted(frame))) for frame in (12.0, 12.4)}
    assert off[12.4] < 1e-5 < off[12.0]


def shifted(frame: float) -> Motion:
    """Frame 12's pose all the time, where and as the motion stands at a frame."""
    still = Motion(np.repeat(MOTION.rot6d[12:13], 60, 0), np.repeat(MOTION.root[12:13], 60, 0), 20.0)
    to = stands_at(resample_at(MOTION, np.array([frame / 20])))
    return to.after(stands_at(still).inverse()).motion(still)


@pytest.mark.parametrize("name", ["mdm", "nerm"])
@pytest.mark.parametrize("residual", ["none", "constant"])
def test_a_search_for_a_moment_between_frames(name: str, residual: str) -> None:
    wanted = plan(
        targets=[{"at": [0.62, 2.0], "joint": "right_wrist", "y": 1.3}],
        run={"steps": 3, "fit_steps": 0, "stages": 1, "residual": residual},
    )
    method = fresh(CASES[name])
    (edited,) = Session(Generator(method, "raw", "weights"), True).edit([wanted])
    (found,) = reports(edited)
    (motion,), (between,) = edited.motions, edited.between
    assert len(motion) == 60
    by_frames = resample_at(motion, np.array([0.62])).positions()[0, WRIST, 1]
    height = by_frames if between is None else between.positions()[0, WRIST, 1]
    errors = [abs(height - 1.3), abs(motion.positions()[40, WRIST, 1] - 1.3)]
    assert found.targets[0].error == pytest.approx(np.mean(errors), abs=1e-4)
    assert edited.stages[0][0].error_m == pytest.approx(np.mean(errors), abs=1e-4)
    assert isinstance(method, FieldMethod) == (between is not None)
    if isinstance(method, FieldMethod) and residual == "none":
        assert between is not None
        noise = torch.from_numpy(edited.motions[0].noise)[None]  # type: ignore[arg-type]
        decoder = Session(Generator(method, "raw", "weights")).decoder
        rot6d, _ = decoder.motions(decoder.decode(wanted, noise, decoder.action(wanted, 1)))
        np.testing.assert_allclose(between.rot6d[0, 1:], rot6d[0, -1, 1:].detach(), atol=1e-4)


def test_a_whole_number_of_frames_stays_asked_for_in_frames() -> None:
    with pytest.raises(Problems, match=r"frame 12.4 is no whole number: count in frames, or set `time: seconds`"):
        plan(time="frames", targets=[{"at": 12.4, "xz": [0, 0]}])
