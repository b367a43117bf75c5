"""How searches went: their losses and rates at some of their steps, kept where they are computed until asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

REGULARISERS = ("content", "decorrelation", "radius")
_NO_LOSSES = ("error", "lr", "gradient")


@dataclass(frozen=True)
class Course:
    """How one search went, up to the step in which it stopped."""

    steps: list[int]
    losses: dict[str, list[float]]
    """Weighted, as they are minimised: the objective, the parts that each goal has in it, and the regularisers."""
    error_m: list[float]
    """The objective error, metres."""


class Trace:
    """What a batch of searches went through, at no more than `most` evenly spread steps."""

    def __init__(self, samples: int, most: int = 100) -> None:
        self.samples, self.most = samples, most
        self.steps: list[int] = []
        self._every = 1
        self._rows: list[tuple[Tensor, dict[str, Tensor]]] = []

    def add(self, step: int, rows: Tensor, values: Mapping[str, Tensor]) -> None:
        """Values [b] of the samples `rows` [b] in a step, each step once and in order; nothing waits for a device."""
        if step % self._every:
            return
        self.steps.append(step)
        self._rows.append((rows, {name: value.detach() for name, value in values.items()}))
        if len(self.steps) > self.most:
            self.steps, self._rows, self._every = self.steps[::2], self._rows[::2], 2 * self._every

    def column(self, name: str) -> Tensor:
        """One value at the kept steps, [n, B] float64; NaN where a sample has stopped, or has no such value."""
        table = torch.full((len(self.steps), self.samples), torch.nan, dtype=torch.float64)
        for line, (rows, values) in zip(table, self._rows, strict=True):
            if name in values:
                line[rows] = values[name].double().cpu()
        return table

    def courses(self) -> list[Course]:
        """Each sample's."""
        names = dict.fromkeys(name for _, values in self._rows for name in values if name not in _NO_LOSSES)
        goals = [name for name in names if name not in ("objective", *REGULARISERS)]
        columns = {name: self.column(name) for name in ("objective", *goals, *REGULARISERS) if name in names}
        error = self.column("error")
        found = []
        for sample in range(self.samples):
            lasted = [row for row in range(len(self.steps)) if not error[row, sample].isnan()]
            own = {name: column[lasted, sample] for name, column in columns.items()}
            losses = {name: values.tolist() for name, values in own.items() if not values.isnan().all()}
            found.append(Course([self.steps[row] for row in lasted], losses, error[lasted, sample].tolist()))
        return found
