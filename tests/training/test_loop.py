"""What a training step may do to the device: never wait for it."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mdtool.methods.seeds import step_generator
from tests.methods.contract_cases import CASES, fresh, lesson

WAITING = {"aten::_local_scalar_dense": "reads a number back", "aten::lift_fresh": "brings numbers from Python"}
"""Operations at which a GPU's queue is waited for."""


class Waits(TorchDispatchMode):
    """Collects the operations that would wait, on any device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if operation._schema.name in WAITING:
            self.found.append(WAITING[operation._schema.name])
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", [name for name in CASES if name != "nerm"])
def test_a_step_never_waits_for_the_device(name: str) -> None:
    method = fresh(CASES[name]).train()
    batch = lesson(method, 4)

    def minimise(values: Tensor, name: str = "network") -> None:
        values.mean().backward()

    method.training_step(batch, step_generator(0, 0), 0, minimise)  # constants are made once
    with Waits() as waits:
        method.training_step(batch, step_generator(0, 1), 1, minimise)
    assert waits.found == []
