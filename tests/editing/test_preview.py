"""The picture of a plan says in metres where things are, and what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mdtool.editing.preview import write_preview
from tests.editing.test_request import HEAD, plan

REQUEST = """targets:
  - {at: 30, joint: pelvis, xz: [0.6, 0.8]}
  - {at: [40, 45], joint: right_wrist, xyz: [0.4, 1.2, 0.9]}
avoid:
  - pillar: {at: [-0.8, 0.8], radius: 0.2}
  - sphere: {at: [-0.6, 1.0, 1.6], radius: 0.2}
    move: [[0, [0, 0, 0]], [59, [0.8, 0, 0.4]]]
"""


def written(path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[float, float]]:
    """Words in the picture, and where they begin."""
    words, write = {}, ImageDraw.ImageDraw.text

    def noted(draw: ImageDraw.ImageDraw, place: tuple[float, float], word: str, *options: Any, **named: Any) -> None:
        words[word] = place
        write(draw, place, word, *options, **named)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", noted)
    write_preview(path, plan(HEAD + text, force=True))
    return words


def test_axes_targets_and_obstacles_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = written(tmp_path / "plan.png", REQUEST, monkeypatch)
    assert {"x, metres", "z, metres", "0", "1", "start", "pillar", "sphere"} <= set(words)
    assert {"pelvis at 30", "right_wrist at 40, 45"} <= set(words)
    picture = np.asarray(Image.open(tmp_path / "plan.png").convert("RGB")).astype(int)
    x, y = (round(place) for place in words["pillar"])
    solid = np.abs(picture[y - 3 : y + 4, x - 4] - (214, 122, 62)).sum(-1)
    assert solid.min() < 40  # its name stands on it


def test_words_do_not_cover_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"  - {{at: {at}, joint: {joint}, xz: [0.5, 0.5]}}\n" for at, joint in ((9, "head"), (20, "pelvis"))]
    words = written(tmp_path / "plan.png", "targets:\n" + "".join(rows), monkeypatch)
    assert abs(words["head at 9"][1] - words["pelvis at 20"][1]) > 10
