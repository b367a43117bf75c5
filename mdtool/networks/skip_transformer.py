"""MLD's denoiser of latents: a transformer encoder with long skips, like a U-Net of layers (Chen et al. 2023).

Parameter names are those of MLD's checkpoints. The tokens are [latent, time, condition] with learnt positions; the
output is what becomes of the latent's tokens. A hidden condition keeps its token with a vector of zeros, so that the
position learnt for it is the null token.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from mdtool.errors import MdtoolError
from mdtool.networks.transformer import EncoderLayer


class SkipTransformer(nn.Module):
    """(n - 1) / 2 layers in, one in the middle, (n - 1) / 2 out, each of which also sees its mirror image's output."""

    def __init__(self, width: int, layers: int, heads: int, feedforward: int, dropout: float = 0.1) -> None:
        """Args:
        layers: an odd number.

        Raises:
            MdtoolError: an even number of layers has no middle.
        """
        super().__init__()
        if layers % 2 == 0:
            raise MdtoolError(f"a transformer with long skips needs an odd number of layers, not {layers}")
        half = layers // 2

        def make() -> EncoderLayer:
            return EncoderLayer(width, heads, feedforward, dropout, "post", False)

        self.input_blocks = nn.ModuleList(make() for _ in range(half))
        self.middle_block = make()
        self.output_blocks = nn.ModuleList(make() for _ in range(half))
        self.linear_blocks = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(half))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Tokens [B, T, D] → [B, T, D]; hidden [B, T] marks keys that nobody may attend to."""
        seen = []
        for block in self.input_blocks:
            tokens = block(tokens, tokens, hidden)
            seen.append(tokens)
        tokens = self.middle_block(tokens, tokens, hidden)
        for join, block in zip(self.linear_blocks, self.output_blocks, strict=True):
            tokens = block(join(torch.cat([tokens, seen.pop()], dim=-1)), tokens, hidden)
        normed: Tensor = self.norm(tokens)
        return normed


class LatentDenoiser(nn.Module):
    """(z_t, timestep, condition) → the noise in z_t."""

    def __init__(
        self,
        *,
        width: int,
        layers: int,
        heads: int,
        feedforward: int,
        actions: int = 0,
        condition_width: int = 0,
        dropout: float = 0.1,
        positions: int = 8,
    ) -> None:
        """Args:
        actions: number of labels that a condition may be.
        condition_width: E of conditions that are vectors [B, E] (a text's embedding) instead.
        positions: tokens that there can be; MLD allocates 500.
        """
        super().__init__()
        self.time_width = condition_width or width
        self.time_embedding = nn.ModuleDict(
            {"linear_1": nn.Linear(self.time_width, width), "linear_2": nn.Linear(width, width)}
        )
        self.emb_proj: nn.Module | None = None
        if condition_width:
            self.emb_proj = nn.Sequential(nn.ReLU(), nn.Linear(condition_width, width))
        elif actions:
            self.emb_proj = ActionVectors(actions, width)
        self.query_pos = LearntPositions(positions, width)
        self.encoder = SkipTransformer(width, layers, heads, feedforward, dropout)

    def forward(self, z: Tensor, timestep: Tensor, condition: Tensor | None = None) -> Tensor:
        """Predict the noise.

        Args:
            z: [B, n, D], n latent tokens.
            timestep: [B] int64.
            condition: labels [B] int64, of which negative ones are hidden; or vectors [B, E]. None hides it from all.

        Returns:
            [B, n, D].
        """
        tokens = [z, self.embed_time(timestep).unsqueeze(1)]
        if isinstance(self.emb_proj, ActionVectors):
            shown = torch.full_like(timestep, -1) if condition is None else condition
            tokens.append(self.emb_proj(shown).unsqueeze(1))
        elif self.emb_proj is not None:
            vector = tokens[1][:, 0] * 0 if condition is None else self.emb_proj(condition)
            tokens.append(vector.unsqueeze(1))
        output: Tensor = self.encoder(self.query_pos(torch.cat(tokens, dim=1)))
        return output[:, : z.shape[1]]

    def embed_time(self, timestep: Tensor) -> Tensor:
        """Embedding [B, D] of timesteps [B]."""
        waves = half_and_half(timestep, self.time_width)
        embedded: Tensor = self.time_embedding["linear_2"](functional.silu(self.time_embedding["linear_1"](waves)))
        return embedded


class ActionVectors(nn.Module):
    """One learnt vector per action, N(0, 1) at first; zeros for a hidden one."""

    def __init__(self, actions: int, width: int) -> None:
        super().__init__()
        self.action_embedding = nn.Parameter(torch.randn(actions, width))

    def forward(self, action: Tensor) -> Tensor:
        """Labels [B] → [B, D]; negative ones are hidden."""
        shown = (action >= 0).unsqueeze(-1)
        return self.action_embedding[action.clamp_min(0)] * shown.to(self.action_embedding.dtype)


class LearntPositions(nn.Module):
    """A learnt vector per place in the sequence."""

    def __init__(self, positions: int, width: int) -> None:
        super().__init__()
        self.pe = nn.Parameter(torch.rand(positions, 1, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [B, T, D] with their places added."""
        return tokens + self.pe[: tokens.shape[1], 0]


def half_and_half(position: Tensor, width: int) -> Tensor:
    """Cosines, then sines of frequencies 10000^(-i / (D/2)): diffusers' `Timesteps` with flip_sin_to_cos; [B, D]."""
    half = width // 2
    order = torch.arange(half, dtype=torch.float32, device=position.device)
    angle = position.float().unsqueeze(1) * torch.exp(order * (-math.log(10000.0) / half))
    return torch.cat([torch.cos(angle), torch.sin(angle)], dim=-1)
