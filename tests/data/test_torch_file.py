"""Foreign torch files: tensors come out, and nothing else happens."""

from __future__ import annotations

import argparse
import contextlib
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from mdtool.data.torch_file import load_torch
from mdtool.errors import MdtoolError
from tests.data.foreign_files import attacks
from tests.data.test_safe_pickle import mutated

ZIPPED = pytest.mark.parametrize("zipped", [True, False])


@ZIPPED
def test_tensors_and_plain_values(tmp_path: Path, zipped: bool) -> None:
    content = {"model": {"w": torch.arange(6.0).reshape(2, 3)}, "iteration": 3, "names": ["a", (1, 2.5, None)]}
    torch.save(content, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    read = load_torch(tmp_path / "m.pt")
    assert isinstance(read, dict)
    assert torch.equal(read["model"].pop("w"), content["model"].pop("w"))  # type: ignore[attr-defined]
    assert read == content


@ZIPPED
def test_attacks_are_refused_and_do_not_run(tmp_path: Path, zipped: bool) -> None:
    marker, path = tmp_path / "marker", tmp_path / "evil.pt"
    values = {**attacks(marker), "a Namespace": argparse.Namespace(a=1), "an array": np.zeros(3)}
    for value in values.values():
        torch.save({"w": torch.zeros(2), "x": value}, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(
            MdtoolError, match=r"evil\.pt is not read: it wants to use [\w.]+, and mdtool loads"
        ) as caught:
            load_torch(path)
        assert "\n" not in str(caught.value)
    assert not marker.exists()


@ZIPPED
def test_damaged_files(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "m.pt"
    torch.save({"w": torch.arange(6.0), "n": [1, "a"]}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    rng = random.Random(0)
    refused = 0
    for content in [whole[:10], whole[: len(whole) // 2], b"", b"junk", *(mutated(whole, rng) for _ in range(150))]:
        path.write_bytes(content)
        with contextlib.suppress(MdtoolError):
            load_torch(path)
            continue
        refused += 1
    assert refused > 40


def test_too_large_and_missing(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1000)}, tmp_path / "m.pt")
    with pytest.raises(MdtoolError, match="more than it may"):
        load_torch(tmp_path / "m.pt", limit_bytes=1000)
    with pytest.raises(MdtoolError, match="no such file"):
        load_torch(tmp_path / "no.pt")
    with pytest.raises(MdtoolError, match="is no file"):
        load_torch(tmp_path)
