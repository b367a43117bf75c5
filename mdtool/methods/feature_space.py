"""Generators of windows of one length in the 25 × 6 layout: their features, scales, spectrum and windows of noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mdtool.diffusion.preconditioning import SpectralPreconditioner
from mdtool.errors import MdtoolError
from mdtool.methods.contract import Batch, Method
from mdtool.motion.features import ROWS, FeatureLayout

CHANNELS = 6
ROOT_SCALE = 0.25
"""Metres of root translation that count as one standard deviation. The data's own (about 1 m where people walk)
would let the root of a standing person shake by centimetres before the loss notices."""
STATISTICS_WINDOWS = 4096
"""Windows from which mean, scale and spectrum are measured."""


class FeatureSpace(Method):
    """What MDM's family shares: features are [B, 25, 6, T], and a network sees them standardised where asked to."""

    mean: Tensor
    scale: Tensor

    def __init__(
        self, layout: FeatureLayout, frames: int, fps: float, actions: list[str], conditional: bool, standardise: bool,
        spectral: bool,
    ) -> None:  # fmt: skip
        """Args:
        conditional: learn the actions; otherwise the network has none.
        standardise: subtract the data's mean and divide each joint's row by its standard deviation.
        spectral: hold the data's spectrum, for a network that predicts behind a `SpectralPreconditioner`.
        """
        super().__init__()
        self.layout, self.frames, self.fps, self.actions = layout, frames, fps, list(actions)
        self.labels = self.actions if conditional else []
        self.uses_labels = conditional
        self.standardise, self.spectrum = standardise, None
        if standardise:
            self.register_buffer("mean", torch.zeros(ROWS, CHANNELS, 1))
            self.register_buffer("scale", torch.ones(ROWS, CHANNELS, 1))
        if spectral:
            self.spectrum = SpectralPreconditioner(len(self.labels), ROWS * CHANNELS, frames)

    def fit_statistics(self, windows: Callable[[int], Batch]) -> None:
        """Measure mean, scale and spectrum of the features on random training windows."""
        if not self.standardise:
            return
        batch = windows(STATISTICS_WINDOWS)
        features = self.from_motion(batch.rot6d, batch.root)
        self.mean.copy_(features.mean((0, 3)).unsqueeze(-1))
        variance = (features - self.mean).square().mean((0, 3))
        scale = variance.mean(1).sqrt().clamp_min(0.02)
        scale[-1] = ROOT_SCALE
        self.scale.copy_(scale[:, None, None].expand_as(self.scale))
        if self.spectrum is not None:
            self.spectrum.fit(((features - self.mean) / self.scale).flatten(1, 2), batch.action)

    def length(self, frames: int | None) -> int:
        """The length of a sample's window.

        Raises:
            MdtoolError: a length that the network was not trained for.
        """
        if frames is not None and frames != self.frames:
            raise MdtoolError(
                f"this run was trained on {self.frames} frames and cannot make {frames}: use --frames {self.frames}"
            )
        return self.frames

    def noise_windows(self, rngs: Sequence[torch.Generator], frames: int | None = None) -> Tensor:
        """Unit noise [B, 25, 6, T], row i from `rngs[i]`."""
        frames = self.length(frames)
        return torch.stack([torch.randn(ROWS, CHANNELS, frames, generator=rng) for rng in rngs])

    def to_motion(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(rot6d, root) of features, in the world of the motion file."""
        return self.layout.decode(features)

    def to_raw_motion(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(rot6d as the network gives it, root) of features: what MDM's evaluation shows to the recogniser."""
        return self.layout.decode(features, orthonormal=False)

    def from_motion(self, rot6d: Tensor, root: Tensor) -> Tensor:
        """Features of windows, as `decode` gives them: in the layout's own units, not standardised."""
        return self.layout.encode(rot6d, root)

    def scaled(self, features: Tensor) -> Tensor:
        """Features as the network sees them."""
        return (features - self.mean) / self.scale if self.standardise else features

    def unscaled(self, features: Tensor) -> Tensor:
        """The inverse of `scaled`."""
        return features * self.scale + self.mean if self.standardise else features

    def spectral_estimate(
        self, output: Tensor, x_t: Tensor, signal: Tensor, noise: Tensor, action: Tensor | None
    ) -> Tensor:
        """x̂_0 [B, 25, 6, T] of a network's output behind the spectral skip connection.

        Args:
            signal, noise: scales of x_0 and of the noise in x_t, [B, 1, 1, 1].
        """
        assert self.spectrum is not None
        flat = self.spectrum.estimate(
            output.flatten(1, 2), x_t.flatten(1, 2), signal.flatten(1, 2), noise.flatten(1, 2), action
        )
        return flat.view_as(x_t)
