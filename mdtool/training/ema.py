"""Exponential moving averages of weights: several decays in one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from mdtool.errors import MdtoolError
from mdtool.training.post_hoc import power_decay

EMAKind = Literal["warmup", "plain", "power"]


class EMA:
    """Shadows s ← s + (1 - d)(θ - s) of the weights θ, one per decay d, updated after each optimiser step.

    Shadows start as copies of the weights. They cover parameters only; buffers are taken from the live network.
    """

    def __init__(self, parameters: Mapping[str, Tensor], decays: Sequence[float], kind: EMAKind = "warmup") -> None:
        """Watch named parameters.

        Args:
            decays: one track each; none at all is allowed and costs nothing.
            kind: "warmup" uses min(d, (1 + n) / (10 + n)) at the n-th update (as pytorch_ema); "plain" uses d
                throughout (as MDM); with "power" each d is a width σ_rel of EDM2's averages (training/post_hoc.py).

        Raises:
            MdtoolError: a decay outside 0 … 1.
        """
        if any(not 0 <= decay < 1 for decay in decays):
            raise MdtoolError(f"every EMA decay must be at least 0 and below 1, not {list(decays)}")
        self.kind, self.updates = kind, 0
        self._names, self._live = list(parameters), list(parameters.values())
        self._shadows = {decay: [tensor.detach().clone() for tensor in self._live] for decay in decays}

    @property
    def decays(self) -> list[float]:
        """The tracks, in the order they were given."""
        return list(self._shadows)

    def decay_now(self, decay: float) -> float:
        """The decay that the latest update used for a track."""
        if self.kind == "power":
            return power_decay(decay, self.updates)
        return min(decay, (1 + self.updates) / (10 + self.updates)) if self.kind == "warmup" else decay

    @torch.no_grad()
    def update(self) -> None:
        """Move every shadow towards the weights; call once after each optimiser step."""
        self.updates += 1
        for decay, shadow in self._shadows.items():
            torch._foreach_lerp_(shadow, self._live, 1 - self.decay_now(decay))

    @torch.no_grad()
    def switch(self, decay: float) -> None:
        """Replace the live weights by a track's, and go on from there (Li et al. 2024, Switch EMA, algorithm 1).

        The paper does so after every epoch. The optimiser keeps its moments, the track goes on as it was.
        """
        torch._foreach_copy_(self._live, list(self.weights(decay).values()))

    def weights(self, decay: float) -> dict[str, Tensor]:
        """The shadow of a track by parameter name; not a copy.

        Raises:
            MdtoolError: no such track.
        """
        if decay not in self._shadows:
            raise MdtoolError(f"no EMA with decay {decay:g}: this run has {', '.join(f'{d:g}' for d in self.decays)}")
        return dict(zip(self._names, self._shadows[decay], strict=True))

    @torch.no_grad()
    def distances(self) -> dict[str, float]:
        """`ema_distance/TRACK` of every decay or width: ‖θ̄ - θ‖ / ‖θ‖ over all weights; waits for the device."""
        size = _norm(self._live)
        return {
            f"ema_distance/{decay:g}": _norm(torch._foreach_sub(shadow, self._live)) / max(size, 1e-12)
            for decay, shadow in self._shadows.items()
            if shadow
        }

    @contextmanager
    @torch.no_grad()
    def applied(self, decay: float) -> Iterator[None]:
        """Within the block the network computes with a track's weights; afterwards with its own again."""
        shadow = list(self.weights(decay).values())
        own = [tensor.detach().clone() for tensor in self._live]
        torch._foreach_copy_(self._live, shadow)
        try:
            yield
        finally:
            torch._foreach_copy_(self._live, own)

    def state_dict(self) -> dict[str, Tensor]:
        """All shadows as `DECAY/NAME`, and the number of updates; tensors only, not copies."""
        state = {"updates": torch.tensor(self.updates)}
        for decay in self.decays:
            state |= {f"{decay:g}/{name}": tensor for name, tensor in self.weights(decay).items()}
        return state

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` gave.

        Raises:
            MdtoolError: the state is of other decays or of another network.
        """
        own = self.state_dict()
        if own.keys() != state.keys():
            odd = sorted(own.keys() ^ state.keys())[0]
            raise MdtoolError(
                f"the saved EMA does not fit this run: {odd!r} is in only one of them; keep --ema as it was"
            )
        self.updates = int(state["updates"])
        names = [name for name in own if name != "updates"]
        if names:  # torch refuses an empty list, and a run without tracks resumes too
            torch._foreach_copy_([own[name] for name in names], [state[name] for name in names])


def _norm(tensors: Sequence[Tensor]) -> float:
    return float(torch.stack(torch._foreach_norm(list(tensors))).norm()) if tensors else 0.0
