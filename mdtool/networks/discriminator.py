"""Discriminators of a denoising-diffusion GAN over motion: is x_t the neighbour of x_{t+1}? (EMDM, Zhou et al. 2024.)

Both see the pair, the target's timestep and the action, and answer with one logit. Neither has statistics over the
batch: a sample's logit depends on no other. Parameter names are those of the released code.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from mdtool.errors import MdtoolError
from mdtool.networks.transformer import ActionTable, Activation, EncoderLayer, sinusoidal_table

TIME_WIDTH = 128


class MLPDiscriminator(nn.Module):
    """Seven linear layers over both windows laid flat; for one clip length. Width 1024 is the released one."""

    def __init__(self, features: int, frames: int, actions: int = 0, width: int = 1024) -> None:
        """Args:
        features: numbers per frame F.
        actions: number of labels; 0 does not look at the action.
        width: of the first layers; the later ones narrow in the released proportions.

        Raises:
            MdtoolError: a width that does not divide into the groups of its normalisations.
        """
        super().__init__()
        if width % 64:  # a group of one channel would always be 0
            raise MdtoolError(f"the width of an MLP discriminator must be a multiple of 64, not {width}")
        self.actions = actions
        half, quarter = width // 2, width // 4
        sizes = [2 * features * frames + TIME_WIDTH + actions, width, width, half, half, quarter, width // 16, 1]
        self.t_embed = nn.ModuleDict({"main": time_mapping()})
        for place, (inside, outside) in enumerate(pairwise(sizes), 1):
            self.add_module(f"fc{place}", nn.Linear(inside, outside))
        self.gn1, self.gn2 = nn.GroupNorm(32, width), nn.GroupNorm(16, half)

    def forward(
        self, x_t: Tensor, x_next: Tensor, timestep: Tensor, action: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Logits [B].

        Args:
            x_t, x_next: [B, rows, channels, T].
            timestep: [B] int64, of x_t.
            action: [B] int64; negative, or None for all, is the null condition.
            mask: [B, T] bool, true for real frames: what padding holds would tell real from fake.
        """
        if mask is not None:
            x_t, x_next = (x * mask[:, None, None].to(x.dtype) for x in (x_t, x_next))
        parts = [x_t.flatten(1), x_next.flatten(1), self.embed_time(timestep)]
        if self.actions:
            shown = torch.full_like(timestep, -1) if action is None else action
            labels = torch.arange(self.actions, device=x_t.device)
            parts.append((shown.unsqueeze(1) == labels).to(x_t.dtype))
        hidden = torch.cat(parts, 1)
        norms = {2: self.gn1, 4: self.gn2}
        for place in range(1, 7):
            hidden = self.get_submodule(f"fc{place}")(hidden)
            hidden = functional.selu(norms[place](hidden) if place in norms else hidden)
        logits: Tensor = self.get_submodule("fc7")(hidden)
        return logits.squeeze(1)

    def embed_time(self, timestep: Tensor) -> Tensor:
        """Embedding [B, 128] of timesteps [B]."""
        embedded: Tensor = self.t_embed["main"](sine_cosine(timestep, TIME_WIDTH))
        return embedded


class EncoderDiscriminator(nn.Module):
    """A transformer encoder over the tokens [cls, timestep, action, frames of x_t, frames of x_{t+1}]; any length."""

    pe: Tensor

    def __init__(
        self,
        *,
        rows: int = 25,
        channels: int = 6,
        actions: int = 0,
        width: int = 512,
        layers: int = 8,
        heads: int = 4,
        feedforward: int = 1024,
        dropout: float = 0.1,
        activation: Activation = "selu",
        separate: bool = True,
        patch: int = 1,
        positions: int = 5000,
    ) -> None:
        """Args: as for `Denoiser`; `separate` gives the timestep and the action a token each, instead of their sum."""
        super().__init__()
        self.separate, self.patch = separate, patch
        self.register_buffer("pe", sinusoidal_table(positions, width), persistent=False)
        self.cls_token = nn.Parameter(torch.randn(1, 1, width))
        self.dropout = nn.Dropout(dropout)
        self.input_process = nn.ModuleDict({"poseEmbedding": nn.Linear(patch * rows * channels, width)})
        encoder = [
            EncoderLayer(width, heads, feedforward, dropout, "post", activation=activation) for _ in range(layers)
        ]
        self.seqTransEncoder = nn.ModuleDict({"layers": nn.ModuleList(encoder)})
        time_embed = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.embed_timestep = nn.ModuleDict({"time_embed": time_embed})
        self.embed_action = ActionTable(actions, width) if actions else None
        self.latent_to_disc = nn.Sequential(nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 1))

    def forward(
        self, x_t: Tensor, x_next: Tensor, timestep: Tensor, action: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Logits [B]; arguments as for `MLPDiscriminator`. Frames that the mask hides are not attended to."""
        batch, frames = len(x_t), x_t.shape[-1]
        parts = [self.embed_timestep["time_embed"](self.pe[timestep])]
        if self.embed_action is not None:
            parts.append(self.embed_action(action, batch))
        if not self.separate:
            parts = [sum(parts[1:], parts[0])]
        pair = torch.stack([x_t, x_next], 1).permute(0, 1, 4, 2, 3)
        poses = self.input_process["poseEmbedding"](pair.reshape(batch, 2 * frames // self.patch, -1))
        tokens = torch.cat([self.cls_token.expand(batch, 1, -1), torch.stack(parts, 1), poses], 1)
        tokens = self.dropout(tokens + self.pe[: tokens.shape[1]])
        hidden = None
        if mask is not None:
            # A token of several frames is hidden when its first one is.
            absent = ~mask[:, :: self.patch].repeat(1, 2)
            hidden = functional.pad(absent, (tokens.shape[1] - absent.shape[1], 0), value=False)
        for layer in self.seqTransEncoder["layers"].children():
            tokens = layer(tokens, tokens, hidden)
        logits: Tensor = self.latent_to_disc(tokens[:, 0])
        return logits.squeeze(1)


def time_mapping() -> nn.Sequential:
    """The MLP discriminator's mapping of its timestep's waves."""
    return nn.Sequential(nn.Linear(TIME_WIDTH, TIME_WIDTH), nn.LeakyReLU(0.2), nn.Linear(TIME_WIDTH, TIME_WIDTH))


def sine_cosine(timestep: Tensor, width: int) -> Tensor:
    """Sines in the first half, cosines in the second, of frequencies 10000^(-i / (width / 2 - 1)); [n] → [n, width]."""
    half = width // 2
    place = torch.arange(half, dtype=torch.float32, device=timestep.device)
    angle = timestep.unsqueeze(1) * torch.exp(place * (-math.log(10000.0) / (half - 1)))
    return torch.cat([angle.sin(), angle.cos()], dim=1)
