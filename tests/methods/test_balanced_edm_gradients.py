"""What balanced EDM is for: gradients of one length at every noise level, of the output by group and of the weights."""

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
from tests.methods.test_balanced_edm import clips, fitted, source

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


@pytest.fixture(scope="module")
def begun() -> BalancedEDM:
    """A network that has begun to learn."""
    method = fitted(frames=32, several_lengths=False, mirror=0.0, uncertainty_warmup=60)
    trainer = Trainer(method, source(method, clips(), BATCH), TrainConfig(steps=60, batch=BATCH, lr=1e-2),
                      torch.device("cpu"))  # fmt: skip
    method.train()
    while trainer.step < 60:
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


def test_consistent_gradients_are_of_one_length_where_others_are_not(begun: BalancedEDM) -> None:
    """Of the output at most 3 between any two levels and groups. Of the weights they are not of one length under any
    weighting, since what is left at high noise is one direction for all frames and at low noise is noise; the factor
    evens out what it can."""
    found = {balance: lengths(begun, balance) for balance in ("consistent", "edm2", "literal")}  # type: ignore[arg-type]
    assert ratio(found["consistent"].output) < 3
    assert max(ratio(group) for group in found["edm2"].output.T) > 3
    assert min(ratio(group) for group in found["literal"].output.T) > 20
    assert ratio(found["edm2"].weights) > 2 * ratio(found["consistent"].weights)
    assert ratio(found["literal"].weights) > 5 * ratio(found["consistent"].weights)
    low = found["literal"].output[0] / found["literal"].output[-1]
    assert (low < 0.05).all(), "as printed it is low noise that starves"
