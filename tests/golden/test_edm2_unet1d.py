"""The 1-D EDM2 network with its preconditioning and its uncertainty."""

from __future__ import annotations

import pytest
import torch

from mdtool.diffusion.edm import Preconditioning
from mdtool.networks.magnitude import Uncertainty
from mdtool.networks.unet1d import UNet1d
from tests.golden.tiny_denoiser import Golden, assert_close, tensors

LEVELS = {"16x16": "0", "8x8": "1"}


@pytest.mark.parametrize("length", ["L16", "L24"])
def test_unet(golden: Golden, length: str) -> None:
    g = tensors(golden("edm2_unet1d"))
    features, width = g["L16/x"].shape[1], len(g["sd/unet.emb_fourier.freqs"])
    network = UNet1d(
        features, features, channels=width, multipliers=(1, 2), blocks=1, attention=(1,), head_channels=16
    ).eval()
    weights = {}
    for key, value in g.items():
        if key.startswith("sd/unet."):
            name = key.removeprefix("sd/unet.")
            for theirs, ours in LEVELS.items():
                name = name.replace(f".{theirs}_", f".{ours}_")
            weights[name] = value
    network.load_state_dict(weights)
    x, sigma = g[f"{length}/x"], g[f"{length}/sigma"]
    scale = Preconditioning(1.0)
    wide = sigma.view(-1, 1, 1)
    with torch.no_grad():
        raw = network(scale.input(wide) * x, scale.condition(sigma))
    assert_close(raw, g[f"{length}/F"], 1e-3)
    assert_close(scale.skip(wide) * x + scale.output(wide) * raw, g[f"{length}/D"], 1e-3)
    uncertainty = Uncertainty(1, features=len(g["sd/logvar_fourier.freqs"])).eval()
    uncertainty.load_state_dict(
        {key: g[f"sd/logvar_{key}"] for key in ("fourier.freqs", "fourier.phases", "linear.weight")}
    )
    assert_close(uncertainty(scale.condition(sigma)).squeeze(1), g[f"{length}/logvar"], 1e-4)
