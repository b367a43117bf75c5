"""A motion as a function of time: coordinates, their encodings, and the network that turns them into poses.

NeRM (Wei et al. 2024, sections 3.1 and 3.2). A time axis of some seconds is mapped to coordinates -1 … 1. One network
serves every motion; a latent vector says which. A pose depends on (coordinate, latent, frame rate) alone, so that any
instants can be asked for, in any order and in any chunks.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from mdtool.networks.codebook_attention import CodebookStage, CoordinateStage
from mdtool.networks.linear_path import LinearPath

TimeEncoding = Literal["none", "fourier", "cca", "cca_random"]
RATE_WIDTH = 16
"""Numbers that stand for a frame rate."""
REFERENCE_FPS = 20.0
"""Rate whose logarithm is 0."""
ROOT_WIDTH = 128
"""Units between the network and the root's path."""


def seconds_to_coordinate(time_s: Tensor, axis_s: float) -> Tensor:
    """Seconds from the start of a motion to coordinates: 0 … axis_s become -1 … 1 (Wei et al. 2024, section 3.1)."""
    return time_s * (2 / axis_s) - 1


def spacing_of(fps: Tensor, axis_s: float) -> Tensor:
    """Distance of two neighbouring poses in coordinates: 2 / (fps · axis_s)."""
    return 2 / (fps * axis_s)


def spacing_between(coordinate: Tensor) -> Tensor:
    """Mean distance of neighbouring instants, of coordinates [B, T] in any order; [B]. T is 2 or more."""
    return (coordinate.amax(1) - coordinate.amin(1)) / (coordinate.shape[1] - 1)


class FourierEncoding(nn.Module):
    """γ(t) = [cos 2πb t, sin 2πb t] for fixed b drawn from N(0, σ²); optionally integrated over a sample's width."""

    frequencies: Tensor

    def __init__(self, count: int, scale: float, integrated: bool = False) -> None:
        """Args:
        count: frequencies F.
        scale: σ; content up to f Hz on an axis of l seconds needs |b| up to f · l / 2.
        integrated: scale each wave by exp(-(πbΔ)² / 2), its average over a Gaussian of width Δ / 2, so that a
            sparse grid is asked for no more than it can hold (Barron et al. 2021).
        """
        super().__init__()
        self.integrated = integrated
        self.register_buffer("frequencies", scale * torch.randn(count))

    def forward(self, coordinate: Tensor, spacing: Tensor | None = None) -> Tensor:
        """Coordinates [B, T] → [B, T, 2 F]; spacing [B] or [1] is used by the integrated form only.

        Phases are float32 whatever else the network computes in: at b = 100 bf16 has no phase left.
        """
        with torch.autocast(coordinate.device.type, enabled=False):
            phase = coordinate.float().unsqueeze(-1) * (2 * math.pi * self.frequencies)
            waves = torch.stack([phase.cos(), phase.sin()], dim=-1)
            if self.integrated and spacing is not None:
                width = math.pi * self.frequencies * spacing.float().view(-1, 1, 1)
                waves = waves * torch.exp(-0.5 * width.square()).unsqueeze(-1)
            return waves.flatten(2)


class TimeBasis(nn.Module):
    """Coordinates → the functions of time that poses are made of."""

    codebook: Tensor

    def __init__(
        self,
        encoding: TimeEncoding,
        frequencies: int,
        scale: float,
        integrated: bool,
        codes: int,
        code_width: int,
        queries: int = 256,
        query_width: int = 128,
    ) -> None:
        """Args:
        encoding: none is the coordinate itself; fourier its waves; cca its waves and what they find in a codebook of
            motion; cca_random has a learnable matrix in the codebook's place.
        codes, code_width: size of the codebook.
        """
        super().__init__()
        self.encoding = encoding
        self.width = 1 if encoding == "none" else 2 * frequencies
        self.waves = None if encoding == "none" else FourierEncoding(frequencies, scale, integrated)
        self.codebook_stage: CodebookStage | None = None
        if encoding in ("cca", "cca_random"):
            self.codebook_stage = CodebookStage(code_width, queries, query_width)
            self.coordinate_stage = CoordinateStage(2 * frequencies, query_width)
            self.width *= 2
            book = torch.randn(codes, code_width)
            if encoding == "cca":
                self.register_buffer("codebook", book)
            else:
                self.codebook = nn.Parameter(book)

    def forward(self, coordinate: Tensor, spacing: Tensor | None = None) -> Tensor:
        """Coordinates [B, T] → [B, T, width]."""
        if self.waves is None:
            return coordinate.unsqueeze(-1)
        waves: Tensor = self.waves(coordinate, spacing)
        if self.codebook_stage is None:
            return waves
        return torch.cat([waves, self.coordinate_stage(waves, self.codebook_stage(self.codebook))], dim=-1)


