"""What every test shares: one thread per worker, the golden arrays, the real recordings."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

CHECKOUT = Path(__file__).resolve().parents[1]

torch.set_num_threads(1)


KEPT_HERE = CHECKOUT / "tests" / "golden" / "arrays"
"""Copies of the small, decisive golden files, for machines without the folder."""


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    """The folder of golden arrays: MDTOOL_GOLDEN, the one beside the checkout, or the small copies kept here."""
    folder = Path(os.environ.get("MDTOOL_GOLDEN", CHECKOUT.parent / "shared" / "golden"))
    return folder if folder.is_dir() else KEPT_HERE


@pytest.fixture(scope="session")
def golden(golden_folder: Path) -> Callable[[str], dict[str, np.ndarray]]:
    """Load one golden file by name: `golden("fk")` → its arrays."""

    def load(name: str) -> dict[str, np.ndarray]:
        path = golden_folder / f"{name}.npz"
        if not path.exists():
            pytest.skip(f"no {path.name} in {golden_folder}: set MDTOOL_GOLDEN to the folder of golden arrays")
        with np.load(path) as arrays:
            return {key: arrays[key] for key in arrays.files}

    return load


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings: MDTOOL_DATA, or the one beside the checkout."""
    folder = Path(os.environ.get("MDTOOL_DATA", CHECKOUT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real recordings: set MDTOOL_DATA to their folder")
    return folder
