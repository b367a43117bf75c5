"""The few-step process against its printed tables, closed-form moments, and its own inversion."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.diffusion.few_step import FewStepDiffusion, few_step, few_step_inversion
from mdtool.diffusion.gaussian import GaussianDiffusion
from mdtool.diffusion.samplers import ddpm
from mdtool.diffusion.schedules import cosine_betas, equivalent_timesteps, vp_betas

TABLES = {  # spec, section 2
    "beta": "0.1053 0.2665 0.3986 0.5069 0.5957 0.6686 0.7283 0.7772 0.8173 0.8502",
    "alphas_cumprod": "0.8947 0.6563 0.3947 0.1946 0.0787 0.0261 0.00709 0.00158 0.000288 0.000043",
    "posterior_mean_coef1": "1 0.7333 0.5335 0.3954 0.2853 0.1925 0.1184 0.0655 0.0325 0.0144",
    "posterior_mean_coef2": "0 0.2624 0.4404 0.5278 0.5558 0.5446 0.5113 0.4694 0.4268 0.3869",
    "posterior_variance": "0 0.0816 0.2263 0.3810 0.5208 0.6324 0.7143 0.7729 0.8163 0.8500",
}


@pytest.mark.parametrize("name", TABLES)
def test_ten_steps_are_those_of_the_spec(name: str) -> None:
    expected = [float(value) for value in TABLES[name].split()]
    np.testing.assert_allclose(getattr(FewStepDiffusion(10), name).numpy(), expected, atol=6e-5)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (5, [0.3437, 0.7035, 0.8660, 0.9395, 0.9726]),
        (4, [0.4783, 0.8492, 0.9564, 0.9874]),
        (2, [0.9213, 0.9995]),
        (1, [1.0]),
    ],
)
def test_other_numbers_of_steps(steps: int, expected: list[float]) -> None:
    process = FewStepDiffusion(steps)
    np.testing.assert_allclose(process.betas, expected, atol=6e-5)
    assert process.posterior_mean_coef1[0] == pytest.approx(1)
    assert (process.posterior_mean_coef2[0], process.posterior_variance[0]) == (0, 0)
    # The last step starts at the same noise whatever their number.
    assert process.alphas_cumprod[-1] == pytest.approx(4.32e-5, rel=1e-2)


def test_a_pair_is_one_chain() -> None:
    """x_{t+1}'s marginal is the direct forward process, and its covariance with x_t is that of one step."""
    process, count = FewStepDiffusion(4), 200_000
    rng = torch.Generator().manual_seed(0)
    timestep = torch.full((count,), 2)
    x0 = torch.full((count, 1), 0.7)
    noise, further = (torch.randn(count, 1, generator=rng) for _ in range(2))
    x_t, x_next = process.diffuse_pair(x0, timestep, noise, further)
    for values, at in ((x_next, 2), (x_t, 1)):
        signal = process.alphas_cumprod[at].item()
        assert values.mean().item() == pytest.approx(0.7 * signal**0.5, abs=0.01)
        assert values.var().item() == pytest.approx(1 - signal, rel=0.01)
    together = torch.cov(torch.cat([x_t, x_next], 1).T)[0, 1].item()
    kept = (1 - process.betas[2]) ** 0.5
    assert together == pytest.approx(kept * (1 - process.alphas_cumprod[1].item()), abs=0.01)


def test_the_posterior_of_the_true_x0_is_the_forward_process_again() -> None:
    process, count = FewStepDiffusion(4), 200_000
    rng = torch.Generator().manual_seed(1)
    for index in range(4):
        timestep, x0 = torch.full((count,), index), torch.full((count, 1), -0.4)
        noise = [torch.randn(count, 1, generator=rng) for _ in range(3)]
        x_next = process.diffuse_pair(x0, timestep, *noise[:2]).x_next
        drawn = process.posterior_sample(x0, x_next, timestep, noise[2])
        signal = process.alphas_cumprod_prev[index].item()
        assert drawn.mean().item() == pytest.approx(-0.4 * signal**0.5, abs=0.01)
        assert drawn.var().item() == pytest.approx(1 - signal, rel=0.015, abs=1e-9)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_the_sampler_of_a_gaussian_keeps_its_moments(steps: int) -> None:
    """A generator that draws x_0 from its posterior, by its code, makes the data's distribution in T steps."""
    process, count, mean, deviation = FewStepDiffusion(steps), 100_000, 0.5, 0.3
    rng = torch.Generator().manual_seed(2)

    def drawn(x: Tensor, timestep: Tensor, code: Tensor | None) -> Tensor:
        assert code is not None
        signal = process.table("alphas_cumprod", timestep, x)
        precision = 1 / deviation**2 + signal / (1 - signal)
        centre = (mean / deviation**2 + signal.sqrt() * x / (1 - signal)) / precision
        return centre + code * precision.rsqrt()

    codes = torch.randn(count, steps, 1, generator=rng)
    noises = torch.randn(count, steps - 1, 1, generator=rng)
    made = few_step(drawn, process, torch.randn(count, 1, generator=rng), codes, noises)
    assert made.mean().item() == pytest.approx(mean, abs=0.01)
    assert made.std().item() == pytest.approx(deviation, rel=0.02)


