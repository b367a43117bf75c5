"""Gathering readings: splits, resampling, counts, failures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mdtool.data.gather import Clip, Note, Reading, Skipped, gather
from mdtool.errors import MdtoolError
from mdtool.motion.motion import TEST, TRAIN, Motion


def _clip(action: str, split: int | None = None, fps: float = 30.0) -> Clip:
    rot6d = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (31, 24, 1))
    motion = Motion(rot6d, np.zeros((31, 3), np.float32), fps, action=action, split=split or TRAIN)
    return Clip(motion, has_split=split is not None)


def _splits(readings: list[Reading], **options) -> list[int]:
    return [clip.split for clip in gather(readings, **options).clips]


def test_every_fifth_clip_of_each_action_is_for_testing() -> None:
    readings: list[Reading] = [_clip(action) for _ in range(10) for action in ("walk", "run")]
    splits = np.array(_splits(readings)).reshape(10, 2)
    assert splits.T.tolist() == [[0, 0, 0, 0, 1, 0, 0, 0, 0, 1]] * 2


@pytest.mark.parametrize(("fraction", "tests"), [(0.0, 0), (0.1, 10), (0.25, 25), (1 / 3, 33), (0.7, 70), (1.0, 100)])
def test_the_fraction_is_met_and_spread_evenly(fraction: float, tests: int) -> None:
    splits = np.array(_splits([_clip("walk")] * 100, test_fraction=fraction))
    assert splits.sum() == tests
    assert np.abs(splits.cumsum() - fraction * np.arange(1, 101)).max() < 1 + 1e-9


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("auto", [TEST, TRAIN, TRAIN, TEST]),
        ("fraction", [TRAIN, TEST, TRAIN, TEST]),
        ("train", [TRAIN] * 4),
        ("test", [TEST] * 4),
    ],
)
def test_split_rules(rule: str, expected: list[int]) -> None:
    readings: list[Reading] = [_clip("walk", TEST), _clip("walk", TRAIN), _clip("walk"), _clip("walk")]
    assert _splits(readings, split=rule, test_fraction=0.5) == expected


def test_resampling_keeps_the_count_of_what_was_read() -> None:
    result = gather([_clip("walk"), _clip("run", fps=60.0)], fps=20.0)
    assert [(clip.fps, len(clip)) for clip in result.clips] == [(20.0, 21), (20.0, 11)]
    assert result.source_frames == 62
    assert [clip.fps for clip in gather([_clip("walk"), _clip("run", fps=60.0)]).clips] == [30.0, 60.0]


def test_every_reading_is_shown_and_failures_do_not_stop_the_batch() -> None:
    shown: list[Reading] = []
    readings: list[Reading] = [Note("labels"), Skipped("a.bvh", "line 3: bad"), _clip("walk")]
    show: Callable[[Reading], None] = shown.append
    result = gather(readings, on_reading=show)
    assert shown == readings
    assert (len(result.clips), result.skipped) == (1, [Skipped("a.bvh", "line 3: bad")])


def test_nothing_read_is_an_error_with_the_reason() -> None:
    with pytest.raises(MdtoolError, match=r"^a\.bvh: line 3: bad$"):
        gather([Skipped("a.bvh", "line 3: bad")])
    with pytest.raises(
        MdtoolError, match=r"none of the 2 recordings could be used; the first, a\.bvh: line 3"
    ) as caught:
        gather([Skipped("a.bvh", "line 3 " + "word " * 100), Skipped("b.bvh", "bad")])
    assert len(str(caught.value)) < 250
    with pytest.raises(MdtoolError, match="no recording found"):
        gather([Note("labels")])


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_impossible_fractions(fraction: float) -> None:
    with pytest.raises(MdtoolError, match=r"must lie in 0\.\.1"):
        gather([_clip("walk")], test_fraction=fraction)


def test_clips_are_read_with_one_thread_and_the_setting_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: list[int] = []
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    monkeypatch.setattr("torch.set_num_threads", settings.append)
    gather([_clip("walk")])
    with pytest.raises(MdtoolError):
        gather([_clip("walk")], fps=-1)
    assert settings == [1, 3, 1, 3]
