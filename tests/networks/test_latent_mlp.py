"""The denoiser without attention: nothing at first, and what it is told beside the latent reaches its output."""

from __future__ import annotations

import torch

from mdtool.networks.latent_mlp import LatentMLP


def taught() -> LatentMLP:
    torch.manual_seed(0)
    network = LatentMLP(6, 32, 2, actions=3)
    assert (network(torch.randn(4, 1, 6), torch.arange(4), torch.tensor([0, 1, 2, -1])) == 0).all()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network


def test_each_sample_has_its_own_timestep_and_label() -> None:
    network, z = taught(), torch.randn(1, 1, 6).expand(4, -1, -1)
    with torch.no_grad():
        made = network(z, torch.tensor([5, 5, 900, 5]), torch.tensor([0, 1, 0, 0]))
        alone = network(z[:1], torch.tensor([900]), torch.tensor([0]))
    torch.testing.assert_close(made[0], made[3])
    assert (made[0] - made[1]).abs().max() > 1e-3
    assert (made[0] - made[2]).abs().max() > 1e-3
    torch.testing.assert_close(made[2:3], alone)


def test_a_hidden_label_is_no_label() -> None:
    network, z, timestep = taught(), torch.randn(3, 1, 6), torch.tensor([1, 20, 300])
    with torch.no_grad():
        hidden = network(z, timestep, torch.tensor([-1, -1, 2]))
        without = network(z, timestep)
    torch.testing.assert_close(hidden[:2], without[:2])
    assert (hidden[2] - without[2]).abs().max() > 1e-3
