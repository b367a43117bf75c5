"""What balanced EDM keeps at one scale: gradients at every noise level, and activations."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from mdtool.config import TrainConfig
from mdtool.losses.balanced import Balance
from mdtool.methods.balanced_edm import BalancedEDM
from mdtool.methods.seeds import step_generator
from mdtool.motion.feature_groups import GROUPS
from mdtool.training.loop import Trainer
from tests.methods.test_balanced_edm import clips, features, fitted, source
from tests.networks.test_unet1d import magnitudes

LEVELS = torch.logspace(-2, 1.3, 12)
BATCH = 8


class Known(nn.Module):
    """An uncertainty that has learnt all there is: u of the one noise level that it is asked about."""

    def __init__(self, u: Tensor) -> None:
        super().__init__()
        self.u = u

    def forward(self, noise_level: Tensor) -> Tensor:
        """[B] → [B, 4]."""
        return self.u.expand(len(noise_level), -1)


class Lengths(NamedTuple):
    """Mean lengths of the gradients of single windows' losses, by noise level."""

    output: Tensor
    """With respect to the network's output, by group [levels, 4]."""
    weights: Tensor
    """With respect to all weights [levels]."""


def taught(steps: int) -> BalancedEDM:
    """A small network after so many steps of learning clips of 32 frames."""
    method = fitted(frames=32, several_lengths=False, mirror=0.0, uncertainty_warmup=60)
    config = TrainConfig(steps=max(steps, 20), batch=BATCH, lr=1e-2, lr_final=0.0, warmup_steps=20, adam_beta2=0.99)
    trainer = Trainer(method, source(method, clips(), BATCH), config, torch.device("cpu"))
    method.train()
    while trainer.step < steps:
        trainer.train_step()
    return method.eval()


def lengths(method: BalancedEDM, balance: Balance) -> Lengths:
    windows, parameters, own = source(method, clips(), BATCH), list(method.network.parameters()), method.config
    learnt, kept, by_level = method.uncertainty, [], []
    hook = method.network.register_forward_hook(lambda network, given, output: kept.append(output))
    for level in LEVELS:
        update = {"p_mean": float(level.log()), "p_std": 1e-9, "balance": balance}
        method.config = own.model_copy(update=update)
        with torch.no_grad():
            plain = [method.losses(windows.batch(step), step_generator(0, step)) for step in range(4)]
        errors = torch.stack([torch.cat([terms[f"error_{group.name}"] for terms in plain]) for group in GROUPS], dim=1)
        method.uncertainty = Known((method.precondition.weight(level) * errors.mean(0)).log())  # type: ignore[assignment]
        loss = method.losses(windows.batch(0), step_generator(0, 0))["denoising"]
        (towards,) = torch.autograd.grad(loss.sum(), kept[-1], retain_graph=True)
        output = [towards[:, group.channels].flatten(1).norm(dim=1).mean() for group in GROUPS]
        single = []
        for one in loss[:4]:
            found = torch.autograd.grad(one, parameters, retain_graph=True)
            single.append(torch.cat([gradient.flatten() for gradient in found]).norm())
        by_level.append((torch.stack(output), torch.stack(single).mean()))
    hook.remove()
    method.config, method.uncertainty = own, learnt
    return Lengths(*(torch.stack(column) for column in zip(*by_level, strict=True)))


def ratio(by_level: Tensor) -> float:
    return float(by_level.max() / by_level.min())


def test_consistent_gradients_are_of_one_length_where_others_are_not() -> None:
    """Of the output at most 3 between any two levels and groups. Of the weights they are not of one length under any
    weighting, since what is left at high noise is one direction for all frames and at low noise is noise; the factor
    evens out what it can."""
    method = taught(60)
    found = {balance: lengths(method, balance) for balance in ("consistent", "edm2", "literal")}  # type: ignore[arg-type]
    assert ratio(found["consistent"].output) < 3
    assert max(ratio(group) for group in found["edm2"].output.T) > 2
    assert min(ratio(group) for group in found["literal"].output.T) > 20
    assert ratio(found["edm2"].weights) > 1.5 * ratio(found["consistent"].weights)
    assert ratio(found["literal"].weights) > 4 * ratio(found["consistent"].weights)
    low = found["literal"].output[0] / found["literal"].output[-1]
    assert (low < 0.05).all(), "as printed it is low noise that starves"


@pytest.mark.parametrize(("steps", "encoder", "decoder"), [(0, 2, 2), pytest.param(1000, 2, 6, marks=pytest.mark.slow)])
def test_activations_on_motion(steps: int, encoder: float, decoder: float) -> None:
    """Between 0.5 and 2 at the start, and in the encoder always: its frames are normalised.

    The decoder's are not, and what it learns of motion is one direction for all frames, where unit weights add up
    further than on noise (tests/networks/test_unet1d.py): up to 4 in its last blocks after 1,000 steps.
    """
    method = taught(steps)
    x = method.normaliser(features(method, source(method, clips(), BATCH).batch(0)))
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    for sigma in (0.05, 1.0, 20.0):
        level = torch.full((len(x),), sigma)
        found = magnitudes(method.network, lambda: method._denoise(x + sigma * noise, level))  # noqa: B023
        assert len(found) == 10
        for name, value in found.items():
            assert value < (encoder if name.startswith("enc") else decoder), (name, sigma)
            assert value > (0.5 if name.startswith("enc") or not steps else 0.2), (name, sigma)
