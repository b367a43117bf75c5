"""Codebook-coordinate attention (Yin et al. 2022, CoCo-INR): a vocabulary of motion enriches a coordinate's embedding.

Learnt queries look at the codebook once and at each other a few times; what they hold then does not depend on any
coordinate. Every coordinate looks at the queries. Parameter names are those of CoCo-INR's checkpoints, whose
coordinate stage also allocates a `cross_attn` that it never uses: that one is left out here.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from mdtool.networks.transformer import attention


class CodebookStage(nn.Module):
    """Codebook [N, C] → useful items [K, D]."""

    def __init__(
        self, codebook_width: int, queries: int = 256, width: int = 128, depth: int = 3, heads: int = 4
    ) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(queries, width))
        self.cross_attend_blocks = nn.ModuleList(
            [
                PreNorm(width, Attention(width, codebook_width, width, heads), codebook_width),
                PreNorm(width, GatedFeedForward(width)),
            ]
        )
        self.self_attend_blocks = nn.ModuleList(
            nn.ModuleList(
                [PreNorm(width, Attention(width, width, width, heads)), PreNorm(width, GatedFeedForward(width))]
            )
            for _ in range(depth)
        )

    def forward(self, codebook: Tensor) -> Tensor:
        """Items [K, D] of a codebook [N, C]; of several, [B, N, C], items [B, K, D]."""
        single = codebook.dim() == 2
        books = codebook.unsqueeze(0) if single else codebook
        x = self.latents.expand(len(books), -1, -1)
        x = x + self.cross_attend_blocks[0](x, books)
        x = x + self.cross_attend_blocks[1](x)
        for block in self.self_attend_blocks:
            for layer in block.children():
                x = x + layer(x)
        return x.squeeze(0) if single else x


class CoordinateStage(nn.Module):
    """Embedded coordinates [B, T, Q] and items [K, D] → enriched embeddings [B, T, Q]."""

    def __init__(
        self,
        coordinate_width: int,
        width: int = 128,
        depth: int = 1,
        heads: int = 4,
        activation: Literal["gelu", "softplus"] = "gelu",
    ) -> None:
        """Args:
        depth: looks at the items; only the last is followed by a feed-forward, as in CoCo-INR.
        activation: of the feed-forward; softplus (β = 100) in CoCo-INR's fields of distances.
        """
        super().__init__()
        blocks = []
        for place in range(depth):
            parts: list[nn.Module] = [
                PreNorm(coordinate_width, Attention(coordinate_width, width, width, heads), width)
            ]
            if place == depth - 1:
                between = nn.GELU() if activation == "gelu" else nn.Softplus(beta=100)
                feed = nn.Sequential(
                    nn.Linear(coordinate_width, coordinate_width),
                    between,
                    nn.Linear(coordinate_width, coordinate_width),
                )
                parts.append(PreNorm(coordinate_width, feed))
            blocks.append(nn.ModuleList(parts))
        self.cross_attend_blocks = nn.ModuleList(blocks)

    def forward(self, coordinates: Tensor, items: Tensor) -> Tensor:
        """Enrich embedded coordinates; every one on its own."""
        context = items.unsqueeze(0)
        for block in self.cross_attend_blocks:
            for place, layer in enumerate(block.children()):
                coordinates = coordinates + (layer(coordinates) if place else layer(coordinates, context))
        return coordinates


class PreNorm(nn.Module):
    """A layer that sees its input, and its context, through a LayerNorm each."""

    def __init__(self, width: int, layer: nn.Module, context_width: int | None = None) -> None:
        super().__init__()
        self.fn, self.norm = layer, nn.LayerNorm(width)
        self.norm_context = None if context_width is None else nn.LayerNorm(context_width)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The layer's output; the residual is the caller's."""
        if context is None or self.norm_context is None:
            output: Tensor = self.fn(self.norm(x))
        else:
            output = self.fn(self.norm(x), self.norm_context(context))
        return output


class Attention(nn.Module):
    """Multi-head attention without biases before the heads; of x to itself where no context is given."""

    def __init__(self, width: int, context_width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(context_width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """x [B, T, D], context [B or 1, N, C] → [B, T, D]."""
        context = x if context is None else context
        keys, values = self.to_kv(context).chunk(2, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.to_q(x), keys, values))
        k, v = (part.expand(len(q), -1, -1, -1) for part in (k, v))
        mixed: Tensor = self.to_out(attention(q, k, v).transpose(1, 2).flatten(2))
        return mixed


class GatedFeedForward(nn.Module):
    """Linear to 8 D, first half times GELU of the second, linear back (Shazeer 2020, GEGLU)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.ModuleDict({"0": nn.Linear(width, 8 * width), "2": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] → [B, T, D]."""
        value, gate = self.net["0"](x).chunk(2, dim=-1)
        fed: Tensor = self.net["2"](value * functional.gelu(gate))
        return fed
