"""Magnitude-preserving layers beyond the golden arrays, which test their numbers."""

from __future__ import annotations

import torch

from mdtool.networks.magnitude import Uncertainty


def test_autocast_does_not_blur_the_uncertainty() -> None:
    torch.manual_seed(0)
    network, noise_level = Uncertainty(4).eval(), torch.linspace(-1.5, 1.1, 9)
    plain = network(noise_level)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network(noise_level), plain)
