"""Foot contact on motions whose contacts are known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from mdtool.motion import contacts
from mdtool.motion.skeleton import ANKLE_HEIGHT, FEET, STANDING_PELVIS_HEIGHT, TOE_HEIGHT, rest_positions

FPS = 30.0
LEFT, RIGHT = [0, 1], [2, 3]  # places in FEET


def standing(frames: int) -> np.ndarray:
    """[T, 24, 3]: the rest pose on the floor."""
    pose = rest_positions() + np.array([0.0, STANDING_PELVIS_HEIGHT, 0.0])
    return np.tile(pose, (frames, 1, 1))


def moving_at(velocity: list[float], frames: int = 40) -> np.ndarray:
    return standing(frames) + np.arange(frames)[:, None, None] / FPS * np.array(velocity)


def test_the_rest_pose_stands_on_the_floor() -> None:
    positions = standing(5)
    np.testing.assert_allclose(contacts.sole_heights(positions), 0, atol=1e-12)
    np.testing.assert_allclose(positions[0, FEET, 1], [ANKLE_HEIGHT, TOE_HEIGHT, ANKLE_HEIGHT, TOE_HEIGHT])
    assert contacts.foot_contacts(positions, FPS).all()
    assert not contacts.sliding(positions, FPS).any()


def test_a_body_that_glides_slides_and_has_no_contact() -> None:
    positions = moving_at([0.6, 0.0, 0.8])  # 1 m/s over the floor
    np.testing.assert_allclose(contacts.foot_speeds(positions, FPS), 1.0)
    np.testing.assert_allclose(contacts.support_speeds(positions, FPS), 1.0)
    assert contacts.touching(positions).all()
    assert not contacts.foot_contacts(positions, FPS).any()
    assert contacts.sliding(positions, FPS).all()


def test_a_slow_slip_is_measured_but_is_no_slide() -> None:
    positions = moving_at([0.0, 0.0, 0.2])
    np.testing.assert_allclose(contacts.support_speeds(positions, FPS), 0.2)
    assert not contacts.sliding(positions, FPS).any()


def test_one_planted_foot_carries_a_swinging_one() -> None:
    positions = standing(40)
    swing = [FEET[k] for k in RIGHT]
    positions[:, swing, 2] += (np.arange(40) / FPS * 3)[:, None]  # 3 m/s, brushing the floor
    held = contacts.foot_contacts(positions, FPS)
    assert held[:, LEFT].all()
    assert not held[:, RIGHT].any()
    assert not contacts.sliding(positions, FPS).any()


def test_a_body_in_the_air_neither_touches_nor_slides() -> None:
    positions = moving_at([2.0, 0.0, 0.0]) + np.array([0.0, 2 * contacts.CONTACT_HEIGHT, 0.0])
    assert not contacts.foot_contacts(positions, FPS).any()
    assert not contacts.sliding(positions, FPS).any()
    assert np.isnan(contacts.support_speeds(positions, FPS)).all()
    assert contacts.touching(positions, floor=2 * contacts.CONTACT_HEIGHT).all()


def test_a_stance_counts_its_first_and_last_frame() -> None:
    positions = standing(30)
    path = np.concatenate([np.linspace(-1, 0, 11)[:-1], np.zeros(10), np.linspace(0, 1, 11)[1:]])
    positions[..., 2] += path[:, None]
    assert np.flatnonzero(contacts.foot_contacts(positions, FPS)[:, 0]).tolist() == list(range(10, 20))


def test_a_single_frame_is_judged_by_height() -> None:
    assert contacts.foot_contacts(standing(1), FPS).all()
    assert not contacts.foot_contacts(standing(1) + 1, FPS).any()


@pytest.mark.parametrize("fps", [20.0, 60.0, 119.88])
def test_contact_does_not_depend_on_the_frame_rate(fps: float) -> None:
    time_s = np.arange(int(2 * fps)) / fps
    positions = standing(len(time_s))
    positions[..., 2] += np.where(time_s < 1, 0, (time_s - 1) * 1.5)[:, None]
    assert contacts.foot_contacts(positions, fps)[:, 0].mean() == pytest.approx(0.5, abs=1.5 / fps)


def test_batches_are_clips_side_by_side() -> None:
    batch = np.stack([standing(12), moving_at([1.0, 0, 0], 12)])
    for function in (contacts.foot_contacts, contacts.support_speeds, contacts.sliding, contacts.foot_speeds):
        np.testing.assert_array_equal(function(batch, FPS), [function(clip, FPS) for clip in batch])
