"""A denoiser of one latent vector without attention: residual layers that the timestep and the action scale and shift.

NeRM's denoiser is a transformer over three tokens: the latent, the timestep and the condition. Where there is but one
latent, all that attention does is to mix the other two in; here they do so directly (adaptive layer norm, Peebles & Xie
2023), at the same cost with far more of it in matrix products.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mdtool.networks.skip_transformer import half_and_half

TIME_WIDTH = 128


class LatentMLP(nn.Module):
    """(z, timestep, action) → [B, 1, d], 0 at first; called as `LatentDenoiser` is."""

    def __init__(self, latent: int, width: int, layers: int, actions: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(TIME_WIDTH, width), nn.SiLU(), nn.Linear(width, width))
        self.action_embedding = nn.Embedding(actions + 1, width)
        self.into, self.out = nn.Linear(latent, width), nn.Linear(width, latent)
        self.layers = nn.ModuleList(ModulatedLayer(width, dropout) for _ in range(layers))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, z: Tensor, timestep: Tensor, condition: Tensor | None = None) -> Tensor:
        """Output of latents [B, 1, d] at timesteps [B]; labels [B], negative ones hidden, or None for none."""
        hidden = self.action_embedding.num_embeddings - 1
        shown = (
            torch.full_like(timestep, hidden) if condition is None else torch.where(condition < 0, hidden, condition)
        )
        about = functional.silu(self.time(half_and_half(timestep, TIME_WIDTH)) + self.action_embedding(shown))
        x = self.into(z[:, 0])
        for layer in self.layers:
            x = layer(x, about)
        made: Tensor = self.out(x).unsqueeze(1)
        return made


class ModulatedLayer(nn.Module):
    """x + MLP(LN(x) · (1 + scale) + shift), scale and shift from what is known beside x."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 2 * width)
        self.network = nn.Sequential(
            nn.Linear(width, 2 * width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, about: Tensor) -> Tensor:
        """[B, width] of x and what is known [B, width]."""
        scale, shift = self.modulation(about).chunk(2, dim=-1)
        moved: Tensor = x + self.network(self.norm(x) * (1 + scale) + shift)
        return moved
