"""A run as edits use it: features of an input, and motions of noise by a smooth map."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import Tensor

from mdtool.editing.frames import held
from mdtool.editing.plan import Plan
from mdtool.editing.run_section import Run
from mdtool.errors import MdtoolError
from mdtool.methods.contract import FieldMethod
from mdtool.methods.generate import Generator
from mdtool.methods.seeds import sample_generators


def smooth_steps(run: Run) -> int | None:
    """Sampling steps that a request asks for; None for the method's own."""
    return None if run.sampler == "native" else int(run.sampler.removeprefix("ddim-"))


class Decoder:
    """The frozen network of a run."""

    def __init__(self, generator: Generator) -> None:
        self.generator, self.method = generator, generator.method
        self.device = next(self.method.parameters()).device
        for parameter in self.method.parameters():
            parameter.requires_grad_(False)

    def compile(self, plan: Plan) -> None:
        """Let torch compile the network, and try it as the search for a plan calls it: for one motion and for several,
        with gradients and without.

        What is not tried here, such as a search that no longer tells the action, is compiled when it is first met.

        Raises:
            MdtoolError: it cannot be compiled on this machine.
        """
        self.method.get_submodule("network").compile()
        try:
            for count, grows in product((1, 2), (True, False)):
                noise = self.method.noise(sample_generators(0, 0, count), self.frames(plan)).to(self.device)
                with torch.set_grad_enabled(grows):
                    made = self.decode(plan, noise.requires_grad_(grows), self.action(plan, count))
                if grows:
                    made.square().sum().backward()
        except Exception as error:  # whatever compilers, drivers and torch raise
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise MdtoolError(f"the network cannot be compiled here ({reason}): leave out --compile") from error

    def decode(
        self, plan: Plan, noise: Tensor, action: Tensor | None, checkpointing: bool = False, half: bool = False
    ) -> Tensor:
        """Features of latents [B, …] as a plan's edit decodes them.

        Args:
            checkpointing: keep one sampling step in memory at a time.
            half: take half the sampling steps.
        """
        run = plan.request.run
        steps = smooth_steps(run)
        options = self.method.smooth_options(max(1, steps // 2) if half and steps else steps)
        if checkpointing:
            options = {**options, "checkpointing": True}
        if isinstance(self.method, FieldMethod):
            options = {**options, "times_s": self.times_s(plan)}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=run.precision == "bf16"):
            return self.method.decode(noise, action, **options).float()

    def latents(self, plan: Plan, noise: Tensor, action: Tensor | None) -> Tensor:
        """A field's latents [B, d] of noise [B, d], as a plan's edit decodes it."""
        assert isinstance(self.method, FieldMethod)
        return self.method.latents(noise, action, **self.method.smooth_options(smooth_steps(plan.request.run)))

    def times_s(self, plan: Plan) -> Tensor:
        """Instants [T + E] at which a field is asked for a plan's motion: its frames and the moments between."""
        frames = np.concatenate([np.arange(self.frames(plan)), plan.between])
        return torch.from_numpy(frames / plan.fps).to(self.device)

    def motions(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(rot6d [B, T, 24, 6], root [B, T, 3]) of features, in the model's space."""
        return self.method.to_motion(features)

    def frames(self, plan: Plan) -> int:
        """Frames that the model makes for a plan."""
        return self.method.frames_for(plan.frames)

    @torch.no_grad()
    def features(self, plan: Plan) -> Tensor | None:
        """Features of the input [1, …], None for points; the last pose is held as long as the model needs."""
        motion = plan.source.motion
        if motion is None:
            return None
        frames = np.arange(self.frames(plan))
        rot6d, root = (torch.from_numpy(held(part, frames))[None] for part in (motion.rot6d, motion.root))
        features = self.method.from_motion(rot6d.to(self.device), root.to(self.device))
        if motion.betas is None:
            return features
        return self.method.with_betas(features, torch.from_numpy(motion.betas)[None].to(features))

    def label(self, plan: Plan) -> str:
        """The input's action, when the run knows it."""
        motion = plan.source.motion
        return motion.action if motion is not None and motion.action in self.generator.actions else ""

    def action(self, plan: Plan, count: int) -> Tensor | None:
        """Labels [count] of the input's action, unless the edit is without a condition."""
        label = self.label(plan)
        if not plan.tells_action or not label:
            return None
        return torch.full((count,), self.generator.actions.index(label), device=self.device)
