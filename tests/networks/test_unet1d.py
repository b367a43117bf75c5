"""The 1-D EDM2 U-Net: unit magnitudes everywhere, any even length, labels that matter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mdtool.networks.magnitude import MPWeight
from mdtool.networks.unet1d import Block, Norm, UNet1d, group_normalised


def network(labels: int = 0, norm: Norm = "pixel") -> UNet1d:
    torch.manual_seed(0)
    return UNet1d(
        12, 12, channels=16, multipliers=(1, 2, 2), blocks=1, attention=(2,), head_channels=16, labels=labels, norm=norm
    )


def magnitudes(unet: UNet1d, run: Callable[[], object] | None = None) -> dict[str, float]:
    """Root mean square of every block's output in `run`; for input of magnitude 1 when not given."""
    found: dict[str, float] = {}

    def record(name: str):  # type: ignore[no-untyped-def]
        def hook(_: nn.Module, __: object, output: Tensor) -> None:
            found[name] = float(output.detach().square().mean().sqrt())

        return hook

    blocks = [(name, module) for name, module in unet.named_modules() if isinstance(module, Block)]
    handles = [module.register_forward_hook(record(name)) for name, module in blocks]
    rng = torch.Generator().manual_seed(1)
    if run is None:
        unet(torch.randn(8, 12, 32, generator=rng), torch.randn(8, generator=rng))
    else:
        run()
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("steps", [15, pytest.param(1000, marks=pytest.mark.slow)])
def test_magnitudes_stay_near_one_before_and_after_training(steps: int) -> None:
    unet = network()
    optimiser = torch.optim.Adam(unet.parameters(), lr=0.01, betas=(0.9, 0.99))
    before = magnitudes(unet)
    rng = torch.Generator().manual_seed(2)
    for _ in range(steps):
        x = torch.randn(4, 12, 16, generator=rng)
        optimiser.zero_grad()
        (unet(x, x[:, 0, 0]) - x.roll(1, -1)).square().mean().backward()
        optimiser.step()
    after = magnitudes(unet)
    assert before.keys() == after.keys()
    assert len(before) == 15
    for found in (before, after):
        assert all(0.5 < value < 2 for value in found.values()), found


def test_forced_normalisation_only_in_training() -> None:
    layer = MPWeight(6, 4)
    with torch.no_grad():
        layer.weight.mul_(7)
    layer.eval()
    plain = layer(torch.ones(1, 6))
    assert float(layer.weight.detach().square().mean()) > 20
    layer.train()
    torch.testing.assert_close(layer(torch.ones(1, 6)), plain, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(layer.weight.square().mean(1).sqrt(), torch.ones(4), atol=1e-3, rtol=0)


def test_adaptive_group_norm() -> None:
    """Groups have mean 0 and variance 1; scale and shift come from the noise level once the gain is not 0."""
    x = 3 * torch.randn(2, 64, 10) + 5
    grouped = group_normalised(x).unflatten(1, (32, 2)).flatten(2)
    torch.testing.assert_close(grouped.mean(-1), torch.zeros(2, 32), atol=1e-5, rtol=0)
    torch.testing.assert_close(grouped.var(-1, correction=0), torch.ones(2, 32), atol=1e-4, rtol=0)
    block = Block(16, 16, 8, "dec", norm="adagn")
    features, loud = torch.randn(1, 16, 6), torch.randn(1, 8)
    with torch.no_grad():
        torch.testing.assert_close(block(features, loud), block(features, 0 * loud))
        block.emb_gain.fill_(1.0)
        scale, shift = block.emb_linear(loud).unsqueeze(-1).chunk(2, dim=1)
        expected = group_normalised(features) * (1 + scale) + shift
        torch.testing.assert_close(block._modulated(features, loud), expected)
    assert all(0.3 < value < 3 for value in magnitudes(network(norm="adagn")).values())


@pytest.mark.parametrize("frames", [16, 20, 64])
def test_any_length_that_halves(frames: int) -> None:
    unet = network()
    assert unet.multiple == 4
    assert unet(torch.randn(2, 12, frames), torch.zeros(2)).shape == (2, 12, frames)


def test_labels_and_none() -> None:
    unet = network(labels=3).eval()
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if name.endswith("gain"):
                parameter.fill_(0.5)
        x, level = torch.randn(1, 12, 16).expand(4, -1, -1), torch.zeros(4)
        made = unet(x, level, torch.tensor([0, 1, 2, -1]))
        torch.testing.assert_close(unet(x[:1], level[:1]), made[3:])
    assert min(float((made[i] - made[k]).abs().max()) for i in range(4) for k in range(i)) > 1e-3
