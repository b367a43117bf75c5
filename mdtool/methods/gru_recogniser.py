"""The recogniser of HumanAct12's published evaluation: a GRU on joint positions (Guo et al. 2020, action2motion).

It sees 24 joints in metres: forward kinematics of a fixed body, the pelvis of the first frame at the origin.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor
from torch.nn.functional import cross_entropy

from mdtool.config import Strict, validated
from mdtool.methods.contract import Batch, Classifier
from mdtool.methods.seeds import content_generators
from mdtool.motion.features import ROOT_ROW, FeatureLayout
from mdtool.motion.kinematics import positions_frames_last
from mdtool.motion.skeleton import JOINTS, OFFSETS, PARENTS
from mdtool.networks.gru import GRUClassifier


class GRURecogniserConfig(Strict):
    """Settings of the recogniser; sizes are the published ones."""

    frames: int = Field(60, gt=1)
    width: int = Field(128, gt=0)
    features: int = Field(30, gt=0)
    axes: Literal["y-up", "y-down"] = "y-up"
    """y-down for the published recogniser, which saw camera-frame data."""
    heading: bool = False
    """Turn every window so that its first frame faces +z; for data whose people walk in any direction."""
    hidden_state: Literal["zero", "random"] = "zero"
    """State before the first frame. random: N(0, 1) as published, here drawn from the bytes of the window, so that a
    motion has the same features in any batch. Published protocols ask for it whatever is set here."""
    rest_joints: list[list[float]] | None = None
    """[24][3] joints of the body's rest pose, metres; the neutral skeleton when not given. SMPL's own, at β = 0, give
    the published recogniser exactly what it was trained on."""

    @field_validator("rest_joints")
    @classmethod
    def _all_joints(cls, value: list[list[float]] | None) -> list[list[float]] | None:
        if value is not None and np.shape(value) != (JOINTS, 3):
            raise ValueError(f"must be {JOINTS} rows of 3 numbers")
        return value


class GRURecogniser(Classifier):
    """The GRU with its loss; features are the 30 numbers before the last layer."""

    offsets: Tensor

    def __init__(self, settings: dict[str, Any], actions: list[str], fps: float) -> None:
        super().__init__()
        self.config = validated(GRURecogniserConfig, settings, "gru-recogniser settings")
        self.frames, self.fps, self.actions = self.config.frames, fps, list(actions)
        self.layout = FeatureLayout(axes=self.config.axes, heading=self.config.heading)
        self.network = GRUClassifier(len(actions), JOINTS, self.config.width, self.config.features)
        self.random_state = self.config.hidden_state == "random"
        offsets = np.array(OFFSETS)
        if self.config.rest_joints is not None:
            joints = np.array(self.config.rest_joints)
            offsets = joints - joints[list(PARENTS)]
            offsets[0] = 0
        self.register_buffer("offsets", torch.from_numpy(offsets).float(), persistent=False)

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropy and the share of right answers of the batch, per sample [B]."""
        hidden = None
        if self.random_state:
            shape = (GRUClassifier.LAYERS, len(batch.action), self.config.width)
            hidden = torch.randn(shape, generator=rng, device=batch.root.device)
        logits = self.network.features_and_logits(self.inputs(batch.rot6d, batch.root), hidden)[1].float()
        loss = cross_entropy(logits, batch.action, reduction="none")
        return {"loss": loss, "accuracy": (logits.argmax(-1) == batch.action).float()}

    def inputs(self, rot6d: Tensor, root: Tensor) -> Tensor:
        """Joint positions [B, 24, 3, T], metres, of windows [B, T, 24, 6], [B, T, 3]."""
        features = self.layout.encode(rot6d, root)
        path = features[:, ROOT_ROW, None, :3]
        return positions_frames_last(features[:, :JOINTS], self.offsets) + path

    @torch.no_grad()
    def features_and_logits(self, rot6d: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
        """(features [B, F], logits [B, actions]) of windows [B, T, 24, 6], [B, T, 3]."""
        self.eval()
        hidden = None
        if self.random_state:
            rngs = content_generators(torch.cat([rot6d.flatten(1), root.flatten(1)], dim=1))
            shape = (GRUClassifier.LAYERS, self.config.width)
            hidden = torch.stack([torch.randn(shape, generator=rng) for rng in rngs], dim=1).to(rot6d)
        features, logits = self.network.features_and_logits(self.inputs(rot6d, root), hidden)
        return features, logits

    def follow_publication(self, published: bool) -> None:
        """Start from a random hidden state, or from the run's own setting again."""
        self.random_state = published or self.config.hidden_state == "random"
