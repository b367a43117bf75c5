"""The field: coordinates, what its bandwidth lets through, and a pose per instant whatever else is asked for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mdtool.networks.implicit import (
    FourierEncoding,
    MotionField,
    RateEncoding,
    TimeBasis,
    seconds_to_coordinate,
    spacing_between,
    spacing_of,
)


def field(encoding: str = "fourier", scale: float = 6.0, integrated: bool = False, features: int = 3) -> MotionField:
    basis = TimeBasis(encoding, 32, scale, integrated, 8, 8, 6, 8)  # type: ignore[arg-type]
    return MotionField(basis, 4, 64, 3, features, reinject=True).eval()


def test_coordinates_go_there_and_back() -> None:
    time_s = torch.linspace(0, 9.8, 1001, dtype=torch.float64)
    coordinate = seconds_to_coordinate(time_s, 10.0)
    torch.testing.assert_close(coordinate, time_s / 5 - 1, atol=1e-12, rtol=0)
    torch.testing.assert_close((coordinate + 1) * 10.0 / 2, time_s, atol=1e-9, rtol=0)
    assert coordinate[0] == -1
    # Frame j of rate s lies at -1 + j Δ, and m poses span m Δ = 2 m / (s l).
    frame = torch.arange(40, dtype=torch.float64)
    spacing = spacing_of(torch.tensor(119.88, dtype=torch.float64), 10.0)
    torch.testing.assert_close(seconds_to_coordinate(frame / 119.88, 10.0), -1 + frame * spacing, atol=1e-9, rtol=0)
    clip = seconds_to_coordinate(frame[None] / 119.88, 10.0)
    assert float(spacing_between(clip)) == float(spacing_between(clip.flip(1))) == pytest.approx(float(spacing))
    assert float(clip[0, -1] - clip[0, 0] + spacing) == pytest.approx(2 * 40 / (119.88 * 10))


@pytest.mark.parametrize("encoding", ["none", "fourier", "cca", "cca_random"])
@torch.no_grad()
def test_a_pose_depends_on_its_own_instant_alone(encoding: str) -> None:
    torch.manual_seed(0)
    network = field(encoding)
    coordinate = torch.rand(2, 50) * 2 - 1
    latent, fps = torch.randn(2, 4), torch.tensor([20.0, 0.0])
    whole = network(coordinate, latent, fps)
    chunked = torch.cat([network(part, latent, fps) for part in coordinate.split(7, dim=1)], dim=1)
    torch.testing.assert_close(chunked, whole, atol=1e-5, rtol=0)
    order = torch.randperm(50)
    torch.testing.assert_close(network(coordinate[:, order], latent, fps), whole[:, order], atol=1e-5, rtol=0)


def test_integrated_waves_fall_to_the_gaussians_value_at_nyquist() -> None:
    encoding = FourierEncoding(16, 20.0, integrated=True)
    spacing = torch.tensor([0.5 / 20.0])
    encoding.frequencies.fill_(0.5 / float(spacing))
    waves = encoding(torch.tensor([[0.3]]), spacing)
    plain = encoding(torch.tensor([[0.3]]))
    torch.testing.assert_close(waves / plain, torch.full_like(waves, math.exp(-((math.pi / 2) ** 2) / 2)))
    assert math.exp(-((math.pi / 2) ** 2) / 2) == pytest.approx(0.29, abs=0.002)


def test_an_unknown_rate_has_a_vector_of_its_own() -> None:
    rate = RateEncoding()
    with torch.no_grad():
        rate.unknown.fill_(7)
    told = rate(torch.tensor([0.0, 20.0, 40.0]))
    assert (told[0] == 7).all()
    assert not torch.equal(told[1], told[2])


def learnt(network: MotionField, time_s: Tensor, values: Tensor, axis_s: float, steps: int) -> MotionField:
    coordinate = seconds_to_coordinate(time_s, axis_s).unsqueeze(0)
    latent, fps = torch.zeros(1, 4), torch.zeros(1)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        (network(coordinate, latent, fps)[0, :, 0] - values).square().mean().backward()
        optimiser.step()
        schedule.step()
    return network


def amplitude(network: MotionField, hz: float, axis_s: float) -> float:
    """Of the component at `hz` of the first feature, off the training grid."""
    time_s = torch.linspace(0.2, axis_s - 0.2, 1999)
    with torch.no_grad():
        values = network(seconds_to_coordinate(time_s, axis_s).unsqueeze(0), torch.zeros(1, 4), torch.zeros(1))[0, :, 0]
    waves = torch.stack([torch.sin(2 * math.pi * hz * time_s), torch.cos(2 * math.pi * hz * time_s)], dim=1)
    return float(torch.linalg.lstsq(waves, values.unsqueeze(1)).solution.norm())


def test_a_12_hz_oscillation_needs_the_bandwidth() -> None:
    """σ = 25 on 10 s holds 15 Hz, σ = 3 does not: the same numbers on an axis of 4 s are σ = 10 and 1.2."""
    time_s = torch.arange(480) / 120
    values = torch.sin(2 * math.pi * 12 * time_s)
    torch.manual_seed(0)
    wide = learnt(field(scale=25 * 0.4, features=1), time_s, values, 4.0, 400)
    assert amplitude(wide, 12, 4.0) == pytest.approx(1, abs=0.1)
    torch.manual_seed(0)
    narrow = learnt(field(scale=3 * 0.4, features=1), time_s, values, 4.0, 400)
    assert amplitude(narrow, 12, 4.0) < 0.5
