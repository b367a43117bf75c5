"""Steps whose gradient is not finite: left out, counted, and answered with older weights and a lower learning rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

PATIENCE = 3
"""Steps left out in a row after which the weights themselves are suspected."""
LEAST_RATE = 2.0**-10
"""Share of the planned learning rate below which going on makes no sense."""


class StepGuard:
    """Watches the updates of a training whose losses may leave the finite numbers now and then.

    Its counts are part of a run's resumable state, so that a resumed run lowers its rate where the other one would.
    """

    def __init__(self) -> None:
        self.left_out, self.in_a_row, self.restored, self.rate = 0, 0, 0, 1.0
        self._skipped = False

    def norm(self, parameters: list[nn.Parameter]) -> tuple[Tensor, bool]:
        """L2 norm of the whole gradient, and whether it is finite; if not, the step is marked as left out."""
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        finite = bool(torch.isfinite(norm))
        self._skipped |= not finite
        return norm, finite

    def end_step(self) -> bool:
        """Count the step that ends; whether all of its updates were made."""
        whole, self._skipped = not self._skipped, False
        self.left_out += not whole
        self.in_a_row = 0 if whole else self.in_a_row + 1
        return whole

    @property
    def gives_up(self) -> bool:
        """Whether so many steps in a row were left out that the last saved weights should come back."""
        return self.in_a_row >= PATIENCE

    def lower_rate(self) -> None:
        """Halve the learning rate, after the last saved weights came back."""
        self.restored, self.in_a_row, self.rate = self.restored + 1, 0, self.rate / 2

    def state_dict(self) -> dict[str, Any]:
        """The counts, as plain numbers."""
        return {name: getattr(self, name) for name in ("left_out", "in_a_row", "restored", "rate")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        for name, value in state.items():
            setattr(self, name, value)
