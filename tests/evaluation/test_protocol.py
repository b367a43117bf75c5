"""The protocol with a recogniser and generators whose behaviour is known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.errors import MdtoolError
from mdtool.evaluation.protocol import evaluate, evaluate_card
from mdtool.evaluation.rules import UNCONDITIONAL
from mdtool.motion.motion import Motion, MotionSet

FRAMES, FPS = 20, 30.0
ACTIONS = ["lift", "walk", "wave"]


def clip(action: str, value: float, frames: int = 40, split: int = 0, fps: float = FPS) -> Motion:
    """A motion whose root tells its action (x) and a random trait (z), and whose joints turn a little."""
    rot6d = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (frames, 24, 1))
    rot6d[:, :, 1] = 0.1 * np.sin(np.arange(frames))[:, None]
    root = np.zeros((frames, 3), np.float32)
    root[:, 0], root[:, 1], root[:, 2] = ACTIONS.index(action), 1.0, value
    return Motion(rot6d, root, fps, action, split)


@pytest.fixture(scope="module")
def recordings() -> MotionSet:
    rng = np.random.default_rng(0)
    clips = [clip(action, rng.normal(), split=split) for split in (0, 1) for action in ACTIONS for _ in range(40)]
    clips += [clip("wave", rng.normal()) for _ in range(40)]  # train has twice as many waves
    return MotionSet.from_clips(clips, ACTIONS)


class RootReader:
    """Features (trait, its square) and the action, read off the root; what it calls actions has an order of its own."""

    def __init__(self) -> None:
        self.actions = ["wave", "lift", "other", "walk"]
        self.frames, self.fps, self.sha256 = FRAMES, FPS, "c0ffee" * 10
        self.windows: list[int] = []

    def features_and_logits(self, rot6d: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
        assert rot6d.shape[1:] == (FRAMES, 24, 6)
        self.windows.append(len(rot6d))
        action, trait = root[:, 0, 0].round().long(), root[:, 0, 2]
        names = torch.tensor([self.actions.index(name) for name in ACTIONS])
        return torch.stack([trait, trait**2], dim=1), torch.eye(len(self.actions))[names[action]]


class Actor:
    """A generator that obeys a label as often as it is told and draws its trait as recordings do, plus a shift."""

    def __init__(self, shift: float = 0.0, obeys: bool = True, frames: int = FRAMES) -> None:
        self.actions, self.frames, self.fps = ["walk", "lift", "wave"], frames, FPS
        self.shift, self.obeys = shift, obeys
        self.asked: list[tuple[int, int, str]] = []

    def sample(self, actions: Sequence[int], seed: int, first: int = 0, *, progress: object = None) -> MotionSet:
        clips = []
        for index, label in enumerate(actions, start=first):
            trait = np.random.default_rng([seed, index]).normal() + self.shift
            self.asked.append((seed, index, self.actions[label]))
            clips.append(clip(self.actions[label if self.obeys else 0], trait, self.frames))
        return MotionSet.from_clips(clips, ACTIONS)


def test_a_faithful_generator_scores_as_recordings_do(recordings: MotionSet) -> None:
    results = evaluate(recordings, RootReader(), Actor(), seeds=range(6), count=200)
    for split in ("train", "test"):
        for metric in ("diversity", "multimodality", "precision", "recall"):
            made, real = results.score(metric, "gen", split), results.score(metric, "real", split)
            assert made is not None
            assert real is not None
            assert made.mean == pytest.approx(real.mean, rel=0.25)
        accuracy = results.score("accuracy", "gen", split)
        assert accuracy is not None
        assert accuracy.values == (1.0,) * 6
    assert results.scores["nearest_test_train"].mean > results.scores["nearest_real_train"].mean
    # 240 recordings show one distribution, but each split is a finite sample of it: copies of one are not the other.
    assert results.scores["fid_train_test"].mean > results.scores["fid_real_train"].mean


def test_a_shift_of_features_is_the_fid(recordings: MotionSet) -> None:
    plain = evaluate(recordings, RootReader(), Actor(), seeds=[0], count=400, splits=[0])
    moved = evaluate(recordings, RootReader(), Actor(shift=5.0), seeds=[0], count=400, splits=[0])
    # The trait moves by 5 and its square by 25 on average; the square's spread grows from √2 to √(2 + 100).
    expected = 25 + 25**2 + (np.sqrt(102) - np.sqrt(2)) ** 2
    assert moved.scores["fid_gen_train"].mean == pytest.approx(expected, rel=0.1)
    assert plain.scores["fid_gen_train"].mean < 1
    assert moved.scores["precision_gen_train"].mean < 0.1
    assert moved.scores["kid_gen_train"].mean > 100 * abs(plain.scores["kid_gen_train"].mean)
    assert moved.scores["fid_real_train"] == plain.scores["fid_real_train"]


def test_a_generator_that_ignores_its_label_is_caught_by_accuracy_and_confusion(recordings: MotionSet) -> None:
    results = evaluate(recordings, RootReader(), Actor(obeys=False), seeds=[0, 1], count=160, splits=[0])
    # It always walks, and a quarter of the train recordings walk.
    assert results.scores["accuracy_gen_train"].mean == pytest.approx(0.25)
    confusion = np.array(results.confusion["gen_train"])
    walk, wave = results.actions.index("walk"), results.actions.index("wave")
    assert confusion.sum() == 2 * 160
    assert confusion[:, walk].sum() == 2 * 160
    assert confusion[wave].sum() == 160  # half of what is asked are waves, as in the recordings
    assert np.trace(np.array(results.confusion["real_train"])) == 2 * 160


def test_labels_follow_the_recordings_and_samples_are_numbered_once(recordings: MotionSet) -> None:
    actor = Actor()
    evaluate(recordings, RootReader(), actor, seeds=[4], count=160)
    assert [index for _, index, _ in actor.asked] == list(range(320))  # 160 for train, 160 for test
    train = [name for _, index, name in actor.asked if index < 160]
    assert [train.count(name) for name in ACTIONS] == [40, 40, 80]
    test = [name for _, index, name in actor.asked if index >= 160]
    assert max(test.count(name) for name in ACTIONS) - min(test.count(name) for name in ACTIONS) <= 40


def test_a_seed_draws_the_same_whatever_seeds_run_beside_it(recordings: MotionSet) -> None:
    alone = evaluate(recordings, RootReader(), Actor(), seeds=[3], count=50)
    among = evaluate(recordings, RootReader(), Actor(), seeds=[1, 3], count=50)
    for name in ("fid_gen_train", "fid_gen_test", "diversity_gen_test", "multimodality_real_train", "fid_train_test"):
        assert among.scores[name].values[1] == alone.scores[name].values[0]
        assert among.scores[name].values[0] != alone.scores[name].values[0]


def test_sets_have_exactly_the_asked_size_and_progress_ends_at_one(recordings: MotionSet) -> None:
    judge, told = RootReader(), []
    results = evaluate(recordings, judge, Actor(), seeds=[0, 1], count=130, progress=told.append)
    assert results.count == 130
    assert sum(judge.windows) == 2 * (1 + 2 * 2) * 130
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_recordings_alone_give_the_real_rows_and_the_card_of_test_beside_train(recordings: MotionSet) -> None:
    results = evaluate(recordings, RootReader(), None, seeds=[0, 1], count=60)
    assert not [name for name in results.scores if "_gen_" in name]
    assert results.scores["accuracy_real_test"].mean == 1.0
    assert results.card.names == ("test", "train")
    one = evaluate(recordings, RootReader(), None, seeds=[0], count=60, splits=[1])
    assert one.card.reference_clips == 0


def test_a_file_of_samples_is_scored_against_recordings_of_its_own_actions(recordings: MotionSet) -> None:
    samples = Actor().sample([0] * 30 + [2] * 10, seed=0)
    results = evaluate(recordings, RootReader(), samples, seeds=[0, 1], count=1000)
    assert results.count == 40
    assert any("40 different windows" in note for note in results.notes)
    for name in ("gen_train", "real_train", "real_test"):
        asked = np.array(results.confusion[name]).sum(1)
        assert dict(zip(results.actions, asked.tolist(), strict=True)) == {
            "wave": 20,
            "lift": 0,
            "other": 0,
            "walk": 60,
        }
    # Every sample is in every set, so seeds differ in the recordings only.
    accuracy = results.scores["accuracy_gen_train"]
    assert accuracy.values == (1.0, 1.0)


def test_the_card_stands_beside_recordings_of_the_same_labels(recordings: MotionSet) -> None:
    results = evaluate(recordings, RootReader(), Actor(), seeds=[0], count=40, splits=[0])
    assert results.card.clips == results.card.reference_clips == 40
    assert {row.action for row in results.card.actions} == set(ACTIONS)
    energies = [row.ratio for row in results.card.actions if row.metric == "motion energy"]
    assert energies == pytest.approx([1.0] * 3, rel=0.2)  # every joint turns alike in samples and recordings


def test_a_card_needs_no_recogniser(recordings: MotionSet) -> None:
    own = evaluate_card(recordings)
    assert own.card.names == ("test", "train")
    assert (own.card.clips, own.card.reference_clips) == (120, 160)
    beside = evaluate_card(recordings, Actor().sample([0, 1], seed=0))
    assert (beside.card.clips, beside.card.reference_clips) == (2, 160)
    assert beside.scores == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recogniser": {"fps": 20.0}}, "recordings have 30 fps.*trained at 20.*--fps 20"),
        ({"recogniser": {"actions": ["lift", "walk"]}}, "does not know the action 'wave'"),
        ({"generator": {"actions": ["fly"]}}, "no action in common"),
        ({"generator": {"fps": 60.0}}, "tested motions have 60 fps"),
        ({"generator": {"frames": 12}}, "makes 12 frames and the recogniser looks at 20"),
        ({"count": 4}, "at least one seed and 5 motions"),
        ({"seeds": []}, "at least one seed"),
    ],
)
def test_sets_that_do_not_go_together_are_refused(recordings: MotionSet, change: dict, message: str) -> None:
    judge, actor = RootReader(), Actor()
    for key, value in change.pop("recogniser", {}).items():
        setattr(judge, key, value)
    for key, value in change.pop("generator", {}).items():
        setattr(actor, key, value)
    with pytest.raises(MdtoolError, match=message):
        evaluate(recordings, judge, actor, **{"seeds": [0], "count": 10, **change})


def test_samples_without_action_or_of_a_foreign_one_are_refused(recordings: MotionSet) -> None:
    samples = Actor().sample([0] * 6, seed=0)
    samples.action[2] = -1
    with pytest.raises(MdtoolError, match="motion 2 of the tested file has no action"):
        evaluate(recordings, RootReader(), samples, seeds=[0], count=5)
    foreign = Actor().sample([0] * 6, seed=0)
    foreign.actions = ["lift", "swim", "wave"]
    with pytest.raises(MdtoolError, match="no clip of the tested action 'swim'"):
        evaluate(recordings, RootReader(), foreign, seeds=[0], count=5)


def test_unlabelled_recordings_and_untrained_actions_are_left_out_and_told(recordings: MotionSet) -> None:
    some = recordings.select(range(len(recordings)))
    some.action[:3] = -1
    actor = Actor()
    actor.actions = ["walk", "wave"]
    results = evaluate(some, RootReader(), actor, seeds=[0], count=20, splits=[0])
    assert any("3 recordings without an action" in note for note in results.notes)
    assert any("not trained on lift" in note for note in results.notes)
    assert np.array(results.confusion["real_train"])[results.actions.index("lift")].sum() == 0


def test_without_actions_all_recordings_are_one_set(recordings: MotionSet) -> None:
    """Labels play no part: unlabelled clips are drawn, and a generator that ignores labels is as good as another."""
    unlabelled = MotionSet.from_clips([replace(motion, action="") for motion in recordings])
    plain = evaluate(unlabelled, RootReader(), Actor(obeys=False), seeds=range(3), count=200, rules=UNCONDITIONAL)
    names = {name.removesuffix("_gen_train") for name in plain.scores if name.endswith("_gen_train")}
    assert names == {"fid", "kid", "diversity", "precision", "recall", "nearest"}
    assert not plain.confusion
    made, floor, shifted = (
        plain.score("fid", "gen", "train"),
        plain.score("fid", "real", "train"),
        evaluate(
            unlabelled, RootReader(), Actor(shift=1.0), seeds=range(3), count=200, rules=UNCONDITIONAL
        ).score("fid", "gen", "train"),
    )  # fmt: skip
    assert made is not None
    assert floor is not None
    assert shifted is not None
    assert made.mean < 0.3 > floor.mean
    assert shifted.mean > 1
    files = evaluate(unlabelled, RootReader(), unlabelled, seeds=[0], count=200, rules=UNCONDITIONAL)
    assert files.ranking_key[0] == plain.ranking_key[0] == "unconditional 1"
    with pytest.raises(MdtoolError, match="no test clip"):
        evaluate(unlabelled.select(np.flatnonzero(unlabelled.split == 0)), RootReader(), rules=UNCONDITIONAL, count=9)