def wavy(x: Tensor, timestep: Tensor, code: Tensor | None) -> Tensor:
    assert code is not None
    return torch.tanh(x.flip(-1) + 0.1 * timestep.view(-1, 1, 1)) + 0.3 * code.sum(1).view(-1, 1, 1)


@pytest.mark.parametrize("second_order", [False, True])
def test_without_codes_it_is_ancestral_sampling(second_order: bool) -> None:
    process, rng = FewStepDiffusion(6), torch.Generator().manual_seed(5)
    x, noises = (torch.randn(3, *shape, 2, generator=rng, dtype=torch.float64) for shape in ((), (5,)))
    made = few_step(lambda x, t, code: torch.tanh(x.flip(-1)), process, x, None, noises, second_order=second_order)
    expected = ddpm(
        lambda x, t: torch.tanh(x.flip(-1)), process, x, lambda place: noises[:, place], second_order=second_order
    )
    torch.testing.assert_close(made, expected)


@pytest.mark.parametrize("second_order", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_inversion_passes_through_the_noisings_it_chose(steps: int, second_order: bool) -> None:
    process, rng = FewStepDiffusion(steps), torch.Generator().manual_seed(3)
    x0 = torch.randn(3, 4, 6, generator=rng, dtype=torch.float64)
    codes = torch.randn(3, steps, 2, generator=rng, dtype=torch.float64)
    path = torch.randn(3, steps, 4, 6, generator=rng, dtype=torch.float64)
    x, noises = few_step_inversion(wavy, process, x0, codes, path, second_order=second_order)
    again = few_step(wavy, process, x, codes, noises, second_order=second_order)
    # Exact down to x_1; the last step has no noise to solve for, and gives the generator's own x̂_0 there.
    first = torch.zeros(3, dtype=torch.int64)
    expected = wavy(process.diffuse(x0, first, path[:, -1]).x_t, first, codes[:, -1])
    torch.testing.assert_close(again, expected, atol=1e-10, rtol=0)
    assert noises.shape == (3, steps - 1, 4, 6)


@pytest.mark.parametrize("second_order", [False, True])
def test_recomputed_steps_have_the_same_gradient(second_order: bool) -> None:
    process, rng = FewStepDiffusion(3), torch.Generator().manual_seed(4)
    x, codes, noises = (
        torch.randn(2, *shape, generator=rng, requires_grad=True) for shape in ((4, 6), (3, 2), (2, 4, 6))
    )

    def gradients(checkpointing: bool) -> tuple[Tensor, ...]:
        made = few_step(wavy, process, x, codes, noises, second_order=second_order, checkpointing=checkpointing)
        return torch.autograd.grad(made.sin().sum(), (x, codes, noises))

    for plain, recomputed in zip(gradients(False), gradients(True), strict=True):
        assert torch.equal(plain, recomputed)
        assert plain.abs().max() > 1e-4


def test_equivalent_timesteps() -> None:
    others = cosine_betas(50)
    theirs = np.cumprod(1 - others)
    np.testing.assert_allclose(equivalent_timesteps(theirs[[3, 20, 48]], others), [3, 20, 48], atol=1e-9)
    between = equivalent_timesteps(FewStepDiffusion(10).tables["alphas_cumprod"], others)
    assert (np.diff(between) > 0).all()
    noised = GaussianDiffusion(others).tables["alphas_cumprod"]
    for place, signal in zip(between, np.cumprod(1 - vp_betas(10)), strict=True):
        assert noised[int(np.ceil(place))] <= signal * (1 + 1e-6) <= noised[int(place)] * (1 + 2e-6)


def test_times_crowd_at_low_noise() -> None:
    """Step k of T with power 2 is step k² of T²: the same SDE, and a β that joins the steps between."""
    crowded, even = (np.cumprod(1 - values) for values in (vp_betas(4, power=2.0), vp_betas(16)))
    np.testing.assert_allclose(crowded, even[[0, 3, 8, 15]], rtol=1e-12)
    np.testing.assert_allclose(FewStepDiffusion(4, power=2.0).tables["alphas_cumprod"], crowded, rtol=1e-3)
