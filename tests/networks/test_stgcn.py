"""The ST-GCN recogniser against its definition, written naively, and the properties its users rely on."""

from __future__ import annotations

import pytest
import torch

from mdtool.motion.skeleton import PARENTS
from mdtool.networks.stgcn import STGCN, spatial_partitions


@pytest.fixture
def network() -> STGCN:
    torch.manual_seed(0)
    network = STGCN(actions=5, parents=PARENTS, width=8).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    for importance in network.edge_importance:
        torch.nn.init.uniform_(importance, 0.5, 1.5)
    return network


def test_partitions_are_a_column_normalised_tree() -> None:
    partitions = spatial_partitions(PARENTS)
    whole = partitions.sum(0)
    torch.testing.assert_close(whole.sum(0), torch.ones(24))
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            assert whole[joint, parent] > 0
            assert whole[parent, joint] > 0
    assert int((whole > 0).sum()) == 24 + 2 * 23
    assert torch.equal(partitions[0], torch.diag(whole.diagonal()))
    outward = {(int(source), int(target)) for source, target in partitions[2].nonzero()}
    assert outward == {(0, 1), (0, 2), (0, 3), (1, 4), (2, 5), (3, 6)}


def test_graph_convolution_is_the_sum_over_partitions_and_neighbours(network: STGCN) -> None:
    convolution, graph = network.st_gcn_networks[4].gcn, network.A * network.edge_importance[4]
    x = torch.randn(2, 6, 24, 8)
    weight, bias = convolution.conv.weight.reshape(3, 16, 8), convolution.conv.bias.reshape(3, 16)
    expected = torch.zeros(2, 6, 24, 16)
    for k in range(3):
        mapped = x @ weight[k].T + bias[k]
        for source in range(24):
            for target in range(24):
                expected[:, :, target] += graph[k, source, target] * mapped[:, :, source]
    torch.testing.assert_close(convolution(x, graph), expected, rtol=1e-4, atol=1e-5)


def test_a_batch_scores_every_window_by_itself(network: STGCN) -> None:
    x = torch.randn(7, 24, 6, 60)
    features, logits = network.features_and_logits(x)
    assert features.shape == (7, network.feature_size) == (7, 32)
    assert logits.shape == (7, 5)
    alone_features, alone_logits = network.features_and_logits(x[3:4])
    assert alone_features.shape == (1, 32)  # the published code loses the batch axis here
    torch.testing.assert_close(alone_features[0], features[3], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(alone_logits[0], logits[3], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network(x), logits)
    torch.testing.assert_close(network.features(x), features)


@pytest.mark.parametrize("frames", [1, 2, 37, 61])
def test_any_number_of_frames_is_scored(network: STGCN, frames: int) -> None:
    assert torch.isfinite(network(torch.randn(2, 24, 6, frames))).all()


def test_features_ignore_when_a_motion_happens_but_not_its_order(network: STGCN) -> None:
    pulse = torch.zeros(1, 24, 6, 200)
    pulse[..., 80:88] = torch.randn(1, 24, 6, 8)
    shifted = torch.roll(pulse, 20, -1)  # a multiple of the stride 4, far from the borders
    torch.testing.assert_close(network.features(pulse), network.features(shifted), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(network.features(pulse), network.features(pulse.flip(-1)), rtol=1e-3)


def test_every_parameter_learns() -> None:
    torch.manual_seed(1)
    network = STGCN(actions=3, parents=PARENTS, width=8)
    x, labels = torch.randn(12, 24, 6, 20), torch.arange(12) % 3
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(network(x), labels)
        optimiser.zero_grad()
        loss.backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
