"""Which checkpoints there are, where their results lie, and when they count as done."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mdtool.config import RunConfig
from mdtool.errors import MdtoolError
from mdtool.evaluation.checkpoints import (
    Checkpoint,
    checkpoints,
    is_evaluated,
    read_evaluations,
    results_path,
    setup_key,
)
from mdtool.evaluation.physical import Card
from mdtool.evaluation.results import Results, write_results
from mdtool.training.checkpoint import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run with its untrained weights and two steps; the first has no average."""
    folder = RunFolder(tmp_path / "run")
    folder.write_config(
        RunConfig.model_validate(
            {"method": "mdm", "preset": "p", "data": "d", "data_sha256": "", "actions": ["a"], "fps": 20.0,
             "train": {"steps": 20}, "model": {}}
        )
    )  # fmt: skip
    folder.save_weights(0, {"raw": {"w": torch.zeros(1)}}, keep_older=True)
    folder.save_weights(10, {"raw": {"w": torch.zeros(1)}}, keep_older=True)
    folder.save_weights(20, {"raw": {"w": torch.ones(1)}, "ema:0.9": {"w": torch.ones(1)}}, keep_older=True)
    return folder


def results(run: RunFolder, checkpoint: Checkpoint) -> Results:
    sha256 = run.weights_sha256(checkpoint.track, checkpoint.step)
    return Results(card=Card(0, 0, [], [], ("tested", "recordings")), provenance={"checkpoint_sha256": sha256})


def test_every_step_and_track_is_a_checkpoint(run: RunFolder) -> None:
    assert checkpoints(run.path) == [Checkpoint(10, "raw"), Checkpoint(20, "ema:0.9"), Checkpoint(20, "raw")]
    assert checkpoints(run.path, "raw") == [Checkpoint(10, "raw"), Checkpoint(20, "raw")]
    assert checkpoints(run.path, "ema:0.9", last=True) == [Checkpoint(20, "ema:0.9")]
    with pytest.raises(MdtoolError, match=r"no weights ema:0.5: it has raw, ema:0.9"):
        checkpoints(run.path, "ema:0.5")
    with pytest.raises(MdtoolError, match="is not a run"):
        checkpoints(run.path.parent)


def test_results_are_found_again_under_their_step_and_track(run: RunFolder) -> None:
    for checkpoint in checkpoints(run.path):
        write_results(results_path(run.path, checkpoint, "0badcafe"), results(run, checkpoint))
    found = read_evaluations(run.path)
    assert [entry.checkpoint for entry in found] == checkpoints(run.path)
    for entry in found:
        own = run.weights_sha256(entry.checkpoint.track, entry.checkpoint.step)
        assert entry.results.provenance["checkpoint_sha256"] == own


def test_results_count_only_for_the_weights_they_are_about(run: RunFolder) -> None:
    point = Checkpoint(20, "raw")
    path = results_path(run.path, point, "0badcafe")
    assert not is_evaluated(run.path, point, path)
    write_results(path, results(run, point))
    assert is_evaluated(run.path, point, path)
    run.save_weights(20, {"raw": {"w": torch.full((1,), 2.0)}}, keep_older=True)
    assert not is_evaluated(run.path, point, path), "the run was trained anew"
    path.write_text("{")
    assert not is_evaluated(run.path, point, path), "half a file is none"


def test_another_setup_is_another_file(run: RunFolder) -> None:
    base = {"protocol": "thesis 1", "seeds": [1, 2], "count": 100}
    assert setup_key(base) == setup_key(dict(reversed(base.items())))
    assert len({setup_key(base), setup_key({**base, "count": 200}), setup_key({**base, "seeds": [1, 3]})}) == 3
