"""EMDM: few-step motion diffusion as a conditional GAN (Zhou et al. 2024, after Xiao et al. 2022).

The generator draws x̂_0 from x_{t+1} and a random code, the Gaussian posterior turns it into x_t, and a discriminator
judges the pair (x_t, x_{t+1}); MDM's geometric losses keep x̂_0 near the data. The same T steps train and sample.
The defaults are the released code's but where it is known to err: feet are measured in the world, one forward pass
serves both of the generator's terms, and the discriminator does not see an action that the generator did not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from mdtool.diffusion.guidance import NO_CONDITION
from mdtool.losses.adversarial import fake_loss, r1_penalty, real_loss
from mdtool.losses.geometric import motion_losses
from mdtool.losses.reconstruction import masked_l2
from mdtool.losses.symptoms import BinnedMeans, RecentWindows, Watch, liveliness, variety
from mdtool.methods.contract import Batch, Minimise, Optimised, Share
from mdtool.methods.emdm_generator import EMDMGenerator
from mdtool.methods.feature_space import CHANNELS
from mdtool.methods.seeds import sample_generators
from mdtool.motion.features import ROWS
from mdtool.networks.discriminator import EncoderDiscriminator, MLPDiscriminator

PROBES = 32
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


class EMDM(EMDMGenerator):
    """The generator, its discriminator and the step that trains both."""

    shares_batches = True
    guards_steps = True

    def __init__(self, settings: dict[str, Any], actions: list[str], fps: float) -> None:
        super().__init__(settings, actions, fps)
        config = self.config
        self.discriminator: MLPDiscriminator | EncoderDiscriminator | None = None
        seen = len(self.labels) if config.discriminator_sees_action else 0
        if config.adversarial and config.discriminator == "mlp":
            self.discriminator = MLPDiscriminator(ROWS * CHANNELS, config.frames, seen, config.discriminator_width)
        elif config.adversarial:
            self.discriminator = EncoderDiscriminator(
                rows=ROWS,
                channels=CHANNELS,
                actions=seen,
                width=config.discriminator_width,
                layers=config.discriminator_layers,
                heads=config.heads,
                feedforward=config.feedforward,
                dropout=config.dropout,
                activation=config.activation,
                patch=config.patch,
                positions=max(config.diffusion_steps, 2 * config.frames + 3),
            )
        self._means, self._watch = BinnedMeans(config.diffusion_steps), Watch()
        self._scores: dict[str, Tensor] = {}
        self._recent = RecentWindows()

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
        return {**terms, "real": judged["real"], "fake": judged["fake"]}

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """The generator's terms; `loss` is their weighted sum."""
        return self._generator_losses(self.scaled(self.from_motion(batch.rot6d, batch.root)), batch, rng)

    def _generator_losses(
        self, x0: Tensor, batch: Batch, rng: torch.Generator, compare: bool = False
    ) -> dict[str, Tensor]:
        labels = batch.action if self.config.conditional else torch.zeros_like(batch.action)
        self._recent.add(x0, labels, batch.clip)
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
        latest = self._recent.latest(PROBES)
        if latest is not None:
            numbers |= self._probe(*latest)
        judged = {}
        for name in ("real", "fake", "adversarial"):
            values = [value for key, value in binned.items() if key.startswith(f"{name}/")]
            if values:
                judged[name] = sum(values) / len(values)
        return {**binned, **numbers}, self._watch.news({**binned, **judged, **numbers})

    @torch.no_grad()
    def _probe(self, x0: Tensor, action: Tensor) -> dict[str, float]:
        """Motions of a fixed noise pack beside the latest windows of the same actions, and what the code does."""
        training = self.training
        self.eval()
        packs = self.noise(sample_generators(0, 0, len(x0))).to(x0.device)
        made, real = self.decode(packs, action, guidance=1.0), self.unscaled(x0)
        numbers = liveliness(made, real) | self._recent.nearest(self.scaled(made), action)
        if self.config.adversarial:
            numbers |= variety(made, real, action)
            x_T, codes, _ = self.unpack(packs)
            timestep = torch.full_like(action, self.config.diffusion_steps // 2)
            x_next = self.process.diffuse(x0, timestep, x_T).x_t
            one, other = (self.estimate(x_next, timestep, action, code) for code in (codes[:, 0], -codes[:, 0]))
            numbers["code_effect"] = float((one - other).norm() / (one - x0).norm().clamp_min(1e-9))
        self.train(training)
        return numbers


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Within the block the module's parameters get no gradient."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