class RateEncoding(nn.Module):
    """log₂(fps / 20) → 16 numbers; a learnt vector where the rate is not to be told."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(1, RATE_WIDTH), nn.ReLU(), nn.Linear(RATE_WIDTH, RATE_WIDTH))
        self.unknown = nn.Parameter(torch.zeros(RATE_WIDTH))

    def forward(self, fps: Tensor) -> Tensor:
        """Rates [B] → [B, 16]; 0 or below stands for unknown."""
        known = (fps > 0).unsqueeze(-1)
        level = (fps.clamp_min(1e-3) / REFERENCE_FPS).log2().unsqueeze(-1)
        encoded: Tensor = torch.where(known, self.network(level.float()), self.unknown)
        return encoded


class FieldLayer(nn.Module):
    """y = ReLU(LN(W x + U input)), plus x where the widths agree (Wei et al. 2024, section 3.2; NeMF's residual)."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(width_in, width), nn.LayerNorm(width)
        self.residual = width_in == width

    def forward(self, x: Tensor, again: Tensor | None = None) -> Tensor:
        """[B, T, D] → [B, T, width]; `again` is what the input adds before the norm."""
        y = self.linear(x)
        y = functional.relu(self.norm(y if again is None else y + again))
        return x + y if self.residual else y


class MotionField(nn.Module):
    """(coordinate, latent, frame rate) → pose and root."""

    def __init__(
        self,
        basis: TimeBasis,
        latent: int,
        width: int,
        layers: int,
        features: int,
        reinject: bool,
        linear: bool = False,
    ) -> None:
        """Args:
        latent: width d of the vector that says which motion.
        layers: hidden layers of `width` units each.
        features: numbers of a pose; three more for the root come from a head of their own.
        reinject: give every layer the input again, as NeMF does.
        linear: add a path that is linear in the latent; the layers then begin as a correction of 0.
        """
        super().__init__()
        self.basis, self.rate = basis, RateEncoding()
        self.reinject = reinject
        copies = layers if reinject else 1
        # What depends on time, and what belongs to the motion as a whole, enter by sums: the latter once per motion.
        self.from_time = nn.Linear(basis.width, copies * width)
        self.from_motion = nn.Linear(latent + RATE_WIDTH, copies * width, bias=False)
        self.first_norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(FieldLayer(width, width) for _ in range(layers - 1))
        self.pose = nn.Linear(width, features)
        self.root = nn.Sequential(nn.Linear(width, ROOT_WIDTH), nn.ReLU(), nn.Linear(ROOT_WIDTH, 3))
        self.linear = LinearPath(latent, basis.width, features + 3) if linear else None
        if linear:
            last = self.root[-1]
            for parameter in (*self.pose.parameters(), *last.parameters()):
                nn.init.zeros_(parameter)

    def forward(
        self,
        coordinate: Tensor,
        latent: Tensor,
        fps: Tensor,
        spacing: Tensor | None = None,
        offset: Tensor | None = None,
    ) -> Tensor:
        """Poses at coordinates.

        Args:
            coordinate: [B, T], or [1, T] for the same instants of every motion.
            latent: [B, d].
            fps: [B]; 0 tells no rate.
            spacing: [B] distance of neighbouring poses, for integrated encodings.
            offset: [B, width, features + 3], each motion's own weights from the last hidden units to its poses.

        Returns:
            [B, T, features + 3].
        """
        functions = self.basis(coordinate, spacing)
        x = self._hidden(functions, latent, fps)
        poses = torch.cat([self.pose(x), self.root(x)], dim=-1).float()
        if offset is not None:
            poses = poses + x.float() @ offset
        return poses if self.linear is None else poses + self.linear(functions, coordinate, latent).float()

    def hidden(self, coordinate: Tensor, latent: Tensor, fps: Tensor, spacing: Tensor | None = None) -> Tensor:
        """The last hidden units [B, T, width], of which the poses are made; arguments as of `forward`."""
        return self._hidden(self.basis(coordinate, spacing), latent, fps)

    def _hidden(self, functions: Tensor, latent: Tensor, fps: Tensor) -> Tensor:
        along = self.from_time(functions)
        across = self.from_motion(torch.cat([latent, self.rate(fps)], dim=-1)).unsqueeze(1)
        inputs = (along + across).chunk(1 + len(self.layers) if self.reinject else 1, dim=-1)
        x = functional.relu(self.first_norm(inputs[0]))
        for place, layer in enumerate(self.layers, start=1):
            x = layer(x, inputs[place] if self.reinject else None)
        return x


class SetEncoder(nn.Module):
    """A set of (coordinate, pose, spacing) tokens → mean and log variance of a latent (after Jaegle et al. 2021).

    Learnt queries look at the poses, so that any number of instants in any order stands for a motion.
    """

    def __init__(self, features: int, latent: int, frequencies: int, width: int = 128, queries: int = 8) -> None:
        super().__init__()
        self.waves = FourierEncoding(frequencies, 2.0)
        self.tokens = nn.Sequential(
            nn.Linear(features + 2 * frequencies + 1, width), nn.GELU(), nn.Linear(width, width)
        )
        self.stage = CodebookStage(width, queries, width, depth=2)
        self.out = nn.Linear(queries * width, 2 * latent)

    def forward(self, coordinate: Tensor, poses: Tensor, spacing: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, log variance) [B, d] of coordinates [B, T], poses [B, T, F], spacings [B]."""
        step = spacing.clamp_min(1e-6).log2().view(-1, 1, 1).expand(-1, poses.shape[1], 1)
        tokens = self.tokens(torch.cat([poses, self.waves(coordinate), step], dim=-1))
        mean, log_variance = self.out(self.stage(tokens).flatten(1)).chunk(2, dim=-1)
        return mean, log_variance
