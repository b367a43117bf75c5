"""The performer among the tracks, by hand-made cases; and the filling of gaps, by closed forms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import roma
import torch

from mdtool.data.vibe_tracks import TRACK_SHAPES, Track, choose_tracks, fill_gaps, find_performer
from mdtool.errors import MdtoolError
from mdtool.motion.rotations import axis_angle_to_matrix

X, Y = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])


def boxes(first: int, last: int, start_px: float, end_px: float | None = None) -> Track:
    """A track that goes from one place in the picture to another."""
    frames = np.arange(first, last + 1)
    place = np.linspace(start_px, start_px if end_px is None else end_px, len(frames))
    return {"frame_ids": frames, "bboxes": np.stack([place, place * 0, place * 0 + 99, place * 0 + 99], -1)}


def never() -> np.ndarray:
    """No skeleton is needed."""
    raise AssertionError("the Kinect was asked without need")


def kinect(place_px: float) -> Callable[[], np.ndarray]:
    """A skeleton at that place in the first frame."""
    return lambda: np.array([place_px, 0.0])


def test_one_track_is_taken_without_looking() -> None:
    assert choose_tracks({7: boxes(3, 9, 800)}, never) == [7]


def test_tracks_one_after_the_other_are_joined_without_looking() -> None:
    assert choose_tracks({2: boxes(10, 19, 800), 1: boxes(0, 9, 100), 3: boxes(25, 30, 400)}, never) == [1, 2, 3]


def test_the_skeleton_decides_at_the_beginning() -> None:
    tracks = {1: boxes(0, 50, 100), 2: boxes(2, 50, 480)}
    assert choose_tracks(tracks, kinect(470)) == [2]
    assert choose_tracks(tracks, kinect(120)) == [1]


def test_the_last_box_decides_later() -> None:
    tracks = {1: boxes(0, 20, 480, 300), 2: boxes(22, 60, 600), 3: boxes(24, 60, 310), 4: boxes(10, 40, 900)}
    assert choose_tracks(tracks, kinect(470)) == [1, 3]


def test_a_track_that_begins_in_the_last_frame_of_another_competes_with_it() -> None:
    assert choose_tracks({1: boxes(0, 10, 100), 2: boxes(10, 20, 480)}, kinect(480)) == [2]
    assert choose_tracks({1: boxes(0, 10, 100), 2: boxes(11, 20, 480)}, never) == [1, 2]


def test_of_two_at_the_same_distance_the_one_first_in_the_file_is_taken() -> None:
    assert choose_tracks({5: boxes(0, 9, 470), 4: boxes(0, 9, 490)}, kinect(480)) == [5]


def track(frames: np.ndarray, pose: np.ndarray | None = None) -> Track:
    """All of VIBE's keys, with numbers that are linear in time."""
    made = {
        name: (frames.reshape(-1, *[1] * len(shape)) * np.ones(shape)).astype(np.float32)
        for name, shape in TRACK_SHAPES.items()
    }
    made["frame_ids"] = frames
    made["pose"] = np.zeros((len(frames), 72), np.float32) if pose is None else pose.astype(np.float32)
    return made


def poses(*joint_vectors: np.ndarray) -> np.ndarray:
    """[n, 72]: in each frame all joints have the same rotation."""
    return np.stack([np.tile(vector, 24) for vector in joint_vectors])


def test_numbers_are_filled_linearly_and_the_rest_is_kept() -> None:
    frames = np.array([4, 5, 8, 9, 14])
    whole, filled = fill_gaps(track(frames))
    np.testing.assert_array_equal(whole["frame_ids"], np.arange(4, 15))
    assert whole["frame_ids"].dtype.kind == "i"
    np.testing.assert_array_equal(np.flatnonzero(filled) + 4, [6, 7, 10, 11, 12, 13])
    for name in ("orig_cam", "joints3d", "bboxes", "betas"):
        expected = np.broadcast_to(whole["frame_ids"].reshape(-1, *[1] * (whole[name].ndim - 1)), whole[name].shape)
        np.testing.assert_allclose(whole[name], expected, rtol=1e-6)


def test_a_track_without_gaps_stays_bit_for_bit() -> None:
    rng = np.random.default_rng(0)
    given = track(np.arange(3, 9), rng.normal(size=(6, 72)))
    whole, filled = fill_gaps(given)
    assert not filled.any()
    for name, values in given.items():
        np.testing.assert_array_equal(whole[name], values)


@pytest.mark.parametrize("gap", ["linear", "slerp"])
def test_half_way_between_two_rotations_about_one_axis_is_half_the_angle(gap: str) -> None:
    whole, _ = fill_gaps(track(np.array([0, 2]), poses(0.4 * X, 1.0 * X)), gap)  # type: ignore[arg-type]
    np.testing.assert_allclose(whole["pose"][1], np.tile(0.7 * X, 24), atol=1e-6)


