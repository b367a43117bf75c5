"""Parts of the examples that other code does not run."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture
def protocol() -> ModuleType:
    """examples/dno_protocol.py as a module."""
    spec = importlib.util.spec_from_file_location("dno_protocol", EXAMPLES / "dno_protocol.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rows_of_other_settings_are_not_mixed(protocol: ModuleType) -> None:
    before = {"edits": 4, "steps": 300, "run": {}}
    results = {"pelvis": {"walk, seed 0": {"rows": [], "settings": before}}}
    same = {**before, "checkpoint_sha256": "ab"}  # older files do not tell the checkpoint
    assert protocol.conflict({}, same) == ""
    assert protocol.conflict(results, same) == ""
    assert protocol.conflict(results, {**same, "steps": 20}) == "steps 300 for pelvis, walk, seed 0, and not 20"
    results["pelvis"]["walk, seed 0"]["settings"] = same
    assert "checkpoint_sha256" in protocol.conflict(results, {**same, "checkpoint_sha256": "cd"})
