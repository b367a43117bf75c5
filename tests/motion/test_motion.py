"""One clip and a set of clips: what is put in comes out, and what does not fit is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mdtool.errors import MdtoolError
from mdtool.motion.kinematics import positions_of
from mdtool.motion.motion import TEST, TRAIN, Motion, MotionSet
from mdtool.motion.skeleton import STANDING_PELVIS_HEIGHT, rest_positions
from tests.motion.smooth_motion import ACTIONS, smooth_clips, smooth_motion


def clip(frames: int = 6, seed: int = 0, **given: object) -> Motion:
    return Motion(*smooth_motion(frames, seed), fps=20.0, **given)  # type: ignore[arg-type]


def test_a_motion_knows_its_length_and_its_joints() -> None:
    rot6d = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (30, 24, 1))
    root = np.tile(np.array([0.5, STANDING_PELVIS_HEIGHT, 0], np.float32), (30, 1))
    motion = Motion(rot6d, root, fps=119.88)
    assert len(motion) == 30
    assert motion.seconds == pytest.approx(30 / 119.88)
    np.testing.assert_allclose(motion.positions()[7], rest_positions() + root[7], atol=1e-6)


def test_a_slice_keeps_everything_but_the_other_frames() -> None:
    motion = clip(action="hop", split=TEST, subject="s1", name="n", text="t", betas=np.ones(10, np.float32))
    part = motion.slice(2, 5)
    np.testing.assert_array_equal(part.rot6d, motion.rot6d[2:5])
    np.testing.assert_array_equal(part.root, motion.root[2:5])
    assert replace(part, rot6d=motion.rot6d, root=motion.root) == motion


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rot6d": np.zeros((6, 22, 6))}, r"rotations must be \[frames, 24, 6\], not \[6, 22, 6\]"),
        ({"rot6d": np.zeros((24, 6))}, "rotations must be"),
        ({"root": np.zeros((5, 3))}, r"root must be \[6, 3\], not \[5, 3\]"),
        ({"fps": 0.0}, "frame rate must be above zero"),
        ({"fps": float("nan")}, "frame rate must be above zero"),
    ],
)
def test_a_motion_that_does_not_fit_is_refused(change: dict, sentence: str) -> None:
    with pytest.raises(MdtoolError, match=f"motion 'n': .*{sentence}"):
        replace(clip(name="n"), **change)


def test_clips_go_in_and_come_out() -> None:
    clips = [
        clip(5, 1, action="wave", subject="a", name="first", noise=np.arange(4, dtype=np.float32)),
        clip(9, 2, split=TEST, subject="b", noise=np.ones(4, np.float32)),
        clip(
            1,
            3,
            action="hop",
            text="hops",
            gender="male",
            betas=np.arange(10, dtype=np.float32),
            noise=np.zeros(4, np.float32),
        ),
    ]
    motions = MotionSet.from_clips(clips)
    assert motions.actions == ["hop", "wave"]
    assert motions.action.tolist() == [1, -1, 0]
    assert motions.start.tolist() == [0, 5, 14, 15]
    assert motions.lengths.tolist() == [5, 9, 1]
    assert motions.split.tolist() == [TRAIN, TEST, TRAIN]
    for given, taken in zip(clips, motions, strict=True):
        for name in ("rot6d", "root", "noise"):
            np.testing.assert_array_equal(getattr(taken, name), getattr(given, name))
        for name in ("fps", "action", "split", "subject", "name", "text", "gender"):
            assert getattr(taken, name) == getattr(given, name)
    np.testing.assert_array_equal(motions[2].betas, np.arange(10))
    assert motions[0].betas is None, "an unknown shape is not the neutral one"


def test_the_gender_that_shapes_have_in_common() -> None:
    def shaped(gender: str) -> Motion:
        return clip(gender=gender, betas=np.ones(10, np.float32))

    assert MotionSet.from_clips([shaped("male"), shaped("male")]).common_gender == "male"
    assert MotionSet.from_clips([shaped("male"), shaped("female")]).common_gender == ""
    assert MotionSet.from_clips([shaped("neutral"), clip(gender="male")]).common_gender == "neutral", "no shape, no say"
    assert MotionSet.from_clips([clip(gender="male"), clip(gender="male")]).common_gender == "male"
    assert MotionSet.from_clips([clip()]).common_gender == ""


def test_latents_are_kept_only_where_every_clip_has_one_of_the_same_shape() -> None:
    with_noise, other = clip(noise=np.ones(4, np.float32)), clip(noise=np.ones(5, np.float32))
    assert MotionSet.from_clips([with_noise, clip()]).noise is None
    assert MotionSet.from_clips([with_noise, other]).noise is None
    assert MotionSet.from_clips([with_noise, with_noise]).noise is not None


def test_indices_count_from_both_ends_and_stop() -> None:
    motions = smooth_clips(4, frames=3)
    assert motions[-1].name == motions[3].name == "clip 3"
    for index in (4, -5):
        with pytest.raises(IndexError):
            motions[index]
    assert [motion.name for motion in motions] == [f"clip {k}" for k in range(4)]


def test_labels_and_names() -> None:
    motions = smooth_clips(4, frames=3)
    assert [motions.action_name(k) for k in range(4)] == ["hop", "sway", "wave", "hop"]
    assert [motions.action_index(name) for name in ACTIONS] == [0, 1, 2]
    with pytest.raises(MdtoolError, match="unknown action 'fly': choose from hop, sway, wave"):
        motions.action_index("fly")


def test_selection_keeps_order_labels_and_history() -> None:
    motions = smooth_clips(6, frames=3)
    motions.provenance = {"seed": 1}
    chosen = motions.select(np.array([4, 1]))
    assert chosen.name == ["clip 4", "clip 1"]
    assert chosen.actions == motions.actions
    assert chosen.provenance == {"seed": 1}
    np.testing.assert_array_equal(chosen.rot6d, np.concatenate([motions[4].rot6d, motions[1].rot6d]))
    np.testing.assert_array_equal(positions_of(chosen.rot6d, chosen.root)[:7], motions[4].positions())
    with pytest.raises(MdtoolError, match="empty"):
        motions.select([])


def test_an_action_outside_the_list_is_refused() -> None:
    with pytest.raises(MdtoolError, match="unknown action 'hop': the list has sway, wave"):
        MotionSet.from_clips([clip(action="hop")], ["sway", "wave"])
    with pytest.raises(MdtoolError, match="empty"):
        MotionSet.from_clips([])
