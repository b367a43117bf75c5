"""Results as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from mdtool.evaluation.physical import Card, CardRow
from mdtool.evaluation.published import paper_row
from mdtool.evaluation.results import Results, Spread
from mdtool.evaluation.rules import PLUS_MINUS_IN_WORDS, PlusMinus
from mdtool.wording import counted

_SCORES = (
    # metric, heading, printed units in one, decimals
    ("fid", "FID", 1, 2),
    ("accuracy", "accuracy", 1, 3),
    ("diversity", "diversity", 1, 2),
    ("multimodality", "multimodality", 1, 2),
    ("kid", "KID × 1000", 1000, 2),
    ("precision", "precision", 1, 3),
    ("recall", "recall", 1, 3),
    ("nearest", "to the nearest", 1, 2),
)
_WHO = {"gen": "tested", "real": "recordings"}
ENERGY_BAND = (0.8, 1.25)
"""Motion energy of samples over that of recordings outside of which motion is called lame or wild."""
JITTER_BAND = (0.5, 1.5)
"""Jitter of samples over that of recordings outside of which motion is called over-smoothed or shaking."""


def result_tables(results: Results) -> Iterator[Table]:
    """Every table of an evaluation, in the order to print them."""
    if results.scores:
        yield score_table(results)
    yield card_table(results.card, results.raw)
    if results.card.actions:
        yield action_table(results)


def score_table(results: Results) -> Table:
    """Scores as mean and the ± of their protocol; FID never without its floor, count and recogniser."""
    kind = results.rules.plus_minus
    columns = [(key, split) for split in results.splits for key in _WHO if results.score("fid", key, split)]
    caption = (
        f"mean ± {PLUS_MINUS_IN_WORDS[kind]}; the FID of recordings, between two draws, is the floor at this count"
    )
    across = results.scores.get("fid_train_test")
    if across is not None:
        caption += f"; FID of train against test recordings: {_spread(across, 1, 2, kind)}"
    held_out = results.scores.get("nearest_test_train")
    if held_out is not None:
        caption += f"; from a test to the nearest train recording: {_spread(held_out, 1, 2, kind)}, copies are nearer"
    if results.departures:
        caption += f"; not the published protocol: {', '.join(results.departures)}"
    sets = f"{counted(results.count, 'motion')} × {counted(len(results.seeds), 'seed')}"
    table = Table(
        title=f"protocol {results.rules.name}: {sets}, "
        f"{results.frames} frames at {results.fps:g} fps, recogniser {results.recogniser_sha256[:12]}",
        caption=caption,
        title_justify="left",
        caption_justify="left",
        pad_edge=False,
    )
    table.add_column("score")
    for key, split in columns:
        table.add_column(f"{_WHO[key]}\n{split}" + (" (floor)" if key == "real" else ""), justify="right")
    for metric, heading, units, decimals in _SCORES:
        cells = [_spread(results.score(metric, key, split), units, decimals, kind) for key, split in columns]
        if any(cells):
            table.add_row(heading, *cells)
        if metric == "fid" and results.extrapolation:
            fits = [results.extrapolation.get(f"{key}_{split}") for key, split in columns]
            table.add_row("FID, N → ∞", *("" if fit is None else _number(fit.fid, decimals) for fit in fits))
    return table


def protocol_table(evaluations: Sequence[Results]) -> Table:
    """The published tables' columns under every protocol, side by side: never to be ranked against each other."""
    table = Table(
        title="side by side; rows of different protocols are not comparable",
        caption="accuracy, diversity and multimodality of the train split",
        title_justify="left",
        caption_justify="left",
    )
    scores = (heading for _, heading, *_ in _SCORES[1:4])
    for heading in ("protocol", "±", "motions", "set", "FID train", "FID test", *scores):
        table.add_column(heading)
    for results in evaluations:
        for who, name in _WHO.items():
            if not any(f"_{who}_" in score for score in results.scores):
                continue
            cells = [
                "" if cell is None else _plus_minus(*cell, decimals)
                for cell, decimals in zip(paper_row(results, who), (2, 2, 3, 2, 2), strict=True)
            ]
            counts = f"{results.count} × {len(results.seeds)}"
            table.add_row(results.rules.name, results.rules.plus_minus, counts, name, *cells)
    return table


def card_table(card: Card, raw: Sequence[CardRow] = ()) -> Table:
    """The physical card: mean over clips, and what 1 clip in 20 exceeds; below it what is `raw` in a run's output."""
    compared = card.reference_clips > 0
    title = f"physical card, {counted(card.clips, 'clip')}" + (f" beside {card.reference_clips}" if compared else "")
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    table.add_column("unit")
    for heading in card.names[: 1 + compared]:
        table.add_column(heading, justify="right")
        table.add_column("worst 5 %", justify="right")
    for row in [*card.rows, *raw]:
        values = [row.mean, row.worst, row.reference_mean, row.reference_worst][: 2 + 2 * compared]
        table.add_row(row.metric, row.unit, *(_number(value, 2) for value in values))
    return table


def action_table(results: Results) -> Table:
    """Per action: how many were recognised, and motion energy, limb energy and jitter over those of recordings."""
    bands = f"energy outside {ENERGY_BAND[0]}–{ENERGY_BAND[1]}, jitter outside {JITTER_BAND[0]}–{JITTER_BAND[1]}"
    table = Table(
        title="per action, {} over {}".format(*results.card.names),
        caption=f"red: {bands}",
        title_justify="left",
        caption_justify="left",
    )
    metrics = list(dict.fromkeys(row.metric for row in results.card.actions))
    recognised = action_shares(results)
    table.add_column("action")
    for heading in (*(("recognised",) if recognised else ()), *metrics):
        table.add_column(heading, justify="right")
    ratios = {(row.action, row.metric): row.ratio for row in results.card.actions}
    for action in dict.fromkeys(row.action for row in results.card.actions):
        cells: list[str | Text] = [_number(recognised.get(action), 3)] if recognised else []
        for metric in metrics:
            ratio = ratios[action, metric]
            low, high = JITTER_BAND if metric == "jitter" else ENERGY_BAND
            text = _number(ratio, 2)
            cells.append(text if low <= ratio <= high else Text(text, style="red"))
        table.add_row(action, *cells)
    return table


def action_shares(results: Results) -> dict[str, float]:
    """Share of tested motions recognised as their action, over all seeds and splits; recordings when none is tested."""
    tested = [name for name in results.confusion if name.startswith("gen_")] or list(results.confusion)
    shares = {}
    for index, action in enumerate(results.actions):
        rows = [results.confusion[name][index] for name in tested]
        asked = sum(map(sum, rows))
        if asked:
            shares[action] = sum(row[index] for row in rows) / asked
    return shares


def _spread(spread: Spread | None, units: float, decimals: int, kind: PlusMinus) -> str:
    """A score in printed units; the variance of values in other units is in their square."""
    if spread is None:
        return ""
    scaled = Spread(tuple(value * units for value in spread.values))
    return _plus_minus(scaled.mean, scaled.plus_minus(kind), decimals)


def _plus_minus(mean: float, spread: float, decimals: int) -> str:
    text = _number(mean, decimals)
    return text if math.isnan(spread) else f"{text} ± {_number(spread, decimals)}"


def _number(value: float | None, decimals: int) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{decimals}f}"
