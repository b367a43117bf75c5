"""Scores of edits whose changes are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mdtool.errors import MdtoolError
from mdtool.evaluation.edits import edit_scores, target_errors
from mdtool.motion.marks import Marks, Point
from mdtool.motion.motion import Motion
from tests.motion.smooth_motion import smooth_motion

CLIP = Motion(*smooth_motion(40, 0), 20.0)


def test_a_moved_motion() -> None:
    shifted = replace(CLIP, root=CLIP.root + np.array([0.3, 0.0, 0.4], np.float32))
    at = tuple(float(x) for x in shifted.positions()[10, 21])
    told = Marks([Point(10, at, 21, "xyz"), Point(20, (0.0, 0.0, 0.0), 0, "y")])  # type: ignore[arg-type]
    scores = {score.measure: score for score in edit_scores([shifted], [CLIP], [told])}
    np.testing.assert_allclose(target_errors(CLIP.positions(), told), [0.5, CLIP.root[20, 1]], atol=1e-5)
    before, after = scores["objective error"].means
    assert before == pytest.approx((0.5 + CLIP.root[20, 1]) / 2, abs=1e-5)
    assert after == pytest.approx(CLIP.root[20, 1] / 2, abs=1e-5)
    assert scores["trajectory fail at 20 cm"].means == (1.0, 1.0)
    assert scores["change (RMS)"].after == [pytest.approx(50.0, abs=1e-3)]
    assert scores["MPJPE against the input"].after == [pytest.approx(50.0, abs=1e-3)]
    assert scores["jitter"].means[0] == pytest.approx(scores["jitter"].means[1], rel=1e-2)


def test_other_lengths_are_refused() -> None:
    with pytest.raises(MdtoolError, match="clip 0 has 40 frames at 20 fps and its input 30 at 20"):
        edit_scores([CLIP], [CLIP.slice(0, 30)], [Marks()])
