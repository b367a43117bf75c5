"""The mixture's guess is Bayes' answer, and its parts are those of the data."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import MultivariateNormal

from mdtool.diffusion.mixture import MixturePreconditioner, components_of


def two_ways(rows: int = 400) -> torch.Tensor:
    """Data of 3 numbers about two centres, with one oblique covariance."""
    torch.manual_seed(0)
    turn = torch.linalg.qr(torch.randn(3, 3))[0]
    near = torch.randn(rows, 3) * torch.tensor([1.0, 0.3, 0.1]) @ turn
    return near + 6 * (torch.arange(rows) % 2).unsqueeze(1) * torch.tensor([1.0, -1.0, 0.5])


def fitted(data: torch.Tensor, components: int, floor: float = 1e-6) -> MixturePreconditioner:
    skip = MixturePreconditioner(1, 3, components)
    skip.fit(data, torch.zeros_like(data), torch.zeros(len(data), dtype=torch.long), torch.ones(3), floor)
    return skip


def test_one_component_is_the_gaussian_s_posterior_mean() -> None:
    data = two_ways()
    mean, covariance = data.mean(0), data.T.cov(correction=0)
    signal, noise = torch.full((5, 1), 0.6), torch.full((5, 1), 0.8)
    x_t = torch.randn(5, 3)
    gain = 0.6 * covariance @ torch.linalg.inv(0.36 * covariance + 0.64 * torch.eye(3))
    expected = mean + (x_t - 0.6 * mean) @ gain.T
    estimate = fitted(data, 1).estimate(torch.zeros(5, 3), x_t, signal, noise, torch.zeros(5, dtype=torch.long))
    torch.testing.assert_close(estimate, expected, rtol=1e-4, atol=1e-4)


def test_two_components_are_found_and_weighed_by_what_is_seen() -> None:
    data = two_ways()
    skip = fitted(data, 2)
    centres = torch.stack([data[k::2].mean(0) for k in (0, 1)])
    held = skip.centre[0] @ skip.basis[0].T
    assert torch.cdist(centres, held).min(1).values.max() < 1e-4
    apart = torch.cat([data[k::2] - centres[k] for k in (0, 1)])
    covariance = skip.basis[0] * skip.variance[0] @ skip.basis[0].T
    torch.testing.assert_close(covariance, apart.T @ apart / len(data), rtol=1e-4, atol=1e-4)
    # Bayes by the book, for one x_t between the two.
    a, s = 0.3, 0.95
    x_t = a * centres.mean(0) + torch.tensor([0.1, 0.0, 0.2])
    total = a * a * covariance + s * s * torch.eye(3)
    weights = torch.stack([MultivariateNormal(a * centre, total).log_prob(x_t) for centre in held]).softmax(0)
    gain = a * covariance @ torch.linalg.inv(total)
    expected = sum(weight * (centre + gain @ (x_t - a * centre)) for weight, centre in zip(weights, held, strict=True))
    given = (torch.zeros(1, 3), x_t.unsqueeze(0), torch.tensor([[a]]), torch.tensor([[s]]))
    torch.testing.assert_close(skip.estimate(*given, None)[0], expected, rtol=1e-4, atol=1e-4)
    closer = skip.estimate(*given, None, 0.25)
    skip.variance *= 0.25
    torch.testing.assert_close(closer, skip.estimate(*given, None))


def test_the_network_corrects_at_the_scale_of_what_is_left() -> None:
    skip = MixturePreconditioner(0, 3, 2)
    output, x_t = torch.randn(4, 3), torch.randn(4, 3)
    signal = torch.rand(4, 1)
    noise = (1 - signal**2).sqrt()
    # Before `fit` the data are white noise: v-prediction (Salimans & Ho 2022).
    torch.testing.assert_close(skip.estimate(output, x_t, signal, noise, None), signal * x_t + noise * output)


def test_each_label_has_its_own_mixture_and_a_spread_of_its_own_is_added() -> None:
    data = two_ways()
    label = torch.arange(len(data)) % 2
    skip = MixturePreconditioner(3, 3, 2)
    skip.fit(data, torch.full_like(data, 0.5), label, torch.ones(3), 1e-6)
    assert skip.variance.min() > 0.5
    given = (torch.zeros(4, 3), torch.zeros(4, 3), torch.full((4, 1), 0.1), torch.full((4, 1), 0.99))
    guess = skip.estimate(*given, torch.tensor([0, 1, 2, -1]))
    assert (guess[0] - data[label == 0].mean(0)).norm() < 1
    assert (guess[1] - data[label == 1].mean(0)).norm() < 1
    # A label without data and a hidden one are the whole set, and where nothing is seen its mean.
    torch.testing.assert_close(guess[2], guess[3])
    assert (guess[3] - data.mean(0)).norm() < 1


def test_autocast_does_not_blur_the_estimate() -> None:
    skip = fitted(two_ways(), 2)
    given = (torch.zeros(4, 3), torch.randn(4, 3), torch.full((4, 1), 0.9), torch.full((4, 1), 0.1), None)
    plain = skip.estimate(*given)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(skip.estimate(*given), plain)


@pytest.mark.parametrize("count", [0, 1, 3, 9])
def test_components_are_numbered_without_a_gap(count: int) -> None:
    data = torch.cat([torch.zeros(5, 2), torch.ones(4, 2)])  # two places only: no third component has members
    found = components_of(data, count)
    assert sorted(set(found.tolist())) == list(range(min(max(count, 1), 2)))
