"""The codebook of NeRM: a vector-quantised autoencoder of short motion at 20 fps (Zhang et al. 2023, T2M-GPT)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from mdtool.config import Strict, validated
from mdtool.methods.contract import Batch, ClipPlan, SequenceLearner
from mdtool.motion.pose_vectors import SIZE, above_standing, poses_to_vectors
from mdtool.networks.vqvae import VQVAE

STATISTICS_SETS = 512


class CodebookConfig(Strict):
    """Settings of the autoencoder; the defaults are T2M-GPT's."""

    frames: int = Field(64, gt=4, multiple_of=4)
    """Frames of a window at `resampled_fps`."""
    resampled_fps: float = Field(20.0, gt=0)
    codes: int = Field(512, gt=1)
    code_width: int = Field(512, gt=0)
    width: int = Field(512, gt=0)
    depth: int = Field(3, gt=0)
    decay: float = Field(0.99, ge=0, lt=1)
    lambda_velocity: float = Field(0.5, ge=0)
    lambda_commitment: float = Field(0.02, ge=0)


class MotionCodebook(SequenceLearner):
    """Learns windows of motion at 20 fps; what is kept of it is the codebook.

    T2M-GPT's velocity loss compares columns of joint positions without taking differences (golden vq_codebook); this
    one compares differences from frame to frame, as the paper says.
    """

    root_scale: Tensor
    uses_labels = False
    hold_last = True

    def __init__(self, settings: dict[str, Any], actions: list[str], fps: float) -> None:
        super().__init__()
        self.config = config = validated(CodebookConfig, settings, "nerm-codebook settings")
        self.frames, self.fps, self.actions = config.frames, config.resampled_fps, list(actions)
        self.resampled_fps, self.sequence_s = config.resampled_fps, config.frames / config.resampled_fps
        self.network = VQVAE(SIZE, config.codes, config.code_width, config.width, config.depth)
        self.network.quantizer.decay = config.decay
        self.register_buffer("root_scale", torch.ones(()))

    @property
    def codebook(self) -> Tensor:
        """[codes, code_width]."""
        return self.network.quantizer.codebook

    def fit_statistics(self, windows: Callable[[int], Batch]) -> None:
        """Measure one scale for the root's path."""
        self.root_scale.copy_(above_standing(windows(STATISTICS_SETS).root).square().mean().sqrt().clamp_min(0.05))

    def clip_plan(self, step: int) -> ClipPlan:
        """Windows of consecutive frames at 20 fps."""
        return ClipPlan(self.frames, resampled=True)

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Smooth L1 of features and of their differences in time, and commitment; the codebook follows by itself."""
        x = poses_to_vectors(batch.rot6d, batch.root, self.root_scale)

        def draw(shape: tuple[int, int]) -> Tensor:
            return torch.randn(shape, generator=rng, device=x.device)

        made, codes = self.network(x, draw if self.training else None)
        made = made.float()
        reconstruction = smooth_l1_loss(made, x, reduction="none").mean((1, 2))
        velocity = smooth_l1_loss(made.diff(dim=1), x.diff(dim=1), reduction="none").mean((1, 2))
        commitment = codes.commitment.float().expand(len(x))
        config = self.config
        loss = reconstruction + config.lambda_velocity * velocity + config.lambda_commitment * commitment
        perplexity = codes.perplexity.detach().float().expand(len(x))
        return {
            "reconstruction": reconstruction, "velocity": velocity, "commitment": commitment,
            "perplexity": perplexity, "loss": loss,
        }  # fmt: skip
