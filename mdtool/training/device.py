"""The device that computes, and how it does so."""

from __future__ import annotations

from typing import Literal

import torch

from mdtool.errors import MdtoolError
from mdtool.networks.precision import bf16_is_native, use_fast_float32

MOST_THREADS = 1024
"""More than any machine has cores; from some tens of thousands on torch crashes."""


def prepare(name: str, threads: int | None) -> torch.device:
    """Choose the device of this process and set its number of threads.

    Args:
        name: auto (cuda when there is one), cpu, cuda, or cuda:1.

    Raises:
        MdtoolError: no such device, or no sensible number of threads.
    """
    if threads is not None:
        use_threads(threads)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise MdtoolError(f"--device {name}: not available on this machine; use cpu") from error
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    else:
        use_fast_float32()
    return device


def native_precisions(device: torch.device) -> list[Literal["fp32", "bf16"]]:
    """The precisions in which a device multiplies matrices in hardware, the slower first."""
    return ["fp32", "bf16"] if bf16_is_native(device) else ["fp32"]


def use_threads(threads: int) -> None:
    """Set the number of CPU threads of this process.

    Raises:
        MdtoolError: more than `MOST_THREADS`, or none.
    """
    if not 1 <= threads <= MOST_THREADS:
        raise MdtoolError(
            f"--threads {threads}: give 1 to {MOST_THREADS}; more than the machine has cores gain nothing"
        )
    torch.set_num_threads(threads)
