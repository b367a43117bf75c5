"""A small convolutional encoder of clips of any frame rate: the eyes of clip-FID."""

from __future__ import annotations

from torch import Tensor, nn

from mdtool.networks.implicit import RateEncoding


class ClipEncoder(nn.Module):
    """[B, T, F] at some frame rate → features [B, D]: strided convolutions, told the rate, averaged over time."""

    def __init__(self, inputs: int, width: int, features: int) -> None:
        super().__init__()
        self.rate = RateEncoding()
        self.tell = nn.Linear(self.rate.unknown.shape[0], width)
        self.first = nn.Conv1d(inputs, width, 5, padding=2)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.GELU(), nn.Conv1d(width, width, 5, stride=2, padding=2), nn.GroupNorm(8, width))
            for _ in range(3)
        )
        self.out = nn.Sequential(nn.GELU(), nn.Linear(2 * width, features))

    def forward(self, x: Tensor, fps: Tensor) -> Tensor:
        """Features [B, D] of clips [B, T, F] at rates [B]."""
        x = self.first(x.transpose(1, 2)) + self.tell(self.rate(fps)).unsqueeze(-1)
        for block in self.blocks:
            x = block(x)
        features: Tensor = self.out(nn.functional.adaptive_avg_pool1d(x, 2).flatten(1))
        return features
