"""Feature groups: exact round trips, unit magnitudes, equal energies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import roma
import torch
from torch import Tensor

from mdtool.motion.feature_groups import (
    CHANNELS,
    GROUPS,
    GroupNormaliser,
    decode,
    encode,
    magnitude,
    shape_of,
    with_shape,
)
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d, rot6d_to_matrix
from tests.motion.smooth_motion import smooth_motion


def features(count: int = 24, frames: int = 48) -> Tensor:
    """Windows of swinging bodies of different shapes."""
    parts = [smooth_motion(frames, seed, seed % 3) for seed in range(count)]
    rot6d, root = (torch.from_numpy(np.stack(column)) for column in zip(*parts, strict=True))
    betas = torch.randn(count, 10, generator=torch.Generator().manual_seed(0)) * 1.7 + 0.3
    return encode(rot6d, root, betas)


def test_layout() -> None:
    assert CHANNELS == 145
    assert [group.size for group in GROUPS] == [126, 6, 3, 10]
    x = features()
    assert torch.equal(x[:, 132:135:2, 0], torch.zeros(len(x), 2)), "x and z start at 0"
    forward = rot6d_to_matrix(x[:, GROUPS[1].channels, 0])[:, :, 2]
    torch.testing.assert_close(forward[:, 0], torch.zeros(len(x)), atol=1e-5, rtol=0)
    assert (forward[:, 2] > 0).all()


def test_motion_round_trip() -> None:
    x = features()
    rot6d, root = decode(x)
    torch.testing.assert_close(encode(rot6d, root, shape_of(x)), x, atol=1e-5, rtol=0)
    assert torch.equal(rot6d[:, :, 22:], torch.tensor([1.0, 0, 0, 0, 1, 0]).expand(len(x), 48, 2, 6))
    other = torch.arange(10.0).expand(len(x), 10)
    assert torch.equal(shape_of(with_shape(x, other)), other)
    assert torch.equal(with_shape(x, other)[:, :135], x[:, :135])


@pytest.mark.parametrize("kind", ["em", "hml_z", "plain_z"])
def test_normalising_round_trip(kind: str) -> None:
    x, normaliser = features(), GroupNormaliser(kind)  # type: ignore[arg-type]
    normaliser.fit(x)
    torch.testing.assert_close(normaliser.inverse(normaliser(x)), x, atol=1e-6, rtol=1e-6)


def test_magnitudes_are_one() -> None:
    x, normaliser = features(), GroupNormaliser("em")
    normaliser.fit(x)
    normalised = normaliser(x)
    for group in GROUPS:
        assert abs(float(magnitude(normalised[:, group.channels])) - 1) < 0.02, group.name
    for first in range(0, 132, 6):  # exactly, for every joint of every frame
        one = normalised[:, first : first + 6].square().mean(1).sqrt()
        torch.testing.assert_close(one, torch.ones_like(one), atol=1e-5, rtol=0)


def test_z_scores_by_element_and_by_group() -> None:
    """plain_z: every element its own mean and deviation. hml_z: its own mean, its group's average deviation."""
    x = features() + torch.linspace(0.9, 1.1, CHANNELS).unsqueeze(1)
    elements = x.transpose(0, 1).flatten(1)
    mean, deviation = elements.mean(1), elements.std(1, correction=0)
    for kind in ("plain_z", "hml_z"):
        normaliser = GroupNormaliser(kind)  # type: ignore[arg-type]
        normaliser.fit(x)
        torch.testing.assert_close(normaliser.offset[:, 0], mean, atol=1e-5, rtol=1e-5)
        for group in GROUPS:
            own = deviation[group.channels]
            expected = own.mean().expand_as(own) if kind == "hml_z" else torch.where(own > 1e-3, own, 1.0)
            torch.testing.assert_close(normaliser.scale[group.channels, 0], expected, atol=1e-5, rtol=1e-4)


