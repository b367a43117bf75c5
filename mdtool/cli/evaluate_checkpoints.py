"""`mdtool evaluate RUN --checkpoint all`: every kept step of a run, each result in the run's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mdtool.cli.scoring import Scoring, load_tested
from mdtool.cli.terminal import say, say_next
from mdtool.wording import counted

if TYPE_CHECKING:
    import torch

    from mdtool.evaluation.rules import Rules
    from mdtool.training.distributed import Ranks

ALL, LAST = "all", "last"
"""Words for every checkpoint, and for those of the newest step."""


def evaluate_checkpoints(
    work: Scoring, chosen: list[Rules], track: str | None, last: bool, where: torch.device, ranks: Ranks
) -> None:
    """Score every checkpoint of a run that is not scored yet; each result is written as soon as it is there."""
    from mdtool.atomic import require_writable
    from mdtool.errors import MdtoolError
    from mdtool.evaluation.checkpoints import checkpoints, is_evaluated, results_path, setup_key
    from mdtool.motion.file import file_sha256

    run, judge = work.target, work.judge
    if judge is None or not run.is_dir():
        raise MdtoolError(f"--checkpoint {LAST if last else ALL} goes with a run, and {run} is a file")
    data_sha256 = file_sha256(work.data)
    todo = []
    for rules in chosen:
        setup: dict[str, Any] = {
            "protocol": rules.title,
            "recogniser": judge.sha256,
            "data": data_sha256,
            "splits": work.splits,
        }
        setup |= {"count": work.count or rules.count, "seeds": list(work.seeds_of(rules) or rules.seeds)}
        key = setup_key({**setup, "sampling": work.given, "fid_infinity": work.fid_infinity})
        todo += [(rules, point, results_path(run, point, key)) for point in checkpoints(run, track, last)]
    total = len(todo)
    # Every rank must do the same list, and the first has begun to shorten it when the last one looks.
    missing = ranks.from_first(lambda: [not is_evaluated(run, point, path) for _, point, path in todo])
    todo = [entry for entry, is_missing in zip(todo, missing, strict=True) if is_missing]
    say(work.console, f"{run}: {counted(total, 'evaluation')}, {total - len(todo)} are there already")
    for place, (rules, point, path) in enumerate(todo, start=total - len(todo) + 1):
        require_writable(path)
        tested, details = load_tested(run, point.track, where, ranks, point.step)
        results = work.run(rules, tested, details, path)
        work.write(results, path)
        told = [
            f"{name.replace('_gen_', ' ')} {results.scores[name].mean:.3f}"
            for name in ("fid_gen_train", "fid_gen_test", "accuracy_gen_train")
            if name in results.scores
        ]
        head = f"{place}/{total} {rules.name} step {point.step} {point.track}"
        say(work.console, f"{head}: {', '.join(told)}  → {path}")
    say_next(work.console, "mdtool", "report", run)
