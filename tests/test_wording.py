"""Counted things and sizes of files, in words."""

from __future__ import annotations

import pytest

from mdtool.wording import counted, file_size


def test_one_of_a_thing_is_singular() -> None:
    assert [counted(count, "clip") for count in (0, 1, 2, 1234)] == ["0 clips", "1 clip", "2 clips", "1,234 clips"]


@pytest.mark.parametrize(
    ("size", "told"),
    [(1, "1 byte"), (300, "300 bytes"), (47_210, "47 kB"), (999_400, "999 kB"), (1_250_000, "1.2 MB")],
)
def test_a_small_file_has_no_megabytes(size: int, told: str) -> None:
    assert file_size(size) == told
