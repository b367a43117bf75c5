"""Schedules and the choice of timesteps, against the formulas' known values."""

from __future__ import annotations

import numpy as np
import pytest

from mdtool.diffusion.gaussian import GaussianDiffusion
from mdtool.diffusion.schedules import betas, cosine_betas, linear_betas, space_timesteps
from mdtool.errors import MdtoolError


def test_cosine_schedule_has_the_published_values() -> None:
    beta = cosine_betas(100)
    signal = np.cumprod(1 - beta)
    np.testing.assert_allclose(
        beta[[0, 1, 50, 98, 99]], [6.312816e-4, 1.116937e-3, 0.031546339, 0.74993928, 0.999], 1e-6
    )
    np.testing.assert_allclose(signal[[0, 1, 50, 99]], [0.99936872, 0.99825249, 0.47826463, 2.4285723e-7], 1e-7)
    np.testing.assert_allclose(
        np.cumprod(1 - cosine_betas(1000))[[0, 500, 999]], [0.99995872, 0.49228517, 2.42877e-9], 1e-5
    )
    np.testing.assert_allclose(np.cumprod(1 - cosine_betas(50))[49], 9.71193e-7, 1e-5)


def test_linear_schedule_spans_the_same_noise_for_any_number_of_steps() -> None:
    np.testing.assert_allclose(linear_betas(1000)[[0, -1]], [1e-4, 0.02], rtol=1e-12)
    np.testing.assert_allclose(linear_betas(100)[[0, -1]], [1e-3, 0.2], rtol=1e-12)
    np.testing.assert_allclose(linear_betas(100, scale=0.5), linear_betas(100) / 2, rtol=1e-12)


def test_scaled_linear_schedule_has_the_published_values() -> None:
    """Linear in √β from 8.5e-4 to 0.012, as of latent diffusion; linear in β it would end at ᾱ = 0.0016."""
    beta = betas("scaled-linear", 1000)
    np.testing.assert_allclose(beta[[0, -1]], [8.5e-4, 0.012], rtol=1e-12)
    np.testing.assert_allclose(np.diff(np.sqrt(beta)), np.diff(np.sqrt(beta)).mean(), rtol=1e-9)
    signal = np.cumprod(1 - beta)
    assert signal[-1] == pytest.approx(0.0047, abs=5e-5)
    assert np.sqrt(signal[-1]) == pytest.approx(0.068, abs=5e-4)
    noise = np.sqrt(1 / signal - 1)
    np.testing.assert_allclose(noise[[0, -1]], [0.029, 14.6], rtol=0.01)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "scaled-linear"])
def test_signal_falls_and_every_beta_is_a_variance(schedule: str) -> None:
    beta = betas(schedule, 64)
    assert beta.dtype == np.float64
    assert ((beta > 0) & (beta < 1)).all()
    assert (np.diff(beta) > 0).all()


@pytest.mark.parametrize(
    ("steps", "spec", "expected"),
    [
        (100, "ddim10", list(range(0, 100, 10))),
        (100, [10], [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]),
        (1000, [10], list(range(0, 1000, 111))),
        (1000, "10", list(range(0, 1000, 111))),
        (100, [4], [0, 33, 66, 99]),
        (7, [7], list(range(7))),
        (9, "1", [0]),
    ],
)
def test_space_timesteps(steps: int, spec: str | list[int], expected: list[int]) -> None:
    assert space_timesteps(steps, spec) == expected


def test_sections_are_spaced_one_by_one() -> None:
    kept = space_timesteps(300, "10,15,20")
    assert len(kept) == 45
    assert kept[:5] == [0, 11, 22, 33, 44]
    assert kept[9:12] == [99, 100, 107]
    assert kept[-3:] == [289, 294, 299]


def test_half_steps_are_rounded_as_in_the_published_code() -> None:
    """improved-diffusion adds the stride up: 12 · 49/24 is 24.5, which rounds to 24, but the sum is a little more."""
    assert space_timesteps(50, [25])[12] == 25
    assert space_timesteps(100, [15])[7] == 49


def test_a_respaced_process_keeps_the_signal_of_the_steps_it_visits() -> None:
    process = GaussianDiffusion(cosine_betas(100)).respaced([10])
    expected = [0.999369, 0.960887, 0.868774, 0.733748, 0.571527, 0.400989, 0.241984, 0.113019, 0.0291014, 2.42857e-7]
    np.testing.assert_allclose(process.tables["alphas_cumprod"], expected, rtol=1e-5)
    assert process.timestep_map.tolist() == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]


def test_respacing_twice_maps_to_the_original_process() -> None:
    once = GaussianDiffusion(cosine_betas(100)).respaced("ddim10")
    assert once.respaced([3]).timestep_map.tolist() == [0, 40, 90]


@pytest.mark.parametrize(
    ("steps", "spec", "says"),
    [
        (100, "ddim33", "no whole stride"),
        (100, [101], "ask for 1 to 100"),
        (100, [0], "ask for 1 to 100"),
        (100, "many", "names no diffusion steps"),
        (100, "ddim", "names no diffusion steps"),
        (100, "", "names no diffusion steps"),
    ],
)
def test_impossible_requests_say_what_to_ask_for(steps: int, spec: str | list[int], says: str) -> None:
    with pytest.raises(MdtoolError, match=says):
        space_timesteps(steps, spec)


def test_a_linear_schedule_of_too_few_steps_is_refused() -> None:
    with pytest.raises(MdtoolError, match="more than 20 diffusion steps"):
        linear_betas(20)
    assert linear_betas(21)[-1] < 1


def test_an_unknown_schedule_is_named() -> None:
    with pytest.raises(MdtoolError, match="no noise schedule 'sine'"):
        betas("sine", 10)
