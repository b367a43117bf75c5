"""Magnitude-preserving layers beyond the golden arrays, which test their numbers."""

from __future__ import annotations

import torch

from mdtool.networks.magnitude import MPWeight, Uncertainty


def test_autocast_does_not_blur_the_uncertainty() -> None:
    torch.manual_seed(0)
    network, noise_level = Uncertainty(4).eval(), torch.linspace(-1.5, 1.1, 9)
    plain = network(noise_level)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network(noise_level), plain)


def test_weights_are_learnt_and_normalised_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    layer, x = MPWeight(16, 8, 3).train(), torch.randn(4, 16, 12)
    exact = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        made = layer(x)
    made.float().square().mean().backward()
    assert made.dtype == torch.bfloat16
    assert float((made.float() - exact).detach().norm() / exact.detach().norm()) < 0.01
    assert layer.weight.grad is not None
    assert layer.weight.dtype == layer.weight.grad.dtype == torch.float32
    lengths = layer.weight.detach().square().mean((1, 2)).sqrt()
    torch.testing.assert_close(lengths, torch.ones(8), atol=2e-4, rtol=0)  # forced normalisation, finer than bf16
