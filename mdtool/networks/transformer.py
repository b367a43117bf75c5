"""MDM's denoiser: a transformer encoder over the frames of a window (Tevet et al. 2022).

Parameter names are those of MDM's checkpoints, so that a released state dict loads as it is. Two things that the
small presets use depart from MDM and are off by default: `norm="pre"` and `conditioning="adaln"`.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from mdtool.errors import MdtoolError
from mdtool.networks.precision import onednn_multiplies

Activation = Literal["gelu", "selu"]


class Denoiser(nn.Module):
    """(x_t, timestep, action) → network output of the shape of x_t."""

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
        mask_frames: bool = False,
        norm: Literal["post", "pre"] = "post",
        conditioning: Literal["token", "adaln"] = "token",
        patch: int = 1,
        activation: Activation = "gelu",
        separate: bool = False,
        latent: int = 0,
        latent_layers: int = 4,
        latent_norm: bool = False,
        latent_token: bool = True,
        positions: int = 5000,
    ) -> None:
        """Args:
        actions: number of labels; 0 makes an unconditional network.
        heads: no tensor's shape tells it: a wrong value loads silently (MDM built 4, the thesis says 8).
        mask_frames: keep padded frames out of the attention.
        patch: consecutive frames that share a token; fewer, wider tokens learn more per second of training.
        separate: a token for the timestep and one for the action (EMDM), instead of their sum.
        latent: size Z of a random code; 0 takes none. It is a token of its own, or part of adaLN's condition.
        latent_layers: linear layers of the code's mapping after its first.
        latent_norm: divide each code by its root mean square first, as the denoising-diffusion GAN for images does.
        latent_token: false adds the code to the timestep's token, so that frames stand where they stand without one.

        Raises:
            MdtoolError: patches together with masked frames.
        """
        super().__init__()
        if patch > 1 and mask_frames:
            raise MdtoolError("a token of several frames cannot be half masked: use patch 1 with mask_frames")
        self.rows, self.channels, self.conditioning, self.patch = rows, channels, conditioning, patch
        self.mask_frames, self.separate = mask_frames, separate
        self.latent_norm, self.latent_token = latent_norm, latent_token
        self.register_buffer("pe", sinusoidal_table(positions, width), persistent=False)
        self.dropout = nn.Dropout(dropout)
        self.input_process = nn.ModuleDict({"poseEmbedding": nn.Linear(patch * rows * channels, width)})
        self.seqTransEncoder = nn.ModuleDict(
            {
                "layers": nn.ModuleList(
                    EncoderLayer(width, heads, feedforward, dropout, norm, conditioning == "adaln", activation)
                    for _ in range(layers)
                )
            }
        )
        time_embed = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.embed_timestep = nn.ModuleDict({"time_embed": time_embed})
        self.embed_action = ActionTable(actions, width) if actions else None
        if latent:
            sizes = [latent, *[width] * latent_layers]
            mapping = [part for size in sizes for part in (nn.Linear(size, width), nn.LeakyReLU(0.2))]
            self.z_transform = nn.Sequential(*mapping)
        self.final_norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()
        last = nn.Linear(width, patch * rows * channels)
        if conditioning == "adaln":
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.output_process = nn.ModuleDict({"poseFinal": last})
        self._register_load_state_dict_pre_hook(_drop_position_tables)

    def forward(
        self,
        x: Tensor,
        timestep: Tensor,
        action: Tensor | None = None,
        mask: Tensor | None = None,
        latent: Tensor | None = None,
    ) -> Tensor:
        """Denoise.

        Args:
            x: [B, rows, channels, T]; T is a multiple of `patch`.
            timestep: [B] int64, index in the table of positions (the original process's step).
            action: [B] int64; negative is the null condition. None hides it for the whole batch.
            mask: [B, T] bool, true for real frames; used with `mask_frames` only.
            latent: random code [B, Z] of a network that takes one.

        Returns:
            [B, rows, channels, T].
        """
        batch, frames = len(x), x.shape[-1]
        parts = [self.embed_time(timestep)]
        if self.embed_action is not None and (action is not None or self.separate):
            parts.append(self.embed_action(action, batch))
        if not self.separate:
            parts = [sum(parts[1:], parts[0])]
        if latent is not None and self.latent_token:
            parts.append(self.embed_latent(latent))
        elif latent is not None:
            parts[0] = parts[0] + self.embed_latent(latent)
        condition = sum(parts[1:], parts[0])
        tokens = self.input_process["poseEmbedding"](x.permute(0, 3, 1, 2).reshape(batch, frames // self.patch, -1))
        if self.conditioning == "token":
            tokens = torch.cat([torch.stack(parts, 1).to(tokens.dtype), tokens], dim=1)
        tokens = self.dropout(tokens + self.pe[: tokens.shape[1]])
        hidden = None
        if self.mask_frames and mask is not None:
            lead = tokens.shape[1] - frames
            hidden = functional.pad(~mask, (lead, 0), value=False)
        for layer in self.seqTransEncoder["layers"].children():
            tokens = layer(tokens, condition, hidden)
        tokens = self.final_norm(tokens[:, tokens.shape[1] - frames // self.patch :])
        output: Tensor = self.output_process["poseFinal"](tokens)
        return output.reshape(batch, frames, self.rows, self.channels).permute(0, 2, 3, 1)

    def embed_time(self, timestep: Tensor) -> Tensor:
        """Embedding [B, D] of int64 timesteps [B], which index the table, or of real-valued noise levels [B]."""
        if timestep.is_floating_point():
            waves = sinusoid(timestep, self.pe.shape[1]).to(self.pe.dtype)
        else:
            waves = self.pe[timestep]
        embedded: Tensor = self.embed_timestep["time_embed"](waves)
        return embedded

    def embed_latent(self, latent: Tensor) -> Tensor:
        """Embedding [B, D] of random codes [B, Z] (Karras et al. 2019, the mapping network)."""
        if self.latent_norm:
            latent = latent * (latent.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        embedded: Tensor = self.z_transform(latent)
        return embedded


class EncoderLayer(nn.Module):
    """nn.TransformerEncoderLayer's arithmetic and names, batch first, with exact GELU or SELU."""

    def __init__(
        self, width: int, heads: int, feedforward: int, dropout: float, norm: str, modulated: bool = False,
        activation: Activation = "gelu",
    ) -> None:  # fmt: skip
        super().__init__()
        self.activation = functional.gelu if activation == "gelu" else functional.selu
        self.heads, self.pre = heads, norm == "pre"
        self.self_attn = _Projections(width)
        self.linear1, self.linear2 = nn.Linear(width, feedforward), nn.Linear(feedforward, width)
        self.norm1 = nn.LayerNorm(width, elementwise_affine=not modulated)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=not modulated)
        self.dropout = nn.Dropout(dropout)
        # adaLN-zero (Peebles & Xie 2023): the layer starts as the identity.
        self.modulation = nn.Linear(width, 6 * width) if modulated else None
        if self.modulation is not None:
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor, hidden: Tensor | None) -> Tensor:
        """Tokens [B, T, D] → [B, T, D]; hidden [B, T] marks keys that nobody may attend to."""
        if self.modulation is not None:
            shift1, scale1, gate1, shift2, scale2, gate2 = (
                self.modulation(functional.silu(condition)).unsqueeze(1).chunk(6, dim=-1)
            )
            x = x + gate1 * self._attend(self.norm1(x) * (1 + scale1) + shift1, hidden)
            return x + gate2 * self._feed(self.norm2(x) * (1 + scale2) + shift2)
        if self.pre:
            x = x + self._attend(self.norm1(x), hidden)
            return x + self._feed(self.norm2(x))
        x = self.norm1(x + self._attend(x, hidden))
        return self.norm2(x + self._feed(x))

    def _attend(self, x: Tensor, hidden: Tensor | None) -> Tensor:
        batch, tokens, width = x.shape
        attn = self.self_attn
        qkv = functional.linear(x, attn.in_proj_weight, attn.in_proj_bias)
        q, k, v = qkv.view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        visible = None if hidden is None else ~hidden[:, None, None, :]
        mixed = attention(q, k, v, visible, self.dropout.p if self.training else 0.0)
        projected: Tensor = self.dropout(attn.out_proj(mixed.transpose(1, 2).reshape(batch, tokens, width)))
        return projected

    def _feed(self, x: Tensor) -> Tensor:
        hidden = self.dropout(self.activation(self.linear1(x)))
        fed: Tensor = self.dropout(self.linear2(hidden))
        return fed


