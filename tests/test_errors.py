"""The place in front of an error keeps its exit code."""

from __future__ import annotations

from mdtool.errors import MdtoolError


def test_a_place_is_told_and_the_exit_code_stays() -> None:
    placed = MdtoolError("a rank died", exit_code=1).at("runs/a")
    assert str(placed) == "runs/a: a rank died"
    assert placed.exit_code == 1
