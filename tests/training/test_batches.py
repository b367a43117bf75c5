"""Training batches: an epoch visits every clip once, and batch k is a function of the seed and k."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mdtool.errors import MdtoolError
from mdtool.methods.contract import Batch
from mdtool.motion.motion import TEST, TRAIN, MotionSet
from mdtool.training.batches import WindowSource
from tests.motion.smooth_motion import smooth_clips

CLIPS = smooth_clips(14, tested=2)


def source(batch: int = 4, seed: int = 0, motions: MotionSet = CLIPS, split: int = TRAIN) -> WindowSource:
    return WindowSource(motions, split, 60, batch, seed)


def clips_of(batch: Batch, motions: MotionSet = CLIPS) -> list[int]:
    """Which clip each window was cut from, told by its first pelvis position."""
    rows = [int(np.flatnonzero((motions.root == path[0].numpy()).all(1))[0]) for path in batch.root]
    return [int(np.searchsorted(motions.start, row, side="right") - 1) for row in rows]


def test_an_epoch_visits_every_training_clip_once() -> None:
    windows = source()
    assert windows.batches_per_epoch == 3
    orders = []
    for epoch in range(3):
        orders.append([clip for step in range(3) for clip in clips_of(windows.batch(3 * epoch + step))])
        assert sorted(orders[-1]) == list(range(12))
    assert orders[0] != orders[1] != orders[2]


def test_what_does_not_fill_a_batch_waits_for_another_epoch() -> None:
    windows = source(batch=5)
    assert windows.batches_per_epoch == 2
    visited = [clips_of(windows.batch(step)) for step in range(40)]
    for epoch in range(20):
        assert len({*visited[2 * epoch], *visited[2 * epoch + 1]}) == 10
    assert {clip for batch in visited for clip in batch} == set(range(12))


def test_a_split_smaller_than_a_batch_is_repeated() -> None:
    batch = source(batch=8, split=TEST).batch(3)
    assert sorted(clips_of(batch)) == [12] * 4 + [13] * 4


def test_batch_k_depends_on_the_seed_and_k_alone() -> None:
    walked = source()
    in_order = [walked.batch(step) for step in range(8)]
    for step in (7, 2, 5):
        for first, second in zip(source().batch(step)[:3], in_order[step][:3], strict=True):
            assert torch.equal(first, second)
    assert not torch.equal(source(seed=1).batch(2).root, in_order[2].root)
    torch.manual_seed(0)
    np.random.seed(0)
    assert torch.equal(source().batch(2).root, in_order[2].root)


def test_crops_change_from_epoch_to_epoch() -> None:
    windows = source(batch=12)
    starts = {tuple(path[0].tolist()) for step in range(20) for path in windows.batch(step).root}
    assert len(starts) > 60


def test_labels_and_frames_belong_together() -> None:
    batch = source().batch(1)
    assert (batch.rot6d.shape, batch.root.shape, batch.action.dtype) == ((4, 60, 24, 6), (4, 60, 3), torch.int64)
    assert batch.action.tolist() == [int(CLIPS.action[clip]) for clip in clips_of(batch)]
    for k, clip in enumerate(clips_of(batch)):
        motion = CLIPS[clip]
        start = int(np.flatnonzero((motion.root == batch.root[k, 0].numpy()).all(1))[0])
        np.testing.assert_array_equal(batch.rot6d[k], motion.rot6d[start : start + 60])


def test_statistics_see_the_same_training_windows_every_time() -> None:
    first, second = source().random(50), source().random(50)
    assert torch.equal(first.rot6d, second.rot6d)
    assert set(clips_of(first)) <= set(range(12))
    assert len(set(clips_of(first))) > 8


def test_data_to_learn_nothing_from_is_refused() -> None:
    with pytest.raises(MdtoolError, match="no test clips"):
        source(motions=smooth_clips(3), split=TEST)
    unlabelled = smooth_clips(3)
    unlabelled.action[1] = -1
    with pytest.raises(MdtoolError, match="no action label"):
        source(motions=unlabelled)


def bucketed(batch: int = 4) -> WindowSource:
    """Clips of 40 to 95 frames in windows of several lengths."""
    clips = [clip.slice(0, 40 + 5 * k) for k, clip in enumerate(smooth_clips(12, frames=100))]
    return WindowSource(MotionSet.from_clips(clips), TRAIN, 80, batch, 0, labelled=False, bucket=(48, 8))


def test_clips_of_several_lengths_are_batched_by_length() -> None:
    windows = bucketed()
    lengths = sorted(windows.batch(step).root.shape[1] for step in range(3))
    assert lengths == [48, 56, 80]  # clips of 40 to 55, 60 to 75 and 80 to 95 frames
    seen = [int(clip) for step in range(3) for clip in windows.batch(step).action]
    assert len(seen) == 12
    assert {tuple(windows.batch(step).root.shape) for step in range(30)} == {(4, n, 3) for n in lengths}
    orders = {tuple(windows.batch(3 * epoch + step).root.shape[1] for step in range(3)) for epoch in range(12)}
    assert len(orders) > 2, "the order of the lengths changes from epoch to epoch"


def test_statistics_of_several_lengths_play_short_windows_slowly_and_smoothly() -> None:
    clips = smooth_clips(2, frames=100)
    for k, clip in enumerate(clips):
        step = np.arange(len(clip), dtype=np.float32)[:, None]  # a steady walk, and a steady turn of every joint
        clip.root[:] = step * [0.04, 0.0, 0.01]
        turn = 0.01 * step[:, 0]
        first = np.stack([np.cos(turn), np.sin(turn), np.zeros_like(turn)], -1)
        second = np.stack([-np.sin(turn), np.cos(turn), np.zeros_like(turn)], -1)
        clip.rot6d[:] = np.concatenate([first, second], -1)[:, None]
        assert k < 2
    motions = MotionSet.from_clips([clips[0].slice(0, 50), clips[1].slice(0, 90)])
    batch = WindowSource(motions, TRAIN, 80, 4, 0, labelled=False, bucket=(48, 8)).random(40)
    assert batch.root.shape == (40, 80, 3)
    pace = batch.root.diff(dim=1)[:, 2:-2, 0]
    for own in pace:
        slow = bool(own[0] < 0.03)
        torch.testing.assert_close(own, torch.full_like(own, 0.04 * (48 / 80 if slow else 1)), atol=1e-5, rtol=0)
    assert 5 < int((pace[:, 0] < 0.03).sum()) < 35
    turned = torch.atan2(batch.rot6d[:, :, 5, 1], batch.rot6d[:, :, 5, 0])
    torch.testing.assert_close(turned.diff(dim=1)[:, 2:-2], pace / 4, atol=1e-4, rtol=0)
    torch.testing.assert_close(batch.rot6d[..., :3].norm(dim=-1), torch.ones(40, 80, 24), atol=1e-5, rtol=0)


def test_unlabelled_clips_and_body_shapes() -> None:
    clips = smooth_clips(6)
    clips.action[:] = -1
    clips.betas = np.arange(60, dtype=np.float32).reshape(6, 10)
    batch = WindowSource(clips, TRAIN, 60, 4, 0, labelled=False).batch(0)
    assert batch.action.tolist() == [-1] * 4
    assert batch.betas is not None
    assert (batch.betas[:, 0] / 10).int().tolist() == clips_of(batch, clips)
    clips.betas[2] = np.nan  # of two genders, whose betas do not mix
    source = WindowSource(clips, TRAIN, 60, 4, 0, labelled=False)
    assert (source.shapeless, source.batch(0).betas) == (1, None)
