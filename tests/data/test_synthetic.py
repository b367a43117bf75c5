"""Synthetic exercises: they keep the promises of a recording, and each is what its name says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mdtool.data.synthetic import ACTIONS, synthesise
from mdtool.errors import MdtoolError
from mdtool.motion.kinematics import forward_kinematics
from mdtool.motion.motion import TEST, TRAIN, Motion, MotionSet
from mdtool.motion.rotations import rot6d_to_matrix
from mdtool.motion.skeleton import ANKLE_HEIGHT, JOINT_INDEX, STANDING_PELVIS_HEIGHT, TOE_HEIGHT

PELVIS, CHEST, HEAD = (JOINT_INDEX[name] for name in ("pelvis", "spine3", "head"))
ANKLES, TOES, KNEES, SHOULDERS, WRISTS, HANDS = (
    [JOINT_INDEX[f"{side}_{joint}"] for side in ("left", "right")]
    for joint in ("ankle", "foot", "knee", "shoulder", "wrist", "hand")
)
CLIPS = 6
FPS = 30.0


@pytest.fixture(scope="module")
def motions() -> MotionSet:
    return synthesise(CLIPS, seed=3)


@pytest.fixture(params=ACTIONS)
def clips(request: pytest.FixtureRequest, motions: MotionSet) -> list[Motion]:
    return of(motions, request.param)


def of(motions: MotionSet, action: str) -> list[Motion]:
    found = [clip for clip in motions if clip.action == action]
    assert len(found) == CLIPS
    return found


def world(clip: Motion) -> tuple[np.ndarray, np.ndarray]:
    """World rotations [T, 24, 3, 3] and positions [T, 24, 3]."""
    matrices = rot6d_to_matrix(torch.from_numpy(clip.rot6d).double())
    rotations, positions = forward_kinematics(matrices, torch.from_numpy(clip.root).double())
    return rotations.numpy(), positions.numpy()


def speed(path: np.ndarray, fps: float = FPS) -> np.ndarray:
    return np.linalg.norm(np.diff(path, axis=0), axis=-1) * fps


def body_frame(rotations: np.ndarray, joint: int, vectors: np.ndarray) -> np.ndarray:
    """World vectors [T, 3] in the axes of a joint."""
    return np.einsum("tji,tj->ti", rotations[:, joint], vectors)


def turns(x: np.ndarray, y: np.ndarray) -> float:
    """How often the point (x, y) goes round the origin, counted from x towards y."""
    angle = np.unwrap(np.arctan2(y, x))
    return float(angle[-1] - angle[0]) / (2 * np.pi)


# --- what every clip promises ------------------------------------------------------------------------------


def test_a_clip_depends_only_on_seed_action_and_number() -> None:
    many = synthesise(3, seed=11)
    few = synthesise(2, seed=11, actions=["walking", "punching"])
    by_name = {clip.name: clip for clip in many}
    assert len(by_name) == 3 * len(ACTIONS)
    assert few.actions == ["walking", "punching"]
    for clip in few:
        np.testing.assert_array_equal(clip.rot6d, by_name[clip.name].rot6d)
        np.testing.assert_array_equal(clip.root, by_name[clip.name].root)
        assert clip.subject == by_name[clip.name].subject


def test_seeds_and_clips_differ() -> None:
    first, other = (synthesise(2, seed=seed, actions=["squatting"], frames=(100, 100)) for seed in (0, 1))
    assert np.abs(first[0].rot6d - other[0].rot6d).max() > 0.1
    assert np.abs(first[0].rot6d - first[1].rot6d).max() > 0.1


def test_labels_and_lengths(motions: MotionSet) -> None:
    assert len(ACTIONS) >= 10
    assert motions.actions == list(ACTIONS)
    assert (motions.fps == FPS).all()
    assert motions.lengths.min() >= 90
    assert motions.lengths.max() <= 150
    assert len(set(motions.lengths)) > 10
    assert motions.provenance["seed"] == 3


@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.5])
def test_the_split_is_by_performer(fraction: float) -> None:
    made = synthesise(20, seed=0, actions=["head-anticlockwise-circling"], test_fraction=fraction, frames=(2, 2))
    performers = {split: {clip.subject for clip in made if clip.split == split} for split in (TRAIN, TEST)}
    assert not performers[TRAIN] & performers[TEST]
    assert len(performers[TRAIN] | performers[TEST]) == 10
    assert np.mean(made.split == TEST) == pytest.approx(fraction)


def test_performers_face_forward_and_rotations_are_rotations(clips: list[Motion]) -> None:
    for clip in clips:
        np.testing.assert_allclose(np.linalg.norm(clip.rot6d.reshape(-1, 3), axis=-1), 1, atol=1e-5)
        rotations, _ = world(clip)
        forward = rotations[:, PELVIS, :, 2].mean(0)
        assert abs(np.degrees(np.arctan2(forward[0], forward[2]))) < 35


def test_planted_feet_stay(clips: list[Motion]) -> None:
    """A foot within 2 mm of the height at which it stands does not slide: below 5 cm/s over the floor."""
    for clip in clips:
        _, positions = world(clip)
        for joints, height in ((TOES, TOE_HEIGHT), (ANKLES, ANKLE_HEIGHT)):
            down = np.abs(positions[:, joints, 1] - height) < 0.002
            down &= np.abs(positions[:, TOES, 1] - TOE_HEIGHT) < 0.002  # a low ankle above a raised foot swings
            stays = down[1:] & down[:-1]
            assert stays.any()
            sliding = speed(positions[:, joints][..., [0, 2]])[stays]
            assert sliding.max() < 0.05


def test_feet_stay_above_the_floor(clips: list[Motion]) -> None:
    """Ankle, ball, heel and the tips of the toes, 5 mm of tolerance."""
    for clip in clips:
        rotations, positions = world(clip)
        assert (positions[:, ANKLES, 1] - ANKLE_HEIGHT).min() > -0.005
        assert (positions[:, TOES, 1] - TOE_HEIGHT).min() > -0.005
        heel = positions[:, ANKLES] + rotations[:, ANKLES] @ np.array([0, -ANKLE_HEIGHT, -0.05])
        tips = positions[:, TOES] + rotations[:, TOES] @ np.array([0, -TOE_HEIGHT, 0.06])
        assert heel[..., 1].min() > -0.005
        assert tips[..., 1].min() > -0.005


def test_no_joint_is_faster_than_a_human(clips: list[Motion]) -> None:
    """15 m/s is a thrower's hand; 150 m/s² turns the hand of a jumping jack, at 8 m/s, round in a tenth of a second."""
    for clip in clips:
        velocity = np.diff(world(clip)[1], axis=0) * FPS
        assert np.linalg.norm(velocity, axis=-1).max() < 15
        assert np.linalg.norm(np.diff(velocity, axis=0) * FPS, axis=-1).max() < 150


