"""NeRM: motion as a function of time, at any frame rate (Wei et al. 2024, ICLR).

Stage 1 fits one network f(t, z, s) to all training motions at their own frame rates, with a latent z per motion
(a variational auto-decoder); a set encoder may find the first latents. Stage 2 fits a latent diffusion to the
whitened latents. Sampling draws a latent once and asks the network for any instants of it: a pose depends on its own
time stamp alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mdtool.config import validated
from mdtool.diffusion.gaussian import GaussianDiffusion
from mdtool.diffusion.guidance import NO_CONDITION, classifier_free, guidance_scale
from mdtool.diffusion.mixture import MixturePreconditioner
from mdtool.diffusion.preconditioning import SpectralPreconditioner
from mdtool.diffusion.samplers import ddim, ddim_inversion
from mdtool.diffusion.schedules import betas
from mdtool.errors import MdtoolError
from mdtool.methods.contract import Batch, ClipPlan, Description, FieldMethod, Minimise, Optimised
from mdtool.methods.lengths import frames_on
from mdtool.methods.nerm_config import NeRMConfig
from mdtool.methods.nerm_field import ENCODER_POSES, FieldStage
from mdtool.methods.seeds import step_generator
from mdtool.motion.features import FeatureLayout
from mdtool.motion.pose_vectors import above_standing, vectors_to_poses
from mdtool.motion.rotations import matrix_to_rot6d, rot6d_to_matrix
from mdtool.motion.skeleton import JOINTS
from mdtool.networks.implicit import seconds_to_coordinate, spacing_between, spacing_of
from mdtool.networks.latent_mlp import LatentMLP
from mdtool.networks.latent_table import fit_latents
from mdtool.networks.skip_transformer import LatentDenoiser

POSES_AT_ONCE = 1_024
"""More at once are no faster on a CPU, and the memory beside the motion itself would grow with the rate."""
POSE_NOISE = 1e-5
"""Variance of a pose beside what the linear path can say of it, in units of the loss."""
INVERSION_REFINEMENTS = 8
LEAST_SPREAD = 1e-4
"""Variance of a whitened number of the latents of one action, at least."""
START_PULL = 1e-3
"""Weight of a latent's squared distance from where it must start, per whitened number."""


