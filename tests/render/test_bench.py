"""The drawing bench draws what it says and its numbers hang together."""

from __future__ import annotations

from pathlib import Path

import pytest

from mdtool.body.skinning import Body
from mdtool.render import bench


def test_numbers_hang_together(ball_body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(bench, "mannequin", lambda: ball_body)
    monkeypatch.setattr(bench, "SIZE", (64, 64))
    original = bench.render_exhibits

    def render(path: Path, *words: object) -> object:
        rendered = original(path, *words)
        sizes.append((rendered.frames, path.stat().st_size))
        return rendered

    monkeypatch.setattr(bench, "render_exhibits", render)
    row = bench.bench_rendering(workers=1)
    assert sizes[0][0] == row["frames"] == 60
    assert sizes[0][1] > 1000
    assert row["frames_per_s"] == pytest.approx(60 / row["render_and_encode_s"])
    assert row["processor_s"] > 0
    assert row["size"] == "64x64"