@pytest.mark.parametrize("action", ACTIONS)
def test_velocity_never_jumps(action: str) -> None:
    """Sampled twice as densely a smooth motion keeps its largest acceleration; a jump in velocity doubles it."""

    def largest(fps: int) -> float:
        (clip,) = synthesise(1, seed=5, fps=fps, actions=[action], frames=(3 * fps, 3 * fps))
        return float(np.linalg.norm(np.diff(world(clip)[1], 2, axis=0), axis=-1).max()) * fps**2

    assert largest(240) < 1.25 * largest(120)


def test_joints_bend_like_those_of_a_human(clips: list[Motion]) -> None:
    for clip in clips:
        matrices = rot6d_to_matrix(torch.from_numpy(clip.rot6d).double()).numpy()
        for joint in KNEES:  # a hinge about x; positive lifts the heel
            flexion = np.degrees(np.arctan2(matrices[:, joint, 2, 1], matrices[:, joint, 1, 1]))
            assert flexion.min() > 0
            assert flexion.max() < 150
        for joint, side in zip([JOINT_INDEX["left_elbow"], JOINT_INDEX["right_elbow"]], (1, -1), strict=True):
            # The forearm's direction in the axes of the upper arm: the elbow bends forward only.
            flexion = np.degrees(np.arctan2(matrices[:, joint, 2, 0] * side, matrices[:, joint, 0, 0]))
            assert flexion.min() > -5
            assert flexion.max() < 152
        for name, limit_deg in (("spine1", 45), ("spine2", 45), ("spine3", 45), ("neck", 40), ("head", 40)):
            cosine = (np.trace(matrices[:, JOINT_INDEX[name]], axis1=1, axis2=2) - 1) / 2
            assert np.degrees(np.arccos(cosine.clip(-1, 1))).max() < limit_deg


def test_takes_of_one_action_vary(clips: list[Motion]) -> None:
    """Two takes differ in every body part, also in pose averaged over the take, which a mere time shift keeps."""
    means = np.stack([world(clip)[1].mean(0) - clip.root.mean(0) for clip in clips])
    assert means.std(0).max() > 0.01
    for clip in clips:
        assert speed(world(clip)[1][:, HEAD]).mean() > 0.005


# --- what each action is -----------------------------------------------------------------------------------


