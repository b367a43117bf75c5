"""Foot skating and jitter against DNO's evaluation, and skating against GMD's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mdtool.evaluation.physical import jitter, skating_ratio

FPS = 20.0


@pytest.mark.parametrize("name", ["motion_quality", "gmd_metrics"])
def test_skating(golden: Callable[[str], dict[str, np.ndarray]], name: str) -> None:
    arrays = golden(name)
    for motion, ratio, speed in zip(arrays["motion"], arrays["skating_ratio"], arrays["skate_velocity"], strict=True):
        skating = skating_ratio(motion.transpose(2, 0, 1), FPS)
        assert skating.ratio == pytest.approx(float(ratio), abs=1e-12)
        np.testing.assert_allclose(skating.speed, speed, rtol=1e-4, atol=1e-5)


def test_jitter(golden: Callable[[str], dict[str, np.ndarray]]) -> None:
    arrays = golden("motion_quality")
    measured = [jitter(motion.transpose(2, 0, 1), FPS) for motion in arrays["motion"]]
    np.testing.assert_allclose(measured, arrays["jitter"], rtol=1e-4)