def test_slerp_turns_evenly_and_the_published_blend_does_not() -> None:
    ends = poses(0 * X, 2.4 * X)
    even, blended = (fill_gaps(track(np.array([0, 4]), ends), gap)[0]["pose"] for gap in ("slerp", "linear"))
    np.testing.assert_allclose(even[1, 3:6], 0.6 * X, atol=1e-6)
    # A quarter of the way along the chord between the quaternions (1, 0) and (cos 1.2, sin 1.2).
    chord = 0.75 * np.array([1, 0]) + 0.25 * np.array([np.cos(1.2), np.sin(1.2)])
    np.testing.assert_allclose(blended[1, 3], 2 * np.arctan2(chord[1], chord[0]), rtol=1e-6)


def test_a_flip_about_pi_is_undone_at_the_root_and_by_slerp_everywhere() -> None:
    """3.0 and 3.3 about x are near; written with angles below pi they are 3.0 about x and 2.98 about -x."""
    ends = poses(3.0 * X, (3.3 - 2 * np.pi) * X)
    near = axis_angle_to_matrix(torch.tensor(3.15 * X)).expand(24, 3, 3)

    def off(gap: str) -> np.ndarray:
        pose = fill_gaps(track(np.array([0, 2]), ends), gap)[0]["pose"][1]  # type: ignore[arg-type]
        turned = axis_angle_to_matrix(torch.from_numpy(pose).double().reshape(24, 3))
        return roma.rotmat_geodesic_distance(turned, near).numpy()

    assert off("slerp").max() < 1e-3
    assert off("linear")[0] < 0.2  # the inverse of the end: 2.98 about x
    assert off("linear")[1:].min() > 2  # the published files have this fault


def test_the_root_is_not_inverted_without_need() -> None:
    whole, _ = fill_gaps(track(np.array([0, 2]), poses(0.2 * Y, 0.6 * Y)))
    np.testing.assert_allclose(whole["pose"][1, :3], 0.4 * Y, atol=1e-6)


def test_a_performer_of_two_tracks_is_joined_across_the_gap() -> None:
    performer = find_performer("v", {1: track(np.arange(2, 6)), 9: track(np.arange(8, 12))}, never)
    whole, filled = performer.joined()
    assert (performer.keys, performer.first_frame, performer.frames, performer.found) == ((1, 9), 2, 10, 8)
    assert filled.sum() == 2
    np.testing.assert_allclose(whole["orig_cam"][:, 0], np.arange(2, 12))


def test_what_only_some_tracks_have_is_left_out() -> None:
    second = track(np.arange(8, 12))
    del second["betas"]
    performer = find_performer("v", {1: track(np.arange(6)), 2: second | {"joints2d": None}}, never)
    assert performer.joined()[0].keys() == TRACK_SHAPES.keys() - {"betas"}


# --- bad input ---------------------------------------------------------------------------------------------


def broken(**changes: object) -> dict:
    """A video of one track, changed."""
    return {3: {**track(np.arange(5)), **changes}}


@pytest.mark.parametrize(
    ("tracks", "message"),
    [
        ({}, "no person"),
        (None, "no person"),
        ([track(np.arange(5))], "no person"),
        ({1: 5}, "track 1.*int"),
        (broken(pose=None), "track 3.*'pose'"),
        (broken(pose=np.zeros((5, 24, 3))), r"'pose' must be \[frames, 72\], not \[5, 24, 3\]"),
        (broken(joints3d=np.zeros((5, 24, 3))), r"'joints3d' must be \[frames, 49, 3\]"),
        (broken(orig_cam=np.zeros((4, 4))), "'orig_cam' has 4 frames, 'frame_ids' has 5"),
        (broken(bboxes=np.full((5, 4), np.nan)), "'bboxes' holds NaN"),
        (broken(pose=np.zeros((5, 72), dtype=object)), "no numbers for 'pose'"),
        (broken(frame_ids=np.array([0, 1, 1, 2, 3])), "increasing"),
        (broken(frame_ids=np.array([3, 2, 4, 5, 6])), "increasing"),
        (broken(frame_ids=np.array([-1, 0, 1, 2, 3])), "0 or more"),
        (broken(frame_ids=np.array([0, 1, 2, 3, 10**12])), "span"),
        ({1: {name: np.zeros((0, *shape)) for name, shape in TRACK_SHAPES.items()}}, "0 frames"),
    ],
)
def test_tracks_that_cannot_be_used_are_refused(tracks: object, message: str) -> None:
    with pytest.raises(MdtoolError, match=f"^video-7.*{message}"):
        find_performer("video-7", tracks, never)