def test_squatting_lowers_the_pelvis_and_keeps_the_soles_flat(motions: MotionSet) -> None:
    for clip in of(motions, "squatting"):
        rotations, positions = world(clip)
        assert np.ptp(positions[:, PELVIS, 1]) > 0.25
        assert positions[:, PELVIS, 1].max() > STANDING_PELVIS_HEIGHT - 0.05
        assert rotations[:, ANKLES, 1, 1].min() > 0.999  # the soles


def test_walking_travels_on_alternate_feet_heel_first(motions: MotionSet) -> None:
    for clip in of(motions, "walking"):
        rotations, positions = world(clip)
        travelled = np.linalg.norm(np.ptp(positions[:, PELVIS], axis=0)[[0, 2]])
        assert 0.5 < travelled / clip.seconds < 2.0
        down = positions[:, TOES, 1] < TOE_HEIGHT + 0.01
        assert (down[:, 0] ^ down[:, 1]).mean() > 0.4
        toes_up_deg = np.degrees(np.arcsin(rotations[:, ANKLES, 1, 2]))
        for side in range(2):
            ahead = (positions[:, ANKLES[side]] - positions[:, ANKLES[1 - side]])[:, [0, 2]]
            forward = np.einsum("tk,tk->t", ahead, rotations[:, PELVIS][:, [0, 2], 2])
            low_ankle = positions[:, ANKLES[side], 1] < ANKLE_HEIGHT + 0.03
            assert toes_up_deg[(forward > 0.4) & low_ankle, side].max() > 8  # heel strike
            assert toes_up_deg[forward < -0.3, side].min() < -25  # push-off


def test_walking_arms_swing_against_the_legs(motions: MotionSet) -> None:
    for clip in of(motions, "walking"):
        rotations, positions = world(clip)
        hands, ankles = (
            body_frame(rotations, PELVIS, positions[:, pair[0]] - positions[:, pair[1]])[:, 2]
            for pair in (HANDS, ANKLES)
        )
        assert np.corrcoef(hands, ankles)[0, 1] < -0.7


def test_arm_circling_turns_both_wrists_about_the_shoulders(motions: MotionSet) -> None:
    directions = set()
    for clip in of(motions, "arm-circling"):
        rotations, positions = world(clip)
        for shoulder, wrist in zip(SHOULDERS, WRISTS, strict=True):
            arm = body_frame(rotations, CHEST, positions[:, wrist] - positions[:, shoulder])
            assert np.linalg.norm(arm, axis=-1).min() > 0.5  # straight arms
            circles = turns(-arm[:, 1], arm[:, 2])
            assert abs(circles) > 1
            assert np.hypot(arm[:, 1], arm[:, 2]).min() > 0.25
            directions.add(np.sign(circles))
    assert directions <= {-1.0, 1.0}


def test_head_circling_goes_anticlockwise_seen_from_above(motions: MotionSet) -> None:
    for clip in of(motions, "head-anticlockwise-circling"):
        rotations, positions = world(clip)
        crown = body_frame(rotations, CHEST, rotations[:, HEAD, :, 1])
        centred = crown - (crown.max(0) + crown.min(0)) / 2
        # From above, with the face towards the top of the picture, anticlockwise runs forward (z) to left (x).
        assert turns(centred[:, 2], centred[:, 0]) > 0.8
        assert np.hypot(centred[:, 0], centred[:, 2]).min() > 0.2
        assert speed(positions[:, WRISTS]).max() < 0.3  # the hands stay on the hips


def test_left_stretching_leans_left_under_a_raised_right_arm(motions: MotionSet) -> None:
    for clip in of(motions, "left-stretching"):
        rotations, positions = world(clip)
        up = body_frame(rotations, PELVIS, rotations[:, CHEST, :, 1])
        lean_deg = np.degrees(np.arctan2(up[:, 0], up[:, 1]))
        assert lean_deg.max() > 20
        assert lean_deg.min() > -10
        leant = lean_deg > 20
        right, left = positions[leant][:, WRISTS[1], 1], positions[leant][:, WRISTS[0], 1]
        assert (right > positions[leant][:, HEAD, 1]).mean() > 0.9
        assert (left < positions[leant][:, CHEST, 1]).all()


def test_toe_touches_bring_the_hands_below_the_knees_over_straight_legs(motions: MotionSet) -> None:
    for clip in of(motions, "standing-toe-touches"):
        rotations, positions = world(clip)
        lowest = positions[:, HANDS, 1].max(1).argmin()
        knees = positions[lowest, KNEES]
        assert (positions[lowest, HANDS, 1] < knees[:, 1] - 0.15).all()
        assert positions[:, HANDS, 1].min() > 0.05  # nobody reaches into the floor
        assert positions[lowest, PELVIS, 1] > 0.85
        assert rotations[:, CHEST, 1, 1].max() > 0.9  # and stands up in between


