"""Magnitude-preserving layers of EDM2, in one dimension (Karras et al. 2024): unit magnitude in, unit magnitude out.

Magnitude is the root mean square of the elements. Weights are normalised per output filter, so that only their
direction is learnt; the few scalars that may grow are gains of their own.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, silu

_EPSILON = 1e-4
_SILU_MAGNITUDE = 0.596
"""Root mean square of silu(x) for x ~ N(0, 1)."""


def normalised(x: Tensor, dim: int | tuple[int, ...] | None = None) -> Tensor:
    """x divided by its root mean square over `dim`; over all dimensions but the first when not given (eq. 66)."""
    dims = tuple(range(1, x.dim())) if dim is None else (dim if isinstance(dim, tuple) else (dim,))
    length = torch.linalg.vector_norm(x, dim=dims, keepdim=True, dtype=torch.float32)
    return x / (_EPSILON + length * math.sqrt(length.numel() / x.numel())).to(x.dtype)


def mp_silu(x: Tensor) -> Tensor:
    """SiLU that keeps the magnitude (eq. 81)."""
    return silu(x) / _SILU_MAGNITUDE


def mp_sum(first: Tensor, second: Tensor, balance: float) -> Tensor:
    """Blend of two tensors with share `balance` of the second, for independent inputs (eq. 88)."""
    return torch.lerp(first, second, balance) / math.hypot(1 - balance, balance)


def mp_cat(first: Tensor, second: Tensor, balance: float = 0.5) -> Tensor:
    """Channels of two tensors [B, C, …] side by side, the second contributing the share `balance` (eq. 103)."""
    counts = first.shape[1], second.shape[1]
    scale = math.sqrt(sum(counts) / ((1 - balance) ** 2 + balance**2))
    return torch.cat(
        [first * (scale * (1 - balance) / math.sqrt(counts[0])), second * (scale * balance / math.sqrt(counts[1]))],
        dim=1,
    )


class MPFourier(nn.Module):
    """Random Fourier features √2 cos(2π (f y + φ)) of a number per sample; fixed (eq. 75)."""

    freqs: Tensor
    phases: Tensor

    def __init__(self, features: int, bandwidth: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("freqs", 2 * math.pi * torch.randn(features) * bandwidth)
        self.register_buffer("phases", 2 * math.pi * torch.rand(features))

    def forward(self, values: Tensor) -> Tensor:
        """[B] → [B, features], computed in float32."""
        angle = values.float().unsqueeze(-1) * self.freqs + self.phases
        return math.sqrt(2) * angle.cos()


class MPWeight(nn.Module):
    """Weight of a linear layer [out, in] or of a convolution [out, in, kernel], without bias.

    Every filter has unit L2 norm in use. In training mode the stored values are normalised as well before each use
    (forced weight normalisation, Karras et al. 2024, section 2.3), so that the learning rate keeps its meaning.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int | None = None) -> None:
        """kernel: None for a linear layer on [B, in], odd for a convolution over the last axis of [B, in, T]."""
        super().__init__()
        shape = (outputs, inputs) if kernel is None else (outputs, inputs, kernel)
        self.weight = nn.Parameter(torch.randn(shape))

    def forward(self, x: Tensor, gain: Tensor | float = 1.0) -> Tensor:
        """Product or convolution with "same" padding, times `gain`."""
        if self.training:
            with torch.no_grad():
                self.weight.copy_(normalised(self.weight))
        weight = normalised(self.weight.float()) * (gain / math.sqrt(self.weight[0].numel()))
        weight = weight.to(x.dtype)
        return x @ weight.t() if weight.dim() == 2 else conv1d(x, weight, padding=weight.shape[-1] // 2)


def halve(x: Tensor) -> Tensor:
    """Mean of neighbouring pairs of frames; [B, C, T] → [B, C, T / 2]."""
    return x.unflatten(-1, (-1, 2)).mean(-1)


def double(x: Tensor) -> Tensor:
    """Every frame twice; [B, C, T] → [B, C, 2 T]."""
    return x.repeat_interleave(2, dim=-1)


class Uncertainty(nn.Module):
    """u(σ): logarithm of the error to expect at a noise level, one curve per group (Karras et al. 2024, section 2.1).

    A normalised linear layer of Fourier features; there is no hidden layer.
    """

    def __init__(self, curves: int, features: int = 128) -> None:
        super().__init__()
        self.fourier = MPFourier(features)
        self.linear = MPWeight(features, curves)

    def forward(self, noise_level: Tensor) -> Tensor:
        """c_noise [B] → u [B, curves], in float32 whatever autocast says: losses are divided by its exponential."""
        with torch.autocast(noise_level.device.type, enabled=False):
            values: Tensor = self.linear(self.fourier(noise_level))
        return values
