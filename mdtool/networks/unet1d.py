"""EDM2's U-Net with convolutions over time: magnitude-preserving, without biases or group norm (Karras et al. 2024).

[B, C, T] → [B, C', T] for any T that `multiple` divides. `norm = "adagn"` puts adaptive group norm (Dhariwal & Nichol
2021) in place of EDM2's pixel norm and gain, for comparison.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from mdtool.networks.magnitude import MPFourier, MPWeight, double, halve, mp_cat, mp_silu, mp_sum, normalised

Norm = Literal["pixel", "adagn"]
"""pixel: every frame of the encoder at unit magnitude, and a gain per channel from the embedding. adagn: groups of
channels at mean 0 and variance 1 over the clip before every convolution, then scale and shift from the embedding."""
_GROUPS = 32
"""Groups of channels in group norm at most."""
_LIMIT = 256.0
"""Activations are clipped here, as in EDM2: a guard for half precision."""


class Block(nn.Module):
    """Residual block with an optional change of length before it and self-attention after it."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        embedding: int,
        side: Literal["enc", "dec"],
        resample: Literal["keep", "down", "up"] = "keep",
        attention: bool = False,
        head_channels: int = 64,
        residual_balance: float = 0.3,
        dropout: float = 0.0,
        norm: Norm = "pixel",
    ) -> None:
        """side: the encoder changes the number of channels first and normalises every frame; the decoder last."""
        super().__init__()
        self.side, self.resample, self.balance, self.dropout, self.norm = (
            side,
            resample,
            residual_balance,
            dropout,
            norm,
        )
        self.heads = max(outputs // head_channels, 1) if attention else 0
        self.emb_gain = nn.Parameter(torch.zeros(()))
        self.conv_res0 = MPWeight(outputs if side == "enc" else inputs, outputs, 3)
        self.emb_linear = MPWeight(embedding, 2 * outputs if norm == "adagn" else outputs)
        self.conv_res1 = MPWeight(outputs, outputs, 3)
        self.conv_skip = MPWeight(inputs, outputs, 1) if inputs != outputs else None
        self.attn_qkv = MPWeight(outputs, 3 * outputs, 1) if attention else None
        self.attn_proj = MPWeight(outputs, outputs, 1) if attention else None

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x [B, C, T], embedding [B, E]."""
        x = {"keep": lambda y: y, "down": halve, "up": double}[self.resample](x)
        if self.side == "enc":
            x = x if self.conv_skip is None else self.conv_skip(x)
            x = normalised(x, dim=1) if self.norm == "pixel" else x
        residual = self.conv_res0(mp_silu(x if self.norm == "pixel" else group_normalised(x)))
        residual = mp_silu(self._modulated(residual, embedding))
        residual = self.conv_res1(nn.functional.dropout(residual, self.dropout, self.training))
        if self.side == "dec" and self.conv_skip is not None:
            x = self.conv_skip(x)
        x = mp_sum(x, residual, self.balance)
        if self.heads:
            x = mp_sum(x, self._attended(x), self.balance)
        return x.clip(-_LIMIT, _LIMIT)

    def _modulated(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x [B, C, T] told the noise level and the action."""
        said = self.emb_linear(embedding, gain=self.emb_gain).unsqueeze(-1).to(x.dtype)
        if self.norm == "pixel":
            return x * (said + 1)
        scale, shift = said.chunk(2, dim=1)
        return group_normalised(x) * (scale + 1) + shift

    def _attended(self, x: Tensor) -> Tensor:
        """Self-attention over frames; queries, keys and values have unit magnitude per head."""
        assert self.attn_qkv is not None
        assert self.attn_proj is not None
        # Channels of the product are ordered [head, channel, (q, k, v)].
        mixed = self.attn_qkv(x).unflatten(1, (self.heads, -1, 3))
        query, key, value = normalised(mixed, dim=2).unbind(3)
        weights = torch.einsum("bhct,bhcs->bhts", query, key / math.sqrt(query.shape[2])).softmax(-1)
        return self.attn_proj(torch.einsum("bhts,bhcs->bhct", weights, value).flatten(1, 2))


def group_normalised(x: Tensor) -> Tensor:
    """x [B, C, T] with groups of its channels at zero mean and unit variance over the clip (Wu & He 2018), no gain."""
    return nn.functional.group_norm(x, math.gcd(x.shape[1], _GROUPS))


class UNet1d(nn.Module):
    """The network F(c_in x, c_noise) of EDM2; its output has a gain that starts at 0."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        channels: int,
        multipliers: Sequence[int] = (1, 2, 3, 4),
        blocks: int = 2,
        attention: Sequence[int] = (2, 3),
        head_channels: int = 64,
        labels: int = 0,
        dropout: float = 0.0,
        label_balance: float = 0.5,
        skip_balance: float = 0.5,
        norm: Norm = "pixel",
    ) -> None:
        """Args:
        channels: width of the first level; `multipliers` times it on the levels below, each half as long.
        blocks: residual blocks per level of the encoder; the decoder has one more.
        attention: levels with self-attention; the first block of the decoder always has it.
        labels: number of action labels; 0 builds no embedding of them.
        """
        super().__init__()
        widths = [channels * multiplier for multiplier in multipliers]
        embedding = max(widths)
        self.multiple, self.skip_balance, self.label_balance = 2 ** (len(widths) - 1), skip_balance, label_balance
        self.labels = labels
        self.out_gain = nn.Parameter(torch.zeros(()))
        self.emb_fourier = MPFourier(channels)
        self.emb_noise = MPWeight(channels, embedding)
        self.emb_label = MPWeight(labels, embedding) if labels else None

        def block(before: int, after: int, side: Literal["enc", "dec"], **options: object) -> Block:
            shared = {"head_channels": head_channels, "dropout": dropout, "norm": norm, **options}
            return Block(before, after, embedding, side, **shared)  # type: ignore[arg-type]

        self.enc, self.dec = nn.ModuleDict(), nn.ModuleDict()
        width, kept = inputs + 1, []
        for level, target in enumerate(widths):
            if level == 0:
                self.enc[f"{level}_conv"] = MPWeight(width, target, 3)
                width = target
            else:
                self.enc[f"{level}_down"] = block(width, width, "enc", resample="down")
            kept.append(width)
            for index in range(blocks):
                self.enc[f"{level}_block{index}"] = block(width, target, "enc", attention=level in attention)
                width = target
                kept.append(width)
        for level, target in reversed(list(enumerate(widths))):
            if level == len(widths) - 1:
                self.dec[f"{level}_in0"] = block(width, width, "dec", attention=True)
                self.dec[f"{level}_in1"] = block(width, width, "dec")
            else:
                self.dec[f"{level}_up"] = block(width, width, "dec", resample="up")
            for index in range(blocks + 1):
                joined = width + kept.pop()
                self.dec[f"{level}_block{index}"] = block(joined, target, "dec", attention=level in attention)
                width = target
        self.out_conv = MPWeight(width, outputs, 3)

    def forward(self, x: Tensor, noise_level: Tensor, label: Tensor | None = None) -> Tensor:
        """Raw output [B, C', T].

        Args:
            x: scaled input [B, C, T].
            noise_level: c_noise [B].
            label: action labels [B], negative for none; ignored by a network without labels.
        """
        embedding = self.emb_noise(self.emb_fourier(noise_level))
        if self.emb_label is not None:
            named = x.new_zeros(len(x), self.labels, dtype=torch.float32)
            if label is not None:
                every = torch.arange(self.labels, device=x.device)
                named = (label.unsqueeze(1) == every).float() * math.sqrt(self.labels)
            embedding = mp_sum(embedding, self.emb_label(named).to(embedding.dtype), self.label_balance)
        embedding = mp_silu(embedding)
        x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        kept = []
        for layer in self.enc.values():
            x = layer(x, embedding) if isinstance(layer, Block) else layer(x)
            kept.append(x)
        for name, layer in self.dec.items():
            if "block" in name:
                x = mp_cat(x, kept.pop(), self.skip_balance)
            x = layer(x, embedding)
        return self.out_conv(x, gain=self.out_gain)
