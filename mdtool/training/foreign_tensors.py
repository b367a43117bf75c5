"""State dicts of other programs: checked before they become weights of ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mdtool.errors import MdtoolError


def tensor_table(values: object, path: Path, what: str) -> dict[str, Tensor]:
    """A state dict as plain tensors by name.

    Raises:
        MdtoolError: something in it is no tensor, no finite number, or a view that is larger than its memory.
    """
    if not isinstance(values, Mapping) or not values:
        raise MdtoolError(f"{path}: {what} is no table of tensors")
    table = {}
    for name, tensor in values.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise MdtoolError(f"{path}: {what} holds {name!r}, which is no tensor")
        table[name] = checked_tensor(tensor, path, name)
    return table


def checked_tensor(tensor: Tensor, path: Path, name: str) -> Tensor:
    """A dense tensor of finite numbers with memory of its own size.

    Raises:
        MdtoolError: it is not one.
    """
    if tensor.layout != torch.strided or tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
        raise MdtoolError(f"{path}: {name} is stored in a way that no training program writes; it is not opened")
    if not torch.isfinite(tensor).all():
        raise MdtoolError(f"{path}: {name} holds NaN or infinite numbers: the training that made it diverged")
    return tensor.float() if tensor.is_floating_point() else tensor
