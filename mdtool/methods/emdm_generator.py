"""EMDM's generator: network, noise packs, sampler, inversion, and the start from an MDM run (see emdm.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mdtool.config import Strict, validated
from mdtool.diffusion.few_step import FewStepDiffusion, few_step, few_step_inversion
from mdtool.diffusion.guidance import classifier_free, guidance_scale
from mdtool.diffusion.schedules import betas, equivalent_timesteps
from mdtool.errors import MdtoolError
from mdtool.methods.contract import Description, Trainable
from mdtool.methods.feature_space import CHANNELS, FeatureSpace, WindowSettings
from mdtool.methods.seeds import content_generators
from mdtool.motion.features import ROWS

ARCHITECTURE = (
    "frames", "layers", "width", "heads", "feedforward", "conditional", "norm", "conditioning", "patch", "axes",
    "origin", "heading", "standardise", "prediction", "components",
)  # fmt: skip
"""Settings that a run must share with the one whose weights it starts from."""


class EMDMConfig(WindowSettings):
    """Settings of EMDM; the defaults are the released code's for action-to-motion."""

    layers: int = Field(12, gt=0)
    width: int = Field(1024, gt=0)
    heads: int = Field(32, gt=0)
    dropout: float = Field(0.1, ge=0, lt=1)
    activation: Literal["gelu", "selu"] = "selu"
    separate_tokens: bool = True
    """A token for the timestep and one for the action, instead of their sum as in MDM."""
    prediction: Literal["x0", "v", "spectral"] = "x0"
    diffusion_steps: int = Field(10, gt=0)
    """T: network calls per motion, in training and sampling alike."""
    beta_min: float = Field(0.1, gt=0)
    beta_max: float = Field(20.0, gt=0)
    time_power: float = Field(1.0, gt=0)
    """Step k's time is (k / T) ^ this: above 1, less of the steps is spent where all is noise (`vp_betas`)."""
    time_steps: int = Field(0, ge=0)
    """0 tells the network the number of the step. N tells it the timestep with as much noise in a process of N steps,
    so that the weights of an MDM of N steps mean the same here."""
    time_schedule: Literal["cosine", "linear"] = "cosine"
    sampler: Literal["few-step", "dpm++"] = "few-step"
    """Default of `mdtool sample`: dpm++ steps towards an extrapolated x̂_0 (see `GaussianDiffusion.extrapolated`)."""
    latent: int = Field(64, gt=0)
    latent_layers: int = Field(4, ge=0)
    latent_norm: bool = False
    latent_token: bool = True
    """Where the condition is a token, whether the code is one beside it, as in the released code, or added to it. A run
    that starts from an MDM adds it: a token more would shift the places of all frames."""
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

    @model_validator(mode="after")
    def _consistent(self) -> EMDMConfig:
        if self.adversarial and self.discriminator == "encoder" and self.discriminator_width % self.heads:
            raise ValueError(f"discriminator_width must be a multiple of heads ({self.heads})")
        return self


