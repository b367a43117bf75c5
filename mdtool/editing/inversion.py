"""Where a search begins: the noise of the input, stored or by inversion, and how faithful it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mdtool.editing.decoding import Decoder
from mdtool.editing.fitting import ENOUGH_M, fitted_noise
from mdtool.editing.placement import Placement, fitted
from mdtool.editing.plan import Plan
from mdtool.errors import MdtoolError
from mdtool.methods.contract import Method, NoInverse
from mdtool.methods.seeds import sample_generators
from mdtool.motion.kinematics import joint_positions

WARN_M, REFUSE_M = 0.05, 0.20
"""Reconstruction errors of the input that deserve a warning, and that make an edit of it pointless."""
_EXACT_M = 1e-3
"""A stored noise that rebuilds its motion so well needs no inversion beside it."""
_MEAN, _SPREAD, _LAG = 0.05, 0.1, 0.1
"""How far a latent's mean, standard deviation and correlation with the frame before may be from Gaussian noise's."""


@dataclass(frozen=True)
class Health:
    """How much a latent looks like Gaussian noise."""

    mean: float
    std: float
    lag: float | None
    """Correlation of each number with itself one frame before; None without a time axis."""

    @property
    def sound(self) -> bool:
        """Whether it does."""
        lagging = self.lag is not None and abs(self.lag) >= _LAG
        return abs(self.mean) < _MEAN and abs(self.std - 1) < _SPREAD and not lagging

    def told(self) -> str:
        """The three figures."""
        lag = "" if self.lag is None else f", correlation with the frame before {self.lag:+.2f}"
        return f"mean {self.mean:+.3f}, standard deviation {self.std:.2f}{lag}"


@dataclass(frozen=True)
class Start:
    """The noise that a search begins with."""

    noise: Tensor
    """[…] of one sample."""
    how: Literal["stored", "inverted", "fitted", "random"]
    health: Health
    placement: Placement | None
    """From the model's space to the request's, by how the noise's motion lies over the input; None: fitted later."""
    reconstruction_m: float | None
    """Mean distance between the joints of the input and of what the noise makes; None for new noise."""
    unfitted_m: float | None = None
    """The same before the noise was fitted to the input."""
    foreign: bool = False
    """Whether the input holds noise of other weights, which is of no use here."""
    interrupted: bool = False
    """Whether Ctrl-C ended the fitting."""

    def told(self, name: str) -> list[str]:
        """How faithful the start is, and what a user must know before the search."""
        said = []
        if self.reconstruction_m is not None:
            said.append(f"{self.how} noise rebuilds {name} to {100 * self.reconstruction_m:.1f} cm per joint")
        return said + self.warnings()

    def warnings(self) -> list[str]:
        """What a user must know."""
        found = []
        if self.foreign:
            found.append("the noise stored with the input belongs to other weights and is not used")
        if self.reconstruction_m is not None and self.reconstruction_m > WARN_M:
            found.append(
                f"the model rebuilds this input only to {100 * self.reconstruction_m:.1f} cm per joint: the edit "
                "starts from a neighbouring motion (`run: {residual: constant}` adds what is lost)"
            )
        if self.how in ("inverted", "fitted") and not self.health.sound:
            found.append(
                f"the input's noise is not Gaussian ({self.health.told()}): it lies outside what the model knows, and "
                "edits of it may look wrong"
            )
        return found


def health_of(noise: Tensor, time_axis: int | None) -> Health:
    """Mean, spread and lag-1 correlation of one latent […]; `time_axis` counts a batch axis before it."""
    flat = noise.double()
    lag = None
    if time_axis is not None and noise.shape[time_axis - 1 if time_axis > 0 else time_axis] > 2:
        line = flat.movedim(time_axis - 1 if time_axis > 0 else time_axis, -1)
        line = line - line.mean()
        lag = float((line[..., 1:] * line[..., :-1]).mean() / line.square().mean().clamp_min(1e-12))
    return Health(float(flat.mean()), float(flat.std()), lag)


