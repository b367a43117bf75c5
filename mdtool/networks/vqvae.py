"""T2M-GPT's vector-quantised autoencoder of motion (Zhang et al. 2023): its codebook is a vocabulary of short poses.

Parameter names are those of T2M-GPT's checkpoints. Sequences are [B, channels, T]; a code stands for four frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

Draw = Callable[[tuple[int, int]], Tensor]
"""Standard normal numbers of a shape."""


class Quantised(NamedTuple):
    """What the nearest codes make of a batch."""

    x: Tensor
    """[B, C, T], the codes, with the gradient passed straight through to the encoder."""
    indices: Tensor
    """[B · T] of the nearest code, batch by batch, then in time."""
    commitment: Tensor
    """Mean squared distance of the encoder's output to its codes."""
    perplexity: Tensor
    """exp of the entropy of the use of the codes: how many are in use."""


class Quantiser(nn.Module):
    """A codebook that follows the encoder by exponential averages, and puts unused codes where the data is."""

    codebook: Tensor
    code_sum: Tensor
    code_count: Tensor
    started: Tensor

    def __init__(self, codes: int, width: int, decay: float = 0.99) -> None:
        super().__init__()
        self.codes, self.decay = codes, decay
        self.register_buffer("codebook", torch.zeros(codes, width))
        self.register_buffer("code_sum", torch.zeros(codes, width))
        self.register_buffer("code_count", torch.ones(codes))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def forward(self, x: Tensor, draw: Draw | None = None) -> Quantised:
        """Replace every column by the nearest code.

        Args:
            x: [B, C, T].
            draw: noise, needed in training when the batch has fewer columns than there are codes; the codebook
                learns from the batch after it was used, and only when this is given.
        """
        rows = x.transpose(1, 2).reshape(-1, x.shape[1])
        if draw is not None and not self.started:
            self._start(self._enough(rows.detach(), draw))
        indices = self.nearest(rows)
        codes = self.dequantise(indices)
        count = functional.one_hot(indices, self.codes).to(rows.dtype).sum(0)
        share = count / count.sum()
        perplexity = torch.exp(-(share * (share + 1e-7).log()).sum())
        if draw is not None:
            self._follow(rows.detach(), indices, count, draw)
        commitment = (rows - codes.detach()).square().mean()
        passed = rows + (codes - rows).detach()
        return Quantised(passed.view(len(x), -1, x.shape[1]).transpose(1, 2), indices, commitment, perplexity)

    def nearest(self, rows: Tensor) -> Tensor:
        """Index [n] of the code nearest to each of rows [n, C]."""
        book = self.codebook.T
        distance = rows.square().sum(1, keepdim=True) - 2 * rows @ book + book.square().sum(0, keepdim=True)
        return distance.argmin(1)

    def dequantise(self, indices: Tensor) -> Tensor:
        """Codes [n, C] at indices [n]."""
        return self.codebook[indices]

    @torch.no_grad()
    def _start(self, rows: Tensor) -> None:
        self.codebook.copy_(rows[: self.codes])
        self.code_sum.copy_(self.codebook)
        self.code_count.fill_(1)
        self.started.fill_(True)

    @torch.no_grad()
    def _follow(self, rows: Tensor, indices: Tensor, count: Tensor, draw: Draw) -> None:
        total = torch.zeros_like(self.code_sum).index_add_(0, indices, rows)
        spare = self._enough(rows, draw)[: self.codes]
        self.code_sum.copy_(self.decay * self.code_sum + (1 - self.decay) * total)
        self.code_count.copy_(self.decay * self.code_count + (1 - self.decay) * count)
        used = (self.code_count >= 1).unsqueeze(1)
        self.codebook.copy_(torch.where(used, self.code_sum / self.code_count.unsqueeze(1), spare))

    def _enough(self, rows: Tensor, draw: Draw) -> Tensor:
        """As many rows as codes or more: a small batch is repeated, with a little noise."""
        if len(rows) >= self.codes:
            return rows
        repeated = rows.repeat(-(-self.codes // len(rows)), 1)
        return repeated + draw((repeated.shape[0], repeated.shape[1])) * (0.01 / rows.shape[1] ** 0.5)


class VQVAE(nn.Module):
    """Encoder, codebook, decoder of sequences of features."""

    def __init__(
        self, features: int, codes: int, code_width: int, width: int, depth: int = 3, growth: int = 3, levels: int = 2
    ) -> None:
        """Args:
        depth: residual blocks per level.
        growth: ratio of the dilations of two blocks.
        levels: halvings of the length.
        """
        super().__init__()
        self.encoder = ConvEncoder(features, code_width, width, depth, growth, levels)
        self.decoder = ConvDecoder(features, code_width, width, depth, growth, levels)
        self.quantizer = Quantiser(codes, code_width)

    def forward(self, x: Tensor, draw: Draw | None = None) -> tuple[Tensor, Quantised]:
        """(reconstruction [B, T, F], the codes) of features [B, T, F]; T is a multiple of 2 ^ levels."""
        quantised = self.quantizer(self.encoder(x.transpose(1, 2)), draw)
        return self.decoder(quantised.x).transpose(1, 2), quantised

    def decode_indices(self, indices: Tensor) -> Tensor:
        """Features [B, T, F] of codes [B, T / 2 ^ levels]."""
        codes = self.quantizer.dequantise(indices.flatten()).view(*indices.shape, -1)
        decoded: Tensor = self.decoder(codes.transpose(1, 2))
        return decoded.transpose(1, 2)


class ConvEncoder(nn.Module):
    """[B, F, T] → [B, C, T / 2 ^ levels]."""

    def __init__(self, features: int, code_width: int, width: int, depth: int, growth: int, levels: int) -> None:
        super().__init__()
        down = [
            nn.Sequential(nn.Conv1d(width, width, 4, 2, 1), ResidualStack(width, depth, growth)) for _ in range(levels)
        ]
        self.model = nn.Sequential(
            nn.Conv1d(features, width, 3, 1, 1), nn.ReLU(), *down, nn.Conv1d(width, code_width, 3, 1, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Codes' places of a sequence."""
        encoded: Tensor = self.model(x)
        return encoded


class ConvDecoder(nn.Module):
    """[B, C, T / 2 ^ levels] → [B, F, T]."""

    def __init__(self, features: int, code_width: int, width: int, depth: int, growth: int, levels: int) -> None:
        super().__init__()
        up = [
            nn.Sequential(
                ResidualStack(width, depth, growth),
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.Conv1d(width, width, 3, 1, 1),
            )
            for _ in range(levels)
        ]
        self.model = nn.Sequential(
            nn.Conv1d(code_width, width, 3, 1, 1),
            nn.ReLU(),
            *up,
            nn.Conv1d(width, width, 3, 1, 1),
            nn.ReLU(),
            nn.Conv1d(width, features, 3, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Sequence of codes' places."""
        decoded: Tensor = self.model(x)
        return decoded


class ResidualStack(nn.Module):
    """Residual blocks of falling dilation: growth ^ (depth - 1), …, growth, 1."""

    def __init__(self, width: int, depth: int, growth: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*(ResidualBlock(width, growth**power) for power in reversed(range(depth))))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] → [B, C, T]."""
        stacked: Tensor = self.model(x)
        return stacked


class ResidualBlock(nn.Module):
    """x + conv₁(relu(conv₃(relu x)))."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, 3, 1, dilation, dilation)
        self.conv2 = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] → [B, C, T]."""
        return x + self.conv2(functional.relu(self.conv1(functional.relu(x))))
