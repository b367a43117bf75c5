"""EMDM: few-step motion diffusion as a conditional GAN (Zhou et al. 2024, after Xiao et al. 2022).

The generator draws x̂_0 from x_{t+1} and a random code, the Gaussian posterior turns it into x_t, and a discriminator
judges the pair (x_t, x_{t+1}); MDM's geometric losses keep x̂_0 near the data. The same T steps train and sample.
The defaults are the released code's but where it is known to err: feet are measured in the world, one forward pass
serves both of the generator's terms, and the discriminator does not see an action that the generator did not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from mdtool.config import validated
from mdtool.diffusion.few_step import FewStepDiffusion, few_step, few_step_inversion
from mdtool.diffusion.guidance import NO_CONDITION, classifier_free
from mdtool.diffusion.schedules import betas, equivalent_timesteps
from mdtool.errors import MdtoolError
from mdtool.losses.adversarial import fake_loss, r1_penalty, real_loss
from mdtool.losses.geometric import motion_losses
from mdtool.losses.reconstruction import masked_l2
from mdtool.losses.symptoms import BinnedMeans, Watch, liveliness
from mdtool.methods.contract import (
    Batch,
    Description,
    Minimise,
    Optimised,
    Share,
    Trainable,
    content_generators,
    sample_generators,
)  # fmt: skip
from mdtool.methods.emdm_settings import EMDMConfig
from mdtool.methods.feature_space import CHANNELS, FeatureSpace
from mdtool.motion.features import ROWS, FeatureLayout
from mdtool.networks.discriminator import EncoderDiscriminator, MLPDiscriminator
from mdtool.networks.transformer import Denoiser

ARCHITECTURE = (
    "frames", "layers", "width", "heads", "feedforward", "conditional", "norm", "conditioning", "patch", "axes",
    "origin", "heading", "standardise", "prediction",
)  # fmt: skip
"""Settings that a run must share with the one whose weights it starts from."""
PROBES = 16
"""Motions made at every log to see how the training fares."""


class Draw(NamedTuple):
    """Everything random about one forward pass of training, for B samples."""

    timestep: Tensor
    """[B], the target t of the step."""
    hide: Tensor
    """[B] bool, true where the generator does not see the action."""
    noise: Tensor
    """Of x_t; [B, 25, 6, T]."""
    next_noise: Tensor
    """Of x_{t+1} over x_t."""
    posterior_noise: Tensor
    code: Tensor
    """[B, Z]."""


class EMDM(FeatureSpace):
    """Generator, discriminator and their step. Features are [B, 25, 6, T], latents the packs of `unpack`."""

    shares_batches = True
    guards_steps = True
    time: Tensor

    def __init__(self, settings: dict[str, Any], actions: list[str], fps: float) -> None:
        config = validated(EMDMConfig, settings, "emdm settings")
        layout = FeatureLayout(config.axes, config.origin, config.heading)
        spectral = config.prediction == "spectral"
        super().__init__(layout, config.frames, fps, actions, config.conditional, config.standardise, spectral)
        self.config = config
        self.process = FewStepDiffusion(config.diffusion_steps, config.beta_min, config.beta_max)
        shape: dict[str, Any] = {"heads": config.heads, "feedforward": config.feedforward, "dropout": config.dropout,
                                 "patch": config.patch, "activation": config.activation}  # fmt: skip
        self.network = Denoiser(
            rows=ROWS, channels=CHANNELS, actions=len(self.labels), width=config.width, layers=config.layers,
            norm=config.norm, conditioning=config.conditioning, separate=config.separate_tokens,
            latent=config.latent if config.adversarial else 0, latent_layers=config.latent_layers,
            latent_norm=config.latent_norm, positions=max(config.diffusion_steps, config.frames + 3), **shape,
        )  # fmt: skip
        self.discriminator: MLPDiscriminator | EncoderDiscriminator | None = None
        seen = len(self.labels) if config.discriminator_sees_action else 0
        if config.adversarial and config.discriminator == "mlp":
            self.discriminator = MLPDiscriminator(ROWS * CHANNELS, config.frames, seen, config.discriminator_width)
        elif config.adversarial:
            self.discriminator = EncoderDiscriminator(
                rows=ROWS, channels=CHANNELS, actions=seen, width=config.discriminator_width,
                layers=config.discriminator_layers, positions=max(config.diffusion_steps, 2 * config.frames + 3), **shape,
            )  # fmt: skip
        time = torch.arange(config.diffusion_steps)
        if config.time_steps:
            others = betas(config.time_schedule, config.time_steps)
            time = torch.from_numpy(equivalent_timesteps(self.process.tables["alphas_cumprod"], others)).float()
        self.register_buffer("time", time, persistent=False)
        self._means, self._watch = BinnedMeans(config.diffusion_steps), Watch()
        self._scores: dict[str, Tensor] = {}
        self._latest: tuple[Tensor, Tensor] | None = None

    # ---- training ---------------------------------------------------------------------------------------------

    def optimised(self) -> dict[str, Optimised]:
        """The generator at the run's learning rate, the discriminator at its own."""
        if self.discriminator is None:
            return super().optimised()
        return {
            "generator": Optimised(list(self.network.parameters())),
            "discriminator": Optimised(list(self.discriminator.parameters()), self.config.discriminator_lr),
        }

    def averaged(self) -> dict[str, nn.Parameter]:
        """The generator's parameters: nobody samples from a discriminator."""
        return {f"network.{name}": parameter for name, parameter in self.network.named_parameters()}

    def training_step(self, batch: Batch, rng: torch.Generator, step: int, minimise: Minimise) -> dict[str, Tensor]:
        """One step of the discriminator, then one of the generator, on the same windows with noise of their own."""
        if self.discriminator is None:
            return super().training_step(batch, rng, step, minimise)
        x0 = self.scaled(self.from_motion(batch.rot6d, batch.root))
        due = step % self.config.r1_every == 0
        judged = self.discriminator_terms(x0, batch.action, self.draw(batch.share, x0, rng), due)
        self._note(discriminator_gradient=minimise(sum(judged.values(), x0.new_zeros(len(x0))), "discriminator"))
        with frozen(self.discriminator):
            terms = self._generator_losses(x0, batch, rng, due)
            self._note(generator_gradient=minimise(terms["loss"], "generator"))
        return {**terms, **judged}

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """The generator's terms; `loss` is their weighted sum."""
        return self._generator_losses(self.scaled(self.from_motion(batch.rot6d, batch.root)), batch, rng)

    def _generator_losses(
        self, x0: Tensor, batch: Batch, rng: torch.Generator, compare: bool = False
    ) -> dict[str, Tensor]:
        self._latest = x0[:PROBES], batch.action[:PROBES]
        first = self.draw(batch.share, x0, rng)
        second = self.draw(batch.share, x0, rng) if self.config.separate_terms else None
        return self.generator_terms(x0, batch.action, first, second, compare=compare)

    def draw(self, share: Share, x0: Tensor, rng: torch.Generator) -> Draw:
        """Randomness of one forward pass over this process's share of a batch."""
        count, device = share.whole(len(x0)), x0.device
        timestep = torch.randint(self.config.diffusion_steps, (count,), generator=rng, device=device)
        hide = torch.rand(count, generator=rng, device=device) < self.config.cond_mask_prob
        noises = [torch.randn((count, *x0.shape[1:]), generator=rng, device=device) for _ in range(3)]
        code = torch.randn((count, self.config.latent), generator=rng, device=device)
        return Draw(*(share.mine(values) for values in (timestep, hide, *noises, code)))

    def discriminator_terms(self, x0: Tensor, action: Tensor, draw: Draw, penalise: bool) -> dict[str, Tensor]:
        """real, fake and, where it is due, r1: what the discriminator pays for each sample; no gradient to G."""
        x_t, x_next = self.process.diffuse_pair(x0, draw.timestep, draw.noise, draw.next_noise)
        seen = self._seen_action(action, draw.hide)
        x_t.requires_grad_(penalise)
        # A fused attention kernel has no second derivative, which the penalty's gradient is.
        with sdpa_kernel(SDPBackend.MATH) if penalise else nullcontext():
            real = self._logits(x_t, x_next, draw.timestep, seen)
            terms = {"real": real_loss(real)}
            if penalise:
                terms["r1"] = r1_penalty(real, x_t, self.config.r1_gamma)
        with torch.no_grad():
            estimate = self.estimate(x_next, draw.timestep, self._hidden(action, draw.hide), draw.code)
            made = self.process.posterior_sample(estimate, x_next, draw.timestep, draw.posterior_noise)
        fake = self._logits(made, x_next, draw.timestep, seen)
        terms["fake"] = fake_loss(fake)
        for name, values in {"logit_real": real, "logit_fake": fake, **terms}.items():
            self._means.add(name, values, draw.timestep)
        return terms

    def generator_terms(
        self, x0: Tensor, action: Tensor, draw: Draw, second: Draw | None = None, mask: Tensor | None = None,
        compare: bool = False,
    ) -> dict[str, Tensor]:  # fmt: skip
        """What the generator pays for each sample [B]: geometric terms, adversarial, and their sum as `loss`.

        Args:
            x0: clean features, scaled.
            second: of a forward pass of its own for the adversarial term.
            mask: [B, T] bool, true for real frames.
            compare: note which of the two terms pulls harder at x̂_0.
        """
        estimate, x_next = self._forward(x0, action, draw)
        terms = self._geometric(estimate, x0, draw.timestep, mask)
        geometric = terms.pop("loss") * self.config.geometric_weight
        for name, values in terms.items():
            self._means.add(name, values, draw.timestep)
        if self.discriminator is None:
            return {**terms, "loss": geometric}
        if second is not None:
            draw = second
            judged, x_next = self._forward(x0, action, draw)
        else:
            judged = estimate
        made = self.process.posterior_sample(judged, x_next, draw.timestep, draw.posterior_noise)
        adversarial = real_loss(self._logits(made, x_next, draw.timestep, self._seen_action(action, draw.hide)))
        self._means.add("adversarial", adversarial, draw.timestep)
        if compare and self.config.geometric_weight:
            pulls = [
                torch.autograd.grad(values.sum(), at, retain_graph=True)[0].norm()
                for values, at in ((adversarial, judged), (geometric, estimate))
            ]
            self._note(pull_ratio=pulls[0] / pulls[1].clamp_min(1e-12))
        return {**terms, "adversarial": adversarial, "loss": adversarial + geometric}

    def _forward(self, x0: Tensor, action: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
        """(x̂_0, x_{t+1}) of a draw."""
        x_next = self.process.diffuse_pair(x0, draw.timestep, draw.noise, draw.next_noise).x_next
        return self.estimate(x_next, draw.timestep, self._hidden(action, draw.hide), draw.code), x_next

    def _geometric(self, estimate: Tensor, x0: Tensor, timestep: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
        """Unweighted terms [B] by name, and their weighted sum as `loss`."""
        config = self.config
        weights = {
            "reconstruction": 0.0 if config.standardise else config.lambda_reconstruction,
            "position": config.lambda_position,
            "velocity": config.lambda_velocity,
            "foot": config.lambda_foot,
        }
        terms: dict[str, Tensor] = {"loss": x0.new_zeros(len(x0))}
        if any(weights.values()):
            plain, goal = self.unscaled(estimate), self.unscaled(x0)
            terms = motion_losses(plain, goal, weights, mask, foot_space=config.foot_space)
        if config.standardise and config.lambda_reconstruction:
            noise = self.process.table("sqrt_one_minus_alphas_cumprod", timestep, x0)
            own = masked_l2(estimate / noise, x0 / noise, mask)  # v-prediction's weight, as in MDM's small presets
            terms = {**terms, "reconstruction": own, "loss": terms["loss"] + config.lambda_reconstruction * own}
        return terms

    def estimate(self, x_next: Tensor, timestep: Tensor, action: Tensor | None, code: Tensor | None) -> Tensor:
        """x̂_0 [B, 25, 6, T] of the generator, scaled as its input is."""
        latent = code if self.config.adversarial else None
        output = self.network(x_next, self.time[timestep], action, latent=latent).float()
        if self.config.prediction != "spectral":
            return self.process.x0_from(self.config.prediction, output, x_next, timestep)
        signal = self.process.table("sqrt_alphas_cumprod", timestep, x_next)
        noise = self.process.table("sqrt_one_minus_alphas_cumprod", timestep, x_next)
        return self.spectral_estimate(output, x_next, signal, noise, action)

    def _logits(self, x_t: Tensor, x_next: Tensor, timestep: Tensor, action: Tensor | None) -> Tensor:
        assert self.discriminator is not None
        with torch.autocast(x_t.device.type, enabled=False):  # the penalty's gradients are too small for bf16
            logits: Tensor = self.discriminator(x_t, x_next, timestep, action)
        return logits

    def _hidden(self, action: Tensor, hide: Tensor) -> Tensor | None:
        return torch.where(hide, NO_CONDITION, action) if self.config.conditional else None

    def _seen_action(self, action: Tensor, hide: Tensor) -> Tensor | None:
        if not (self.config.conditional and self.config.discriminator_sees_action):
            return None
        return action if self.config.discriminator_sees_hidden_action else torch.where(hide, NO_CONDITION, action)

    # ---- how it fares -----------------------------------------------------------------------------------------

    def _note(self, **numbers: Tensor | None) -> None:
        self._scores.update({name: value.detach() for name, value in numbers.items() if value is not None})

    def diagnose(self) -> tuple[dict[str, float], list[str]]:
        """Means per timestep, gradient norms, made motion beside real motion, and the illnesses that they show."""
        binned = self._means.read()
        numbers = {name: float(value) for name, value in self._scores.items()}
        self._scores = {}
        if self._latest is not None:
            numbers |= self._probe(*self._latest)
        judged = {}
        for name in ("real", "fake"):
            values = [value for key, value in binned.items() if key.startswith(f"{name}/")]
            if values:
                judged[name] = sum(values) / len(values)
        return {**binned, **numbers}, self._watch.news({**judged, **numbers})

    @torch.no_grad()
    def _probe(self, x0: Tensor, action: Tensor) -> dict[str, float]:
        """Motions of a fixed noise pack beside the latest windows of the same actions, and what the code does."""
        training = self.training
        self.eval()
        packs = self.noise(sample_generators(0, 0, len(x0))).to(x0.device)
        numbers = liveliness(self.decode(packs, action, guidance=1.0), self.unscaled(x0))
        if self.config.adversarial:
            x_T, codes, _ = self.unpack(packs)
            timestep = torch.full_like(action, self.config.diffusion_steps // 2)
            x_next = self.process.diffuse(x0, timestep, x_T).x_t
            one, other = (self.estimate(x_next, timestep, action, code) for code in (codes[:, 0], -codes[:, 0]))
            numbers["code_effect"] = float((one - other).norm() / (one - x0).norm().clamp_min(1e-9))
        self.train(training)
        return numbers

    # ---- sampling ---------------------------------------------------------------------------------------------

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
        window = (ROWS, CHANNELS, self.frames)
        return x.unflatten(1, window), codes.unflatten(1, (steps, -1)), noises.reshape(-1, steps - 1, *window)

    def pack(self, x: Tensor, codes: Tensor, noises: Tensor) -> Tensor:
        """The inverse of `unpack`."""
        return torch.cat([x.flatten(1), codes.flatten(1), noises.flatten(1)], dim=1)

    def decode(self, noise: Tensor, action: Tensor | None, **options: object) -> Tensor:
        """Features [B, 25, 6, T] of noise packs.

        Options:
            guidance: classifier-free scale, 1 is off; both passes get the same code.
            checkpointing: recompute each step in the backward pass.
            steps, sampler: only the run's own number, and "few-step": the network knows no others.

        Raises:
            MdtoolError: an unknown option value, or guidance without training for it.
        """
        self._check_options(options)
        x, codes, noises = self.unpack(noise)
        denoiser = self._denoiser(action, options.get("guidance"))
        checkpointing = bool(options.get("checkpointing", False))
        return self.unscaled(few_step(denoiser, self.process, x, codes, noises, checkpointing=checkpointing))

    def invert(self, features: Tensor, action: Tensor | None, **options: object) -> Tensor:
        """A pack whose chain passes through noisings of `features` down to t = 1; options as for `decode`.

        The codes and the noisings are drawn per sample from its own features. What the last step's prediction leaves
        over is the error of `decode(invert(features))`.
        """
        self._check_options(options)
        x0 = self.scaled(features)
        drawn = self.noise(content_generators(features)).to(x0)
        last, codes, rest = self.unpack(drawn)
        path_noise = torch.cat([last.unsqueeze(1), rest], dim=1)
        denoiser = self._denoiser(action, options.get("guidance"))
        x, noises = few_step_inversion(denoiser, self.process, x0, codes, path_noise)
        return self.pack(x, codes, noises)

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
        if sampler not in (None, "few-step"):
            raise MdtoolError(f"a generator of few steps has no sampler {sampler!r}: leave --sampler out")

    def _denoiser(self, action: Tensor | None, guidance: object) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
        scale = self.config.guidance if guidance is None else guidance
        if not isinstance(scale, (int, float, Tensor)):
            raise MdtoolError(f"guidance must be a number, not {guidance!r}")
        guided = isinstance(scale, Tensor) or scale != 1
        if guided and not (self.config.conditional and self.config.cond_mask_prob > 0):
            raise MdtoolError("guidance needs a run trained with cond_mask_prob above 0: use --guidance 1")
        known = None if not self.config.conditional else action

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
        theirs = other.config.model_dump() if isinstance(other, FeatureSpace) and hasattr(other, "config") else {}
        if not theirs.keys() >= {*ARCHITECTURE, "diffusion_steps"}:
            raise MdtoolError(f"emdm starts from a run of mdm or emdm, not of {type(other).__name__}")
        of_mdm = {
            "activation": "gelu",
            "separate_tokens": False,
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


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Within the block the module's parameters get no gradient."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
