"""Damaged archives end in two kinds of errors, and too large ones are not unpacked."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import pytest

from mdtool.npz_archive import open_npz


def archive(**arrays: object) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


WHOLE = archive(poses=np.random.default_rng(0).standard_normal((5, 72)), name=np.array("a"))


def test_arrays_by_name_from_a_file_and_from_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(WHOLE)
    with open_npz(tmp_path / "a.npz") as one, open_npz(WHOLE) as other:
        assert one.files == ["poses", "name"]
        np.testing.assert_array_equal(one["poses"], other["poses"])


def test_a_missing_file_and_objects_and_an_array_alone(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"), open_npz(tmp_path / "a.npz"):
        pass
    with open_npz(archive(a=np.array([{}], dtype=object))) as stored, pytest.raises(ValueError, match="pickle"):
        stored["a"]
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    with pytest.raises(ValueError, match="no whole zip archive"), open_npz(stream.getvalue()):
        pass


def test_a_bomb_is_not_unpacked() -> None:
    content = archive(a=np.zeros(1 << 20))
    assert len(content) < 20_000
    with pytest.raises(ValueError, match="more than it may"), open_npz(content, limit_bytes=1 << 20):
        pass


def test_mutated_archives_are_read_or_refused() -> None:
    """Deflated bytes that are none, compressions and versions that nobody knows, passwords: 7 % of these at random."""
    rng = random.Random(0)
    for _ in range(300):
        content = bytearray(WHOLE)
        for _ in range(rng.choice([1, 2, 4])):
            content[rng.randrange(len(content))] = rng.randrange(256)
        try:
            with open_npz(bytes(content)) as stored:
                for name in stored.files:
                    stored[name]
        except ValueError:
            pass
