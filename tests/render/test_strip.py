"""A strip's tiles stand side by side without edges between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mdtool.body.skinning import Body
from mdtool.motion.motion import Motion
from mdtool.render import strip
from mdtool.render.exhibit import Exhibit


def test_a_shadow_longer_than_its_tile_ends_softly(
    make_motion: Callable[..., Motion], ball_body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shadowed(*words: Any, **more: Any) -> list[np.ndarray]:
        width, height = words[5]
        picture = np.full((height, width, 3), 240, np.uint8)
        picture[300:320] = 100  # from edge to edge
        return [picture] * len(words[3])

    monkeypatch.setattr(strip, "stills", shadowed)
    row = strip.strip_picture([Exhibit(make_motion(6), "glide", (0.2, 0.4, 0.9))], ball_body, every=2, captions=False)
    width = row.shape[1] // 3
    assert (row[310, [0, width - 1, width, 2 * width, -1]] == 240).all()
    assert (row[310, [width // 2, width + width // 2]] == 100).all()
    steps = np.abs(np.diff(row[310, :, 0].astype(int)))
    assert steps.max() < 40
