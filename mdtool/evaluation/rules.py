"""Rules of the published protocols beside our own: seeds, counts, pairs, sampling, and what ± stands for.

All of them draw recordings, ask for motions of the same actions and compare features of a recogniser. What is parity
with the published programs: seeds, number of motions, the order in which pairs of motions are drawn from the seed,
the denominator of multimodality, ancestral sampling over all steps without guidance, raw network rotations before the
recogniser, the GRU's random hidden state, and the ±.

What is fixed instead of copied: a seed's draws depend on that seed alone (the reference shuffles an aliased list, so
that its draws depend on the seeds before), sets have exactly `count` members (it takes one batch too many when the
batch divides the count), every window can be drawn (it never draws the last), the second draw of recordings is
independent of the first (its "gt2" of UESTC walks the first iterator again), averaged weights load and can be chosen,
and FID comes without a matrix square root of rounding noise: equal to the reference's where that is well defined.
So the distribution of a published score is reproduced, not its digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mdtool.errors import MdtoolError

PlusMinus = Literal["ci95", "std", "1.96 var"]

PLUS_MINUS_IN_WORDS = {
    "ci95": "half the 95 % confidence interval of the mean",
    "std": "standard deviation over seeds",
    "1.96 var": "1.96 · variance over seeds, as ACTOR's tables have it (no confidence interval)",
}


@dataclass(frozen=True)
class Rules:
    """One protocol."""

    name: str
    """The word that `--protocol` takes."""
    title: str
    """Name and version as results.json has it; results of different protocols are not comparable."""
    seeds: tuple[int, ...]
    count: int
    """Motions per set, seed and split."""
    plus_minus: PlusMinus
    """What is printed after a mean."""
    published: bool = True
    """Whether the draws follow the published programs: one stream of pairs per seed through train generated, train
    recorded, test generated, test recorded; a multimodality that divides by every action of the recogniser; DDPM over
    all steps without guidance; rotations as the network gives them; a random hidden state of the GRU recogniser."""
    no_clip_twice: bool = False
    """Sets are no larger than the smallest split (ACTOR's "up to 3,000"); otherwise a small split is walked again."""
    by_action: bool = True
    """Whether motions are asked for and judged by action. False: all recordings are one set, whatever their labels, and
    accuracy and multimodality mean nothing."""


OURS = Rules("ours", "action-to-motion 1", tuple(range(20)), 1000, "ci95", published=False)
"""Every seed on its own, multimodality over the actions that occur, the run's own sampler, a confidence interval."""

UNCONDITIONAL = Rules(
    "unconditional", "unconditional 1", tuple(range(20)), 1000, "ci95", published=False, by_action=False
)
"""For runs and files without actions: ours, with every recording in one set."""

RULES = {
    rules.name: rules
    for rules in (
        OURS,
        UNCONDITIONAL,
        # The thesis: seeds 1 … 20, mean ± standard deviation (unbiased here; it does not say which).
        Rules("thesis", "thesis 1", tuple(range(1, 21)), 1000, "std"),
        # MDM (Tevet et al. 2022): its program prints no interval; the standard deviation is added.
        Rules("mdm", "mdm 1", tuple(range(20)), 1000, "std"),
        # ACTOR (Petrovich et al. 2021): larger sets, hence smaller FIDs of the same motions.
        Rules("actor", "actor 1", tuple(range(20)), 3000, "1.96 var", no_clip_twice=True),
    )
}
"""Every protocol by name."""


def rules_named(name: str) -> Rules:
    """The rules of a protocol.

    Raises:
        MdtoolError: no such protocol.
    """
    if name not in RULES:
        raise MdtoolError(f"no protocol {name!r}: choose from {', '.join(RULES)}")
    return RULES[name]


def rules_titled(title: object) -> Rules | None:
    """The rules that a results file names; None when it names none of them."""
    return next((rules for rules in RULES.values() if rules.title == title), None)
