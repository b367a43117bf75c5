"""The recogniser against the reference's features and scores, weights by the recipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mdtool.motion.skeleton import PARENTS
from mdtool.networks.stgcn import STGCN
from tests.golden.weight_recipe import recipe_state_dict


def test_stgcn(golden: Callable[[str], dict[str, np.ndarray]], golden_folder: Path) -> None:
    arrays = golden("stgcn")
    published = json.loads((golden_folder / "stgcn_state_dict.json").read_text())
    network = STGCN(actions=published["state_dict"]["fcn.bias"][0], parents=PARENTS).eval()
    np.testing.assert_allclose(network.A.numpy(), arrays["A"], rtol=0, atol=1e-7)
    own = network.state_dict()
    assert {key: list(value.shape) for key, value in own.items()} == published["state_dict"]
    assert sum(parameter.numel() for parameter in network.parameters()) == published["parameter_count"]

    weights = recipe_state_dict(published["state_dict"], int(arrays["recipe_seed"]))
    for key, (total, first, last) in published["recipe_probe_sum_first_last"].items():
        tensor = weights.get(key, own[key]).double().flatten()
        np.testing.assert_allclose([tensor.sum(), tensor[0], tensor[-1]], [total, first, last], rtol=1e-5, atol=1e-5)
    network.load_state_dict({**own, **weights})

    x = torch.from_numpy(arrays["x"])
    for frames, suffix in ((x.shape[-1], ""), (37, "_37")):
        with torch.no_grad():
            features, logits = network.features_and_logits(x[..., :frames])
        for name, value in (("features", features), ("logits", logits)):
            expected = arrays[name + suffix]
            np.testing.assert_allclose(value.numpy(), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
