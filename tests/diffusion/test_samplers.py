"""Samplers against data whose best denoiser, and therefore whose every sample, is known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.diffusion.gaussian import GaussianDiffusion
from mdtool.diffusion.samplers import ddim, ddim_inversion, ddpm
from mdtool.diffusion.schedules import cosine_betas, linear_betas
from mdtool.errors import MdtoolError

MEAN, SPREAD = 0.8, 0.3
dpm = partial(ddpm, second_order=True)


def gaussian_denoiser(process: GaussianDiffusion) -> Callable[[Tensor, Tensor], Tensor]:
    """E[x_0 | x_t] when x_0 ~ N(MEAN, SPREAD²)."""

    def denoise(x: Tensor, timestep: Tensor) -> Tensor:
        signal = process.table("sqrt_alphas_cumprod", timestep, x)
        variance = process.table("sqrt_one_minus_alphas_cumprod", timestep, x) ** 2
        return MEAN + SPREAD**2 * signal / (signal**2 * SPREAD**2 + variance) * (x - signal * MEAN)

    return denoise


def recorded_noise(steps: int, shape: tuple[int, ...], seed: int = 1) -> Callable[[int], Tensor]:
    draws = torch.randn(steps, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return lambda place: draws[place]


@pytest.mark.parametrize(("large", "sign"), [(False, -1), (True, 1)])
def test_ddpm_samples_have_mean_and_spread_of_the_data(large: bool, sign: int) -> None:
    process = GaussianDiffusion(cosine_betas(200))
    x = torch.randn(20_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(1)

    def noise(place: int) -> Tensor:
        return torch.randn(x.shape, dtype=x.dtype, generator=rng)

    samples = ddpm(gaussian_denoiser(process), process, x, noise, large_variance=large)
    assert samples.mean().item() == pytest.approx(MEAN, abs=4 * SPREAD / 20_000**0.5)
    # The two choices of variance bound the true one (Ho et al. 2020, section 3.2), closer with more steps.
    assert 0 < sign * (samples.std().item() / SPREAD - 1) < 0.05


def test_ddim_converges_to_the_exact_flow_at_first_order() -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64).unsqueeze(1)
    errors = []
    for steps in (250, 500, 1000):
        process = GaussianDiffusion(linear_betas(steps))
        end = process.tables["alphas_cumprod"][-1]
        exact = MEAN + SPREAD * (x - end**0.5 * MEAN) / (end * SPREAD**2 + 1 - end) ** 0.5
        errors.append((ddim(gaussian_denoiser(process), process, x) - exact).abs().max().item())
    assert errors[0] < 0.02
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.1)


def spread_of_samples(sampler: Callable[..., Tensor], steps: int) -> float:
    """Deviation of all samples of N(MEAN, SPREAD²), without drawing any: the answers to each unit noise, squared."""
    signal = 1 / (1 + np.exp(-2 * np.linspace(5, -5, steps)))  # even steps in log √(ᾱ / (1 - ᾱ))
    process = GaussianDiffusion(1 - signal / np.concatenate([[1.0], signal[:-1]]))
    noises = torch.eye(steps + 1, dtype=torch.float64)  # of x_T, and of the steps; the last one asks for none
    noises[-1] = 0
    made = sampler(gaussian_denoiser(process), process, noises[:, :1], lambda place: noises[:, place + 1 : place + 2])
    return float((made[:-1] - made[-1]).norm())


def test_dpm_keeps_the_spread_of_the_data_at_second_order() -> None:
    first, second = (
        [abs(spread_of_samples(sampler, steps) - SPREAD) for steps in (10, 40, 80, 160)] for sampler in (ddpm, dpm)
    )
    assert first[0] > 0.3 * SPREAD
    assert second[0] < 0.02 * SPREAD
    assert first[2] / first[3] == pytest.approx(2, rel=0.1)
    assert second[1] / second[2] == pytest.approx(4, rel=0.1)


def test_dpm_of_two_steps_has_nothing_to_extrapolate() -> None:
    process = GaussianDiffusion(cosine_betas(2))
    x, noise = torch.randn(4, 3, dtype=torch.float64), recorded_noise(2, (4, 3))
    assert torch.equal(*(sampler(gaussian_denoiser(process), process, x, noise) for sampler in (ddpm, dpm)))


def test_with_eta_one_ddim_is_ddpm() -> None:
    process = GaussianDiffusion(cosine_betas(30)).respaced([12])
    original = GaussianDiffusion(cosine_betas(30))
    x = torch.randn(4, 3, dtype=torch.float64)
    noise = recorded_noise(12, (4, 3))
    denoise = gaussian_denoiser(original)
    torch.testing.assert_close(
        ddim(denoise, process, x, noise, eta=1.0), ddpm(denoise, process, x, noise), rtol=0, atol=1e-10
    )


def test_a_known_motion_is_reached_whatever_the_noise() -> None:
    process = GaussianDiffusion(cosine_betas(20))
    answer = torch.randn(2, 3, 4, dtype=torch.float64)
    for sampler in (ddpm, dpm, ddim):
        torch.testing.assert_close(
            sampler(lambda x, timestep: answer, process, torch.randn_like(answer), recorded_noise(20, (2, 3, 4))),
            answer,
        )


@pytest.mark.parametrize("steps", [None, 19])
def test_inversion_gives_the_noise_back(steps: int | None) -> None:
    # For a single known motion the flow is a straight line in ε, so that inversion has no error.
    process = GaussianDiffusion(cosine_betas(20))
    answer = torch.randn(2, 3, dtype=torch.float64)
    noise = torch.randn(2, 3, dtype=torch.float64)
    start = process.diffuse(answer, torch.tensor([0, 0]), noise).x_t
    seen: list[Tensor] = []

    def denoise(x: Tensor, timestep: Tensor) -> Tensor:
        return answer

    latent = ddim_inversion(denoise, process, start, steps=steps, callback=lambda index, x0, x: seen.append(x))
    assert len(seen) == (steps or 20)
    eps = process.eps_from_x0(answer, start, torch.tensor([0, 0]))
    last = process.tables["alphas_cumprod_next"][len(seen) - 1]
    torch.testing.assert_close(latent, last**0.5 * answer + (1 - last) ** 0.5 * eps)


def test_inversion_of_a_linear_denoiser_finds_the_noise() -> None:
    """Exactly where each step is a fixed point; to first order where ε is predicted at the timestep that is left."""
    noise = torch.linspace(-2, 2, 9, dtype=torch.float64).unsqueeze(1)

    def error(betas: np.ndarray, refinements: int | None = None) -> float:
        process = GaussianDiffusion(betas)
        denoise = gaussian_denoiser(process)
        again = ddim_inversion(denoise, process, ddim(denoise, process, noise), refinements=refinements)
        return float((again - noise).abs().max())

    assert error(linear_betas(50), refinements=10) < 1e-4
    assert error(cosine_betas(250)) / error(cosine_betas(500)) == pytest.approx(2, rel=0.1)


def test_published_single_steps() -> None:
    # x̂_0 = x / 4: the known steps from x = 0.5 at t = 50 of 100, down and up.
    process = GaussianDiffusion(cosine_betas(100))
    x = torch.full((1, 1), 0.5, dtype=torch.float64)
    states: dict[int, float] = {}

    def remember(index: int, x0: Tensor, x: Tensor) -> None:
        states[index] = x.item()

    ddim(lambda x, timestep: 0.25 * x, process, x, start=50, callback=remember)
    assert states[50] == pytest.approx(0.495175540, abs=1e-7)
    ddim_inversion(lambda x, timestep: 0.25 * x, process, x, steps=51, callback=remember)
    # Every step is linear here: the step from t = 50 scales by the same factor wherever x is.
    assert states[50] / states[49] == pytest.approx(0.504702985 / 0.5, abs=1e-7)


def test_the_network_sees_original_timesteps_in_falling_order() -> None:
    process = GaussianDiffusion(cosine_betas(100)).respaced([4])
    seen: list[list[int]] = []

    def denoise(x: Tensor, timestep: Tensor) -> Tensor:
        seen.append(timestep.tolist())
        return x

    told: list[int] = []
    ddim(denoise, process, torch.zeros(2, 1), callback=lambda index, x0, x: told.append(index))
    assert seen == [[99, 99], [66, 66], [33, 33], [0, 0]]
    assert told == [3, 2, 1, 0]


@pytest.mark.parametrize("sampler", [ddpm, dpm, ddim])
def test_the_kept_part_comes_out_as_it_is(sampler: Callable[..., Tensor]) -> None:
    process = GaussianDiffusion(cosine_betas(10))
    reference = torch.randn(2, 3, dtype=torch.float64)
    keep = torch.tensor([[True, False, True]]).expand(2, 3)
    seen: list[Tensor] = []
    out = sampler(
        gaussian_denoiser(process),
        process,
        torch.randn_like(reference),
        recorded_noise(10, (2, 3)),
        keep=keep,
        reference=reference,
        callback=lambda index, x0, x: seen.append(x0),
    )
    torch.testing.assert_close(out[keep], reference[keep])
    assert all(torch.equal(x0[keep], reference[keep]) for x0 in seen)
    assert (out[~keep] - reference[~keep]).abs().min() > 1e-6


@pytest.mark.parametrize("sampler", [ddpm, dpm, ddim])
def test_a_late_start_visits_the_remaining_steps_only(sampler: Callable[..., Tensor]) -> None:
    process = GaussianDiffusion(cosine_betas(10))
    told: list[int] = []
    sampler(lambda x, t: x, process, torch.zeros(1, 1).double(), recorded_noise(4, (1, 1)), start=3,
            callback=lambda index, x0, x: told.append(index))  # fmt: skip
    assert told == [3, 2, 1, 0]


@pytest.mark.parametrize("sampler", [ddpm, dpm, ddim])
def test_noise_is_asked_for_in_order_and_not_for_the_last_step(sampler: Callable[..., Tensor]) -> None:
    process = GaussianDiffusion(cosine_betas(5))
    asked: list[int] = []

    def noise(place: int) -> Tensor:
        asked.append(place)
        return torch.zeros(1, 1)

    options = {"eta": 0.5} if sampler is ddim else {}
    sampler(lambda x, t: x, process, torch.zeros(1, 1), noise, **options)
    assert asked == [0, 1, 2, 3]


@pytest.mark.parametrize("sampler", [ddpm, dpm, ddim])
def test_gradient_reaches_the_noise_and_checkpointing_does_not_change_it(sampler: Callable[..., Tensor]) -> None:
    process = GaussianDiffusion(cosine_betas(8))
    weight = torch.randn(3, 3, dtype=torch.float64) / 3

    def gradient(checkpointing: bool) -> Tensor:
        x = torch.linspace(-1, 1, 6, dtype=torch.float64).view(2, 3).requires_grad_()
        out = sampler(
            lambda x, t: torch.tanh(x @ weight), process, x, recorded_noise(8, (2, 3)), checkpointing=checkpointing
        )
        (grad,) = torch.autograd.grad(out.square().sum(), x)
        return grad

    plain = gradient(False)
    assert plain.abs().min() > 0
    torch.testing.assert_close(gradient(True), plain, rtol=0, atol=0)


def test_ddim_gradient_is_the_slope() -> None:
    process = GaussianDiffusion(cosine_betas(8))
    x = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: ddim(lambda x, t: torch.tanh(x), process, x), x)


def test_eta_without_noise_is_refused() -> None:
    process = GaussianDiffusion(cosine_betas(5))
    with pytest.raises(MdtoolError, match="needs step noise"):
        ddim(lambda x, t: x, process, torch.zeros(1, 1), eta=0.1)
