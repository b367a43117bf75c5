"""Settings of EMDM."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mdtool.config import Strict


class EMDMConfig(Strict):
    """Settings of EMDM; the defaults are the released code's for action-to-motion."""

    frames: int = Field(60, gt=1)
    layers: int = Field(12, gt=0)
    width: int = Field(1024, gt=0)
    heads: int = Field(32, gt=0)
    feedforward: int = Field(1024, gt=0)
    dropout: float = Field(0.1, ge=0, lt=1)
    activation: Literal["gelu", "selu"] = "selu"
    separate_tokens: bool = True
    """A token for the timestep and one for the action, instead of their sum as in MDM."""
    cond_mask_prob: float = Field(0.1, ge=0, le=1)
    conditional: bool = True
    norm: Literal["post", "pre"] = "post"
    conditioning: Literal["token", "adaln"] = "token"
    patch: int = Field(1, gt=0)
    axes: Literal["y-up", "y-down"] = "y-down"
    origin: Literal["first-frame", "ground"] = "first-frame"
    heading: bool = False
    standardise: bool = False
    prediction: Literal["x0", "v", "spectral"] = "x0"
    diffusion_steps: int = Field(10, gt=0)
    """T: network calls per motion, in training and sampling alike."""
    beta_min: float = Field(0.1, gt=0)
    beta_max: float = Field(20.0, gt=0)
    time_steps: int = Field(0, ge=0)
    """0 tells the network the number of the step. N tells it the timestep with as much noise in a process of N steps,
    so that the weights of an MDM of N steps mean the same here."""
    time_schedule: Literal["cosine", "linear"] = "cosine"
    latent: int = Field(64, gt=0)
    latent_layers: int = Field(4, ge=0)
    latent_norm: bool = False
    adversarial: bool = True
    """false trains neither code nor discriminator: a plain few-step regressor, to see what the GAN brings."""
    discriminator: Literal["mlp", "encoder"] = "mlp"
    discriminator_width: int = Field(1024, gt=0)
    discriminator_layers: int = Field(12, gt=0)
    """Of the encoder; the MLP always has seven."""
    discriminator_lr: float = Field(1.25e-4, gt=0)
    discriminator_sees_action: bool = True
    discriminator_sees_hidden_action: bool = False
    """Whether a generator whose action was hidden is still judged as if it knew it, as in the released code."""
    r1_gamma: float = Field(0.02, ge=0)
    r1_every: int = Field(15, gt=0)
    """Training steps from one gradient penalty to the next; it is not scaled up for those left out."""
    separate_terms: bool = False
    """A forward pass of its own for each of the generator's terms, as in the released code."""
    geometric_weight: float = Field(1.0, ge=0)
    """R: weight of all the terms below together, beside the adversarial one."""
    lambda_reconstruction: float = Field(1.0, ge=0)
    lambda_position: float = Field(1.0, ge=0)
    lambda_velocity: float = Field(1.0, ge=0)
    lambda_foot: float = Field(1.0, ge=0)
    foot_space: Literal["root", "world"] = "world"
    guidance: float = 1.0

    @model_validator(mode="after")
    def _consistent(self) -> EMDMConfig:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        if self.adversarial and self.discriminator == "encoder" and self.discriminator_width % self.heads:
            raise ValueError(f"discriminator_width must be a multiple of heads ({self.heads})")
        if self.frames % self.patch:
            raise ValueError(f"frames ({self.frames}) must be a multiple of patch ({self.patch})")
        if self.prediction == "spectral" and not self.standardise:
            raise ValueError('prediction "spectral" needs standardise = true')
        if self.guidance != 1 and not (self.conditional and self.cond_mask_prob > 0):
            raise ValueError("guidance other than 1 needs cond_mask_prob above 0")
        return self