def test_noise_turns_every_joint_by_sigma_radians() -> None:
    rng = torch.Generator().manual_seed(1)
    turns = axis_angle_to_matrix(torch.randn(20_000, 3, generator=rng, dtype=torch.float64))
    noisy = matrix_to_rot6d(turns) * math.sqrt(3)
    noisy = noisy + 0.1 * torch.randn(noisy.shape, generator=rng, dtype=torch.float64)
    angle = roma.rotmat_geodesic_distance(rot6d_to_matrix(noisy), turns)
    assert abs(float(angle.square().mean().sqrt()) - 0.1) < 0.002


def test_dimension_weights() -> None:
    normaliser = GroupNormaliser("em")
    expected = torch.tensor([0.5364, 2.4580, 3.4761, 1.9039])
    torch.testing.assert_close(normaliser.weights(), expected, atol=5e-5, rtol=0)
    x = features()
    normaliser.fit(x)
    weighted = normaliser(x) * normaliser.per_channel(normaliser.weights())
    assert abs(float(magnitude(weighted)) - 1) < 0.02
    energy = [float(weighted[:, group.channels].square().sum()) for group in GROUPS]
    np.testing.assert_allclose(np.array(energy) / sum(energy), 0.25, atol=0.01)


def test_a_group_that_does_not_vary_stays_out() -> None:
    x = with_shape(features(), torch.full((24, 10), 0.5))
    normaliser = GroupNormaliser("em")
    normaliser.fit(x)
    assert normaliser.active.tolist() == [1, 1, 1, 0]
    weights = normaliser.weights()
    sizes = torch.tensor([126.0, 6, 3, 0])
    torch.testing.assert_close((sizes * weights.square()).tolist(), [45.0, 45.0, 45.0, 0.0])
    made = normaliser.inverse(torch.randn(2, 145, 48))
    torch.testing.assert_close(shape_of(made), torch.full((2, 10), 0.5))


def test_z_scores_spoil_the_rotations() -> None:
    """Columns keep one length and a right angle under √3, and lose both under z-scores."""
    x = features()
    spread = {}
    for kind in ("em", "plain_z"):
        normaliser = GroupNormaliser(kind)  # type: ignore[arg-type]
        normaliser.fit(x)
        first, second = normaliser(x)[:, 6:12].transpose(1, 2).unflatten(-1, (2, 3)).unbind(-2)
        spread[kind] = float(first.norm(dim=-1).std()), float((first * second).sum(-1).std())
    assert max(spread["em"]) < 1e-5
    assert min(spread["plain_z"]) > 0.1


@pytest.mark.parametrize("kind", ["em", "hml_z"])
def test_what_an_error_of_the_network_leaves_of_rotations(kind: str) -> None:
    """White error of deviation e in x̂ leaves columns off length 1 by e · scale · √(2 / π) on average, to first order.

    So at equal errors z-scores leave less, not more, than √3: a group's deviations cannot exceed its magnitude 1 / √3.
    """
    x, normaliser = features(), GroupNormaliser(kind)  # type: ignore[arg-type]
    normaliser.fit(x)
    joints, error = GROUPS[0].channels, 0.05
    noise = error * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    raw = normaliser.inverse(normaliser(x) + noise)[:, joints].transpose(1, 2).unflatten(-1, (-1, 2, 3))
    scale = float(normaliser.scale[joints].mean())
    off, across = (raw.norm(dim=-1) - 1).abs().mean(), (raw[..., 0, :] * raw[..., 1, :]).sum(-1).abs().mean()
    assert float(off) == pytest.approx(error * scale * math.sqrt(2 / math.pi), rel=0.05)
    assert float(across) == pytest.approx(error * scale * math.sqrt(2) * math.sqrt(2 / math.pi), rel=0.05)
    assert scale <= 1 / math.sqrt(3) + 1e-6
    assert (kind == "em") == (scale > 0.57)
