"""A search that somebody stops."""

from __future__ import annotations

import pytest

from mdtool.editing.optimiser import NoiseSearch


def stop_searches_at(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every search from now on is told to stop, as by Ctrl-C, once it has taken so many steps."""
    step = NoiseSearch.step

    def stop(search: NoiseSearch) -> None:
        if search.taken == taken:
            raise KeyboardInterrupt
        step(search)

    monkeypatch.setattr(NoiseSearch, "step", stop)
