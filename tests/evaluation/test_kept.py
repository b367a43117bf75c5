"""An evaluation that is stopped goes on with what it had, and ends with the numbers of an undisturbed one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.evaluation.kept import Kept, forget, parts_folder
from mdtool.evaluation.protocol import evaluate
from mdtool.evaluation.results import Results
from mdtool.motion.motion import MotionSet
from tests.evaluation.test_protocol import ACTIONS, Actor, RootReader, clip


@pytest.fixture(scope="module")
def recordings() -> MotionSet:
    rng = np.random.default_rng(0)
    return MotionSet.from_clips([clip(action, rng.normal()) for action in ACTIONS for _ in range(10)], ACTIONS)


class Moody(RootReader):
    """A recogniser with a random hidden state."""

    def features_and_logits(self, rot6d: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = super().features_and_logits(rot6d, root)
        return features + 0.01 * torch.randn(features.shape), logits


class Interrupted(Actor):
    """Ctrl-C comes at the third set."""

    def sample(self, actions: Sequence[int], seed: int, first: int = 0, *, progress: object = None) -> MotionSet:
        if seed == 2:
            raise KeyboardInterrupt
        return super().sample(actions, seed, first, progress=progress)


def scored(recordings: MotionSet, actor: Actor, kept: Kept | None) -> Results:
    torch.manual_seed(0)
    return evaluate(recordings, Moody(), actor, seeds=range(4), count=20, splits=[0], kept=kept)


def test_a_stopped_evaluation_goes_on(recordings: MotionSet, tmp_path: Path) -> None:
    out, whole = tmp_path / "results.json", scored(recordings, Actor(), None)
    with pytest.raises(KeyboardInterrupt):
        scored(recordings, Interrupted(), Kept(out, "key"))
    sizes = [path.stat().st_size for path in sorted(parts_folder(out).iterdir())]
    assert len(sizes) == 2
    assert sizes[1] < sizes[0] / 5, "only the motions that the card shows are kept"
    again = Actor()
    resumed = scored(recordings, again, Kept(out, "key"))
    assert {seed for seed, *_ in again.asked} == {2, 3}
    assert resumed == whole
    forget(out)
    assert not parts_folder(out).exists()


def test_parts_of_another_setup_or_a_damaged_one_are_made_again(recordings: MotionSet, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    whole = scored(recordings, Actor(), Kept(out, "key"))
    other = Actor()
    assert scored(recordings, other, Kept(out, "another")) == whole
    assert {seed for seed, *_ in other.asked} == {0, 1, 2, 3}
    damaged = min(parts_folder(out).glob("key-seed-1-*"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    again = Actor()
    assert scored(recordings, again, Kept(out, "key")) == whole
    assert {seed for seed, *_ in again.asked} == {1}
