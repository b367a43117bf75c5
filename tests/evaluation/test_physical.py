"""Physical metrics on motions whose values follow from their construction."""

from __future__ import annotations

import numpy as np
import pytest

from mdtool.errors import MdtoolError
from mdtool.evaluation import physical
from mdtool.motion.motion import Motion, MotionSet
from mdtool.motion.skeleton import STANDING_PELVIS_HEIGHT, TOE_HEIGHT, rest_positions

FPS = 30.0
UPRIGHT = np.array([1, 0, 0, 0, 1, 0], dtype=np.float32)


def gliding(speed: float, frames: int = 40, height: float = 0.0, fps: float = FPS, action: str = "glide") -> Motion:
    """The rest pose moving along x at `speed`, `height` above the floor."""
    root = np.zeros((frames, 3), dtype=np.float32)
    root[:, 0] = np.arange(frames) / fps * speed
    root[:, 1] = STANDING_PELVIS_HEIGHT + height
    return Motion(np.tile(UPRIGHT, (frames, 24, 1)), root, fps, action)


def swinging_arm(turns_per_second: float, frames: int = 61, action: str = "swing") -> Motion:
    """A standing body whose left arm turns about the shoulder's vertical axis."""
    angle = 2 * np.pi * turns_per_second * np.arange(frames) / FPS
    motion = gliding(0.0, frames, action=action)
    motion.rot6d[:, 16] = np.stack(
        [np.cos(angle), 0 * angle, np.sin(angle), 0 * angle, 1 + 0 * angle, 0 * angle], axis=-1
    )
    return motion


def test_a_body_that_glides_at_one_metre_per_second_skates_all_the_time() -> None:
    positions = gliding(1.0).positions()
    assert physical.foot_skating(positions, FPS) == 1
    assert physical.foot_slip(positions, FPS) == pytest.approx(1.0, rel=1e-4)
    assert physical.skating_ratio(positions, FPS).ratio == 1
    assert physical.motion_energy(positions, FPS) == pytest.approx(1.0, rel=1e-4)
    assert physical.limb_energy(positions, FPS) == pytest.approx(0.0, abs=1e-4)


def test_a_statue_does_nothing() -> None:
    positions = gliding(0.0).positions()
    for measure in (physical.foot_skating, physical.foot_slip, physical.motion_energy, physical.limb_energy):
        assert measure(positions, FPS) == 0
    assert physical.jitter(positions, FPS) == 0
    assert physical.floating(positions, FPS) == pytest.approx(0, abs=1e-6)
    assert physical.penetration(positions, FPS) == pytest.approx(0, abs=1e-6)


def test_height_over_the_floor_is_floating_or_penetration() -> None:
    above, below = gliding(1.0, height=0.25).positions(), gliding(1.0, height=-0.04).positions()
    assert physical.floating(above, FPS) == pytest.approx(0.25, rel=1e-4)
    assert physical.penetration(above, FPS) == 0
    assert physical.foot_skating(above, FPS) == 0
    assert np.isnan(physical.foot_slip(above, FPS))
    assert physical.penetration(below, FPS) == pytest.approx(0.04, rel=1e-4)
    assert physical.floating(below, FPS) == 0
    assert physical.foot_skating(below, FPS) == 1


def test_penetration_is_that_of_the_deepest_sole() -> None:
    positions = gliding(0.0, frames=10).positions()
    positions[:5, 10, 1] = TOE_HEIGHT - 0.06  # the left toe, in half of the frames
    assert physical.penetration(positions, FPS) == pytest.approx(0.03, rel=1e-4)


def test_jitter_of_a_cubic_path_is_its_third_derivative() -> None:
    time_s = np.arange(30) / FPS
    pose = rest_positions()
    positions = pose + (np.array([3.0, 0.0, 4.0]) * time_s[:, None] ** 3)[:, None]  # third derivative 6 · (3, 0, 4)
    assert physical.jitter(positions, FPS) == pytest.approx(30.0, rel=1e-9)
    parabola = pose + (np.array([1.0, 2.0, 3.0]) * time_s[:, None] ** 2)[:, None]
    assert physical.jitter(parabola, FPS) == pytest.approx(0.0, abs=1e-6)


def test_jitter_of_white_noise_is_as_the_variance_of_a_third_difference_says() -> None:
    noise = np.random.default_rng(0).normal(scale=0.05, size=(2000, 24, 3))
    # A third difference has variance (1 + 9 + 9 + 1) σ²; a 3-D normal vector has mean length σ √(8 / π).
    expected = 0.05 * np.sqrt(20) * np.sqrt(8 / np.pi) * 20.0**3
    assert physical.jitter(noise, 20.0) == pytest.approx(expected, rel=0.01)


def test_energy_of_an_arm_in_uniform_rotation() -> None:
    positions = swinging_arm(0.5).positions()
    # Elbow, wrist and hand run on circles; the chord between frames is 2 r sin(half the angle).
    chord = 2 * np.sin(np.pi * 0.5 / FPS) * FPS
    expected = chord * (0.276 + 0.529 + 0.614) / 24
    assert physical.motion_energy(positions, FPS) == pytest.approx(expected, rel=1e-4)
    assert physical.limb_energy(positions, FPS) == pytest.approx(expected * 24 / 23, rel=1e-4)


def test_bones_made_of_rotations_keep_their_length_and_stretched_ones_do_not() -> None:
    positions = swinging_arm(1.0).positions()
    assert physical.bone_length_deviation(positions, FPS) == pytest.approx(0, abs=1e-6)
    stretched = gliding(0.0, frames=10).positions().astype(np.float64)
    stretched[::2, 22] += [0.02, 0.0, 0.0]  # the left hand goes 2 cm out in every other frame
    assert physical.bone_length_deviation(stretched, FPS) == pytest.approx(0.01 / 23, rel=1e-4)


