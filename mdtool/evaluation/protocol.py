"""The action-to-motion protocol: motions under test beside recordings, through the eyes of a recogniser.

For every seed and split, as in MDM's and ACTOR's evaluation: draw `count` recordings, cut each to a random window,
ask the generator for motions of the same actions, and compare the two sets. Two independent draws of recordings are
compared in the same way: that is the real row, and its FID the floor. Under rules that are not by action, labels play
no part: recordings of any action, or of none, are drawn alike. Unlike in the reference, a seed's draws depend
on that seed alone, sets have exactly `count` members, and actions that do not occur do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mdtool.errors import MdtoolError
from mdtool.evaluation import distribution
from mdtool.evaluation.draws import count_of_samples, note_draws, pool, walk, walk_like
from mdtool.evaluation.extrapolation import Extrapolation, fids_for_infinity
from mdtool.evaluation.judge import Generator, Judge, Recogniser, Scored, as_motions
from mdtool.evaluation.kept import Kept
from mdtool.evaluation.physical import Card, card
from mdtool.evaluation.results import Results, Spread
from mdtool.evaluation.rules import OURS, Rules
from mdtool.methods.generate import require_memory
from mdtool.motion.motion import SPLITS, TEST, TRAIN, MotionSet
from mdtool.wording import counted

FEWEST = 5
"""Motions per set that every score needs (precision looks at third neighbours)."""


def evaluate(
    recordings: MotionSet,
    recogniser: Recogniser,
    tested: Generator | MotionSet | None = None,
    seeds: Sequence[int] = tuple(range(20)),
    count: int = 1000,
    splits: Sequence[int] = (TRAIN, TEST),
    progress: Callable[[float], None] | None = None,
    rules: Rules = OURS,
    fid_infinity: bool = False,
    kept: Kept | None = None,
) -> Results:
    """Run the protocol.

    Args:
        recordings: real motion with its train and test splits.
        tested: a generator, or a set of motions made elsewhere, or None for the recordings alone. The actions asked of
            a generator are those of the recordings drawn; for a set, recordings of its own actions are drawn.
        count: motions per set and seed; fewer when a tested set does not have as many different windows.
        splits: whose recordings are compared with, and whose actions are asked for.
        progress: told the share of the work that is done.
        rules: how pairs are drawn and what multimodality is divided by; `published.evaluate_by` sets the rest.
        fid_infinity: also extend FID to infinitely many motions, from the features of all seeds.
        kept: where the scored samples of a generator are kept, set by set, and taken from when they are there.

    Raises:
        MdtoolError: sets that do not go together (frame rates, lengths, actions), or too few motions.
    """
    notes: list[str] = []
    actions = _common_actions(recordings, recogniser, tested, notes) if rules.by_action else []
    _check_windows(recordings, recogniser, tested)
    if isinstance(tested, MotionSet):
        count = count_of_samples(tested, recogniser.frames, count, notes)
    if count < FEWEST or not len(seeds):
        raise MdtoolError(
            f"an evaluation needs at least one seed and {FEWEST} motions per set, here {count}: "
            "ask for more with --count, or sample more"
        )
    require_memory(count, recogniser.frames)
    pools = {split: pool(recordings, split, actions if rules.by_action else None) for split in splits}
    for split, clips in pools.items():
        note_draws(recordings, clips, SPLITS[split], recogniser.frames, count, notes)

    draws = len(splits) * (1 + len(seeds) * (1 if tested is None else 2))
    judge = Judge(recogniser, draws * count, progress)
    tally = _Tally(rules)
    exhibits: list[tuple[MotionSet, MotionSet]] = []
    features: dict[int, list[np.ndarray]] = {split: [] for split in splits}
    made_features: dict[int, list[np.ndarray]] = {split: [] for split in splits}
    streams = {seed: np.random.RandomState(seed) for seed in seeds}
    for split, clips in pools.items():
        name = SPLITS[split]
        rng = np.random.default_rng([seeds[0], split, 1])
        before = judge.look(recordings, _draw(recordings, clips, tested, count, rng, rules)[0], rng)
        for seed in seeds:
            rng = np.random.default_rng([seed, split])
            pairs_rng = streams[seed] if rules.published else np.random.RandomState([seed, split])
            chosen, samples = _draw(recordings, clips, tested, count, rng, rules)
            real = judge.look(recordings, chosen, rng)
            if tested is not None:
                if isinstance(tested, MotionSet):
                    made = judge.look(tested, samples, rng)
                else:
                    made = judge.look_at_samples(tested, real.labels, seed, split * count, kept, seed == seeds[0])
                tally.add(f"gen_{name}", made, real, pairs_rng)
                made_features[split].append(made.features)
            tally.add(f"real_{name}", real, before, pairs_rng)
            if seed == seeds[0]:
                shown = real if tested is None else made
                exhibits.append((as_motions(shown, recogniser), as_motions(real, recogniser)))
            features[split].append(real.features)
            before = real
    if TRAIN in features and TEST in features:
        pairs = list(zip(features[TRAIN], features[TEST], strict=True))
        tally.scores["fid_train_test"] = [distribution.fid(train, test) for train, test in pairs]
        tally.scores["nearest_test_train"] = [distribution.nearest(test, train) for train, test in pairs]
    fits: dict[str, Extrapolation] = {}
    if fid_infinity:
        for split in splits:
            fits |= fids_for_infinity(SPLITS[split], made_features[split], features[split])
    return Results(
        card=_card_of_draws(exhibits, tested is None, [SPLITS[split] for split in splits]),
        actions=list(recogniser.actions),
        seeds=[int(seed) for seed in seeds],
        count=count,
        splits=[SPLITS[split] for split in splits],
        frames=recogniser.frames,
        fps=float(recogniser.fps),
        recogniser_sha256=recogniser.sha256,
        scores={name: Spread(tuple(values)) for name, values in tally.scores.items()},
        confusion={name: counts.tolist() for name, counts in tally.confusion.items()},
        notes=notes,
        protocol=rules.title,
        extrapolation=fits,
    )


def evaluate_card(recordings: MotionSet, tested: MotionSet | None = None) -> Results:
    """The physical card alone, of whole clips, without a recogniser.

    A tested set stands beside the train recordings; recordings by themselves, the test split beside the train split.

    Raises:
        MdtoolError: the sets differ in frame rate.
    """
    parts = [np.flatnonzero(recordings.split == split) for split in (TRAIN, TEST)]
    train, test = (recordings.select(part) if len(part) else None for part in parts)
    if tested is not None:
        return Results(card=card(tested, train or recordings))
    if train is None or test is None:
        return Results(card=card(recordings))
    return Results(card=card(test, train, names=(SPLITS[TEST], SPLITS[TRAIN])))


class _Tally:
    """Scores and confusion counts as they come in, seed after seed."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.scores: dict[str, list[float]] = {}
        self.confusion: dict[str, np.ndarray] = {}

    def add(self, name: str, tested: Scored, reference: Scored, rng: np.random.RandomState) -> None:
        """Score a draw against another of the same split; `name` is WHO_SPLIT."""
        pairs = distribution.draw_pairs(len(tested.labels), rng)
        precision, recall = distribution.precision_recall(tested.features, reference.features)
        values = {
            "fid": distribution.fid(tested.features, reference.features),
            "kid": distribution.polynomial_mmd(tested.features, reference.features),
            "diversity": distribution.diversity(tested.features, pairs),
            "precision": precision,
            "recall": recall,
            "nearest": distribution.nearest(tested.features, reference.features),
        }
        if self.rules.by_action:
            confusion = distribution.confusion_matrix(tested.logits, tested.labels)
            self.confusion[name] = self.confusion.get(name, np.zeros_like(confusion)) + confusion
            action_pairs = distribution.draw_action_pairs(tested.labels, rng)
            divisor = distribution.PAIRS_PER_ACTION * tested.logits.shape[1] if self.rules.published else None
            values["accuracy"] = distribution.accuracy(confusion)
            values["multimodality"] = distribution.multimodality(tested.features, action_pairs, divisor)
        for metric, value in values.items():
            self.scores.setdefault(f"{metric}_{name}", []).append(value)


