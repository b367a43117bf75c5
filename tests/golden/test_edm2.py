"""EDM2's building blocks, schedules and sampler, number by number."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.diffusion.edm import Churn, Denoiser, Preconditioning, heun, sigma_grid
from mdtool.diffusion.guidance import autoguided
from mdtool.losses.balanced import balanced_losses
from mdtool.networks.magnitude import MPFourier, MPWeight, double, halve, mp_cat, mp_silu, mp_sum, normalised
from mdtool.training.optim import inverse_sqrt_rate
from tests.golden.tiny_denoiser import Golden, assert_close, tensors

PRIMITIVE = 3e-6


def test_primitives(golden: Golden) -> None:
    g = tensors(golden("edm2"))
    x, b, c = g["x"], g["b"], g["c"]
    assert_close(normalised(x), g["normalize"], PRIMITIVE)
    assert_close(normalised(x, dim=1), g["normalize_dim1"], PRIMITIVE)
    assert_close(mp_silu(x), g["mp_silu"], PRIMITIVE)
    for balance in (0.3, 0.5):
        assert_close(mp_sum(x, b, balance), g[f"mp_sum_{balance}"], PRIMITIVE)
        assert_close(mp_cat(x, c, balance), g[f"mp_cat_{balance}"], PRIMITIVE)
    fourier = MPFourier(len(g["fourier_freqs"]))
    fourier.load_state_dict({"freqs": g["fourier_freqs"], "phases": g["fourier_phases"]})
    assert_close(fourier(g["fourier_in"]), g["fourier_out"], PRIMITIVE)


def test_weights(golden: Golden) -> None:
    g = tensors(golden("edm2"))
    layer = MPWeight(*g["lin_w"].T.shape)
    layer.load_state_dict({"weight": g["lin_w"]})
    layer.eval()
    assert_close(layer(g["lin_x"]), g["lin_eval"], PRIMITIVE)
    gain = _gain(g["lin_eval_gain"], g["lin_eval"])
    assert_close(layer(g["lin_x"], gain=gain), g["lin_eval_gain"], PRIMITIVE)
    assert torch.equal(layer.weight, g["lin_w_after_eval"])
    layer.train()
    output = layer(g["lin_x"], gain=gain)
    assert_close(output, g["lin_train_gain"], PRIMITIVE)
    (output * g["lin_out_weight"]).sum().backward()
    assert_close(layer.weight, g["lin_w_after_train"], PRIMITIVE)
    assert layer.weight.grad is not None
    assert_close(layer.weight.grad, g["lin_train_grad"], PRIMITIVE)
    assert_close(layer(g["lin_x"], gain=gain), g["lin_train_gain_second_call"], PRIMITIVE)


def _gain(with_gain: Tensor, without: Tensor) -> float:
    """The gain that the golden arrays were made with."""
    return float((with_gain / without).median())


def test_convolution_and_resampling(golden: Golden) -> None:
    g = tensors(golden("edm2"))
    outputs, inputs, kernel = g["conv1d_w"].shape
    layer = MPWeight(inputs, outputs, kernel)
    layer.load_state_dict({"weight": g["conv1d_w"]})
    assert_close(layer.eval()(g["conv1d_x"]), g["conv1d_eval"], 1e-4)
    assert_close(layer.train()(g["conv1d_x"]), g["conv1d_train"], 1e-4)
    used = normalised(layer.weight) / math.sqrt(layer.weight[0].numel())
    assert_close(used.flatten(1).norm(dim=1), g["conv1d_unit_filter_norm"], PRIMITIVE)
    even = g["conv1d_x"][..., : 2 * g["resample1d_down"].shape[-1]]
    assert_close(halve(even), g["resample1d_down"], PRIMITIVE)
    assert_close(double(even), g["resample1d_up"], PRIMITIVE)


@pytest.mark.parametrize("sigma_data", [0.5, 1.0])
def test_preconditioning(golden: Golden, sigma_data: float) -> None:
    g = {key.partition("/")[2]: value for key, value in tensors(golden("edm2")).items() if str(sigma_data) in key}
    precondition, sigma = Preconditioning(sigma_data), g["sigma"]
    for name, of in (("c_skip", "skip"), ("c_out", "output"), ("c_in", "input"), ("c_noise", "condition")):
        assert_close(getattr(precondition, of)(sigma), g[name], atol=1e-7, rtol=1e-6)


def mixture(g: dict[str, Tensor], name: str) -> Denoiser:
    """The exact denoiser of a Gaussian mixture, as the golden README defines it."""
    w, mu, s = (g[f"{name}/{key}"] for key in ("w", "mu", "s"))

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        weights, centres, widths = (value.to(x.dtype) for value in (w, mu, s))
        variance = widths**2 + sigma[:, None] ** 2
        apart = x[:, None] - centres
        logits = weights.log() - x.shape[1] / 2 * variance.log() - apart.square().sum(-1) / (2 * variance)
        means = centres + (widths**2 / variance).unsqueeze(-1) * apart
        return (logits.softmax(-1).unsqueeze(-1) * means).sum(1)

    return denoise


@pytest.mark.parametrize("steps", [2, 8, 16, 18, 32])
def test_sampler_and_its_calls(golden: Golden, steps: int) -> None:
    g = tensors(golden("edm2"))
    calls: list[tuple[Tensor, float]] = []
    denoiser = mixture(g, "mixture")

    def counted(x: Tensor, sigma: Tensor) -> Tensor:
        calls.append((x, float(sigma[0])))
        return denoiser(x, sigma)

    sampled = heun(counted, 80 * g["sampler/noise"], sigma_grid(steps))
    assert_close(sampled, g[f"sampler/{steps}/x"], 1e-9)
    levels = torch.tensor([sigma for _, sigma in calls], dtype=torch.float64)
    assert_close(levels, g[f"sampler/{steps}/sigma_of_each_call"], atol=0, rtol=1e-9)
    assert len(calls) == 2 * steps - 1
    if steps == 16:
        assert_close(torch.stack([x for x, _ in calls]), g["sampler/16/input_of_each_call"], 1e-9)
        assert_close(sigma_grid(16), g["sampler/grid16"], atol=0, rtol=1e-9)


def test_other_samplers(golden: Golden) -> None:
    g = tensors(golden("edm2"))
    noise, denoiser = g["sampler/noise"], mixture(g, "mixture")
    wide = heun(denoiser, 160 * noise, sigma_grid(16, 0.004, 160))
    assert_close(wide, g["sampler/16_sigma_max_160/x"], 1e-9)
    guided = autoguided(denoiser, mixture(g, "guide_mixture"), 2.0)
    assert_close(heun(guided, 80 * noise, sigma_grid(16)), g["sampler/16_guidance_2/x"], 1e-9)
    single = heun(denoiser, 80 * noise.float(), sigma_grid(16))
    assert_close(single, g["sampler/16_float32/x"], 1e-4)
    churned = heun(
        denoiser, 80 * noise, sigma_grid(16), churn=Churn(8, 0.05, 30, 1.003),
        step_noise=lambda step: g["sampler/16_churn/noises"][step],
    )  # fmt: skip
    assert_close(churned, g["sampler/16_churn/x"], 1e-9)


@pytest.mark.parametrize(
    ("name", "batch", "lr", "decay_batches", "warmup_images"),
    [
        ("batch2048_default", 2048, 100e-4, 70e3, 10e6),
        ("batch128_ref0.01_70e3", 128, 0.01, 70e3, 10e6),
        ("batch128_no_ramp_no_decay", 128, 0.01, 0, 0),
        ("batch64_ref0.012_1000_ramp0.5", 64, 0.012, 1000, 0.5e6),
    ],
)
def test_learning_rate(
    golden: Golden, name: str, batch: int, lr: float, decay_batches: float, warmup_images: float
) -> None:
    g = golden("edm2")
    rates = [inverse_sqrt_rate(images / batch, lr, decay_batches, warmup_images / batch) for images in g["lr/nimg"]]
    np.testing.assert_allclose(rates, g[f"lr/{name}"], rtol=1e-12)


def test_loss(golden: Golden) -> None:
    """EDM2's loss with the golden fake network: λ / e^u · error² + u, each element a group of its own."""
    g = tensors(golden("edm2"))
    for name, mean, std, sigma_data in (("loss_default", -0.4, 1.0, 0.5), ("loss_balanced", 0.0, 1.4, 1.0)):
        images, sigma = g[f"{name}/images"], g[f"{name}/sigma"]
        assert_close((g[f"{name}/rnd_normal"] * std + mean).exp(), sigma, atol=0, rtol=1e-5)
        noisy = images + sigma * g[f"{name}/noise"]
        denoised, u = 0.8 * noisy / (1 + sigma**2), 0.25 * sigma.log() - 0.1
        squared = (denoised - images).square()
        weight, each = (
            value.expand_as(squared).reshape(-1, 1) for value in (Preconditioning(sigma_data).weight(sigma), u)
        )
        found = balanced_losses(squared.reshape(-1, 1), weight, each, torch.ones(1), torch.ones(1), "edm2")
        expected = g[f"{name}/loss"].flatten()
        assert_close(found.uncertainty, expected, atol=1e-6, rtol=1e-5)
        assert_close(found.denoising + each[:, 0], expected, atol=1e-6, rtol=1e-5)
