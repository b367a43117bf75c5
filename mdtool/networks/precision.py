"""Matrix products in the precision that a device is fast in, and float32 ones that are really float32."""

from __future__ import annotations

import torch
from torch import Tensor

EXACT = 1e-5
"""Largest relative error of an honest float32 product of this size; one rounded to tf32 or bf16 is 40 times worse."""


def bf16_is_native(device: torch.device) -> bool:
    """Whether the device multiplies bf16 in hardware; elsewhere it is emulated, ten to thirty times slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return device.type == "cpu" and any(check() for check in checks if check is not None)


def use_fast_float32() -> bool:
    """Hand float32 products on the CPU to oneDNN, if it is there and a trial against float64 shows no rounding.

    PyTorch gives oneDNN float32 products only when it is allowed to round them to bf16. Where the processor has no
    bf16 matrix unit nothing is rounded, and oneDNN is up to twice as fast as MKL; where it has one (AMX), the trial
    fails and the setting stays as it was.

    Returns:
        Whether oneDNN is in use.
    """
    settings = getattr(getattr(torch.backends, "mkldnn", None), "matmul", None)
    if settings is None or not hasattr(settings, "fp32_precision") or not torch.backends.mkldnn.is_available():
        return False
    before = settings.fp32_precision
    settings.fp32_precision = "bf16"
    if largest_product_error() < EXACT:
        return True
    settings.fp32_precision = before
    return False


def onednn_multiplies(dtype: torch.dtype) -> bool:
    """Whether products of this type go to oneDNN on a CPU: bf16 always, float32 after `use_fast_float32`."""
    if dtype == torch.float32:
        return getattr(getattr(torch.backends.mkldnn, "matmul", None), "fp32_precision", None) == "bf16"
    return dtype == torch.bfloat16


@torch.no_grad()
def largest_product_error() -> float:
    """Relative error of float32 products as they occur in training: x Wᵀ, g W, gᵀ x, and a batch of small ones."""
    rng = torch.Generator().manual_seed(0)
    x, weight, gradient = (torch.randn(*shape, generator=rng) for shape in ((256, 384), (512, 384), (256, 512)))
    q, k = torch.randn(2, 64, 61, 64, generator=rng)
    with torch.autocast("cpu", enabled=False):
        pairs = ((x, weight.T), (gradient, weight), (gradient.T, x), (q, k.mT))
        return max(_relative_error(left, right) for left, right in pairs)


def _relative_error(left: Tensor, right: Tensor) -> float:
    exact = left.double() @ right.double()
    return float(((left @ right).double() - exact).abs().max() / exact.abs().max())