def _draw(
    recordings: MotionSet,
    clips: np.ndarray,
    tested: Generator | MotionSet | None,
    count: int,
    rng: np.random.Generator,
    rules: Rules,
) -> tuple[np.ndarray, np.ndarray]:
    """Recordings of one set, and those motions of a tested set that they are drawn for (none for a generator)."""
    if not isinstance(tested, MotionSet):
        return walk(clips, count, rng), np.empty(0, dtype=np.int64)
    samples = walk(np.arange(len(tested)), count, rng)
    if not rules.by_action:
        return walk(clips, count, rng), samples
    labels = np.array([recordings.actions.index(tested.action_name(int(clip))) for clip in samples])
    return walk_like(labels, clips, recordings.action[clips], rng), samples


def _common_actions(
    recordings: MotionSet, recogniser: Recogniser, tested: Generator | MotionSet | None, notes: list[str]
) -> list[str]:
    """Names of the actions that the evaluation is about."""
    names = [recordings.actions[label] for label in np.unique(recordings.action[recordings.action >= 0])]
    unlabelled = int((recordings.action < 0).sum())
    if unlabelled:
        notes.append(f"left out: {counted(unlabelled, 'recording')} without an action")
    if isinstance(tested, MotionSet):
        if (tested.action < 0).any():
            raise MdtoolError(
                f"motion {int(np.argmax(tested.action < 0))} of the tested file has no action: "
                "only labelled motions can be scored"
            )
        made = [tested.actions[label] for label in np.unique(tested.action)]
        absent = [name for name in made if name not in names]
        if absent:
            raise MdtoolError(f"the recordings have no clip of the tested action {absent[0]!r}: give other --data")
        names = made
    elif tested is not None:
        absent = [name for name in names if name not in tested.actions]
        names = [name for name in names if name in tested.actions]
        if absent:
            notes.append(f"the run was not trained on {', '.join(absent)}: left out of the recordings too")
    unknown = [name for name in names if name not in recogniser.actions]
    if unknown or not names:
        raise MdtoolError(
            f"the recogniser does not know the action {unknown[0]!r}: train one on these recordings"
            if unknown
            else "the recordings and the tested motions have no action in common: give other --data"
        )
    return names


