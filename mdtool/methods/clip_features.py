"""The feature extractor of clip-FID: it tells clips of different recordings apart and knows how fast they move.

NeRM (Wei et al. 2024) does not describe the one it used. This one is trained on clips of real recordings at their own
rates: two clips of a recording must find each other in a batch (Chen et al. 2020, NT-Xent), and the clip's speed
spectrum must be readable from its features, so that detail at high frequencies counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from mdtool.config import Strict, validated
from mdtool.methods.contract import Batch, ClipPlan, SequenceLearner
from mdtool.motion.features import face_forward
from mdtool.motion.ground import at_height
from mdtool.motion.kinematics import joint_positions
from mdtool.networks.clip_encoder import ClipEncoder

BANDS = ((0.0, 2.0), (2.0, 5.0), (5.0, 10.0), (10.0, 20.0), (20.0, 60.0))
"""Hz, in which the speed of the joints is measured; the same for every rate, and empty above half of it."""
FLOOR = 1e-3
"""m/s below which a band counts as silent."""


class ClipFeaturesConfig(Strict):
    """Settings of the extractor."""

    frames: int = Field(64, gt=7)
    """Poses m of a clip."""
    width: int = Field(128, gt=0, multiple_of=8)
    features: int = Field(128, gt=0)
    longest_s: float = Field(10.0, gt=0)
    temperature: float = Field(0.1, gt=0)
    lambda_spectrum: float = Field(1.0, ge=0)


class ClipFeatures(SequenceLearner):
    """Positions and velocities of the joints of a clip → 128 numbers."""

    scale: Tensor
    uses_labels = False
    resampled_fps = 20.0

    def __init__(self, settings: dict[str, Any], actions: list[str], fps: float) -> None:
        super().__init__()
        self.config = config = validated(ClipFeaturesConfig, settings, "clip-features settings")
        self.frames, self.fps, self.actions = config.frames, fps, list(actions)
        self.sequence_s = config.longest_s
        self.encoder = ClipEncoder(2 * 72, config.width, config.features)
        self.spectrum = nn.Linear(config.features, len(BANDS))
        self.register_buffer("scale", torch.ones(2))

    def fit_statistics(self, windows: Callable[[int], Batch]) -> None:
        """Measure the scale of the joints' places about the pelvis; speeds are in m/s and stay."""
        batch = windows(256)
        joints = joint_positions(batch.rot6d, batch.root)
        self.scale[0] = (joints - joints[..., :1, :]).square().mean().sqrt()

    def clip_plan(self, step: int) -> ClipPlan:
        """Two clips of each sequence, at its own rate and at halves of it."""
        return ClipPlan(self.frames, per_visit=2, strides=(1, 2, 4))

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Contrast between the recordings of a batch, and the error of the spectrum read from the features."""
        assert batch.places is not None
        joints = clip_joints(batch.rot6d, batch.root)
        features = self.features(joints, batch.places.fps)
        unit = normalize(features, dim=-1)
        alike = (unit @ unit.T / self.config.temperature).fill_diagonal_(-1e4)
        partner = torch.arange(len(unit), device=unit.device) ^ 1
        contrast = cross_entropy(alike, partner, reduction="none")
        wanted = log_spectrum(joints, batch.places.fps)
        spectrum = (self.spectrum(features) - wanted).square().mean(-1)
        found = (alike.argmax(-1) == partner).float()
        loss = contrast + self.config.lambda_spectrum * spectrum
        return {"contrast": contrast, "spectrum": spectrum, "found": found, "loss": loss}

    def features(self, joints: Tensor, fps: Tensor) -> Tensor:
        """Features [B, D] of clips of joint positions [B, T, 24, 3], as `clip_joints` gives them, at rates [B]."""
        around = (joints - joints[:, :, :1]).flatten(2) / self.scale[0]
        speed = joints.diff(dim=1).flatten(2) * fps.view(-1, 1, 1)
        speed = torch.cat([speed, speed[:, -1:]], dim=1)
        features: Tensor = self.encoder(torch.cat([around, speed], dim=-1), fps)
        return features.float()


def clip_joints(rot6d: Tensor, root: Tensor) -> Tensor:
    """Joint positions [B, T, 24, 3] of clips [B, T, 24, 6], [B, T, 3], whose first frame is at x = z = 0, facing +z."""
    rot6d, root = face_forward(rot6d, root)
    return joint_positions(rot6d, root - at_height(root[:, :1]))


def log_spectrum(joints: Tensor, fps: Tensor) -> Tensor:
    """Logarithm of the joints' speed in every band of frequency, m/s; [B, T, 24, 3], rates [B] → [B, bands]."""
    return 0.5 * torch.log(_band_power(joints.diff(dim=1) * fps.view(-1, 1, 1, 1), fps) + FLOOR**2)


def jerk_power(joints: Tensor, fps: Tensor) -> Tensor:
    """Mean square of the joints' jerk in every band of frequency, m²/s⁶; [B, T, 24, 3], rates [B] → [B, bands]."""
    return _band_power(joints.diff(n=3, dim=1) * fps.view(-1, 1, 1, 1) ** 3, fps)


def _band_power(vectors: Tensor, fps: Tensor) -> Tensor:
    """Mean square length [B, bands] of vectors [B, T, 24, 3] at rates [B], by frequency."""
    frames = vectors.shape[1]
    power = torch.fft.rfft(vectors, dim=1).abs().square().sum(-1).mean(-1) / frames**2
    power[:, 1 : (frames + 1) // 2] *= 2  # a wave is there at its negative frequency too; the mean is not
    hz = torch.arange(power.shape[1], device=vectors.device) * fps.unsqueeze(1) / frames
    return torch.stack([(power * ((hz >= low) & (hz < high))).sum(1) for low, high in BANDS], dim=1)
