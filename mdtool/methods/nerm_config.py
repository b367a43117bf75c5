"""Settings of NeRM."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mdtool.config import Strict
from mdtool.methods.lengths import AXIS_S
from mdtool.networks.implicit import TimeEncoding


class NeRMConfig(Strict):
    """Settings of NeRM; sizes and weights are the paper's, lengths of the phases must be chosen for the data."""

    frames: int = Field(60, gt=1)
    """Length of a sample when none is asked for, in frames of `grid_fps`."""
    grid_fps: float | None = Field(None, gt=0)
    """Frame rate of a sample when none is asked for; the data's when not given."""
    axis_s: float = Field(AXIS_S, gt=0)
    """Length of the time axis: longer recordings are cut into overlapping pieces with a latent each."""
    hold_last: bool = False
    """Let shorter recordings go on with their last pose to the end of the axis, as the action-to-motion protocol does;
    otherwise the field beyond their end is not trained."""
    hop_s: float | None = Field(None, gt=0)
    """Seconds between the starts of two sequences of a longer recording; half of the axis if None, as in the paper's
    cuts. A smaller one gives the diffusion more latents to learn from."""
    resampled_fps: float = Field(20.0, gt=0)
    """Rate of the first part of stage 1."""

    field_steps: int = Field(60_000, gt=0)
    """Steps of stage 1; the rest of train.steps is stage 2."""
    encoder_steps: int = Field(0, ge=0)
    """Steps of stage 1 in which a set encoder gives the latents; afterwards they are learnt one by one from there."""
    native_from: int = Field(42_000, ge=0)
    """Step of stage 1 from which poses come at the recordings' own rates; field_steps for a fixed-rate model."""
    clip_poses: int = Field(32, gt=0)
    field_share: int = Field(1, gt=0)
    """Stage 1 makes do with 1 / field_share of the batch: a clip costs so much more than a latent."""
    clips_per_visit: int = Field(4, gt=0)
    strides: tuple[int, ...] = (1, 2, 4, 8)
    """Every how many frames a clip may take its poses."""
    latent_lr: float = Field(1e-3, gt=0)
    """Of the latents' own Adam; latents reach about this times the number of their updates."""

    latent: int = Field(256, gt=0)
    variational: bool = True
    lambda_kl: float = Field(1e-4, ge=0)
    lambda_root: float = Field(1.0, ge=0)
    lambda_position: float = Field(0.0, ge=0)
    """Weight of the mean squared error of joint positions, in m²; not in the paper."""
    by_reach: bool = False
    """Weigh each rotation's error by how far it moves the joints below it, in place of alike; not in the paper."""
    linear_path: bool = False
    """Add a path that is linear in the latent, and begin with the principal components of the training motions instead
    of at random; not in the paper."""
    rate_dropout: float = Field(0.5, ge=0, le=1)
    """Share of clips whose frame rate is hidden: in the data the rate also tells the recording's source."""
    time_encoding: TimeEncoding = "fourier"
    frequencies: int = Field(128, gt=0)
    frequency_scale: float = Field(25.0, gt=0)
    """σ of the frequencies; 3 σ on an axis of l seconds is content of 6 σ / l Hz."""
    integrated: bool = False
    """Average waves over the spacing of the poses."""
    codebook: str = ""
    """Run of `nerm-codebook` whose codebook time attends to, with time_encoding "cca" (the paper's)."""
    codes: int = Field(512, gt=0)
    code_width: int = Field(512, gt=0)
    queries: int = Field(256, gt=0)
    query_width: int = Field(128, gt=0)
    width: int = Field(1024, gt=0)
    layers: int = Field(9, gt=1)
    reinject: bool = False
    """Give every layer the input again."""

    denoiser: Literal["transformer", "mlp"] = "transformer"
    """The paper's, over the tokens z, timestep and condition; or residual layers that the latter two modulate, with
    `feedforward` units."""
    denoiser_layers: int = Field(9, gt=0)
    heads: int = Field(4, gt=0)
    feedforward: int = Field(1024, gt=0)
    dropout: float = Field(0.1, ge=0, lt=1)
    prediction: Literal["eps", "spectral", "mixture"] = "eps"
    """What the denoiser tells: the noise; or its correction of what each action's mean and variances (see
    diffusion/preconditioning.py) or its mixture of Gaussians (diffusion/mixture.py) tell already, not in the paper."""
    components: int = Field(32, gt=0)
    """Gaussians of an action's mixture, at most."""
    component_spread: float = Field(1.0, gt=0, le=1)
    """Share of the variance within the mixture's Gaussians that sampling keeps: they share one covariance, so that each
    spreads in the others' directions too."""
    conditional: bool = True
    cond_mask_prob: float = Field(0.1, ge=0, le=1)
    diffusion_steps: int = Field(1000, gt=1)
    sample_steps: int = Field(50, gt=0)
    guidance: float = 1.0
    fit_steps: int = Field(300, gt=0)
    """Steps that find the latent of an unseen motion."""
    fit_lr: float = Field(1e-2, gt=0)

    @model_validator(mode="after")
    def _consistent(self) -> NeRMConfig:
        if max(self.encoder_steps, self.native_from) > self.field_steps:
            raise ValueError("encoder_steps and native_from must not exceed field_steps")
        if self.time_encoding == "cca" and not self.codebook:
            raise ValueError(
                'time_encoding "cca" needs codebook = "RUN" of `mdtool train --method nerm-codebook`; '
                '"fourier" and "cca_random" need none'
            )
        if self.linear_path and (self.time_encoding == "none" or self.encoder_steps):
            raise ValueError(
                "linear_path is made of waves and finds the first latents itself: set a time_encoding other than "
                '"none", and encoder_steps to 0'
            )
        if self.component_spread != 1 and self.prediction != "mixture":
            raise ValueError('component_spread is of the mixture: set prediction to "mixture", or leave it out')
        if self.latent % self.heads:
            raise ValueError(f"latent ({self.latent}) must be a multiple of heads ({self.heads})")
        if self.sample_steps >= self.diffusion_steps:
            raise ValueError("sample_steps must be below diffusion_steps")
        if self.guidance != 1 and not (self.conditional and self.cond_mask_prob > 0):
            raise ValueError("guidance other than 1 needs cond_mask_prob above 0")
        return self
