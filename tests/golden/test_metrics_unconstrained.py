"""KID, precision and recall against the reference's unconstrained-generation metrics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mdtool.evaluation.distribution import polynomial_mmd, precision_recall


def test_metrics_unconstrained(golden: Callable[[str], dict[str, np.ndarray]]) -> None:
    arrays = golden("metrics_unconstrained")
    generated, real = arrays["generated"], arrays["real"]
    np.testing.assert_allclose(polynomial_mmd(generated, real), arrays["mmd2"], rtol=1e-4, atol=1e-6)
    assert precision_recall(generated, real) == (float(arrays["precision"]), float(arrays["recall"]))
