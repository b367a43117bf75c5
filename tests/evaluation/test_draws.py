"""Which clips a seed draws."""

from __future__ import annotations

import numpy as np
import pytest

from mdtool.errors import MdtoolError
from mdtool.evaluation.draws import count_of_samples, note_draws, pool, walk, walk_like
from mdtool.motion.motion import Motion, MotionSet


def clips(lengths: list[int], actions: list[str], splits: list[int]) -> MotionSet:
    return MotionSet.from_clips(
        [
            Motion(np.zeros((n, 24, 6), np.float32), np.zeros((n, 3), np.float32), 30.0, action, split)
            for n, action, split in zip(lengths, actions, splits, strict=True)
        ]
    )


def test_a_walk_repeats_no_clip_before_all_were_drawn() -> None:
    indices = np.array([3, 5, 8, 13])
    short = walk(indices, 3, np.random.default_rng(0))
    assert len(set(short)) == 3
    assert set(short) <= set(indices)
    long = walk(indices, 10, np.random.default_rng(0))
    counts = [int((long == index).sum()) for index in indices]
    assert len(long) == 10
    assert sorted(counts) == [2, 2, 3, 3]


def test_a_walk_depends_on_its_generator_alone() -> None:
    indices = np.arange(50)
    first, again, other = (walk(indices, 50, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_a_labelled_walk_gives_every_place_its_label() -> None:
    labels = np.array([1, 0, 1, 1, 2])
    chosen = walk_like(labels, np.arange(10, 16), np.array([0, 0, 1, 1, 2, 2]), np.random.default_rng(0))
    of = dict(zip(range(10, 16), [0, 0, 1, 1, 2, 2], strict=True))
    assert [of[index] for index in chosen] == labels.tolist()
    assert {12, 13} <= set(chosen)  # both clips of label 1 before one of them again


def test_a_pool_holds_the_asked_actions_of_its_split() -> None:
    motions = clips([9, 9, 9, 9], ["run", "walk", "wave", "walk"], [0, 0, 0, 1])
    assert pool(motions, 0, ["walk", "wave"]).tolist() == [1, 2]
    assert pool(motions, 1, ["walk"]).tolist() == [3]
    with pytest.raises(MdtoolError, match=r"no test clip of the action 'run'.*--split train"):
        pool(motions, 1, ["walk", "run"])


def test_notes_say_how_few_clips_stand_for_many_draws() -> None:
    motions = clips([9, 100, 100], ["run", "run", "run"], [0, 0, 0])
    notes: list[str] = []
    note_draws(motions, np.array([0, 1, 2]), "train", 60, 12, notes)
    assert "3 recordings" in notes[0]
    assert "4.0 times" in notes[0]
    assert "1 shorter, with the last frame repeated" in notes[0]


def test_a_tested_file_lends_no_window_twice() -> None:
    motions = clips([60, 62, 30], ["run", "run", "run"], [0, 0, 0])
    notes: list[str] = []
    assert count_of_samples(motions, 60, 1000, notes) == 1 + 3 + 1
    assert "5 different windows" in notes[0]
    assert any("1 tested motion shorter than" in note for note in notes)
    assert count_of_samples(motions, 60, 2, []) == 2
