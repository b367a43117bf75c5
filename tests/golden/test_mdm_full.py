"""The denoiser at the published size, weights by the recipe; checkpoint keys, their order, and the head count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mdtool.networks.transformer import Denoiser
from tests.golden.tiny_denoiser import Golden, assert_close, tensors
from tests.golden.weight_recipe import recipe_state_dict


@pytest.mark.parametrize(("heads", "name"), [(8, "out_cond"), (4, "out_cond_4heads")])
@torch.no_grad()
def test_mdm_full(golden: Golden, golden_folder: Path, heads: int, name: str) -> None:
    g = tensors(golden("mdm_full"))
    published = json.loads((golden_folder / "mdm_full_state_dict.json").read_text())
    config = published["config"]
    size = {"width": config["latent_dim"], "layers": config["num_layers"], "feedforward": config["ff_size"]}
    network = Denoiser(actions=config["num_actions"], heads=heads, dropout=0.0, **size).eval()
    shapes = {key: shape for key, shape in published["state_dict"].items() if not key.endswith(".pe")}
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == shapes
    assert sum(parameter.numel() for parameter in network.parameters()) == published["parameter_count"]

    network.load_state_dict(recipe_state_dict(published["state_dict"], int(g["recipe_seed"])))
    x, timestep, action = g["x"], g["timesteps"], g["action"][:, 0]
    assert_close(network(x, timestep, action), g[name], atol=1e-4)
    if heads == 8:
        assert_close(network(x, timestep), g["out_uncond"], atol=1e-4)
