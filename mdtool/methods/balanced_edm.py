"""Balanced EDM: motion and body shape by score-based diffusion, evened out by normalisation and weights alone.

Björkstrand, Wang, Bretzner & Sullivan 2025 (arXiv 2510.12537), on EDM2 (Karras et al. 2024) with convolutions over
time. Features of four kinds are brought to one magnitude, concatenated with equal energy, and learnt with equal
gradients at every noise level; there is no auxiliary loss and no redundant feature, so that sampling is the
probability-flow ODE: 31 calls by Heun's method, the same ODE upwards for inversion.

Departures, each a setting: λ stands inside the uncertainty, so that W = λ / √e^u ("consistent"; the paper's printed
formula is "literal"); sampling starts from the data's mean; groups that do not vary in the data stay out; and behind
a spectral skip connection (`skip = "spectral"`, see diffusion/preconditioning.py) a short training makes motion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mdtool.config import validated
from mdtool.diffusion.edm import Churn, Coordinates, Preconditioning, heun, heun_inversion, sigma_grid
from mdtool.diffusion.guidance import ALL_LEVELS, NO_CONDITION, autoguided, classifier_free, guidance_scale
from mdtool.diffusion.likelihood import log_likelihood
from mdtool.diffusion.preconditioning import SpectralPreconditioner
from mdtool.diffusion.spectral_mixture import spectral_skip
from mdtool.errors import MdtoolError
from mdtool.losses.balanced import Balance, balanced_losses
from mdtool.methods.balanced_edm_config import BalancedEDMConfig
from mdtool.methods.contract import Batch, Description, Method, Minimise, Optimised
from mdtool.methods.seeds import step_noise
from mdtool.motion import feature_groups
from mdtool.motion.feature_groups import CHANNELS, GROUPS, GroupNormaliser, magnitude
from mdtool.motion.mirror import mirror_windows, mirrored_labels
from mdtool.networks.magnitude import Uncertainty
from mdtool.networks.unet1d import UNet1d

STATISTICS_WINDOWS = 4096
"""Windows from which offsets and scales are measured."""
_TOLERANCE = 0.02
"""How far the magnitude of a normalised group may lie from 1."""
_SHOWN_LEVELS = (0.05, 0.5, 5.0)
"""Noise levels whose uncertainty is logged."""


class BalancedEDM(Method):
    """The diffusion of balanced EDM. Features are [B, 145, T] in their own units, latents [B, 145, T] standard normal.

    Clips of any length between the shortest and the longest window that halves evenly at every level.
    """

    shares_batches = True
    autoguides = churns = True
    time_axis = 2
    start: Tensor
    mirrored: Tensor

    def __init__(self, settings: dict[str, Any], actions: list[str], fps: float) -> None:
        super().__init__()
        self.config = config = validated(BalancedEDMConfig, settings, "balanced-edm settings")
        self.frames, self.fps, self.actions = config.frames, fps, list(actions)
        self.uses_labels = config.conditional
        self.precondition = Preconditioning(config.sigma_data)
        self.normaliser = GroupNormaliser(config.normaliser)
        known = len(self.actions) if config.conditional else 0
        self.skip: SpectralPreconditioner | None = None
        if config.skip == "spectral":
            self.skip = spectral_skip(known, CHANNELS, self.frames, config.components, whole=True)
        self.register_buffer("start", torch.zeros(CHANNELS, 1))
        self.network = UNet1d(
            CHANNELS,
            CHANNELS,
            channels=config.channels,
            multipliers=config.multipliers,
            blocks=config.blocks,
            attention=config.attention,
            head_channels=config.head_channels,
            labels=known,
            dropout=config.dropout,
            norm=config.norm,
        )
        self.uncertainty = Uncertainty(len(GROUPS) if config.per_group else 1)
        self.multiple = self.network.multiple
        if config.several_lengths:
            self.bucket = (config.shortest, self.multiple)
        self.register_buffer("mirrored", mirrored_labels(self.actions), persistent=False)

    # ---- training ---------------------------------------------------------------------------------------------

    def fit_statistics(self, windows: Callable[[int], Batch]) -> None:
        """Measure offsets, scales and the mean of the normalised features on random training windows.

        Raises:
            MdtoolError: a normalised group has another magnitude than 1: its rotations are none.
        """
        batch = windows(STATISTICS_WINDOWS)
        features = self._encoded(batch.rot6d, batch.root, batch.betas)
        self.normaliser.fit(features)
        normalised = self.normaliser(features)
        for place, group in enumerate(GROUPS):
            found = float(magnitude(normalised[:, group.channels]))
            if self.config.normaliser == "em" and self.normaliser.active[place] and abs(found - 1) > _TOLERANCE:
                raise MdtoolError(
                    f"the {group.name} of the training clips have magnitude {found:.3f} where 1 belongs: are their "
                    "rotations orthonormal? preprocess the data again"
                )
        self.start.copy_(normalised.mean((0, 2)).unsqueeze(1))
        if self.skip is not None:
            self.skip.fit(normalised, batch.action, clip=batch.clip)

    def remarks(self) -> list[str]:
        """Where the clips are too few for so many components."""
        return [] if self.skip is None else self.skip.remarks

    def optimised(self) -> dict[str, Optimised]:
        """The denoiser, and its uncertainty with a learning rate of its own."""
        return {
            "network": Optimised(list(self.network.parameters())),
            "uncertainty": Optimised(list(self.uncertainty.parameters()), self.config.uncertainty_lr),
        }

    def averaged(self) -> dict[str, nn.Parameter]:
        """The denoiser's weights; the uncertainty is of no use for sampling."""
        return {name: value for name, value in self.named_parameters() if name.startswith("network.")}

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Denoising and uncertainty, their sum as `loss`, and the plain error of every group; [B] each."""
        return self._terms(batch, rng, self.config.balance)

    def training_step(self, batch: Batch, rng: torch.Generator, step: int, minimise: Minimise) -> dict[str, Tensor]:
        """One step of the denoiser and one of the uncertainty, on one forward pass."""
        warm = step < self.config.uncertainty_warmup
        terms = self._terms(batch, rng, "edm" if warm else self.config.balance)
        minimise(terms["denoising"], "network")
        minimise(terms["uncertainty"], "uncertainty")
        return terms

    def diagnose(self) -> tuple[dict[str, float], list[str]]:
        """The curves u(σ) at three noise levels."""
        names = [group.name for group in GROUPS] if self.config.per_group else ["all"]
        device = self.start.device
        with torch.no_grad():
            u = self.uncertainty(self.precondition.condition(torch.tensor(_SHOWN_LEVELS, device=device))).tolist()
        pairs = zip(_SHOWN_LEVELS, u, strict=True)
        return {f"u_{name}_{sigma:g}": row[k] for sigma, row in pairs for k, name in enumerate(names)}, []

    def _terms(self, batch: Batch, rng: torch.Generator, balance: Balance) -> dict[str, Tensor]:
        config, share, count = self.config, batch.share, batch.share.whole(len(batch.root))
        device = batch.root.device
        sigma = share.mine((torch.randn(count, generator=rng, device=device) * config.p_std + config.p_mean).exp())
        flip = share.mine(torch.rand(count, generator=rng, device=device)) < config.mirror
        hide = share.mine(torch.rand(count, generator=rng, device=device)) < config.cond_mask_prob
        x0 = self.normaliser(self._encoded(*mirror_windows(batch.rot6d, batch.root, flip), batch.betas))
        noise = share.mine(torch.randn((count, *x0.shape[1:]), generator=rng, device=device))
        action = None
        if config.conditional:
            named = torch.where(flip, self.mirrored[batch.action], batch.action)
            action = torch.where(hide, NO_CONDITION, named)
        denoised = self._denoise(x0 + sigma.view(-1, 1, 1) * noise, sigma, action)
        squared = (denoised - x0).square()
        errors = torch.stack([squared[:, group.channels].flatten(1).mean(1) for group in GROUPS], dim=1)
        active = self.normaliser.active
        errors = errors * active
        sizes = active * self.normaliser.sizes
        u = self.uncertainty(self.precondition.condition(sigma)).float()
        denoising, uncertainty = balanced_losses(
            errors, self.precondition.weight(sigma).unsqueeze(1), u, sizes, self._weights("loss"), balance
        )
        own = {f"error_{group.name}": errors[:, place] for place, group in enumerate(GROUPS)}
        return {"loss": denoising + uncertainty, "denoising": denoising, "uncertainty": uncertainty, **own}

    def _weights(self, where: Literal["input", "loss"]) -> Tensor:
        """w_k [4] at the network's input or in the loss; groups that stay out have 0 at either."""
        if self.config.dimension_weights in (where, "both"):
            return self.normaliser.weights()
        return self.normaliser.active

    def _denoise(self, x: Tensor, sigma: Tensor, action: Tensor | None = None) -> Tensor:
        """x̂_0 of x_σ [B, 145, T]; float32 outside the network."""
        scale, wide = self.precondition, sigma.float().view(-1, 1, 1)
        seen = scale.input(wide) * x * self.normaliser.per_channel(self._weights("input"))
        output = self.network(seen, scale.condition(sigma), action).float()
        if self.skip is not None:
            return self.skip.estimate(output, x, torch.ones_like(wide), wide, action)
        return scale.skip(wide) * x + scale.output(wide) * output

    # ---- sampling ---------------------------------------------------------------------------------------------

    def noise(self, rngs: Sequence[torch.Generator], frames: int | None = None) -> Tensor:
        """Standard normal latents [B, 145, T]; the sampler starts from `start` + sigma_max · latent.

        Raises:
            MdtoolError: a length that the network cannot make.
        """
        frames = self.frames if frames is None else frames
        shortest, longest = self.describe().frames
        if not shortest <= frames <= longest:
            raise MdtoolError(f"this run makes {shortest} to {longest} frames and not {frames}: use another --frames")
        if frames % self.multiple:
            near = frames // self.multiple * self.multiple
            raise MdtoolError(f"this run makes multiples of {self.multiple} frames: use --frames {max(near, shortest)}")
        return torch.stack([torch.randn(CHANNELS, frames, generator=rng) for rng in rngs])

    def decode(self, noise: Tensor, action: Tensor | None, **options: object) -> Tensor:
        """Features [B, 145, T] of latents.

        Options:
            steps: steps of the sampler; 2 n - 1 calls by Heun's method.
            sampler: heun or ddim.
            guidance: classifier-free scale, 1 is off.
            autoguidance: scale of the difference to the network of `guide_by`.
            guide_between: lowest and highest noise level σ at which that one is asked; at all by default.
            churn: S_churn of the stochastic sampler; S_min, S_max and S_noise are settings of the run.
            checkpointing: recompute each step in the backward pass.

        Raises:
            MdtoolError: an unknown option value, or guidance without training for it.
        """
        config, denoiser = self.config, self._denoiser(action, options.get("guidance"))
        scale = options.get("autoguidance")
        if self.weaker is not None and isinstance(scale, (int, float)):
            between = options.get("guide_between")
            interval = (float(between[0]), float(between[1])) if isinstance(between, tuple | list) else ALL_LEVELS
            denoiser = autoguided(denoiser, self.weaker()._denoiser(action, options.get("guidance")), scale, interval)
        churn = config.churn if options.get("churn") is None else float(str(options["churn"]))
        x = heun(
            denoiser,
            self._mean() + config.sigma_max * noise,
            self._grid(options.get("steps")),
            second_order=self._second_order(options.get("sampler")),
            churn=Churn(churn, config.churn_min, config.churn_max, config.churn_noise) if churn else None,
            step_noise=step_noise(noise) if churn else None,
            checkpointing=bool(options.get("checkpointing", False)),
            coordinates=self._coordinates(noise),
        )
        return self.normaliser.inverse(x)

    def invert(self, features: Tensor, action: Tensor | None, **options: object) -> Tensor:
        """Latents whose sample is `features`: the probability-flow ODE upwards; options as for `decode`."""
        x = heun_inversion(
            self._denoiser(action, options.get("guidance")),
            self.normaliser(features),
            self._grid(options.get("steps")),
            second_order=self._second_order(options.get("sampler")),
            coordinates=self._coordinates(features),
        )
        return (x - self._mean()) / self.config.sigma_max

    def log_likelihood(
        self, features: Tensor, action: Tensor | None, rng: torch.Generator, probes: int = 1, **options: object
    ) -> Tensor:
        """log p of features [B, 145, T] in nats, as densities in their own units; [B].

        Groups that stay out are constants and count for nothing. Rotations lie on a surface, where a density has no
        limit: the number is that of data with noise of level sigma_min, comparable between models with the same one.

        Args:
            rng: of the random signs that estimate the divergence; on the CPU.
            probes: sets of signs.
            options: steps and guidance, as for `decode`.
        """
        x, active = self.normaliser(features), self.normaliser.per_channel(self.normaliser.active)
        signs = torch.randint(0, 2, (probes, *x.shape), generator=rng).to(x) * 2 - 1
        found = log_likelihood(
            self._denoiser(action, options.get("guidance")),
            x,
            self._grid(options.get("steps")),
            signs,
            self._mean(),
            keep=active,
            coordinates=self._coordinates(x),
        )
        return found - (self.normaliser.scale.log() * active).sum() * x.shape[-1]

    def smooth_options(self, steps: int | None = None) -> dict[str, object]:
        """Heun's method on the ODE, 8 steps by default, without guidance and without added noise."""
        return {"steps": max(steps or 8, 2), "sampler": "heun", "guidance": 1.0, "churn": 0.0}

    def frames_for(self, frames: int) -> int:
        """The next multiple of `multiple`, within the lengths there are."""
        return super().frames_for(-(-frames // self.multiple) * self.multiple)

    def to_motion(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(rot6d, root) of features, in the world of the motion file."""
        return feature_groups.decode(features)

    def to_raw_motion(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(rot6d as the network gives it, root) of features."""
        return feature_groups.decode(features, orthonormal=False)

    def from_motion(self, rot6d: Tensor, root: Tensor) -> Tensor:
        """Features of windows in their own units, with the data's mean shape; `with_betas` puts in another."""
        shape = self.normaliser.offset[GROUPS[3].channels, 0].expand(len(root), -1)
        return self._encoded(rot6d, root, shape)

    def to_betas(self, features: Tensor) -> Tensor | None:
        """Body shapes: the mean over frames; None for a run whose data had one shape only."""
        return feature_groups.shape_of(features) if bool(self.normaliser.active[3]) else None

    def to_frame_betas(self, features: Tensor) -> Tensor | None:
        """Body shapes [B, T, 10] before they become one per clip; None for a run whose data had one shape only."""
        return features[:, GROUPS[3].channels].transpose(1, 2) if bool(self.normaliser.active[3]) else None

    def with_betas(self, features: Tensor, betas: Tensor) -> Tensor:
        """Features with these body shapes in every frame."""
        return feature_groups.with_shape(features, betas)

    def describe(self) -> Description:
        """Calls, lengths, rate and conditions."""
        config = self.config
        calls = 2 * config.sample_steps - 1 if config.sampler == "heun" else config.sample_steps
        return Description(
            method="balanced-edm",
            parameters=sum(parameter.numel() for parameter in self.parameters()),
            network_calls=calls * (1 if config.guidance == 1 else 2),
            frames=(config.shortest if config.several_lengths else config.frames, config.frames),
            fps=self.fps,
            conditions="action" if config.conditional else "none",
        )

    def _encoded(self, rot6d: Tensor, root: Tensor, betas: Tensor | None) -> Tensor:
        return feature_groups.encode(rot6d, root, betas, self.config.heading)

    def _mean(self) -> Tensor | float:
        return self.start if self.config.start_mean else 0.0

    def _coordinates(self, x: Tensor) -> Coordinates | None:
        """Those of the whole data set, so that a chain of guidance 0 is the unconditional one."""
        return None if self.skip is None else self.skip.coordinates(None, len(x), x.shape[-1])

    def _grid(self, steps: object) -> Tensor:
        config = self.config
        count = config.sample_steps if steps is None else steps
        if not isinstance(count, int):
            raise MdtoolError(f"the sampler takes a number of steps, not {steps!r}")
        return sigma_grid(count, config.sigma_min, config.sigma_max, config.rho)

    def _second_order(self, sampler: object) -> bool:
        name = sampler or self.config.sampler
        if name not in ("heun", "ddim"):
            raise MdtoolError(f"no sampler {name!r}: choose heun or ddim")
        return name == "heun"

    def _denoiser(self, action: Tensor | None, guidance: object) -> Callable[[Tensor, Tensor], Tensor]:
        config = self.config
        scale = guidance_scale(guidance, config.guidance, config.conditional and config.cond_mask_prob > 0)
        if action is None or not self.config.conditional:
            return self._denoise
        return classifier_free(self._denoise, action, scale)
