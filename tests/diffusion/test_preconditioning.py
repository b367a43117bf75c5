"""The spectral skip connection against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from mdtool.diffusion.edm import heun, sigma_grid
from mdtool.diffusion.preconditioning import SpectralPreconditioner, at_pace, dct_basis


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


@pytest.mark.parametrize("frames", [24, 12, 8])
def test_windows_of_another_length_have_the_same_spectrum_in_time(frames: int) -> None:
    # A moving average of white noise around an offset: its spectrum and mean are known at any length.
    rng = torch.Generator().manual_seed(3)

    def signal(count: int, length: int) -> torch.Tensor:
        white = torch.randn(count, 5, length + 2, generator=rng)
        return (white[..., :-2] + white[..., 1:-1] + white[..., 2:]) / 3 + 4.0

    network = SpectralPreconditioner(0, 5, 12)
    network.fit(signal(8000, 12), torch.zeros(8000, dtype=torch.int64))
    mean, variance, basis = network.spectrum(torch.tensor([0]), frames)
    measured = signal(8000, frames) @ basis.T
    torch.testing.assert_close(mean[0], measured.mean(0), atol=0.05, rtol=0)
    # The constant part is measured as an offset, which this signal has not; fast parts agree at any length.
    torch.testing.assert_close(variance[0, :, 1:], measured.var(0)[:, 1:], atol=0.25, rtol=0)
    assert float((variance[0, :, 1:] - measured.var(0)[:, 1:]).abs().mean()) < 0.05


@pytest.mark.parametrize("frames", [24, 12, 8])
def test_whole_motions_of_another_length_have_the_same_coefficients_by_number(frames: int) -> None:
    # Sums of four cosines of random size over the whole motion, sampled at 12 frames and at others.
    rng = torch.Generator().manual_seed(3)
    size = torch.randn(500, 5, 4, generator=rng) + torch.arange(4)

    def spectrum(length: int) -> torch.Tensor:
        phase = math.pi * (torch.arange(length) + 0.5) / length
        return size @ torch.cos(torch.arange(4)[:, None] * phase) @ dct_basis(length).T

    network = SpectralPreconditioner(0, 5, 12, whole=True)
    network.fit(spectrum(12) @ dct_basis(12), torch.zeros(500, dtype=torch.int64), floor=0.0)
    mean, variance, basis = network.spectrum(torch.tensor([0]), frames)
    wanted = spectrum(frames)
    assert torch.equal(basis, dct_basis(frames))
    torch.testing.assert_close(mean[0], wanted.mean(0), atol=1e-4, rtol=0)
    torch.testing.assert_close(variance[0], wanted.var(0, correction=0), atol=1e-3, rtol=1e-4)


def test_beyond_the_measured_frames_a_pace_has_the_last_variance_and_no_mean() -> None:
    mean, variance = at_pace(torch.ones(2, 3), torch.tensor([[4.0, 2.0, 1.0], [4.0, 2.0, 3.0]]), 6)
    assert variance.tolist() == [[8, 4, 2, 2, 2, 2], [8, 4, 6, 6, 6, 6]]
    torch.testing.assert_close(mean, torch.tensor([[1.0, 1, 1, 0, 0, 0]] * 2) * math.sqrt(2))


def test_a_window_of_the_measured_length_is_taken_as_it_is() -> None:
    network = SpectralPreconditioner(1, 5, 12)
    network.variance.copy_(torch.rand(2, 5, 12, generator=torch.Generator().manual_seed(4)))
    assert torch.equal(network.spectrum(torch.tensor([1, 0]), 12)[1], network.variance[[1, 0]])


def test_heun_in_spectral_coordinates_is_exact_for_a_gaussian_in_two_steps() -> None:
    rng = torch.Generator().manual_seed(5)
    network = SpectralPreconditioner(0, 5, 12)
    network.mean.copy_(torch.randn(1, 5, 12, generator=rng))
    network.variance.copy_(10 ** (-6 * torch.rand(1, 5, 12, generator=rng)))
    basis = dct_basis(12)

    def denoiser(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        wide = sigma.reshape(-1, 1, 1)
        return network.estimate(torch.zeros_like(x), x, torch.ones_like(wide), wide, None)

    latent = torch.randn(3, 5, 12, generator=rng)
    mean, variance, _ = network.spectrum(torch.zeros(3, dtype=torch.int64), 12)
    start = (mean + (variance + 80.0**2).sqrt() * latent) @ basis
    for coordinates, exact in ((network.coordinates(None, 3, 12), True), (None, False)):
        made = heun(denoiser, start, sigma_grid(2), coordinates=coordinates)
        error = (((made @ basis.T) - mean) / variance.sqrt() - latent).abs().max()
        assert (float(error) < 0.01) == exact


def test_slope_in_spectral_coordinates_is_the_network_s_output() -> None:
    x, output, _, _ = noised()
    network = SpectralPreconditioner(0, 5, 12)
    network.variance.copy_(torch.rand(1, 5, 12, generator=torch.Generator().manual_seed(6)) + 0.01)
    for sigma in (0.05, 1.0, 20.0):
        wide = torch.full((4, 1, 1), sigma)
        estimate = network.estimate(output, x, torch.ones_like(wide), wide, None)
        slope = network.coordinates(None, 4, 12).slope(x, estimate, sigma)
        torch.testing.assert_close(slope, -output @ dct_basis(12).T, atol=2e-4, rtol=1e-4)


def test_tempered_noise_keeps_the_data_s_frequencies_and_loses_the_others() -> None:
    network = SpectralPreconditioner(1, 5, 12)
    network.variance[0, :, :4], network.variance[0, :, 4:] = 100.0, 1e-6
    noise = torch.randn(4, 3, 5, 12, generator=torch.Generator().manual_seed(7))
    labels = torch.zeros(4, dtype=torch.int64)
    spectrum = network.tempering(labels, 4, 12, 0.5, 0.1)(noise) @ dct_basis(12).T
    before = noise @ dct_basis(12).T
    torch.testing.assert_close(spectrum[..., :4], before[..., :4] * 0.5**1.001, atol=1e-5, rtol=0)
    assert float(spectrum[..., 4:].abs().max()) < 1e-6
    torch.testing.assert_close(network.tempering(labels, 4, 12, 1.0, 0.1)(noise), noise, atol=1e-5, rtol=0)
    torch.testing.assert_close(network.tempering(None, 4, 12, 0.5, 1.0)(noise), noise * 0.25, atol=1e-5, rtol=0)
