"""What MDM's family shares: features of 25 × 6 numbers a frame, their scales and spectrum, the denoiser, x̂_0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from mdtool.config import Strict
from mdtool.diffusion.gaussian import GaussianDiffusion
from mdtool.diffusion.preconditioning import SpectralPreconditioner
from mdtool.diffusion.spectral_mixture import spectral_skip
from mdtool.errors import MdtoolError
from mdtool.methods.contract import Batch, Method
from mdtool.methods.lengths import FRAMES
from mdtool.motion.features import ROWS, FeatureLayout
from mdtool.networks.transformer import Denoiser

CHANNELS = 6
ROOT_SCALE = 0.25
"""Metres of root translation that count as one standard deviation. The data's own (about 1 m where people walk)
would let the root of a standing person shake by centimetres before the loss notices."""
STATISTICS_WINDOWS = 4096
"""Windows from which mean, scale and spectrum are measured."""


class WindowSettings(Strict):
    """Settings that MDM's family shares; the defaults are the thesis's."""

    frames: int = Field(FRAMES, gt=1)
    layers: int = Field(8, gt=0)
    width: int = Field(512, gt=0)
    heads: int = Field(8, gt=0)
    feedforward: int = Field(1024, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    cond_mask_prob: float = Field(0.1, ge=0, le=1)
    """Share of training samples whose action is hidden, so that guidance is possible."""
    conditional: bool = True
    """Learn the actions; otherwise the network has none."""
    norm: Literal["post", "pre"] = "post"
    conditioning: Literal["token", "adaln"] = "token"
    patch: int = Field(1, gt=0)
    """Consecutive frames that share a token."""
    axes: Literal["y-up", "y-down"] = "y-down"
    origin: Literal["first-frame", "ground"] = "first-frame"
    heading: bool = False
    standardise: bool = False
    """Subtract the data's mean and divide each joint's row by its standard deviation."""
    prediction: Literal["x0", "eps", "v", "spectral"] = "x0"
    """spectral: the network predicts behind a `SpectralPreconditioner`, which holds the data's spectrum."""
    components: int = Field(1, gt=0)
    """Spectra of each action behind the spectral skip, one for each manner of moving (`SpectralMixture`)."""
    lambda_position: float = Field(0.0, ge=0)
    lambda_velocity: float = Field(25.0, ge=0)
    lambda_foot: float = Field(45.0, ge=0)
    foot_space: Literal["root", "world"] = "root"
    guidance: float = 1.0
    """Default classifier-free guidance scale; 1 is off, as in the published protocols."""
    temperature: float = Field(1.0, ge=0, le=1)
    """Default scale of the noise that the sampler adds in a step: less of it gives likelier and less various motion
    (low-temperature sampling; Kingma & Dhariwal 2018, section 6); 1 is the published sampler."""
    temperature_floor: float = Field(0.0, ge=0)
    """Variance κ below which the temperature falls further, in the network's units and behind a spectral skip only: a
    frequency whose variance in the data is v gets temperature ^ (1 + κ / v), so that fast movement, of which the data
    has hardly any, is made nearly without added noise. 0: all frequencies alike."""

    @model_validator(mode="after")
    def _fits(self) -> WindowSettings:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        if self.frames % self.patch:
            raise ValueError(f"frames ({self.frames}) must be a multiple of patch ({self.patch})")
        if self.prediction == "spectral" and not self.standardise:
            raise ValueError('prediction "spectral" needs standardise = true')
        if self.components > 1 and self.prediction != "spectral":
            raise ValueError('components above 1 need prediction "spectral": they are of its spectrum')
        if self.temperature_floor and self.prediction != "spectral":
            raise ValueError('temperature_floor needs prediction "spectral", which knows the variances')
        if self.guidance != 1 and not (self.conditional and self.cond_mask_prob > 0):
            raise ValueError(
                "guidance other than 1 needs cond_mask_prob above 0 and conditional = true: set guidance = 1"
            )
        return self


