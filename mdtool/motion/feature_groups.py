"""Motion and body shape as groups of features of one kind each, brought to one magnitude: [B, N, T] tensors.

| group | channels | meaning |
|---|---|---|
| joints | 126 | local rotations of the 21 body joints (SMPL 1-21), 6D |
| orientation | 6 | global orientation, 6D |
| translation | 3 | pelvis position in metres: x and z from that of the first frame, y above the floor |
| shape | 10 | SMPL betas, the same in every frame |

After Björkstrand et al. 2025, balanced score-based diffusion. The two hand joints are the identity in the data and in
what is made. World in: that of the motion file; the first frame is turned to face +z (`canon = first_frame`).
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from mdtool.motion.features import face_forward
from mdtool.motion.ground import at_height
from mdtool.motion.rotations import matrix_to_rot6d, rot6d_to_matrix
from mdtool.motion.skeleton import JOINTS

Normaliser = Literal["em", "hml_z", "plain_z"]
MODELLED_JOINTS = JOINTS - 2
BETAS = 10


class Group(NamedTuple):
    """Channels of one kind."""

    name: str
    channels: slice
    is_rotation: bool = False

    @property
    def size(self) -> int:
        """Number of channels N_k."""
        return int(self.channels.stop - self.channels.start)


_ROTATIONS = 6 * MODELLED_JOINTS
GROUPS = (
    Group("joints", slice(0, _ROTATIONS - 6), True),
    Group("orientation", slice(_ROTATIONS - 6, _ROTATIONS), True),
    Group("translation", slice(_ROTATIONS, _ROTATIONS + 3)),
    Group("shape", slice(_ROTATIONS + 3, _ROTATIONS + 3 + BETAS)),
)
CHANNELS = sum(group.size for group in GROUPS)
"""N = 145."""
_LEAST_SCALE = 1e-3
"""Below this a group or an element does not vary: it is left out, or left as it is."""


def encode(rot6d: Tensor, root: Tensor, betas: Tensor | None = None, heading: bool = True) -> Tensor:
    """Windows [B, T, 24, 6], [B, T, 3] and shapes [B, 10] → features [B, 145, T], not normalised.

    Args:
        betas: the neutral shape when not given.
        heading: turn every window so that its first frame faces +z.
    """
    if heading:
        rot6d, root = face_forward(rot6d, root)
    root = root - at_height(root[:, :1])
    shape = root.new_zeros(len(root), BETAS) if betas is None else betas.to(root)
    joints = rot6d[:, :, 1:MODELLED_JOINTS].flatten(2)
    per_frame = [joints, rot6d[:, :, 0], root, shape.unsqueeze(1).expand(-1, root.shape[1], -1)]
    return torch.cat(per_frame, dim=-1).transpose(1, 2)


def decode(features: Tensor, orthonormal: bool = True) -> tuple[Tensor, Tensor]:
    """Features [B, 145, T] → windows (rot6d [B, T, 24, 6], root [B, T, 3]); x and z start at 0."""
    frames = features.transpose(1, 2)
    joints = frames[..., GROUPS[0].channels].unflatten(-1, (-1, 6))
    rotations = torch.cat([frames[..., GROUPS[1].channels].unsqueeze(-2), joints], dim=-2)
    if orthonormal:
        rotations = matrix_to_rot6d(rot6d_to_matrix(rotations))
    still = rotations.new_tensor([1.0, 0, 0, 0, 1, 0]).expand(*rotations.shape[:2], JOINTS - MODELLED_JOINTS, 6)
    root = frames[..., GROUPS[2].channels]
    return torch.cat([rotations, still], dim=-2), root - at_height(root[:, :1])


def shape_of(features: Tensor) -> Tensor:
    """Body shapes [B, 10]: their mean over the frames of features [B, 145, T]."""
    return features[:, GROUPS[3].channels].mean(-1)


def with_shape(features: Tensor, betas: Tensor) -> Tensor:
    """Features [B, 145, T] with the body shapes [B, 10] in every frame."""
    shape = betas.to(features).unsqueeze(-1).expand(-1, -1, features.shape[-1])
    return torch.cat([features[:, : GROUPS[3].channels.start], shape], dim=1)


def magnitude(values: Tensor) -> Tensor:
    """M[a] = √(mean of a²): uncentred root mean square of the elements; a number."""
    return values.double().square().mean().sqrt()


class GroupNormaliser(nn.Module):
    """x̂ = (x - offset) / scale, by one of three rules; what does not vary in the data stays out of the model.

    em: expected magnitude 1 per group. Rotations times √3, their mean kept, so that the columns stay orthonormal up to
    one factor and noise of level σ turns every joint by σ radians; translation with one mean and one deviation for all
    three axes; shape by element. plain_z: every element its own mean and deviation. hml_z: every element its own mean,
    each group the average of its deviations (HumanML3D).
    """

    offset: Tensor
    scale: Tensor
    active: Tensor
    sizes: Tensor

    def __init__(self, kind: Normaliser) -> None:
        super().__init__()
        self.kind = kind
        self.register_buffer("offset", torch.zeros(CHANNELS, 1))
        self.register_buffer("scale", torch.ones(CHANNELS, 1))
        self.register_buffer("active", torch.ones(len(GROUPS)))
        self.register_buffer("sizes", torch.tensor([float(group.size) for group in GROUPS]), persistent=False)

    def fit(self, features: Tensor) -> None:
        """Measure offsets and scales of features [n, 145, T] in float64; every frame counts alike."""
        for place, group in enumerate(GROUPS):
            values = features[:, group.channels].double().transpose(0, 1).flatten(1)
            mean, deviation = values.mean(1), values.std(1, unbiased=False)
            self.active[place] = float(group.is_rotation or bool((deviation > _LEAST_SCALE).any()))
            if self.kind == "em" and group.is_rotation:
                mean, deviation = torch.zeros_like(mean), torch.full_like(deviation, 1 / math.sqrt(3))
            elif self.kind == "em" and group.name == "translation":
                whole = values.std(unbiased=False)
                mean, deviation = values.mean().expand_as(mean), whole.expand_as(deviation)
            elif self.kind == "hml_z":
                deviation = deviation.mean().expand_as(deviation)
            varies = deviation > _LEAST_SCALE
            self.offset[group.channels, 0] = mean.float()
            self.scale[group.channels, 0] = torch.where(varies, deviation, 1.0).float()

    def forward(self, features: Tensor) -> Tensor:
        """Features [B, 145, T] → x̂."""
        return (features - self.offset) / self.scale

    def inverse(self, normalised: Tensor) -> Tensor:
        """x̂ → features; a group that stays out is its constant."""
        features = normalised * self.scale + self.offset
        return torch.where(self.per_channel(self.active) > 0, features, self.offset)

    def per_channel(self, values: Tensor) -> Tensor:
        """A value per group [K] as one per channel [145, 1]."""
        return torch.cat([values[place].expand(group.size, 1) for place, group in enumerate(GROUPS)])

    def weights(self) -> Tensor:
        """w_k = √(ΣN / K) / √N_k over the K groups in the model, [4]: equal energy per group, magnitude 1 in all.

        The K-way form of EDM2's magnitude-preserving concatenation; 0 for a group that stays out.
        """
        total, count = (self.sizes * self.active).sum(), self.active.sum()
        return self.active * (total / count / self.sizes).sqrt()
