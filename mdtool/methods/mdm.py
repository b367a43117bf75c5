"""MDM: action-conditioned transformer diffusion on 6D rotations (Tevet et al. 2022), and the thesis built on it.

The thesis adds loss-aware importance sampling of timesteps and averaged weights; both belong to training and to
`timestep_sampler` here. The profiles `thesis` and `mdm-a2m` are exact; the small presets depart from them where a
measurement says so: standardised features on a known floor, and a spectral skip connection (`prediction =
"spectral"`, see diffusion/preconditioning.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from mdtool.config import validated
from mdtool.diffusion.gaussian import GaussianDiffusion
from mdtool.diffusion.guidance import NO_CONDITION, classifier_free, guidance_scale
from mdtool.diffusion.samplers import ddim, ddim_inversion, ddpm
from mdtool.diffusion.schedules import betas
from mdtool.diffusion.timesteps import DrawHistogram, LossAwareTimesteps, UniformTimesteps
from mdtool.diffusion.weighting import StepWeighting, step_weights
from mdtool.errors import MdtoolError
from mdtool.losses.geometric import motion_losses
from mdtool.losses.reconstruction import masked_l2
from mdtool.methods.contract import Batch, Description
from mdtool.methods.feature_space import FeatureSpace, WindowSettings
from mdtool.methods.seeds import step_noise


class MDMConfig(WindowSettings):
    """Settings of MDM; the defaults are the thesis's."""

    diffusion_steps: int = Field(100, gt=1)
    schedule: Literal["cosine", "linear"] = "cosine"
    timestep_sampler: Literal["uniform", "loss-aware"] = "uniform"
    draws_every: int = Field(1250, gt=0)
    """Optimiser steps per row of timesteps.npz."""
    step_weighting: StepWeighting = "none"
    """Factor of each timestep's whole loss: min-snr (Hang et al. 2023), or decay; see diffusion/weighting.py."""
    min_snr_gamma: float = Field(5.0, gt=0)
    weighting_decay: float = Field(3.0, gt=0)
    """Logarithm of how much more the cleanest timestep counts than the noisiest under "decay"."""
    sampler: Literal["ddpm", "ddim", "dpm++"] = "ddpm"
    """Default of `mdtool sample`; ddim adds no noise, whatever the temperature, and dpm++ is ddpm of second order (see
    `GaussianDiffusion.extrapolated`)."""
    sample_steps: int | None = Field(None, gt=0)
    """Default number of sampling steps; all of them when not given."""
    guide_at: float = Field(0.0, ge=0, lt=1)
    """Share of the training after which the weights are kept that make guidance's unconditional prediction. The early
    network errs as the finished one does, but more: guidance then leads away from errors too (Karras et al. 2024).
    0: the finished weights, as the paper."""
    guided_share: float = Field(1.0, gt=0, le=1)
    """Share of the timesteps, the noisiest, in which guidance works (Kynkäänniemi et al. 2024)."""

    @model_validator(mode="after")
    def _consistent(self) -> MDMConfig:
        if self.standardise and self.prediction == "x0":
            raise ValueError('standardise needs prediction "v", "eps" or "spectral": "x0" weighs the plain features')
        if self.sample_steps is not None and self.sample_steps > self.diffusion_steps:
            raise ValueError("sample_steps must not exceed diffusion_steps")
        return self