class NeRM(FieldStage, FieldMethod):
    """The field, its latents and their diffusion. Noise is [B, d]; features are [B, 25, 6, T]."""

    white_mean: Tensor
    white_scale: Tensor
    ready: Tensor

    def __init__(self, settings: dict[str, Any], actions: list[str], fps: float) -> None:
        config = validated(NeRMConfig, settings, "nerm settings")
        super().__init__(config)
        self.frames, self.fps, self.actions = config.frames, config.grid_fps or fps, list(actions)
        self.uses_labels = config.conditional
        self.labels = self.actions if config.conditional else []
        self.stage_starts = (0, config.field_steps)
        self.layout = FeatureLayout("y-up", "ground", heading=True)
        self.network = self._network(config)
        self.process = GaussianDiffusion(betas("scaled-linear", config.diffusion_steps))
        self.skip = self._skip(config)
        self.register_buffer("white_mean", torch.zeros(config.latent))
        self.register_buffer("white_scale", torch.ones(config.latent))
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool))

    def _network(self, config: NeRMConfig) -> nn.Module:
        actions = len(self.labels)
        if config.denoiser == "mlp":
            return LatentMLP(config.latent, config.feedforward, config.denoiser_layers, actions, config.dropout)
        return LatentDenoiser(
            width=config.latent, layers=config.denoiser_layers, heads=config.heads, feedforward=config.feedforward,
            actions=actions, dropout=config.dropout,
        )  # fmt: skip

    def _skip(self, config: NeRMConfig) -> SpectralPreconditioner | MixturePreconditioner | None:
        if config.prediction == "eps":
            return None
        if config.prediction == "mixture":
            return MixturePreconditioner(len(self.labels), config.latent, config.components)
        return SpectralPreconditioner(len(self.labels), config.latent, 1)

    # ---- training ---------------------------------------------------------------------------------------------

    def clip_plan(self, step: int) -> ClipPlan:
        """Scattered instants for the encoder, clips for the latents, labels alone for the diffusion."""
        config = self.config
        if step >= config.field_steps:
            return ClipPlan(0)
        resampled = step < config.native_from
        if step < config.encoder_steps:
            poses = ENCODER_POSES * 3 // 2
            divide = config.field_share * config.clips_per_visit
            return ClipPlan(poses, divide=divide, resampled=resampled, scattered=True)
        return ClipPlan(
            config.clip_poses, config.clips_per_visit, config.field_share, resampled=resampled, strides=config.strides
        )

    def optimised(self) -> dict[str, Optimised]:
        """The field with its encoder, and the denoiser: one after the other."""
        first = [self.field] if self.encoder is None else [self.field, self.encoder]
        return {
            "field": Optimised([parameter for module in first for parameter in module.parameters()]),
            "network": Optimised(list(self.network.parameters())),
        }

    def training_step(self, batch: Batch, rng: torch.Generator, step: int, minimise: Minimise) -> dict[str, Tensor]:
        """One step of the stage that `step` belongs to."""
        self.begin(step)
        terms = self.losses(batch, rng)
        first = step < self.config.field_steps
        minimise(terms["loss"], "field" if first else "network")
        if first:
            done = (step - self.config.encoder_steps) / max(self.config.field_steps - self.config.encoder_steps, 1)
            self.table.update(self.config.latent_lr * (0.55 + 0.45 * math.cos(math.pi * max(done, 0.0))))
        return terms

    @torch.no_grad()
    def begin(self, step: int) -> None:
        """Hand over between the stages: the encoder's latents to the table, the table's statistics to the diffusion."""
        self.step = step
        if self.encoder is not None and step == self.config.encoder_steps and self._sequences is not None:
            for begin in range(0, len(self.table), 256):
                rows = range(begin, min(begin + 256, len(self.table)))
                mean, log_variance = self._encode(self._sequences.stamps(rows, ENCODER_POSES))
                self.table.mean[rows.start : rows.stop] = mean
                self.table.log_variance[rows.start : rows.stop] = log_variance
        if step == self.config.field_steps:
            mean, scale = self.table.statistics()
            self.white_mean.copy_(mean)
            self.white_scale.copy_(scale.clamp_min(1e-4))
            self.ready.fill_(True)
            if self._sequences is not None:
                self._fit_skip(self._sequences.stamps(range(len(self.table)), 1), step)

    def _fit_skip(self, every: Batch, step: int) -> None:
        """Let the denoiser begin at what the latents' distribution tells; `every` has one pose of each sequence."""
        assert every.places is not None
        rows = every.places.sequence
        if isinstance(self.skip, MixturePreconditioner):
            mean = (self.table.mean[rows] - self.white_mean) / self.white_scale
            spread = self.table.log_variance[rows].exp() / self.white_scale.square() if self.config.variational else 0
            importance = self.sensitivity(self.white_mean, self.white_scale)
            self.skip.fit(mean, torch.zeros_like(mean) + spread, every.action, importance, LEAST_SPREAD)
        elif self.skip is not None:
            draws = self._white(rows, step_generator(0, step, rows.device))
            self.skip.fit(draws.unsqueeze(-1), every.action, LEAST_SPREAD)

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Stage 1: error of the poses, of the root, and the latents' divergence; stage 2: error of the noise."""
        return self._field_losses(batch, rng) if self.step < self.config.field_steps else self._noise_losses(batch, rng)

    def training_state(self) -> dict[str, Tensor]:
        """The latents' Adam."""
        return self.table.optimiser_state()

    def load_training_state(self, state: dict[str, Tensor]) -> None:
        """Restore what `training_state` gave."""
        self.table.load_optimiser_state(state)

    def _noise_losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        assert batch.places is not None
        rows, count = batch.places.sequence, len(batch.action)
        z = self._white(rows, rng).unsqueeze(1)
        timestep = torch.randint(self.config.diffusion_steps, (count,), generator=rng, device=rows.device)
        noise = torch.randn(z.shape, generator=rng, device=rows.device)
        hide = torch.rand(count, generator=rng, device=rows.device) < self.config.cond_mask_prob
        action = torch.where(hide, NO_CONDITION, batch.action) if self.labels else None
        x_t = self.process.diffuse(z, timestep, noise).x_t
        output = self.network(x_t, timestep, action).float()
        if self.skip is None:
            loss = (output - noise).square().mean((1, 2))
        else:  # the same error, told as that of z and weighed as MDM's
            level = self.process.table("sqrt_one_minus_alphas_cumprod", timestep, z)
            loss = ((self._x0(output, x_t, timestep, action) - z) / level).square().mean((1, 2))
        return {"noise": loss, "loss": loss}

    def _white(self, rows: Tensor, rng: torch.Generator) -> Tensor:
        """Draws [B, d] of the rows' latents, whitened."""
        latent = self.table.mean[rows]
        if self.config.variational:
            draw = torch.randn(latent.shape, generator=rng, device=latent.device)
            latent = latent + (0.5 * self.table.log_variance[rows]).exp() * draw
        return (latent - self.white_mean) / self.white_scale

    # ---- sampling ---------------------------------------------------------------------------------------------

    def require_ready(self) -> None:
        """Refuse to sample before stage 2.

        Raises:
            MdtoolError: the latent diffusion has not begun to learn.
        """
        if not self.ready:
            raise MdtoolError(
                "this run has learnt its field only, and samples come from its second stage: train one with --steps "
                f"above {self.config.field_steps}"
            )

    def noise(self, rngs: Sequence[torch.Generator], frames: int | None = None) -> Tensor:
        """z_K of each sample [B, d]; it does not depend on the number of frames.

        Raises:
            MdtoolError: more frames than the time axis holds.
        """
        shortest, longest = self.describe().frames
        if frames is not None and not shortest <= frames <= longest:
            raise MdtoolError(
                f"the time axis of this run is {self.axis_s:g} s: {frames} frames at {self.fps:g} fps do not lie on it"
            )
        return torch.stack([torch.randn(self.config.latent, generator=rng) for rng in rngs])

    def latents(self, noise: Tensor, action: Tensor | None, **options: object) -> Tensor:
        """Latents [B, d] of noise; options as for `decode`."""
        denoiser = self._denoiser(action, options.get("guidance"))
        if options.get("sampler") not in (None, "ddim"):
            raise MdtoolError(f"no sampler {options['sampler']!r}: nerm samples with ddim")
        z = ddim(denoiser, self._spaced(options.get("steps")), noise.unsqueeze(1))
        return z.squeeze(1) * self.white_scale + self.white_mean

    def poses(self, latents: Tensor, times_s: Tensor, fps: float = 0.0, offset: Tensor | None = None) -> Tensor:
        """Features [B, 25, 6, T] of latents [B, d] at instants [T] or [B, T]; `fps` above 0 tells the field a rate.

        Waves that are averaged over the spacing of poses take that rate's, or the instants' own.

        Args:
            offset: [B, W, P], added to the weights of the last layers.
        """
        coordinate, rate, spacing = self._asked(latents, times_s, fps)

        def rows(part: Tensor) -> Tensor:
            rot6d, root = vectors_to_poses(self.field(part, latents, rate, spacing, offset), self.root_scale)
            root = above_standing(root)
            return torch.cat([rot6d, torch.cat([root, torch.zeros_like(root)], dim=-1).unsqueeze(-2)], dim=-2)

        return _piecewise(rows, coordinate, len(latents)).permute(0, 2, 3, 1)

    def hidden(self, latents: Tensor, times_s: Tensor) -> Tensor:
        """What the last layers see of latents [B, d] at instants [T]; [B, T, W]."""
        coordinate, rate, spacing = self._asked(latents, times_s)
        return self.field.hidden(coordinate, latents, rate, spacing)

    def _asked(self, latents: Tensor, times_s: Tensor, fps: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
        """(coordinates [B or 1, T], rates [B], spacings [B]) as the field takes them.

        An instant that is asked for twice brings the others no closer.
        """
        times_s = times_s.to(latents.device, torch.float64)
        times_s = times_s if times_s.dim() == 2 else times_s.unsqueeze(0)
        coordinate = seconds_to_coordinate(times_s, self.axis_s).float()
        rate = torch.full((len(latents),), float(fps), device=latents.device)
        distinct = coordinate.unique(dim=1)
        if fps > 0 or distinct.shape[1] < 2:
            spacing = spacing_of(torch.full_like(rate, fps if fps > 0 else self.fps), self.axis_s)
        else:
            spacing = spacing_between(distinct).expand(len(latents))
        return coordinate, rate, spacing

    def decode(self, noise: Tensor, action: Tensor | None, **options: object) -> Tensor:
        """Features [B, 25, 6, T] of z_K.

        Options:
            times_s: instants [T], seconds from the start, in any order; `frames` at `fps` by default.
            steps: DDIM steps; the preset's number by default.
            guidance: classifier-free scale, 1 is off.

        Raises:
            MdtoolError: an unknown option value, or guidance without training for it.
        """
        times_s = options.get("times_s")
        if not isinstance(times_s, Tensor):
            times_s = torch.arange(self.frames, dtype=torch.float64) / self.fps
        return self.poses(self.latents(noise, action, **options), times_s)

    def fit(self, features: Tensor, times_s: Tensor, start: Tensor | None = None) -> Tensor:
        """Latents [B, d] whose poses at instants [B, T] come nearest to features; the field stays as it is.

        Args:
            start: latents [B, d] to begin at and not to leave without need; the encoder's, or the mean, when not given.
        """
        rot6d, root = self.to_motion(features)
        target = self._scaled(rot6d, root)
        coordinate = seconds_to_coordinate(times_s.double(), self.axis_s).float().to(target.device)
        rate = torch.zeros(len(target), device=target.device)
        spacing = spacing_between(coordinate) if coordinate.shape[1] > 1 else None
        anchor = self.white_mean if start is None else start
        begin = self._first_guess(coordinate, target) if start is None else start
        pull = 0.5 * self.config.lambda_kl if start is None else START_PULL

        def error(latent: Tensor) -> Tensor:
            wrong = (self.field(coordinate, latent, rate, spacing) - target).square() * self.importance
            return wrong.sum(-1).mean(1) + pull * ((latent - anchor) / self.white_scale).square().mean(1)

        return fit_latents(error, begin, self.config.fit_steps, self.config.fit_lr)

    @torch.no_grad()
    def _first_guess(self, coordinate: Tensor, target: Tensor) -> Tensor:
        if self.field.linear is not None:
            functions = self._functions(coordinate).expand(len(target), -1, -1)
            known = zip(functions, target, strict=True)
            return torch.stack([self.field.linear.posterior_mean(*one, self.importance, POSE_NOISE) for one in known])
        if self.encoder is None:
            mean = self.table.mean.mean(0) if len(self.table) else self.white_mean
            return mean.expand(len(target), -1)
        picked = torch.linspace(0, coordinate.shape[1] - 1, ENCODER_POSES).round().long()
        chosen = coordinate[:, picked]
        guess: Tensor = self.encoder(chosen, target[:, picked], spacing_between(chosen))[0].float()
        return guess

    def smooth_options(self, steps: int | None = None) -> dict[str, object]:
        """DDIM without guidance, in no more steps than its own: they are almost all that a search costs."""
        return {"steps": min(steps or self.config.sample_steps, self.config.sample_steps), "guidance": 1.0}

    def invert(self, features: Tensor, action: Tensor | None, **options: object) -> Tensor:
        """z_K whose decoded motion comes nearest to features at `fps`: a fitted latent, then DDIM upwards."""
        times_s = (torch.arange(features.shape[-1], dtype=torch.float64) / self.fps).expand(len(features), -1)
        z = (self.fit(features, times_s) - self.white_mean) / self.white_scale
        spaced = self._spaced(options.get("steps"))
        with torch.no_grad():
            denoiser = self._denoiser(action, options.get("guidance"))
            return ddim_inversion(denoiser, spaced, z.unsqueeze(1), refinements=INVERSION_REFINEMENTS).squeeze(1)

    def to_motion(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(rot6d, root) of features; the start of the time axis is x = z = 0, whichever instants were asked for."""
        rows = features.permute(0, 3, 1, 2)
        root = rows[..., JOINTS, :3]
        rot6d = _piecewise(lambda part: matrix_to_rot6d(rot6d_to_matrix(part[..., :JOINTS, :])), rows, len(rows))
        return rot6d, root - above_standing(torch.zeros_like(root))

    def from_motion(self, rot6d: Tensor, root: Tensor) -> Tensor:
        """Features of windows, as `decode` gives them; the first frame comes to x = z = 0 and faces +z."""
        return self.layout.encode(rot6d, root)

    def describe(self) -> Description:
        """Calls, lengths, default rate and conditions."""
        return Description(
            method="nerm",
            parameters=sum(parameter.numel() for parameter in self.parameters()),
            network_calls=self.config.sample_steps * (1 if self.config.guidance == 1 else 2),
            frames=(1, frames_on(self.axis_s, self.fps)),
            fps=self.fps,
            conditions="action" if self.config.conditional else "none",
        )

    def _denoiser(self, action: Tensor | None, guidance: object) -> Callable[[Tensor, Tensor], Tensor]:
        config = self.config
        scale = guidance_scale(guidance, config.guidance, config.conditional and config.cond_mask_prob > 0)

        def denoise(x: Tensor, timestep: Tensor, condition: Tensor | None = None) -> Tensor:
            output = self.network(x, timestep, condition).float()
            return self._x0(output, x, timestep, condition, config.component_spread)

        if action is None or not self.labels:
            return denoise
        return classifier_free(denoise, action, scale)

    def _x0(self, output: Tensor, x_t: Tensor, timestep: Tensor, action: Tensor | None, spread: float = 1.0) -> Tensor:
        """ẑ_0 [B, 1, d] of the network's output; `timestep` is of the original process, `spread` of the mixture."""
        if self.skip is None:
            return self.process.x0_from("eps", output, x_t, timestep)
        signal, level = (
            self.process.table(name, timestep, x_t) for name in ("sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod")
        )
        if isinstance(self.skip, MixturePreconditioner):
            alone = output.squeeze(1), x_t.squeeze(1), signal.squeeze(1), level.squeeze(1)
            return self.skip.estimate(*alone, action, spread).unsqueeze(1)
        return self.skip.estimate(output.mT, x_t.mT, signal, level, action).mT

    def _spaced(self, steps: object) -> GaussianDiffusion:
        """The DDIM steps of latent diffusion: every ⌊N / K⌋-th from 1 on, down to ᾱ_0."""
        end = float(self.process.tables["alphas_cumprod"][0])
        return self.process.respaced(f"leading{steps or self.config.sample_steps}", end)


def _piecewise(change: Callable[[Tensor], Tensor], values: Tensor, batch: int) -> Tensor:
    """`change` of values [·, T, …], some instants at a time, so that `batch` motions make few poses at once."""
    return torch.cat([change(part) for part in values.split(max(POSES_AT_ONCE // batch, 1), dim=1)], dim=1)
