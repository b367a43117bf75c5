"""Post-hoc averages: known exponents, and an average that was never tracked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mdtool.errors import MdtoolError
from mdtool.training.ema import EMA
from mdtool.training.post_hoc import coefficients, combine, exponent_to_width, require_width, width_to_exponent

WIDTHS = (0.05, 0.10)


def test_exponents_of_known_widths() -> None:
    np.testing.assert_allclose(width_to_exponent(np.array([0.05, 0.10, 0.15])), [16.9722, 6.9372, 3.5579], atol=1e-4)
    np.testing.assert_allclose(exponent_to_width(width_to_exponent(0.123)), 0.123, rtol=1e-9)


def test_a_width_that_was_not_tracked_is_reconstructed() -> None:
    rng = torch.Generator().manual_seed(0)
    weight, steps = torch.zeros(8), 1024
    tracked = EMA({"w": weight}, WIDTHS, kind="power")
    truth = EMA({"w": weight}, [0.075], kind="power")
    snapshots, times, widths = [], [], []
    for step in range(1, steps + 1):
        weight += torch.randn(8, generator=rng)
        tracked.update()
        truth.update()
        if step % 32 == 0:
            for width in WIDTHS:
                snapshots.append({"w": tracked.weights(width)["w"].clone(), "n": torch.tensor(step)})
                times.append(step)
                widths.append(width)
    factors = coefficients(np.array(times), np.array(widths), steps, np.array([0.075]))[:, 0]
    np.testing.assert_allclose(factors.sum(), 1)
    made = combine(snapshots, factors.tolist())
    expected = truth.weights(0.075)["w"]
    assert float((made["w"] - expected).norm() / expected.norm()) < 0.01
    assert int(made["n"]) == steps


@pytest.mark.parametrize("width", [0.0, 0.3, -1.0])
def test_impossible_widths_are_refused(width: float) -> None:
    with pytest.raises(MdtoolError, match=r"between 0 and 0\.28"):
        require_width(width)
