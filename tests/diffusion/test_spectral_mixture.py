"""The spectral skip of several manners against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from mdtool.diffusion.preconditioning import SpectralPreconditioner, dct_basis
from mdtool.diffusion.spectral_mixture import SpectralMixture, band_energies


def measured(components: int = 3, features: int = 4, frames: int = 12) -> SpectralMixture:
    """One condition whose components have random means, variances and shares."""
    rng = torch.Generator().manual_seed(0)
    mixture = SpectralMixture(1, features, frames, components)
    mixture.centre.copy_(torch.randn(mixture.centre.shape, generator=rng))
    mixture.spread.copy_(torch.rand(mixture.spread.shape, generator=rng) + 0.05)
    mixture.log_share.copy_(torch.rand(mixture.log_share.shape, generator=rng).log_softmax(-1))
    return mixture


def of_two_manners(count: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Motions [n, 3, 16] of one label: a quarter lively, the others calm; (data, which are lively)."""
    rng = torch.Generator().manual_seed(1)
    lively = torch.arange(count) % 4 == 0
    size = torch.where(lively, 2.0, 0.05)[:, None, None]
    return size * torch.randn(count, 3, 16, generator=rng), lively


@pytest.mark.parametrize("level", [0.3, 0.9])
def test_a_silent_network_gives_the_posterior_mean_of_the_mixture(level: float) -> None:
    # By sampling: the mean of x_0 under the mixture, weighted by the density of x_t given x_0, on one number.
    mixture = SpectralMixture(0, 1, 1, 2)
    mixture.centre[0, :, 0, 0] = torch.tensor([-1.0, 1.5])
    mixture.spread[0, :, 0, 0] = torch.tensor([0.04, 0.5])
    mixture.log_share[0] = torch.tensor([0.3, 0.7]).log()
    signal, noise, x_t = (1 - level**2) ** 0.5, level, 0.4
    x0 = torch.linspace(-8, 8, 40001, dtype=torch.float64)
    density = sum(
        share * torch.exp(-((x0 - m) ** 2) / 2 / v) / v**0.5 for share, m, v in [(0.3, -1.0, 0.04), (0.7, 1.5, 0.5)]
    )
    weight = density * torch.exp(-((x_t - signal * x0) ** 2) / 2 / noise**2)
    mean = (weight * x0).sum() / weight.sum()
    deviation = ((weight * (x0 - mean) ** 2).sum() / weight.sum()).sqrt()
    one = torch.ones(1, 1, 1)
    for output, expected in [(0.0, mean), (1.0, mean + deviation)]:
        estimate = mixture.estimate(output * one, x_t * one, signal * one, noise * one, None)
        assert float(estimate) == pytest.approx(float(expected), abs=1e-4)


def test_one_component_is_the_plain_spectral_skip() -> None:
    rng = torch.Generator().manual_seed(2)
    data, label = torch.randn(64, 4, 12, generator=rng), torch.zeros(64, dtype=torch.int64)
    plain, mixture = SpectralPreconditioner(1, 4, 12), SpectralMixture(1, 4, 12, 1)
    plain.fit(data, label)
    mixture.fit(data, label)
    x_t, output = torch.randn(2, 5, 4, 12, generator=rng)
    scales = torch.full((5, 1, 1), 0.6), torch.full((5, 1, 1), 0.8)
    for condition in (None, torch.zeros(5, dtype=torch.int64)):
        torch.testing.assert_close(
            mixture.estimate(output, x_t, *scales, condition), plain.estimate(output, x_t, *scales, condition)
        )


def test_manners_are_found_with_their_shares_and_spectra() -> None:
    data, lively = of_two_manners()
    mixture = SpectralMixture(1, 3, 16, 2)
    mixture.fit(data, torch.zeros(len(data), dtype=torch.int64))
    order = mixture.spread[0].mean((1, 2)).argsort()
    assert mixture.log_share[0, order].exp().tolist() == pytest.approx([0.75, 0.25])
    assert mixture.spread[0, order].mean((1, 2)).tolist() == pytest.approx([0.05**2, 4.0], rel=0.1)
    assert float(mixture.variance[0].mean()) == pytest.approx(float(data.var()), rel=0.05)  # of the whole label
    assert lively.float().mean() == 0.25


def test_a_component_has_several_recordings_however_many_windows_are_drawn() -> None:
    # 400 windows of 12 recordings: five components would be near copies of two or three each.
    data, _ = of_two_manners()
    mixture, label, clip = SpectralMixture(1, 3, 16, 5), torch.zeros(400, dtype=torch.int64), torch.arange(400) % 12
    mixture.fit(data, label, clip=clip)
    assert (mixture.log_share > -torch.inf).sum(1).tolist() == [3, 3]
    assert mixture.remarks == [
        "5 components are too many for 12 training clips, near copies of them: 3 are used there, one for 4 clips"
    ]
    mixture.fit(data, label, clip=torch.arange(400) % 20)
    assert (mixture.log_share > -torch.inf).sum(1).tolist() == [5, 5]
    assert not mixture.remarks
    mixture.fit(data, label, clip=torch.zeros_like(label))
    assert (mixture.log_share > -torch.inf).sum(1).tolist() == [1, 1]