class MDM(FeatureSpace):
    """The diffusion of MDM with its losses and samplers. Features and latents are [B, 25, 6, T]."""

    config: MDMConfig
    shares_batches = True
    tempers = True
    time_axis = 3
    step_weight: Tensor

    def __init__(self, settings: dict[str, Any], actions: list[str], fps: float) -> None:
        config = validated(MDMConfig, settings, "mdm settings")
        super().__init__(config, actions, fps)
        self.network = self.denoiser(positions=max(config.diffusion_steps, config.frames + 1))
        self.process = GaussianDiffusion(betas(config.schedule, config.diffusion_steps))
        factors = step_weights(
            config.step_weighting,
            torch.from_numpy(self.process.tables["alphas_cumprod"]),
            config.prediction,
            config.min_snr_gamma,
            config.weighting_decay,
        )
        self.register_buffer("step_weight", factors.float(), persistent=False)
        aware = config.timestep_sampler == "loss-aware"
        self.timesteps = (LossAwareTimesteps if aware else UniformTimesteps)(config.diffusion_steps)
        self.histogram = DrawHistogram(config.diffusion_steps, config.draws_every)

    # ---- training ---------------------------------------------------------------------------------------------

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Reconstruction and weighted geometric terms; `loss` carries its timestep's step and importance weights.

        The loss-aware sampler hears of the loss with its step weight, since that is the objective whose variance it
        is to lower, and without its importance weight.
        """
        config = self.config
        x0 = self.scaled(self.from_motion(batch.rot6d, batch.root))
        share, count = batch.share, batch.share.whole(len(x0))
        drawn, weight = self.timesteps.draw(count, rng)
        noise = share.mine(torch.randn((count, *x0.shape[1:]), generator=rng, device=x0.device))
        hide = share.mine(torch.rand(count, generator=rng, device=x0.device)) < config.cond_mask_prob
        timestep = share.mine(drawn)
        x_t = self.process.diffuse(x0, timestep, noise).x_t
        action = torch.where(hide, NO_CONDITION, batch.action) if config.conditional else None
        output = self.network(x_t, timestep, action).float()
        estimate = self.x0_of(self.process, output, x_t, timestep, action)
        terms = self._terms(output, estimate, x0, x_t, timestep)
        loss = terms["loss"] * self.step_weight[timestep]
        self.timesteps.record(drawn, share.gathered(loss.detach()))
        self.histogram.add(drawn)
        return {**terms, "loss": loss * share.mine(weight)}

    def _terms(self, output: Tensor, estimate: Tensor, x0: Tensor, x_t: Tensor, timestep: Tensor) -> dict[str, Tensor]:
        """Unweighted terms [B] by name, and their weighted sum as `loss`."""
        config = self.config
        weights = {
            "reconstruction": float(config.prediction == "x0"),
            "position": config.lambda_position,
            "velocity": config.lambda_velocity,
            "foot": config.lambda_foot,
        }
        terms: dict[str, Tensor] = {"loss": x0.new_zeros(len(x0))}
        if any(weights.values()):
            terms = motion_losses(self.unscaled(estimate), self.unscaled(x0), weights, foot_space=config.foot_space)
        if config.prediction == "spectral":
            noise_scale = self.process.table("sqrt_one_minus_alphas_cumprod", timestep, x0)
            own = masked_l2(estimate / noise_scale, x0 / noise_scale)  # v-prediction's weight: 1 + SNR of x_0
        elif config.prediction == "x0":
            return terms
        else:
            own = masked_l2(output, self.process.output_for(config.prediction, x0, x_t, timestep))
        return {**terms, "reconstruction": own, "loss": terms["loss"] + own}

    def training_state(self) -> dict[str, Tensor]:
        """Histogram of draws, and the loss history of the loss-aware sampler."""
        return {**self.histogram.state(), **{f"sampler.{k}": v for k, v in self.timesteps.named_buffers()}}

    def load_training_state(self, state: dict[str, Tensor]) -> None:
        """Restore what `training_state` gave."""
        self.histogram.load_state(state)
        for name, buffer in self.timesteps.named_buffers():
            buffer.copy_(state[f"sampler.{name}"])

    # ---- sampling ---------------------------------------------------------------------------------------------

    def noise(self, rngs: Sequence[torch.Generator], frames: int | None = None) -> Tensor:
        """x_T of each sample [B, 25, 6, T]. DDPM's step noise is derived from it, so that it stands for all.

        Raises:
            MdtoolError: a length that the network was not trained for.
        """
        return self.noise_windows(rngs, frames)

    def decode(self, noise: Tensor, action: Tensor | None, **options: object) -> Tensor:
        """Features [B, 25, 6, T] of x_T.

        Options:
            steps: sampling steps, spread over all timesteps with both ends; the preset's number by default. A
                string goes to `space_timesteps` as it is ("ddim10").
            sampler: ddpm, ddim or dpm++.
            guidance: classifier-free scale, 1 is off.
            temperature: scale of the step noise; ddim has none.
            checkpointing: recompute each step in the backward pass.

        Raises:
            MdtoolError: an unknown option value, guidance without training for it, or a temperature of ddim.
        """
        denoiser = self._denoiser(action, options.get("guidance"))
        process = self._process(options.get("steps"))
        sampler = options.get("sampler") or self.config.sampler
        checkpointing = bool(options.get("checkpointing", False))
        temperature = options.get("temperature")
        if sampler == "ddim":
            if temperature not in (None, 1.0):
                raise MdtoolError("ddim adds no noise that a temperature could scale: use --sampler ddpm or dpm++")
            decoded = ddim(denoiser, process, noise, checkpointing=checkpointing)
        elif sampler in ("ddpm", "dpm++"):
            drawn, temper = step_noise(noise), self.tempering(noise, action, temperature)
            decoded = ddpm(
                denoiser, process, noise, lambda step: temper(drawn(step)),
                second_order=sampler == "dpm++", checkpointing=checkpointing,
            )  # fmt: skip
        else:
            raise MdtoolError(f"no sampler {sampler!r}: choose ddpm, ddim or dpm++")
        return self.unscaled(decoded)

    def invert(self, features: Tensor, action: Tensor | None, **options: object) -> Tensor:
        """x_T whose DDIM sample is `features`; options as for `decode`."""
        return ddim_inversion(
            self._denoiser(action, options.get("guidance")), self._process(options.get("steps")), self.scaled(features)
        )

    def smooth_options(self, steps: int | None = None) -> dict[str, object]:
        """DDIM without guidance, 10 steps by default (Karunratanakul et al. 2024), the noisiest timestep among them.

        The paper's stride leaves that one out (it starts at 900 of 1,000): where few timesteps or wide features, as
        a path of metres in standardised units, leave signal in x at the stride's top, pure noise is not what belongs
        there, and walks come back metres off.
        """
        return {"steps": min(steps or 10, self.config.diffusion_steps), "sampler": "ddim", "guidance": 1.0}

    def published_options(self) -> dict[str, object]:
        """Ancestral sampling over every step, without guidance (Tevet et al. 2022, action-to-motion)."""
        return {"steps": self.config.diffusion_steps, "sampler": "ddpm", "guidance": 1.0, "temperature": 1.0}

    def describe(self) -> Description:
        """Calls, length, rate and conditions."""
        visited = self._process(None).timestep_map
        guided = int((visited >= self._lowest_guided()).sum()) if self.config.guidance != 1 else 0
        return Description(
            method="mdm",
            parameters=sum(parameter.numel() for parameter in self.parameters()),
            network_calls=len(visited) + guided,
            frames=(self.frames, self.frames),
            fps=self.fps,
            conditions="action" if self.config.conditional else "none",
        )

    def _denoiser(self, action: Tensor | None, guidance: object) -> Callable[[Tensor, Tensor], Tensor]:
        config = self.config
        scale = guidance_scale(guidance, config.guidance, config.conditional and config.cond_mask_prob > 0)
        if action is None or not config.conditional:
            return self._estimate
        load = self.weaker
        weaker = None if load is None else lambda *noisy: load()._estimate(*noisy)
        return classifier_free(self._estimate, action, scale, weaker, self._lowest_guided())

    def _estimate(self, x: Tensor, timestep: Tensor, condition: Tensor | None = None) -> Tensor:
        """x̂_0 of x at timesteps [B] of the original process."""
        output = self.network(x, timestep, condition).float()
        return self.x0_of(self.process, output, x, timestep, condition)

    def _lowest_guided(self) -> int:
        return round((1 - self.config.guided_share) * self.config.diffusion_steps)

    def _process(self, steps: object) -> GaussianDiffusion:
        steps = steps or self.config.sample_steps
        if steps is None or steps == self.config.diffusion_steps:
            return self.process
        if isinstance(steps, int) and steps > self.config.diffusion_steps:
            raise MdtoolError(
                f"this run has {self.config.diffusion_steps} diffusion steps: --steps {steps} is too many"
            )
        return self.process.respaced(steps if isinstance(steps, str) else [int(str(steps))])