def attention(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None = None, dropout: float = 0.0) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017, eq. 1); [B, H, T, D] each.

    PyTorch's kernel, except where oneDNN multiplies on a CPU: the kernel does not use it, and its training step is
    three times slower than two products in float32, four times in bf16.

    Args:
        visible: bool, broadcast to [B, H, T, T]; true where a key may be attended to.
        dropout: share of attention weights set to 0.
    """
    if q.device.type != "cpu" or not onednn_multiplies(q.dtype):
        return functional.scaled_dot_product_attention(q, k, v, visible, dropout)
    with torch.autocast("cpu", enabled=False):  # softmax adds up in float32 anyway; autocast would store float32
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        if visible is not None:
            scores = scores.masked_fill(~visible, -torch.inf)
        return functional.dropout(scores.softmax(-1), dropout) @ v


class _Projections(nn.Module):
    """Weights of a multi-head attention under PyTorch's names."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)


class ActionTable(nn.Module):
    """One learnt vector per action; MDM draws it from N(0, 1)."""

    def __init__(self, actions: int, width: int) -> None:
        super().__init__()
        self.action_embedding = nn.Parameter(torch.randn(actions, width))

    def forward(self, action: Tensor | None, batch: int) -> Tensor:
        """Vectors [B, D] of labels [B]; zeros for a negative label, and for all of `batch` samples without any."""
        table = self.action_embedding
        if action is None:
            return table.new_zeros(batch, table.shape[1])
        return table[action.clamp_min(0)] * (action >= 0).unsqueeze(-1).to(table.dtype)


def sinusoid(position: Tensor, width: int) -> Tensor:
    """Positional encoding (Vaswani et al. 2017): sine at even, cosine at odd columns; [n] → [n, D], D even."""
    even = torch.arange(0, width, 2, dtype=torch.float32, device=position.device)
    angle = position.unsqueeze(1) * torch.exp(even * (-math.log(10000.0) / width))
    return torch.stack([torch.sin(angle), torch.cos(angle)], dim=-1).flatten(1)


def sinusoidal_table(positions: int, width: int) -> Tensor:
    """The encodings of positions 0, 1, …; [positions, D]."""
    return sinusoid(torch.arange(positions, dtype=torch.float32), width)


def _drop_position_tables(state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Released checkpoints carry the fixed table twice, sometimes at another length: it is made, not loaded."""
    for name in ("sequence_pos_encoder.pe", "embed_timestep.sequence_pos_encoder.pe"):
        state.pop(prefix + name, None)
