"""Results as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from mdtool.evaluation.physical import Card
from mdtool.evaluation.results import Results, Spread

_SCORES = (
    # metric, heading, printed units in one, decimals
    ("fid", "FID", 1, 2),
    ("accuracy", "accuracy", 1, 3),
    ("diversity", "diversity", 1, 2),
    ("multimodality", "multimodality", 1, 2),
    ("kid", "KID × 1000", 1000, 2),
    ("precision", "precision", 1, 3),
    ("recall", "recall", 1, 3),
)
ENERGY_BAND = (0.8, 1.25)
"""Motion energy of samples over that of recordings outside of which motion is called lame or wild."""
JITTER_BAND = (0.5, 1.5)
"""Jitter of samples over that of recordings outside of which motion is called over-smoothed or shaking."""


def result_tables(results: Results) -> Iterator[Table]:
    """Every table of an evaluation, in the order to print them."""
    if results.scores:
        yield score_table(results)
    yield card_table(results.card)
    if results.card.actions:
        yield action_table(results)


def score_table(results: Results) -> Table:
    """Scores as mean ± standard deviation over seeds; FID never without its floor, count and recogniser."""
    who = {"gen": "tested", "real": "recordings"}
    columns = [(key, split) for split in results.splits for key in who if results.score("fid", key, split)]
    caption = (
        "mean ± standard deviation over seeds; the FID of recordings, between two draws, is the floor at this count"
    )
    across = results.scores.get("fid_train_test")
    if across is not None:
        caption += f"; FID of train against test recordings: {_spread(across, 1, 2)}"
    table = Table(
        title=f"{results.count} motions × {len(results.seeds)} seeds, {results.frames} frames at {results.fps:g} fps, "
        f"recogniser {results.recogniser_sha256[:12]}",
        caption=caption,
        title_justify="left",
        caption_justify="left",
        pad_edge=False,
    )
    table.add_column("score")
    for key, split in columns:
        table.add_column(f"{who[key]}\n{split}" + (" (floor)" if key == "real" else ""), justify="right")
    for metric, heading, units, decimals in _SCORES:
        cells = [_spread(results.score(metric, key, split), units, decimals) for key, split in columns]
        table.add_row(heading, *cells)
    return table


def card_table(card: Card) -> Table:
    """The physical card: mean over clips, and what 1 clip in 20 exceeds."""
    compared = card.reference_clips > 0
    title = f"physical card, {card.clips} clips" + (f" beside {card.reference_clips}" if compared else "")
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    table.add_column("unit")
    for heading in card.names[: 1 + compared]:
        table.add_column(heading, justify="right")
        table.add_column("worst 5 %", justify="right")
    for row in card.rows:
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
    recognised = _recognised(results)
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


def _recognised(results: Results) -> dict[str, float]:
    """Share of tested motions recognised as their action, over all seeds and splits; recordings when none is tested."""
    tested = [name for name in results.confusion if name.startswith("gen_")] or list(results.confusion)
    shares = {}
    for index, action in enumerate(results.actions):
        rows = [results.confusion[name][index] for name in tested]
        asked = sum(map(sum, rows))
        if asked:
            shares[action] = sum(row[index] for row in rows) / asked
    return shares


def _spread(spread: Spread | None, units: float, decimals: int) -> str:
    if spread is None:
        return ""
    mean = _number(spread.mean * units, decimals)
    return mean if math.isnan(spread.std) else f"{mean} ± {_number(spread.std * units, decimals)}"


def _number(value: float | None, decimals: int) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{decimals}f}"
