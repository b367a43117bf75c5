"""The export bench writes what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mdtool.data.glb import read_glb
from mdtool.export import bench


def test_the_timed_file_holds_sixteen_moving_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    original = bench.write_glb

    def write(path: Path, *words: Any) -> None:
        original(path, *words)
        written.append(path.read_bytes())

    monkeypatch.setattr(bench, "write_glb", write)
    row = bench.bench_glb()
    clips = read_glb(written[0], "bench.glb")
    assert (row["clips"], row["frames"], row["bytes"]) == (len(clips), 60, len(written[0])) == (16, 60, row["bytes"])
    assert {len(clip.recording) for clip in clips} == {60}
    assert row["write_s"] > 0