@torch.no_grad()
def rebuilt(method: Method, features: Tensor, wanted: np.ndarray) -> tuple[Placement, float]:
    """How well features [1, …] make joints [T, 24, 3]: the placement that fits best, and the mean distance in metres.

    A model has its own idea of which way frame 0 faces: a tenth of a radian there is decimetres at the end of a walk.
    """
    made = joint_positions(*method.to_motion(features))[:, : len(wanted), :22]
    real = made.new_tensor(wanted[:, :22])
    placement = fitted(made.flatten(1, 2), real.flatten(0, 1), torch.ones_like(real).flatten(0, 1)).of(0)
    return placement, float((placement.done(made)[0] - real).norm(dim=-1).mean())


@torch.no_grad()
def inverted(method: Method, features: Tensor, action: Tensor | None, steps: int) -> Tensor | None:
    """The noise of features [1, …] by the method's own inversion; None when it has none."""
    try:
        return method.invert(features, action, **method.smooth_options(steps))
    except NoInverse:
        return None


def find_start(
    decoder: Decoder, plan: Plan, reference: Tensor | None, force: bool, until_s: float | None = None
) -> Start:
    """The noise that a plan's search begins with.

    Args:
        reference: features of the input [1, …].
        force: begin even if the model cannot rebuild the input.
        until_s: time (monotonic) at which to make do with what was found.

    Raises:
        MdtoolError: it cannot, or joint places have no noise.
    """
    method, run = decoder.method, plan.request.run
    wanted = plan.source.positions[: plan.frames]
    if plan.random:
        noise = method.noise(sample_generators(run.seed, 0, 1), decoder.frames(plan))[0]
        placement = None if plan.free or reference is None else rebuilt(method, reference, wanted)[0]
        return Start(noise, "random", health_of(noise, method.time_axis), placement, None)
    if reference is None:
        raise MdtoolError("joint places have no noise to begin with: add `mask`, or `run: {init: random}`")
    start = _from_input(decoder, plan, reference, wanted, until_s)
    lost = start.reconstruction_m or 0.0
    if lost > REFUSE_M and not force and run.residual == "none":
        raise MdtoolError(
            f"the model rebuilds the input only to {100 * lost:.0f} cm per joint, so that there is little to edit: "
            "use a run trained on such motion, `run: {residual: constant}`, or --force"
        )
    return start


def _from_input(decoder: Decoder, plan: Plan, reference: Tensor, wanted: np.ndarray, until_s: float | None) -> Start:
    """The input's own noise: stored with it, or by inversion, whichever rebuilds it better; then fitted to it."""
    method, run, action = decoder.method, plan.request.run, decoder.action(plan, 1)
    found: list[Start] = []

    def consider(noise: Tensor, how: Any) -> None:
        with torch.no_grad():
            features = decoder.decode(plan, noise, action)
        placement, lost = rebuilt(method, features, wanted)
        if run.residual == "constant":
            placement, _ = rebuilt(method, reference, wanted)
        found.append(Start(noise[0], how, health_of(noise[0], method.time_axis), placement, lost))

    stored = None if plan.source.motion is None else plan.source.motion.noise
    same_weights = plan.source.provenance.get("checkpoint_sha256") == decoder.generator.sha256
    if stored is not None and same_weights:
        consider(torch.from_numpy(stored).to(decoder.device)[None], "stored")
    if not found or _lost(found[0]) > _EXACT_M:
        noise = inverted(method, reference, action, run.invert_steps)
        if noise is None and not found:
            noise = method.noise(sample_generators(run.seed, 0, 1), decoder.frames(plan)).to(decoder.device)
        if noise is not None:
            consider(noise, "inverted")
    best = min(found, key=_lost)
    steps = min(run.fit_steps, plan.steps)
    interrupted = False
    if steps and _lost(best) > ENOUGH_M:
        noise, interrupted = fitted_noise(decoder, plan, reference, best.noise[None], steps, until_s)
        consider(noise, "fitted")
    foreign = stored is not None and not same_weights
    return replace(min(found, key=_lost), unfitted_m=_lost(best), foreign=foreign, interrupted=interrupted)


def _lost(start: Start) -> float:
    return start.reconstruction_m or 0.0