def test_clapping_brings_the_wrists_together_on_a_turned_body(motions: MotionSet) -> None:
    for clip in of(motions, "rotation-clapping"):
        rotations, positions = world(clip)
        apart = np.linalg.norm(positions[:, WRISTS[0]] - positions[:, WRISTS[1]], axis=-1)
        ahead = body_frame(rotations, PELVIS, rotations[:, CHEST, :, 2])
        turn_deg = np.degrees(np.arctan2(ahead[:, 0], ahead[:, 2]))
        assert apart.max() > 1.0
        together = apart < 0.2
        assert together.any()
        assert turn_deg[together].max() > 20
        assert turn_deg[together].min() < -20
        assert (np.abs(turn_deg[together]) > 10).all()


def test_punching_extends_one_fist_forward_at_a_time(motions: MotionSet) -> None:
    for clip in of(motions, "punching"):
        rotations, positions = world(clip)
        reach = np.stack(
            [
                body_frame(rotations, PELVIS, positions[:, w] - positions[:, s])
                for w, s in zip(WRISTS, SHOULDERS, strict=True)
            ]
        )
        assert (reach[:, :, 2].max(1) > 0.45).all()
        assert (reach[:, :, 2].min(1) < 0.3).all()
        assert (reach[:, :, 2].min(0) < 0.35).all()
        at_reach = np.abs(reach[0, reach[0, :, 2].argmax(), 1])
        assert at_reach < 0.15  # at the height of the shoulder


def test_jumping_jack_leaves_the_floor_and_joins_the_hands_overhead(motions: MotionSet) -> None:
    for clip in of(motions, "jumping-jack"):
        _, positions = world(clip)
        flying = (positions[:, TOES, 1] > TOE_HEIGHT + 0.01).all(1)
        hops = np.count_nonzero(np.diff(flying.astype(int)) == 1)
        assert hops >= 4
        hands_apart = np.linalg.norm(positions[:, HANDS[0]] - positions[:, HANDS[1]], axis=-1)
        feet_apart = np.linalg.norm(positions[:, ANKLES[0]] - positions[:, ANKLES[1]], axis=-1)
        overhead = (positions[:, HANDS, 1] > positions[:, [HEAD], 1] + 0.2).all(1)
        assert hands_apart[overhead].min() < 0.25
        assert feet_apart[overhead & (hands_apart < 0.3)].min() > 0.45
        assert feet_apart.min() < 0.25
        assert (positions[feet_apart < 0.25][:, HANDS, 1] < 1.2).any()


def test_jumping_jack_falls_freely(motions: MotionSet) -> None:
    """The pelvis, near enough to the centre of mass, falls with about 9.81 m/s² at the top of a hop."""
    for clip in of(motions, "jumping-jack"):
        _, positions = world(clip)
        acceleration = np.diff(positions[:, PELVIS, 1], 2) * FPS**2
        flying = (positions[1:-1, TOES, 1] > TOE_HEIGHT + 0.035).all(1)
        assert flying.any()
        assert np.median(acceleration[flying]) == pytest.approx(-9.81, abs=2.5)


def test_knee_lifting_raises_one_thigh_at_a_time_to_the_level(motions: MotionSet) -> None:
    for clip in of(motions, "alternate-knee-lifting"):
        _, positions = world(clip)
        knees = positions[:, KNEES, 1]
        assert (knees.max(0) > 0.75).all()
        assert knees.min(1).max() < 0.6
        assert (positions[:, TOES, 1].min(1) < TOE_HEIGHT + 0.002).all()  # one foot always stands


# --- bad input ---------------------------------------------------------------------------------------------


def test_an_unknown_action_lists_the_known_ones() -> None:
    with pytest.raises(MdtoolError, match=r"'skating'.*jumping-jack.*walking"):
        synthesise(1, seed=0, actions=["walking", "skating"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clips_per_action": 0}, "0 clips"),
        ({"seed": -1}, "seed -1"),
        ({"fps": 0.0}, "0.0 frames per second"),
        ({"fps": float("nan")}, "nan frames per second"),
        ({"actions": []}, "no action"),
        ({"test_fraction": 1.0}, "share of 1.0"),
        ({"test_fraction": -0.1}, "share of -0.1"),
        ({"frames": (1, 5)}, "1 to 5 frames"),
        ({"frames": (60, 50)}, "60 to 50 frames"),
    ],
)
def test_senseless_numbers_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(MdtoolError, match=message):
        synthesise(**{"clips_per_action": 1, "seed": 0} | arguments)
