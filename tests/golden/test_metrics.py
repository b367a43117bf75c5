"""FID, diversity, multimodality and accuracy against the reference's action-to-motion protocol."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mdtool.evaluation import distribution as d


def test_metrics(golden: Callable[[str], dict[str, np.ndarray]]) -> None:
    arrays = golden("metrics")
    first, second = arrays["feats_a"], arrays["feats_b"]

    fit = d.fit_gaussian(first)
    np.testing.assert_allclose(fit.mean, arrays["mu_a"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fit.covariance, arrays["sigma_a"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(d.fid(first, second), arrays["fid_ab"], rtol=1e-4)
    assert abs(d.fid(first, first)) < 1e-3
    small = d.fid(arrays["feats_small_a"], arrays["feats_small_b"])
    np.testing.assert_allclose(small, arrays["fid_small"], rtol=1e-2)

    labels, rng = arrays["labels"], np.random.RandomState(int(arrays["draw_seed"]))
    pairs = d.draw_pairs(len(first), rng)
    np.testing.assert_array_equal(pairs, arrays["diversity_pairs"])
    np.testing.assert_allclose(d.diversity(first, pairs), arrays["diversity"], rtol=1e-5)
    pairs = d.draw_action_pairs(labels, rng)
    np.testing.assert_array_equal(pairs, arrays["multimodality_pairs"])
    divisor = d.PAIRS_PER_ACTION * int(arrays["num_labels"])
    np.testing.assert_allclose(d.multimodality(first, pairs, divisor), arrays["multimodality"], rtol=1e-5)

    confusion = d.confusion_matrix(arrays["acc_logits"], arrays["acc_labels"])
    np.testing.assert_array_equal(confusion, arrays["confusion"])
    assert np.float32(d.accuracy(confusion)) == np.float32(arrays["accuracy"])
