"""Memory is that of the work alone, whatever was used before it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mdtool.evaluation.memory import peak_megabytes

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux keeps the mark")


def test_the_peak_of_the_work_counts_and_nothing_before_it() -> None:
    def use(megabytes: int) -> None:
        np.ones(megabytes * 2**17).sum()

    use(300)
    found = [peak_megabytes(lambda size=size: use(size)) for size in (20, 100)]
    assert found[0] == pytest.approx(20, abs=6)
    assert found[1] == pytest.approx(100, abs=6)
    kept: list[np.ndarray] = []
    assert peak_megabytes(lambda: kept.append(np.ones(50 * 2**17))) == pytest.approx(50, abs=6)