class EMDMGenerator(FeatureSpace):
    """What makes motion. Features are [B, 25, 6, T], latents the packs of `unpack`."""

    config: EMDMConfig
    tempers = True
    time: Tensor

    def __init__(self, settings: dict[str, Any], actions: list[str], fps: float) -> None:
        config = validated(EMDMConfig, settings, "emdm settings")
        super().__init__(config, actions, fps)
        self.process = FewStepDiffusion(
            config.diffusion_steps, config.beta_min, config.beta_max, power=config.time_power
        )
        self.network = self.denoiser(
            activation=config.activation,
            separate=config.separate_tokens,
            latent=config.latent if config.adversarial else 0,
            latent_layers=config.latent_layers,
            latent_norm=config.latent_norm,
            latent_token=config.latent_token,
            positions=max(config.diffusion_steps, config.frames + 3),
        )
        time = torch.arange(config.diffusion_steps)
        if config.time_steps:
            others = betas(config.time_schedule, config.time_steps)
            time = torch.from_numpy(equivalent_timesteps(self.process.tables["alphas_cumprod"], others)).float()
        self.register_buffer("time", time, persistent=False)

    def estimate(self, x_next: Tensor, timestep: Tensor, action: Tensor | None, code: Tensor | None) -> Tensor:
        """x̂_0 [B, 25, 6, T] of the generator, scaled as its input is."""
        latent = code if self.config.adversarial else None
        output = self.network(x_next, self.time[timestep], action, latent=latent).float()
        return self.x0_of(self.process, output, x_next, timestep, action)

    def noise(self, rngs: Sequence[torch.Generator], frames: int | None = None) -> Tensor:
        """Noise packs [B, n]: x_T, the codes and the posterior's noises of each sample; see `unpack`.

        Raises:
            MdtoolError: a length that the network was not trained for.
        """
        size = ROWS * CHANNELS * self.length(frames)
        numbers = self.config.diffusion_steps * (size + self._code_size)
        return torch.stack([torch.randn(numbers, generator=rng) for rng in rngs])

    @property
    def _code_size(self) -> int:
        return self.config.latent if self.config.adversarial else 0

    def unpack(self, packs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x_T [B, 25, 6, T], codes [B, steps, Z] and posterior noises [B, steps - 1, 25, 6, T] of packs [B, n].

        Codes and noises stand in the order of the steps taken, from noise to motion.
        """
        steps, size = self.config.diffusion_steps, ROWS * CHANNELS * self.frames
        x, codes, noises = packs.split([size, steps * self._code_size, (steps - 1) * size], dim=1)
        batch, window = len(packs), (ROWS, CHANNELS, self.frames)
        return (
            x.reshape(batch, *window),
            codes.reshape(batch, steps, self._code_size),
            noises.reshape(batch, steps - 1, *window),
        )

    def pack(self, x: Tensor, codes: Tensor, noises: Tensor) -> Tensor:
        """The inverse of `unpack`."""
        return torch.cat([x.flatten(1), codes.flatten(1), noises.flatten(1)], dim=1)

    def decode(self, noise: Tensor, action: Tensor | None, **options: object) -> Tensor:
        """Features [B, 25, 6, T] of noise packs.

        Options:
            guidance: classifier-free scale, 1 is off; both passes get the same code.
            temperature: scale of the posterior's noises, 0 … 1.
            checkpointing: recompute each step in the backward pass.
            sampler: few-step or dpm++.
            steps: only the run's own number: the network knows no other.

        Raises:
            MdtoolError: an unknown option value, or guidance without training for it.
        """
        self._check_options(options)
        x, codes, noises = self.unpack(noise)
        denoiser = self._denoiser(action, options.get("guidance"))
        checkpointing, given = bool(options.get("checkpointing", False)), options.get("temperature")
        noises = self.tempering(noises, action, given)(noises)
        decoded = few_step(
            denoiser, self.process, x, codes, noises,
            second_order=self._second_order(options), checkpointing=checkpointing,
        )  # fmt: skip
        return self.unscaled(decoded)

    def invert(self, features: Tensor, action: Tensor | None, **options: object) -> Tensor:
        """A pack whose chain passes through noisings of `features` down to t = 1; options as for `decode`.

        The codes and the noisings are drawn per sample from its own features. What the last step's prediction leaves
        over is the error of `decode(invert(features))`, with the posterior's whole noise (temperature 1).
        """
        self._check_options(options)
        x0 = self.scaled(features)
        drawn = self.noise(content_generators(features)).to(x0)
        last, codes, rest = self.unpack(drawn)
        path_noise = torch.cat([last.unsqueeze(1), rest], dim=1)
        denoiser = self._denoiser(action, options.get("guidance"))
        second_order = self._second_order(options)
        x, noises = few_step_inversion(denoiser, self.process, x0, codes, path_noise, second_order=second_order)
        return self.pack(x, codes, noises)

    def smooth_options(self, steps: int | None = None) -> dict[str, object]:
        """No guidance and the posterior's whole noise, so that `invert` is exact down to t = 1."""
        return {"guidance": 1.0, "temperature": 1.0}

    def search_rate(self) -> float:
        """1 / √T: a pack holds T windows of noise, and a step of Adam moves every number of each."""
        return float(self.config.diffusion_steps**-0.5)

    def searched(self, noise: Tensor) -> Tensor:
        """All but the codes: x_T and the posterior's noises reach every motion, a code only another network."""
        x, codes, noises = (torch.ones_like(part, dtype=torch.bool) for part in self.unpack(noise[:1]))
        return self.pack(x, torch.zeros_like(codes), noises)[0]

    def published_options(self) -> dict[str, object]:
        """Posterior steps with their whole noise, and no guidance in action-to-motion (Zhou et al. 2024)."""
        return {"sampler": "few-step", "guidance": 1.0, "temperature": 1.0}

    def describe(self) -> Description:
        """Calls, length, rate and conditions."""
        return Description(
            method="emdm",
            parameters=sum(parameter.numel() for parameter in self.parameters()),
            network_calls=self.config.diffusion_steps * (1 if self.config.guidance == 1 else 2),
            frames=(self.frames, self.frames),
            fps=self.fps,
            conditions="action" if self.config.conditional else "none",
        )

    def _check_options(self, options: dict[str, object]) -> None:
        steps, sampler = options.get("steps"), options.get("sampler")
        if steps not in (None, self.config.diffusion_steps):
            raise MdtoolError(
                f"this run was trained for {self.config.diffusion_steps} steps and cannot take {steps}: "
                f"leave --steps out, or train with --set model.diffusion_steps={steps}"
            )
        if sampler not in (None, "few-step", "dpm++"):
            raise MdtoolError(f"a generator of few steps has no sampler {sampler!r}: choose few-step or dpm++")

    def _second_order(self, options: dict[str, object]) -> bool:
        return (options.get("sampler") or self.config.sampler) == "dpm++"

    def _denoiser(self, action: Tensor | None, guidance: object) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
        config = self.config
        scale = guidance_scale(guidance, config.guidance, config.conditional and config.cond_mask_prob > 0)
        known = action if config.conditional else None

        def denoise(x: Tensor, timestep: Tensor, code: Tensor | None) -> Tensor:
            if known is None:
                return self.estimate(x, timestep, None, code)

            def conditional(x: Tensor, timestep: Tensor, condition: Tensor) -> Tensor:
                both = None if code is None else code.repeat(len(x) // len(code), 1)
                return self.estimate(x, timestep, condition, both)

            return classifier_free(conditional, known, scale)(x, timestep)

        return denoise

    # ---- warm start -------------------------------------------------------------------------------------------

    @classmethod
    def settings_from(cls, other: Trainable) -> dict[str, Any]:
        """Architecture, layout and meaning of time of an MDM or EMDM run to start from.

        Raises:
            MdtoolError: a run of another family, or one that predicts what EMDM cannot use.
        """
        config = getattr(other, "config", None)
        theirs = config.model_dump() if isinstance(config, Strict) else {}
        if not theirs.keys() >= {*ARCHITECTURE, "diffusion_steps"}:
            raise MdtoolError(f"emdm starts from a run of mdm or emdm, not of {type(other).__name__}")
        of_mdm = {
            "activation": "gelu",
            "separate_tokens": False,
            "latent_token": False,
            "time_steps": theirs["diffusion_steps"],
            "time_schedule": theirs.get("schedule", "cosine"),
        }
        taken = {name: theirs[name] for name in ARCHITECTURE}
        return taken | {name: theirs.get(name, value) for name, value in of_mdm.items()}

    def start_from(self, other: Trainable) -> None:
        """Take over network, scales and spectrum of an MDM or EMDM run; the code begins without effect if it is new."""
        if (other.actions, other.fps) != (self.actions, self.fps):
            raise MdtoolError("the run to start from was trained on other actions, or at another frame rate")
        parts = ("network.", "mean", "scale", "spectrum.")
        theirs = {name: value for name, value in other.state_dict().items() if name.startswith(parts)}
        own = self.state_dict()
        odd = [name for name, value in theirs.items() if name not in own or own[name].shape != value.shape]
        if odd:
            raise MdtoolError(
                f"the weights of the run to start from do not fit: {odd[0]} has another shape or no place"
            )
        self.load_state_dict({**own, **theirs})
        if self.config.adversarial and "network.z_transform.0.weight" not in theirs:
            for parameter in self.network.z_transform[-2].parameters():
                nn.init.zeros_(parameter)
