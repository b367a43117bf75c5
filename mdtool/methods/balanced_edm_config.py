"""Settings of balanced EDM."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mdtool.config import Strict
from mdtool.losses.balanced import Balance
from mdtool.methods.lengths import EDM_FRAMES
from mdtool.motion.feature_groups import Normaliser
from mdtool.networks.unet1d import Norm


class BalancedEDMConfig(Strict):
    """Settings of balanced EDM; the defaults are the base model's."""

    frames: int = Field(EDM_FRAMES, gt=1)
    """Longest window."""
    shortest: int = Field(32, gt=1)
    """Shortest window, with `several_lengths`."""
    several_lengths: bool = True
    """Train on clips as long as they are, in batches of about one length; False: windows of `frames` only."""
    channels: int = Field(64, gt=0)
    multipliers: list[int] = Field([1, 2, 3, 4], min_length=1)
    """Width of each level in `channels`; each level is half as long as the one above."""
    blocks: int = Field(2, gt=0)
    attention: list[int] = Field([2, 3])
    """Levels with self-attention."""
    head_channels: int = Field(64, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    norm: Norm = "pixel"
    """EDM2's own, or adaptive group norm (adagn), which a summary of the paper names."""
    conditional: bool = False
    """Learn the actions; the paper's model knows none."""
    cond_mask_prob: float = Field(0.1, ge=0, le=1)
    heading: bool = True
    """Turn every window so that its first frame faces +z."""
    mirror: float = Field(0.5, ge=0, le=1)
    """Share of training windows that are mirrored."""
    normaliser: Normaliser = "em"
    balance: Balance = "consistent"
    per_group: bool = True
    """One curve of uncertainty per group of features; False: one of all."""
    dimension_weights: Literal["off", "input", "loss", "both"] = "both"
    sigma_data: float = Field(1.0, gt=0)
    skip: Literal["edm", "spectral"] = "edm"
    """What the network's output is added to: c_skip x (edm), or the Wiener filter of the data's own spectrum."""
    components: int = Field(1, gt=0)
    """Spectra behind the spectral skip, of all data and of each action: one per manner of moving."""
    p_mean: float = 0.0
    """Mean of ln σ in training."""
    p_std: float = Field(1.4, gt=0)
    uncertainty_lr: float = Field(1e-3, gt=0)
    uncertainty_warmup: int = Field(500, ge=0)
    """Steps in which the denoiser is weighted by λ alone, until the uncertainty has learnt something."""
    start_mean: bool = True
    """Start sampling from noise around the data's mean; False: around 0."""
    sigma_min: float = Field(0.002, gt=0)
    sigma_max: float = Field(80.0, gt=0)
    rho: float = Field(7.0, gt=0)
    sampler: Literal["heun", "ddim"] = "heun"
    """ddim is Euler's method on the same ODE."""
    sample_steps: int = Field(16, ge=2)
    churn: float = Field(0.0, ge=0)
    """S_churn of the stochastic sampler; 0 is the ODE."""
    churn_min: float = Field(0.0, ge=0)
    churn_max: float = Field(80.0, gt=0)
    """S_min and S_max: noise levels between which the stochastic sampler adds noise."""
    churn_noise: float = Field(1.0, gt=0)
    """S_noise, its standard deviation."""
    guidance: float = 1.0
    """Classifier-free scale; 1 is off."""

    @model_validator(mode="after")
    def _consistent(self) -> BalancedEDMConfig:
        multiple = 2 ** (len(self.multipliers) - 1)
        for name in ("frames", "shortest"):
            if getattr(self, name) % multiple:
                raise ValueError(f"{name} ({getattr(self, name)}) must be a multiple of {multiple}")
        if self.shortest > self.frames:
            raise ValueError(f"shortest ({self.shortest}) must not exceed frames ({self.frames})")
        if self.sigma_min >= self.sigma_max:
            raise ValueError("sigma_min must lie below sigma_max")
        if self.churn_min > self.churn_max:
            raise ValueError("churn_min must not exceed churn_max")
        if self.components > 1 and self.skip != "spectral":
            raise ValueError('components above 1 need skip "spectral": they are of its spectrum')
        if self.guidance != 1 and not (self.conditional and self.cond_mask_prob > 0):
            raise ValueError("guidance other than 1 needs conditional = true and cond_mask_prob above 0")
        return self
