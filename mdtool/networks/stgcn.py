"""The ST-GCN action recogniser that scores generated motion (Yan et al. 2018, in ACTOR's action-to-motion form)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

Shortcut = Literal["none", "identity", "projection"]
_TEMPORAL_TAPS = 9
_WIDENING = (1, 1, 1, 1, 2, 2, 2, 4, 4, 4)
"""Channels of each block in units of `width`; the block where they double also halves the frame rate."""


def spatial_partitions(parents: Sequence[int]) -> Tensor:
    """Column-normalised adjacency of a joint tree, split by distance to the root (Yan et al. 2018, section 3.3).

    Distances are counted up to one hop, as the published recogniser does: every joint beyond the root's children is
    equally far. So only bones that leave the root or its children are "outward", and nearly all others "equal".

    Args:
        parents: parent of every joint, -1 for the root, which is joint 0.

    Returns:
        [3, J, J] float32, rows sources, columns targets: the joint itself, its other neighbours, its outward ones.
    """
    joints = len(parents)
    adjacency = torch.eye(joints)
    near = torch.full((joints,), 2.0)  # hops from the root; 2 stands for "beyond the counted ones"
    near[0] = 0
    for joint, parent in enumerate(parents):
        if parent >= 0:
            adjacency[joint, parent] = adjacency[parent, joint] = 1
        if parent == 0:
            near[joint] = 1
    normalised = adjacency / adjacency.sum(0)
    itself = torch.diag(normalised.diagonal())
    outward = torch.where(near[:, None] < near[None, :], normalised, torch.zeros(()))
    return torch.stack([itself, normalised - itself - outward, outward])


class STGCN(nn.Module):
    """Spatial-temporal graph convolutions over a window of joint rotations; state-dict keys are the published ones.

    Activations lie in memory as [B, T, J, C], so that a graph convolution is one linear layer and one product with
    the graph, without a copy in between; the temporal convolution takes the same memory as channels-last.

    Args:
        actions: number of classes.
        parents: joint tree [J]; the published recogniser has SMPL's 24 joints.
        channels: numbers per joint, 6 for 6D rotations (the root's translation is not seen).
        width: channels of the first blocks; features are four times as wide. The published recogniser has 64.
        dropout: probability of dropping an activation at the end of each block while training.
    """

    A: Tensor

    def __init__(
        self, actions: int, parents: Sequence[int], channels: int = 6, width: int = 64, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.register_buffer("A", spatial_partitions(parents))
        joints, partitions = len(parents), len(self.A)
        self.data_bn = nn.BatchNorm1d(joints * channels)
        blocks = [_Block(channels, width, partitions, 1, "none", dropout)]
        for before, after in pairwise(_WIDENING):
            stride = after // before
            shortcut: Shortcut = "identity" if stride == 1 else "projection"
            blocks.append(_Block(before * width, after * width, partitions, stride, shortcut, dropout))
        self.st_gcn_networks = nn.ModuleList(blocks)
        self.edge_importance = nn.ParameterList(nn.Parameter(torch.ones_like(self.A)) for _ in blocks)
        self.feature_size = _WIDENING[-1] * width
        self.fcn = nn.Conv2d(self.feature_size, actions, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores [B, actions] of windows [B, J, C, T], any number of frames."""
        return self.features_and_logits(x)[1]

    def features(self, x: Tensor) -> Tensor:
        """Features [B, 4 · width] of windows [B, J, C, T]: the last activations averaged over frames and joints."""
        batch, joints, channels, frames = x.shape
        x = self.data_bn(x.reshape(batch, joints * channels, frames))
        x = x.reshape(batch, joints, channels, frames).permute(0, 3, 1, 2).contiguous()
        for block, importance in zip(self.st_gcn_networks, self.edge_importance, strict=True):
            x = block(x, self.A * importance)
        return x.mean((1, 2))

    def features_and_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, 4 · width] and class scores [B, actions] of windows [B, J, C, T]."""
        features = self.features(x)
        return features, nn.functional.linear(features, self.fcn.weight.flatten(1), self.fcn.bias)


class _GraphConvolution(nn.Module):
    """One linear map per partition of the graph, summed over each joint's neighbours."""

    def __init__(self, narrow: int, wide: int, partitions: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(narrow, partitions * wide, 1)

    def forward(self, x: Tensor, graph: Tensor) -> Tensor:
        """[B, T, J, narrow] and a weighted graph [K, J, J] to [B, T, J, wide]."""
        batch, frames, joints, _ = x.shape
        mapped = self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        # The K maps of a joint lie side by side, so joints and maps flatten into one axis without a copy.
        mapped = mapped.reshape(batch, frames, joints * len(graph), -1)
        return graph.permute(2, 1, 0).reshape(joints, -1) @ mapped


class _Block(nn.Module):
    """Graph convolution, temporal convolution and a shortcut."""

    def __init__(
        self, narrow: int, wide: int, partitions: int, stride: int, shortcut: Shortcut, dropout: float
    ) -> None:
        super().__init__()
        self.gcn = _GraphConvolution(narrow, wide, partitions)
        self.tcn = nn.Sequential(
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Conv2d(wide, wide, (_TEMPORAL_TAPS, 1), (stride, 1), (_TEMPORAL_TAPS // 2, 0)),
            nn.BatchNorm2d(wide),
            nn.Dropout(dropout),
        )
        self.residual: nn.Module | None = None
        if shortcut == "identity":
            self.residual = nn.Identity()
        elif shortcut == "projection":
            self.residual = nn.Sequential(nn.Conv2d(narrow, wide, 1, (stride, 1)), nn.BatchNorm2d(wide))

    def forward(self, x: Tensor, graph: Tensor) -> Tensor:
        """[B, T, J, narrow] to [B, T / stride, J, wide]."""
        out = self.tcn(self.gcn(x, graph).permute(0, 3, 1, 2))
        if self.residual is not None:
            out = out + self.residual(x.permute(0, 3, 1, 2))
        return torch.relu(out).permute(0, 2, 3, 1)
