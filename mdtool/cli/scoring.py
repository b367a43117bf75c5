"""How `mdtool evaluate` scores one generator or motion file by one protocol's rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdtool.cli.terminal import progress_bar, say

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from mdtool.body.skinning import Body
    from mdtool.evaluation.kept import Kept
    from mdtool.evaluation.results import Results
    from mdtool.evaluation.rules import Rules
    from mdtool.methods.generate import Generator
    from mdtool.motion.motion import MotionSet
    from mdtool.training.distributed import Ranks
    from mdtool.training.run import LoadedRecogniser


@dataclass(frozen=True)
class Scoring:
    """What stays the same between all that one command scores."""

    console: Console
    target: Path
    data: Path
    parents: list[str | Path]
    recordings: MotionSet
    judge: LoadedRecogniser | None
    splits: tuple[int, ...]
    seeds: int | None
    count: int | None
    fid_infinity: bool
    given: dict[str, Any]
    """Options of a run's sampling."""
    body: Body | None
    """Whose limbs are measured in a run's raw shapes."""
    writes: bool
    """Whether this process writes files."""

    def seeds_of(self, rules: Rules) -> range | None:
        """The seeds asked for, counted from the protocol's first; None for its own."""
        return None if self.seeds is None else range(rules.seeds[0], rules.seeds[0] + self.seeds)

    def run(self, rules: Rules, tested: Any, details: dict[str, Any], place: Path) -> Results:
        """Score one generator or set; `details` go into the provenance, the results to `place`."""
        from mdtool.errors import MdtoolError
        from mdtool.evaluation.protocol import evaluate_card
        from mdtool.evaluation.published import evaluate_by, sample_by
        from mdtool.evaluation.raw_output import CLIPS, raw_card
        from mdtool.motion.file import provenance

        if rules.by_action and not by_action(self.target, tested, self.recordings):
            raise MdtoolError(f"{self.target} has no actions: evaluate it with --protocol unconditional")
        if self.judge is None:
            results = evaluate_card(self.recordings, tested)
            advice = "the physical card alone; `mdtool train --method recogniser` makes one"
            say(self.console, f"no recogniser under runs/: {advice}")
        else:
            self.judge.follow_publication(rules.published)
            departures = []
            if self.target.is_dir():
                departures = sample_by(rules, tested, self.given)
                details = {**details, **tested.options}
            with progress_bar(self.console, "evaluating, %") as show:
                results = evaluate_by(
                    rules,
                    self.recordings,
                    self.judge,
                    tested,
                    self.seeds_of(rules),
                    self.count,
                    self.splits,
                    lambda done: show(round(100 * done), 100),
                    self.fid_infinity,
                    self._kept(rules, details, place) if self.target.is_dir() else None,
                )
            results = replace(results, departures=[*results.departures, *departures])
        if self.target.is_dir():
            lengths = None if self.body is None else self.body.bone_lengths
            shapes = self.recordings.betas
            raw = raw_card(tested, results.seeds[0], min(CLIPS, results.count), shapes, lengths)
            results = replace(results, raw=raw)
        record = provenance(self.parents, **details)
        return replace(results, target=str(self.target), data=str(self.data), provenance=record)

    def write(self, results: Results, place: Path) -> None:
        """Write results on the first rank; what was kept on the way to them is no longer needed."""
        from mdtool.evaluation.kept import forget
        from mdtool.evaluation.results import write_results

        if self.writes:
            write_results(place, results)
            forget(place)

    def _kept(self, rules: Rules, details: dict[str, Any], place: Path) -> Kept:
        """Where a run's scored samples are kept until all are: `details` and the files tell them from others'."""
        from mdtool.evaluation.checkpoints import setup_key
        from mdtool.evaluation.kept import Kept
        from mdtool.motion.file import file_sha256
        from mdtool.training.checkpoint import RunFolder

        files = [file_sha256(path) for path in (self.data, RunFolder(self.target).config_path)]
        judge = "" if self.judge is None else self.judge.sha256
        setup = {"protocol": rules.title, "judge": judge, "files": files, "count": self.count, **details}
        return Kept(place, setup_key(setup), self.writes)


def load_tested(
    run: Path, track: str | None, where: torch.device, ranks: Ranks, step: int | None
) -> tuple[Generator, dict[str, Any]]:
    """A run's generator, and what its results must tell of it."""
    from mdtool.training.checkpoint import RunFolder
    from mdtool.training.run import load_generator

    generator = load_generator(run, track, where, ranks, step)
    step = RunFolder(run).newest_step() if step is None else step
    return generator, {"weights": generator.weights, "step": step, "checkpoint_sha256": generator.sha256}


def by_action(target: Path, tested: Any, recordings: MotionSet) -> bool:
    """Whether both sides have actions: the run, also before it is loaded, or the file; and the recordings."""
    from mdtool.methods.generate import Generator
    from mdtool.training.run import load_generator

    if tested is None and target.is_dir():
        tested = load_generator(target)
    if isinstance(tested, Generator):
        return tested.conditional
    made = recordings if tested is None else tested
    return bool((made.action >= 0).any()) and bool((recordings.action >= 0).any())
