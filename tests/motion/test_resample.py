"""Resampling: closed forms of a constant turn, exact frames, nothing beyond the end."""

from __future__ import annotations

import numpy as np
import pytest
import roma
import torch

from mdtool.errors import MdtoolError
from mdtool.motion.motion import Motion
from mdtool.motion.resample import resample, resample_at
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d, rot6d_to_matrix


def _turning(frames: int, fps: float, rad_per_s: float = 2.0) -> Motion:
    """Every joint turns at constant speed about an axis of its own; the root runs along a parabola."""
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(24, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    time_s = np.arange(frames) / fps
    matrices = axis_angle_to_matrix(torch.from_numpy(axes * rad_per_s * time_s[:, None, None]))
    root = np.stack([time_s, 1 + 0 * time_s, time_s**2], axis=1)
    rot6d = matrix_to_rot6d(matrices).numpy().astype(np.float32)
    return Motion(rot6d, root.astype(np.float32), fps, action="turn", subject="a", name="x", noise=np.ones(3))


@pytest.mark.parametrize(("source", "target"), [(120.0, 20.0), (60.0, 20.0), (100.0, 25.0), (40.0, 20.0), (30.0, 7.5)])
def test_whole_ratios_pick_frames_bit_for_bit(source: float, target: float) -> None:
    motion = _turning(100, source)
    result = resample(motion, target)
    step = round(source / target)
    np.testing.assert_array_equal(result.rot6d, motion.rot6d[::step])
    np.testing.assert_array_equal(result.root, motion.root[::step])
    assert result.fps == target


@pytest.mark.parametrize(
    ("source", "target"), [(30.0, 20.0), (119.875, 20.0), (20.0, 30.0), (25.0, 60.0), (30.003, 30.0)]
)
def test_a_constant_turn_stays_one(source: float, target: float) -> None:
    motion = _turning(int(3 * source), source)
    result = resample(motion, target)
    exact = _turning(len(result), target)
    first, second = (rot6d_to_matrix(torch.from_numpy(m.rot6d).double()) for m in (result, exact))
    assert roma.rotmat_geodesic_distance(first, second).max() < 1e-3  # float32 files
    np.testing.assert_allclose(result.root[:, 0], exact.root[:, 0], atol=1e-5)
    # A parabola read off its chords is too high by at most h² / 4.
    np.testing.assert_allclose(result.root[:, 2], exact.root[:, 2], atol=0.25 / source**2 + 1e-5)


@pytest.mark.parametrize("target", [7.0, 20.0, 24.0, 29.97, 50.0])
def test_the_last_frame_is_reached_and_never_passed(target: float) -> None:
    motion = _turning(91, 30.0)  # the last frame is at 3 s
    last_s = (len(resample(motion, target)) - 1) / target
    assert 3 - 1 / target < last_s + 1e-9 <= 3 + 2e-9


def test_frames_that_coincide_with_the_sources_are_kept_exactly() -> None:
    motion = _turning(31, 30.0)
    result = resample(motion, 20.0)
    np.testing.assert_array_equal(result.rot6d[::2], motion.rot6d[::3])
    np.testing.assert_array_equal(result.root[::2], motion.root[::3])
    # 1/3 s is frame 10 at 30 fps and 20 at 60: there and back gives the motion again.
    there = resample(motion, 60.0)
    np.testing.assert_array_equal(resample(there, 30.0).rot6d, motion.rot6d)


def test_the_shorter_arc_is_taken() -> None:
    angles = torch.tensor([[170.0], [190.0]]).deg2rad()
    matrices = axis_angle_to_matrix(angles[:, None] * torch.tensor([[[0.0, 0.0, 1.0]]])).expand(2, 24, 3, 3)
    motion = Motion(matrix_to_rot6d(matrices).numpy(), np.zeros((2, 3), np.float32), 1.0)
    middle = resample_at(motion, np.array([0.5]))
    np.testing.assert_allclose(middle.rot6d[0, 0], [-1, 0, 0, 0, -1, 0], atol=1e-6)


def test_arbitrary_times_hold_the_ends() -> None:
    motion = _turning(5, 10.0)
    result = resample_at(motion, np.array([-1.0, 0.0, 0.4, 99.0, 0.1]))
    for row, frame in enumerate([0, 0, 4, 4, 1]):
        np.testing.assert_array_equal(result.rot6d[row], motion.rot6d[frame])
        np.testing.assert_array_equal(result.root[row], motion.root[frame])


def test_labels_stay_and_the_latent_goes() -> None:
    motion = _turning(10, 30.0)
    for target in (15.0, 20.0):
        result = resample(motion, target)
        assert (result.action, result.subject, result.name) == ("turn", "a", "x")
        assert result.noise is None
        assert result.rot6d.dtype == result.root.dtype == np.float32
    assert resample(motion, 30.0) is motion


def test_one_frame_stays_one_frame() -> None:
    for target in (10.0, 20.0, 60.0):
        assert len(resample(_turning(1, 30.0), target)) == 1


@pytest.mark.parametrize("target", [0.0, -5.0, float("nan"), float("inf"), 1e9])
def test_impossible_rates(target: float) -> None:
    with pytest.raises(MdtoolError, match="cannot resample to"):
        resample(_turning(3, 30.0), target)


@pytest.mark.parametrize("times", [[], [np.nan], [[0.0]]])
def test_impossible_times(times: list) -> None:
    with pytest.raises(MdtoolError, match="finite times"):
        resample_at(_turning(3, 30.0), np.array(times))


def test_blocks_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    motion, times_s = _turning(40, 30.0), np.linspace(-0.1, 1.5, 61)
    whole = resample_at(motion, times_s)
    monkeypatch.setattr("mdtool.motion.resample._BLOCK", 7)
    np.testing.assert_allclose(resample_at(motion, times_s).rot6d, whole.rot6d, atol=1e-7)
