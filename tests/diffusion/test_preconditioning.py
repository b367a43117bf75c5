"""The spectral skip connection against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from mdtool.diffusion.preconditioning import SpectralPreconditioner, dct_basis


def noised(batch: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """x_t, a network's output, and signal and noise scales with a² + s² = 1."""
    rng = torch.Generator().manual_seed(0)
    x_t, output = torch.randn(2, batch, 5, 12, generator=rng)
    angle = torch.linspace(0.1, 1.4, batch).reshape(-1, 1, 1)
    return x_t, output, angle.cos(), angle.sin()


def test_basis_is_orthonormal_and_each_row_a_cosine() -> None:
    basis = dct_basis(12)
    torch.testing.assert_close(basis @ basis.T, torch.eye(12), atol=1e-6, rtol=0)
    frame = torch.arange(12)
    expected = torch.cos(math.pi * 3 * (frame + 0.5) / 12) * math.sqrt(2 / 12)
    torch.testing.assert_close(basis[3], expected, atol=1e-6, rtol=0)


def test_a_white_spectrum_is_v_prediction() -> None:
    x_t, output, signal, noise = noised()
    estimate = SpectralPreconditioner(0, 5, 12).estimate(output, x_t, signal, noise, None)
    torch.testing.assert_close(estimate, signal * x_t + noise * output, atol=1e-5, rtol=0)


def test_a_silent_network_gives_the_posterior_mean_of_the_gaussian() -> None:
    # For x_0 ~ N(m, C) and x_t = a x_0 + s e the posterior mean is m + a C (a² C + s²)⁻¹ (x_t - a m).
    x_t, _, signal, noise = noised()
    network = SpectralPreconditioner(1, 5, 12)
    rng = torch.Generator().manual_seed(1)
    network.mean.copy_(torch.randn(2, 5, 12, generator=rng))
    network.variance.copy_(torch.rand(2, 5, 12, generator=rng) + 0.01)
    estimate = network.estimate(torch.zeros_like(x_t), x_t, signal, noise, torch.zeros(4, dtype=torch.int64))
    basis = dct_basis(12)
    for sample in range(4):
        a, s = float(signal[sample]), float(noise[sample])
        for feature in range(5):
            covariance = basis.T @ torch.diag(network.variance[0, feature]) @ basis
            mean = network.mean[0, feature] @ basis
            gain = a * covariance @ torch.linalg.inv(a**2 * covariance + s**2 * torch.eye(12))
            expected = mean + gain @ (x_t[sample, feature] - a * mean)
            torch.testing.assert_close(estimate[sample, feature], expected, atol=2e-4, rtol=0)


def test_statistics_are_those_of_each_label_and_of_all() -> None:
    rng = torch.Generator().manual_seed(2)
    data = torch.randn(400, 5, 12, generator=rng)
    label = torch.arange(400) % 2
    data[label == 1] *= 3.0
    network = SpectralPreconditioner(3, 5, 12)
    network.fit(data, label)
    assert float(network.variance[0].mean()) == pytest.approx(1.0, rel=0.05)
    assert float(network.variance[1].mean()) == pytest.approx(9.0, rel=0.05)
    assert float(network.variance[-1].mean()) == pytest.approx(5.0, rel=0.05)
    torch.testing.assert_close(network.variance[2], network.variance[-1])  # a label that never occurs


def test_no_label_and_a_negative_one_are_the_whole_set() -> None:
    x_t, output, signal, noise = noised()
    network = SpectralPreconditioner(2, 5, 12)
    network.variance[-1] = 0.3
    null = network.estimate(output, x_t, signal, noise, None)
    torch.testing.assert_close(network.estimate(output, x_t, signal, noise, torch.full((4,), -1)), null)
    assert not torch.allclose(network.estimate(output, x_t, signal, noise, torch.zeros(4, dtype=torch.int64)), null)


def test_frequencies_that_the_data_does_not_have_stay_silent() -> None:
    x_t, output, signal, noise = noised()
    network = SpectralPreconditioner(0, 5, 12)
    network.variance[:, :, 6:] = 1e-12
    spectrum = network.estimate(output, x_t, signal, noise, None) @ dct_basis(12).T
    assert float(spectrum[..., 6:].abs().max()) < 1e-4
    assert float(spectrum[..., :6].abs().max()) > 0.5


def test_autocast_does_not_blur_the_estimate() -> None:
    x_t, output, signal, noise = noised()
    network = SpectralPreconditioner(0, 5, 12)
    plain = network.estimate(output, x_t, signal, noise, None)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network.estimate(output, x_t, signal, noise, None), plain)
