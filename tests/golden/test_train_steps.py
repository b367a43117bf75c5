"""Four optimisation steps: loss, gradient norm, weights and averaged weights."""

from __future__ import annotations

import pytest
import torch

from mdtool.config import TrainConfig
from mdtool.losses.geometric import motion_losses
from mdtool.training.ema import EMA
from mdtool.training.optim import make_optimiser
from tests.golden.tiny_denoiser import Golden, process_of_the_set, tensors, tiny_denoiser


def test_train_steps(golden: Golden) -> None:
    g = tensors(golden("train_steps"))
    network = tiny_denoiser(golden).train()
    process = process_of_the_set(golden)
    parameters = dict(network.named_parameters())
    network_width = network.pe.shape[1]
    optimiser = make_optimiser(list(parameters.values()), TrainConfig(steps=100, lr=1e-3, weight_decay=0.01))
    ema = EMA(parameters, [0.99], kind="plain")
    for step in range(len(g["lr"])):
        x0, timestep = g["x_start"][step], g["t"][step]
        optimiser.param_groups[0]["lr"] = float(g["lr"][step])
        optimiser.zero_grad()
        x_t = process.diffuse(x0, timestep, g["noise"][step]).x_t
        predicted = network(x_t, timestep, g["action"][:, 0])
        loss = motion_losses(predicted, x0, {"reconstruction": 1.0, "velocity": 0.5})["loss"].mean()
        loss.backward()
        norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in parameters.values()])
        assert loss.item() == pytest.approx(g["loss"][step].item(), rel=1e-5)
        assert norm.item() == pytest.approx(g["grad_norm"][step].item(), rel=1e-4)
        optimiser.step()
        ema.update()
    for kind, weights in (("after", parameters), ("ema", ema.weights(0.99))):
        for name, value in weights.items():
            difference = (value.detach() - g[f"{kind}/{name}"]).abs()
            if name.endswith("in_proj_bias"):
                # Softmax cancels the keys' bias: its gradient is rounding alone, which Adam turns into whole steps.
                keys = difference[network_width : 2 * network_width]
                assert keys.max() <= 2e-3 * len(g["lr"]), (kind, name)
                keys.zero_()
            # Adam divides tiny gradients by themselves: a handful of elements may go another way, by whole steps.
            assert (difference >= 5e-5).sum() <= 5, (kind, name)
            assert difference.max() <= 1e-3 * len(g["lr"]), (kind, name)
