"""The action recogniser of the evaluation protocol: ST-GCN on 6D rotations, trained with cross-entropy.

ACTOR's settings (Petrovich et al. 2021): rot6d of 24 joints with the global orientation and without
translation, AdamW, batch 64, 60 consecutive frames.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from mdtool.config import Strict, validated
from mdtool.methods.contract import Batch, Classifier
from mdtool.motion.features import FeatureLayout
from mdtool.motion.skeleton import JOINTS, PARENTS
from mdtool.networks.stgcn import STGCN


class RecogniserConfig(Strict):
    """Settings of the recogniser."""

    frames: int = 60
    width: int = Field(64, ge=8)
    """Channels of the first blocks; the published recogniser has 64, and features four times as many. Below 8, the
    float32 gradient of oneDNN's convolutions crashes the process on CPUs without AVX-512."""
    axes: Literal["y-up", "y-down"] = "y-up"
    """y-down for the published UESTC recogniser, which saw camera-frame data."""
    heading: bool = False
    """Turn every window so that its first frame faces +z; for data whose people walk in any direction."""
    label_smoothing: float = 0.0
    """0 as published."""


class Recogniser(Classifier):
    """ST-GCN with its loss; features are the numbers before the last layer (256 at the published width)."""

    def __init__(self, settings: dict[str, Any], actions: list[str], fps: float) -> None:
        super().__init__()
        self.config = validated(RecogniserConfig, settings, "recogniser settings")
        self.frames, self.fps, self.actions = self.config.frames, fps, list(actions)
        self.layout = FeatureLayout(axes=self.config.axes, heading=self.config.heading)
        self.network = STGCN(len(actions), PARENTS, width=self.config.width)

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropy and the share of right answers of the batch, per sample [B]."""
        logits = self.network(self.inputs(batch.rot6d, batch.root)).float()
        loss = cross_entropy(logits, batch.action, reduction="none", label_smoothing=self.config.label_smoothing)
        return {"loss": loss, "accuracy": (logits.argmax(-1) == batch.action).float()}

    def inputs(self, rot6d: Tensor, root: Tensor) -> Tensor:
        """Network input [B, 24, 6, T] of windows [B, T, 24, 6], [B, T, 3]."""
        return self.layout.encode(rot6d, root)[:, :JOINTS]

    @torch.no_grad()
    def features_and_logits(self, rot6d: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
        """(features [B, 4 width], logits [B, actions]) of windows; running statistics are used, not the batch's."""
        self.eval()
        features: Tensor
        logits: Tensor
        features, logits = self.network.features_and_logits(self.inputs(rot6d, root))
        return features, logits