def test_a_calm_motion_is_not_given_the_movement_of_a_lively_one() -> None:
    data, lively = of_two_manners()
    label = torch.zeros(len(data), dtype=torch.int64)
    mixture, plain = SpectralMixture(1, 3, 16, 2), SpectralPreconditioner(1, 3, 16)
    for network in (mixture, plain):
        network.fit(data, label)
    calm = data[~lively][:32]
    signal, noise = torch.full((32, 1, 1), 0.8), torch.full((32, 1, 1), 0.6)
    x_t = 0.8 * calm + 0.6 * torch.randn(calm.shape, generator=torch.Generator().manual_seed(3))
    off = [
        float((network.estimate(torch.zeros_like(calm), x_t, signal, noise, label[:32]) - calm).square().mean())
        for network in (mixture, plain)
    ]
    assert off[0] < 1.1 * 0.05**2 < 0.1 * off[1]


def test_motions_of_many_levels_and_labels_are_estimated_as_each_alone() -> None:
    mixture = measured()
    x_t, output = torch.randn(2, 6, 4, 12, generator=torch.Generator().manual_seed(7))
    signal = torch.tensor([1.0, 0.6, 1.0, 0.6, 1.0, 1.0]).reshape(-1, 1, 1)
    noise = torch.tensor([0.5, 0.8, 0.5, 0.8, 2.0, 0.5]).reshape(-1, 1, 1)
    label = torch.tensor([0, -1, 0, 0, -1, -1])
    together = mixture.estimate(output, x_t, signal, noise, label)
    for k in range(6):
        own = slice(k, k + 1)
        alone = mixture.estimate(output[own], x_t[own], signal[own], noise[own], label[own])
        torch.testing.assert_close(together[own], alone)


def test_components_of_whole_motions_keep_their_course_at_another_length() -> None:
    mixture = SpectralMixture(0, 2, 12, 2, whole=True)
    mixture.centre[0, 0, :, 1] = 3.0
    mixture.centre[0, 1, :, 1] = -3.0
    mixture.spread.fill_(1e-6)
    mixture.log_share[0] = torch.tensor([0.5, 0.5]).log()
    course = 3 * math.sqrt(2 / 12) * torch.cos(math.pi * (torch.arange(8) + 0.5) / 8).expand(1, 2, 8)
    one = torch.ones(1, 1, 1)
    for sign in (1, -1):
        made = mixture.estimate(torch.zeros(1, 2, 8), sign * 0.8 * course, one, one, None)
        torch.testing.assert_close(made, sign * course, atol=1e-3, rtol=0)


def test_components_that_do_not_occur_do_nothing() -> None:
    mixture = measured()
    x_t, output = torch.randn(2, 3, 4, 12, generator=torch.Generator().manual_seed(4))
    scales = torch.full((3, 1, 1), 0.5), torch.full((3, 1, 1), 0.5)
    mixture.log_share[:, 2] = -torch.inf
    before = mixture.estimate(output, x_t, *scales, None)
    mixture.centre[:, 2] = 50.0
    torch.testing.assert_close(mixture.estimate(output, x_t, *scales, None), before)


def test_gradients_reach_the_noise_through_every_part() -> None:
    # An edit differentiates through the estimate.
    mixture = measured().double()
    x_t = torch.randn(1, 4, 12, generator=torch.Generator().manual_seed(5), dtype=torch.float64, requires_grad=True)
    output, scale = torch.ones(1, 4, 12, dtype=torch.float64), torch.full((1, 1, 1), 0.7, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: mixture.estimate(output, x, scale, scale, None), (x_t,))


def test_a_longer_window_of_a_still_manner_stays_still() -> None:
    mixture = SpectralMixture(0, 2, 12, 2)
    mixture.spread[0, 0, :, 1:] = 1e-12  # the first does not move at all
    mixture.log_share[0] = torch.tensor([0.9, 0.1]).log()
    x_t = torch.zeros(1, 2, 24)
    scale = torch.full((1, 1, 1), 0.7)
    made = mixture.estimate(torch.ones_like(x_t), x_t, scale, scale, None)
    assert float((made @ dct_basis(24).T)[..., 1:].abs().max()) < 1e-3


def test_energies_of_bands_are_those_of_a_cosine() -> None:
    basis = dct_basis(16)
    energies = band_energies((3 * basis[5] @ basis.T).expand(1, 1, 16))
    assert float(energies.max()) == pytest.approx(float(torch.tensor(9.0).log()), abs=1e-5)
    assert int((energies > -9).sum()) == 1
