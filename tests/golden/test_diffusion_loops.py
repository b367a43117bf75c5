"""Whole sampling loops, fed with the reference's recorded noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from mdtool.diffusion.gaussian import GaussianDiffusion
from mdtool.diffusion.guidance import classifier_free
from mdtool.diffusion.samplers import ddim, ddim_inversion, ddpm
from mdtool.diffusion.schedules import cosine_betas
from tests.golden.tiny_denoiser import Golden, assert_close, tensors, tiny_denoiser

LOOPS: list[tuple[str, Callable[..., Tensor], str, dict[str, Any]]] = [
    ("ddpm", ddpm, "", {}),
    ("ddpm_fixed_large", ddpm, "", {"large_variance": True}),
    ("ddpm_cfg", ddpm, "", {}),
    ("ddpm_inpaint", ddpm, "", {}),
    ("ddpm_skip4_init", ddpm, "", {}),
    ("ddpm_1000_respaced_10", ddpm, "10", {}),
    ("ddim_eta0", ddim, "", {}),
    ("ddim_eta1", ddim, "", {"eta": 1.0}),
    ("ddim10_of_1000_eta0", ddim, "ddim10", {}),
]
"""Tag, sampler, respacing of a process of 1,000 steps, and options; other processes have a step for every noise."""


def process_of(noises: int, spec: str) -> GaussianDiffusion:
    return GaussianDiffusion(cosine_betas(1000)).respaced(spec) if spec else GaussianDiffusion(cosine_betas(noises))


@pytest.mark.parametrize(("tag", "sampler", "spec", "options"), LOOPS, ids=[loop[0] for loop in LOOPS])
@torch.no_grad()
def test_diffusion_loops(
    golden: Golden, tag: str, sampler: Callable[..., Tensor], spec: str, options: dict[str, Any]
) -> None:
    g = tensors(golden("diffusion_loops"))
    process, x = process_of(len(g["noises"]), spec), g[f"{tag}/x_T"]
    if f"{tag}/init_image" in g:
        options = {"start": process.steps - 1 - int(tag.removeprefix("ddpm_skip").removesuffix("_init"))}
        x = process.diffuse(g[f"{tag}/init_image"], torch.full((len(x),), options["start"]), x).x_t
    if f"{tag}/inpainting_mask" in g:
        options = {"keep": g[f"{tag}/inpainting_mask"], "reference": g[f"{tag}/inpainted_motion"]}
    scale = float(golden("mdm_tiny")["cfg_scale"]) if tag == "ddpm_cfg" else 1
    denoiser = classifier_free(tiny_denoiser(golden), g["action"][:, 0], scale)
    path: list[tuple[Tensor, Tensor]] = []

    def remember(index: int, x0: Tensor, x: Tensor) -> None:
        path.append((x0, x))

    sample = sampler(denoiser, process, x, lambda place: g["noises"][place], callback=remember, **options)
    assert_close(sample, g[f"{tag}/sample"], atol=1e-4)
    assert_close(path[-1][0], g[f"{tag}/last_pred_xstart"], atol=1e-4)
    if f"{tag}/all_samples" in g:
        assert_close(torch.stack([x for _, x in path]), g[f"{tag}/all_samples"], atol=1e-4)


@pytest.fixture
def reference_arithmetic() -> Iterator[None]:
    """The reference's kernels: MKL on two threads, whatever other tests of this process have switched on."""
    threads, matmul = torch.get_num_threads(), getattr(torch.backends.mkldnn, "matmul", None)
    precision = getattr(matmul, "fp32_precision", None)
    torch.set_num_threads(2)
    if matmul is not None and precision is not None:
        matmul.fp32_precision = "none"
    yield
    torch.set_num_threads(threads)
    if matmul is not None and precision is not None:
        matmul.fp32_precision = precision


@pytest.mark.usefixtures("reference_arithmetic")
@torch.no_grad()
def test_ddim_inversion(golden: Golden) -> None:
    g = tensors(golden("diffusion_loops"))
    denoiser = classifier_free(tiny_denoiser(golden), g["action"][:, 0], 1)
    path: list[Tensor] = []
    ddim_inversion(
        denoiser,
        process_of(0, "ddim10"),
        g["ddim_reverse_10_of_1000/x_0"],
        callback=lambda index, x0, x: path.append(x),
    )
    # The stated 1e-4, or a millionth of the step's largest number, which reaches 760: there 1e-4 is 1.6 units in the
    # last place of float32, which MKL keeps on the reference's processor only (3.7e-4 on one without AVX-512).
    for x, expected in zip(path, g["ddim_reverse_10_of_1000/path"], strict=True):
        assert_close(x, expected, atol=max(1e-4, 1e-6 * float(expected.abs().max())))
