"""Windows: every start equally often, never beyond the clip, short clips hold their last frame."""

from __future__ import annotations

import numpy as np

from mdtool.data.windows import draw_windows, window_frames
from tests.motion.smooth_motion import smooth_clips


def test_every_start_is_drawn_equally_often() -> None:
    uniforms = (np.arange(11 * 50) + 0.5) / (11 * 50)
    frames = window_frames(np.full(len(uniforms), 70), 60, uniforms)
    starts, counts = np.unique(frames[:, 0], return_counts=True)
    assert starts.tolist() == list(range(11))
    assert counts.tolist() == [50] * 11
    np.testing.assert_array_equal(np.diff(frames), 1)


def test_ends_of_the_range() -> None:
    first, last = window_frames(np.array([70, 70]), 60, np.array([0.0, np.nextafter(1, 0)]))
    assert (first[0], first[-1]) == (0, 59)
    assert (last[0], last[-1]) == (10, 69)


def test_a_short_clip_holds_its_last_frame() -> None:
    frames = window_frames(np.array([1, 3, 5]), 5, np.array([0.99, 0.99, 0.99]))
    assert frames.tolist() == [[0, 0, 0, 0, 0], [0, 1, 2, 2, 2], [0, 1, 2, 3, 4]]


def test_windows_are_rows_of_their_own_clip() -> None:
    motions = smooth_clips(3)
    clips = np.array([2, 0, 1, 2])
    rot6d, root = draw_windows(motions, clips, 60, np.random.default_rng(0))
    assert rot6d.shape == (4, 60, 24, 6)
    for window, path, clip in zip(rot6d, root, clips, strict=True):
        motion = motions[int(clip)]
        (start,) = [k for k in range(len(motion)) if np.array_equal(motion.root[k], path[0])]
        np.testing.assert_array_equal(window, motion.rot6d[start : start + 60])
        np.testing.assert_array_equal(path, motion.root[start : start + 60])


def test_the_same_generator_gives_the_same_windows() -> None:
    motions = smooth_clips(3)
    first, second, other = (draw_windows(motions, [0, 1, 2], 60, np.random.default_rng(seed))[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