def _check_windows(recordings: MotionSet, recogniser: Recogniser, tested: Generator | MotionSet | None) -> None:
    """Refuse frame rates and lengths that the recogniser was not trained for."""
    rates = {"recordings": recordings.fps}
    if tested is not None:
        rates["tested motions"] = np.atleast_1d(tested.fps)
    for who, fps in rates.items():
        wrong = fps[np.abs(fps - recogniser.fps) > 1e-3 * recogniser.fps]
        if len(wrong):
            raise MdtoolError(
                f"the {who} have {wrong[0]:g} fps and the recogniser was trained at {recogniser.fps:g}: "
                f"preprocess with --fps {recogniser.fps:g}, or train another recogniser"
            )
    if tested is not None and not isinstance(tested, MotionSet) and tested.frames < recogniser.frames:
        raise MdtoolError(
            f"the run makes {tested.frames} frames and the recogniser looks at {recogniser.frames}: "
            f"train a recogniser with --set model.frames={tested.frames}"
        )


def _card_of_draws(exhibits: list[tuple[MotionSet, MotionSet]], only_recordings: bool, splits: list[str]) -> Card:
    """The card of the first seed's windows: (shown, real) of every split."""
    if not only_recordings:
        return card(*exhibits[0])
    if len(exhibits) == 1:
        return card(exhibits[0][1])
    return card(exhibits[1][1], exhibits[0][1], names=(splits[1], splits[0]))