class FeatureSpace(Method):
    """Features are [B, 25, 6, T], and a network sees them standardised where asked to."""

    config: WindowSettings
    mean: Tensor
    scale: Tensor

    def __init__(self, config: WindowSettings, actions: list[str], fps: float) -> None:
        super().__init__()
        self.config, self.frames, self.fps, self.actions = config, config.frames, fps, list(actions)
        self.layout = FeatureLayout(config.axes, config.origin, config.heading)
        self.labels = self.actions if config.conditional else []
        self.uses_labels = config.conditional
        self.standardise = config.standardise
        self.spectrum: SpectralPreconditioner | None = None
        if config.standardise:
            self.register_buffer("mean", torch.zeros(ROWS, CHANNELS, 1))
            self.register_buffer("scale", torch.ones(ROWS, CHANNELS, 1))
        if config.prediction == "spectral":
            self.spectrum = spectral_skip(len(self.labels), ROWS * CHANNELS, config.frames, config.components)

    def denoiser(self, **own: Any) -> Denoiser:
        """A transformer of the settings' size, with fresh weights; `own` are further arguments of `Denoiser`."""
        config = self.config
        return Denoiser(
            rows=ROWS,
            channels=CHANNELS,
            actions=len(self.labels),
            width=config.width,
            layers=config.layers,
            heads=config.heads,
            feedforward=config.feedforward,
            dropout=config.dropout,
            norm=config.norm,
            conditioning=config.conditioning,
            patch=config.patch,
            **own,
        )

    def fit_statistics(self, windows: Callable[[int], Batch]) -> None:
        """Measure mean, scale and spectrum of the features on random training windows."""
        if not self.standardise:
            return
        batch = windows(STATISTICS_WINDOWS)
        features = self.from_motion(batch.rot6d, batch.root)
        self.mean.copy_(features.mean((0, 3)).unsqueeze(-1))
        variance = (features - self.mean).square().mean((0, 3))
        scale = variance.mean(1).sqrt().clamp_min(0.02)
        scale[-1] = ROOT_SCALE
        self.scale.copy_(scale[:, None, None].expand_as(self.scale))
        if self.spectrum is not None:
            self.spectrum.fit(((features - self.mean) / self.scale).flatten(1, 2), batch.action, clip=batch.clip)

    def remarks(self) -> list[str]:
        """Where the clips are too few for so many components."""
        return [] if self.spectrum is None else self.spectrum.remarks

    def length(self, frames: int | None) -> int:
        """The length of a sample's window.

        Raises:
            MdtoolError: a length that the network was not trained for.
        """
        if frames is not None and frames != self.frames:
            raise MdtoolError(
                f"this run was trained on {self.frames} frames and cannot make {frames}: use --frames {self.frames}"
            )
        return self.frames

    def noise_windows(self, rngs: Sequence[torch.Generator], frames: int | None = None) -> Tensor:
        """Unit noise [B, 25, 6, T], row i from `rngs[i]`."""
        frames = self.length(frames)
        return torch.stack([torch.randn(ROWS, CHANNELS, frames, generator=rng) for rng in rngs])

    def to_motion(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(rot6d, root) of features, in the world of the motion file."""
        return self.layout.decode(features)

    def to_raw_motion(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(rot6d as the network gives it, root) of features: what MDM's evaluation shows to the recogniser."""
        return self.layout.decode(features, orthonormal=False)

    def from_motion(self, rot6d: Tensor, root: Tensor) -> Tensor:
        """Features of windows, as `decode` gives them: in the layout's own units, not standardised."""
        return self.layout.encode(rot6d, root)

    def scaled(self, features: Tensor) -> Tensor:
        """Features as the network sees them."""
        return (features - self.mean) / self.scale if self.standardise else features

    def unscaled(self, features: Tensor) -> Tensor:
        """The inverse of `scaled`."""
        return features * self.scale + self.mean if self.standardise else features

    def tempering(self, latent: Tensor, action: Tensor | None, given: object) -> Callable[[Tensor], Tensor]:
        """What scales the noise [B, …, 25, 6, T] of a sampler's steps by the temperature.

        Args:
            latent: [B, …, T] of the samples.
            given: the temperature 0 … 1; None is the settings'.
        """
        temperature = self.config.temperature if given is None else float(str(given))
        floor, known = self.config.temperature_floor, action if self.config.conditional else None
        if self.spectrum is None or not floor or temperature == 1:
            return lambda noise: temperature * noise
        temper = self.spectrum.tempering(known, len(latent), latent.shape[-1], temperature, floor)
        return lambda noise: temper(noise.flatten(-3, -2)).view_as(noise)

    def x0_of(
        self, process: GaussianDiffusion, output: Tensor, x_t: Tensor, timestep: Tensor, action: Tensor | None
    ) -> Tensor:
        """x̂_0 [B, 25, 6, T] of a network's output, whatever the settings let it predict.

        Args:
            timestep: [B], index of `process`.
            action: [B] labels, negative for the null condition; None is null for all.
        """
        if self.spectrum is None:
            # Without a spectrum the prediction is one of those that the process knows.
            return process.x0_from(self.config.prediction, output, x_t, timestep)  # type: ignore[arg-type]
        signal = process.table("sqrt_alphas_cumprod", timestep, x_t)
        noise = process.table("sqrt_one_minus_alphas_cumprod", timestep, x_t)
        flat = self.spectrum.estimate(
            output.flatten(1, 2), x_t.flatten(1, 2), signal.flatten(1, 2), noise.flatten(1, 2), action
        )
        return flat.view_as(x_t)
