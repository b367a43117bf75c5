"""An evaluation by the rules of a published protocol, and its row of the published tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mdtool.errors import MdtoolError
from mdtool.evaluation.judge import Generator, Recogniser
from mdtool.evaluation.kept import Kept
from mdtool.evaluation.protocol import evaluate
from mdtool.evaluation.results import Results, Spread
from mdtool.evaluation.rules import Rules
from mdtool.methods.generate import Generator as MethodGenerator
from mdtool.motion.motion import SPLITS, TEST, TRAIN, MotionSet

WHOLE = "all"
"""The split of recordings that have none (HumanAct12): the published keys gen and gt2 are gen_all and real_all here."""


def evaluate_by(
    rules: Rules,
    recordings: MotionSet,
    recogniser: Recogniser,
    tested: Generator | MotionSet | None = None,
    seeds: Sequence[int] | None = None,
    count: int | None = None,
    splits: Sequence[int] = (TRAIN, TEST),
    progress: Callable[[float], None] | None = None,
    fid_infinity: bool = False,
    kept: Kept | None = None,
) -> Results:
    """Run a protocol with its own seeds and counts; whatever is given instead is noted as a departure.

    A published protocol takes recordings without a test split as one set, named "all".

    Args:
        seeds, count: the protocol's own when not given.
        recordings, recogniser, tested, splits, progress, fid_infinity, kept: as for `protocol.evaluate`.

    Raises:
        MdtoolError: as `protocol.evaluate`.
    """
    own_seeds = seeds is None or tuple(seeds) == rules.seeds
    departures = []
    if rules.published and not own_seeds:
        departures.append(f"{len(seeds or ())} seeds instead of {len(rules.seeds)}")
    if rules.published and count not in (None, rules.count):
        departures.append(f"{count} motions per set instead of {rules.count}")
    count = rules.count if count is None else count
    whole = rules.published and tuple(splits) == (TRAIN, TEST) and len(np.unique(recordings.split)) == 1
    if whole:
        recordings = replace(recordings, split=np.full(len(recordings), TRAIN, dtype=np.uint8))
        splits = (TRAIN,)
    notes = []
    if rules.no_clip_twice:
        labelled = recordings.action >= 0
        smallest = min(int((labelled & (recordings.split == split)).sum()) for split in splits)
        if smallest < count:
            notes.append(f"sets of {smallest} instead of {count}: all recordings of the smallest split, none twice")
            count = smallest
    results = evaluate(
        recordings,
        recogniser,
        tested,
        rules.seeds if seeds is None else seeds,
        count,
        splits,
        progress,
        rules=rules,
        fid_infinity=fid_infinity,
        kept=kept,
    )
    results = replace(results, notes=[*notes, *results.notes], departures=departures)
    return _as_whole(results) if whole else results


def sample_by(rules: Rules, generator: MethodGenerator, given: Mapping[str, object]) -> list[str]:
    """Set a generator to sample as a protocol says, and tell where what is `given` departs from it.

    Our own protocol leaves the run's settings as they are; a published one takes the method's published sampler and
    the rotations as the network gives them.

    Args:
        given: options of `decode` asked for by the user; None where nothing was.
    """
    generator.raw_rotations = rules.published
    own = generator.method.published_options() if rules.published else {}
    asked = {name: value for name, value in given.items() if value is not None}
    generator.options = {**dict.fromkeys(given), **own, **asked}
    return [
        f"{name} {asked[name]} instead of {value}" for name, value in own.items() if asked.get(name, value) != value
    ]


class PaperRow(NamedTuple):
    """A method's line of the published tables: (mean, ±) of every column; None where nothing was measured."""

    fid_train: tuple[float, float] | None
    """Of the one set when there are no splits."""
    fid_test: tuple[float, float] | None
    accuracy: tuple[float, float] | None
    """This and the two after it are those of the train split, as in ACTOR's tables."""
    diversity: tuple[float, float] | None
    multimodality: tuple[float, float] | None


def paper_row(results: Results, who: str = "gen") -> PaperRow:
    """The columns FIDtrain, FIDtest, Acc, Div, Multimod with the ± of the results' protocol.

    Args:
        who: gen for the motions under test, real for the recordings (a second draw of them as reference).

    Raises:
        MdtoolError: the results hold no such scores.
    """
    first = WHOLE if WHOLE in results.splits else SPLITS[TRAIN]

    def cell(metric: str, split: str) -> tuple[float, float] | None:
        spread = results.score(metric, who, split)
        return None if spread is None else (spread.mean, spread.plus_minus(results.rules.plus_minus))

    row = PaperRow(
        fid_train=cell("fid", first),
        fid_test=cell("fid", SPLITS[TEST]),
        accuracy=cell("accuracy", first),
        diversity=cell("diversity", first),
        multimodality=cell("multimodality", first),
    )
    if not any(row):
        raise MdtoolError(f"these results have no {who!r} scores: evaluate a run or a file of samples")
    return row


def _as_whole(results: Results) -> Results:
    """Name the one set "all" instead of "train"."""
    train = f"_{SPLITS[TRAIN]}"

    def renamed(name: str) -> str:
        return f"{name.removesuffix(train)}_{WHOLE}" if name.endswith(train) else name

    scores: dict[str, Spread] = {renamed(name): spread for name, spread in results.scores.items()}
    return replace(
        results,
        scores=scores,
        confusion={renamed(name): counts for name, counts in results.confusion.items()},
        extrapolation={renamed(name): fit for name, fit in results.extrapolation.items()},
        splits=[WHOLE],
    )
