"""Key-frame errors and diversity of paths against GMD's evaluation; its skating is in test_motion_quality."""

from __future__ import annotations

import numpy as np
import pytest

from mdtool.evaluation.control import keyframe_errors, trajectory_diversity
from tests.golden.tiny_denoiser import Golden


@pytest.mark.parametrize("kind", ["strict", "mean"])
def test_keyframe_errors(golden: Golden, kind: str) -> None:
    arrays = golden("gmd_metrics")
    found = keyframe_errors(arrays["keyframe_error"], strict=kind == "strict")
    np.testing.assert_allclose(
        [*found.failed, *found.missed, found.mean], arrays[f"trajectory_error_{kind}"], rtol=1e-6
    )


def test_trajectory_diversity(golden: Golden) -> None:
    arrays = golden("gmd_metrics")
    found = trajectory_diversity(arrays["trajectories"], arrays["lengths"])
    assert found == pytest.approx(float(arrays["trajectory_diversity"]), rel=1e-6)