def test_skating_below_5_cm_counts_joints_near_the_floor_of_the_clip() -> None:
    """Ten steps: a toe glides at 1.5 m/s in six of them, lifted by 4 cm (counts) and by 6 cm (does not)."""
    positions = np.broadcast_to(rest_positions(), (11, 24, 3)).astype(np.float64)
    positions[:, :, 1] += 0.3  # the floor is the clip's own
    positions[5:, 10, 2] += 0.05 * np.arange(1, 7)
    positions[:, 10, 1] += 0.04
    assert physical.low_foot_skating(positions, FPS) == pytest.approx(0.6)
    slow = positions.copy()
    slow[5:, 10, 2] -= 0.04 * np.arange(1, 7)
    assert physical.low_foot_skating(slow, FPS) == 0  # 0.3 m/s
    positions[7:, 10, 1] += 0.02  # of six steps, the last two before the lift are low in both frames
    assert physical.low_foot_skating(positions, FPS) == pytest.approx(0.2)
    assert np.isnan(physical.low_foot_skating(positions[:1], FPS))


def test_the_skating_of_the_published_tables_needs_a_low_toe_that_is_fast_for_a_while() -> None:
    """Twenty steps at 20 fps, both toes 2 cm up; what counts is above 0.5 m/s now and over five steps."""

    def ratio(moves: slice, metres: float, height: float = 0.02) -> float:
        positions = np.zeros((21, 24, 3))
        positions[:, (10, 11), 1] = 0.02
        steps = np.zeros(20)
        steps[moves] = metres
        positions[1:, 10, 2] = np.cumsum(steps)
        positions[5:7, 10, 1] = height
        return physical.skating_ratio(positions, 20.0).ratio

    assert ratio(slice(3, 9), 0.05) == pytest.approx(6 / 20)
    assert ratio(slice(3, 9), 0.024) == 0  # 0.48 m/s
    assert ratio(slice(3, 5), 0.05) == 0  # two steps of five: 0.4 m/s on average
    assert ratio(slice(3, 9), 0.05, height=0.06) == pytest.approx(3 / 20)  # frames 5 and 6 are in steps 4, 5 and 6


def test_limb_asymmetry() -> None:
    """The built-in skeleton is symmetric; a left shin longer by 3 cm is one pair of nine."""
    positions = positions_of_rest()
    assert physical.limb_asymmetry(positions, FPS) == pytest.approx(0, abs=1e-9)
    longer = positions.copy()
    longer[:, 7] += np.array([0, -0.03, 0])
    longer[:, 10] += np.array([0, -0.03, 0])
    assert physical.limb_asymmetry(longer, FPS) == pytest.approx(0.03 / 9, rel=1e-6)


def positions_of_rest() -> np.ndarray:
    return np.broadcast_to(rest_positions(), (5, 24, 3)).copy()


def test_metrics_in_seconds_do_not_depend_on_the_frame_rate() -> None:
    slow, fast = gliding(0.8, 40, fps=20.0), gliding(0.8, 200, fps=100.0)
    for measure in (physical.foot_skating, physical.foot_slip, physical.motion_energy):
        assert measure(slow.positions(), 20.0) == pytest.approx(measure(fast.positions(), 100.0), rel=1e-3)


def test_measure_gives_one_number_per_clip_whatever_the_clips_beside_it() -> None:
    clips = [gliding(1.0, 40), gliding(0.0, 3), gliding(0.5, 1), swinging_arm(1.0, 25_000), gliding(2.0, 7)]
    values = physical.measure(MotionSet.from_clips(clips))
    assert set(values) == {metric.name for metric in physical.METRICS}
    np.testing.assert_allclose(values["foot skating"][[0, 1, 3, 4]], [100, 0, 0, 100])
    np.testing.assert_allclose(values["motion energy"][[0, 1, 4]], [1, 0, 2], rtol=1e-3)
    assert np.isnan(values["foot skating"][2])  # one frame has no step
    assert np.isnan(values["jitter"][[1, 2]]).all()  # three frames have no third difference
    assert np.isfinite(values["penetration"]).all()


def test_the_card_compares_action_by_action() -> None:
    samples = MotionSet.from_clips([gliding(1.0), gliding(3.0), swinging_arm(0.25)], ["glide", "jump", "swing"])
    real = MotionSet.from_clips([swinging_arm(1.0), gliding(1.0)])
    report = physical.card(samples, real)
    assert (report.clips, report.reference_clips) == (3, 2)
    ratios = {(row.action, row.metric): row.ratio for row in report.actions}
    assert {action for action, _ in ratios} == {"glide", "swing"}  # the reference never jumps
    assert ratios["glide", "motion energy"] == pytest.approx(2.0, rel=1e-3)
    assert ratios["swing", "limb energy"] == pytest.approx(0.25, rel=0.01)
    skating = next(row for row in report.rows if row.metric == "foot skating")
    assert (skating.mean, skating.reference_mean) == (pytest.approx(200 / 3), pytest.approx(50))


def test_a_card_without_reference_stands_alone() -> None:
    report = physical.card(MotionSet.from_clips([gliding(1.0)]))
    assert report.reference_clips == 0
    assert report.actions == []
    assert all(row.reference_mean is None for row in report.rows)


def test_sets_of_different_frame_rates_are_not_compared() -> None:
    with pytest.raises(MdtoolError, match=r"20 fps.*30 fps.*--fps"):
        physical.card(MotionSet.from_clips([gliding(1.0, fps=20.0)]), MotionSet.from_clips([gliding(1.0)]))
