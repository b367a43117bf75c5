"""Diffusion noise optimisation against the reference: the ODE and its gradients, the regularisers, and whole steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.diffusion.gaussian import GaussianDiffusion
from mdtool.diffusion.samplers import ddim, ddim_inversion
from mdtool.diffusion.schedules import cosine_betas
from mdtool.editing.optimiser import Judged, NoiseSearch, Search
from mdtool.editing.regularisers import decorrelation, padding_length
from mdtool.editing.schedule import rate_share
from mdtool.motion.kinematics import joint_positions
from tests.golden.tiny_denoiser import Golden, assert_close, tensors, tiny_denoiser


class Reference:
    """The differentiable map of dno_ode.npz and its two losses."""

    def __init__(self, golden: Golden) -> None:
        self.arrays = g = tensors(golden("dno_ode"))
        network, labels = tiny_denoiser(golden), g["action"][:, 0]
        self.process = GaussianDiffusion(cosine_betas(1000)).respaced("ddim10")
        self.denoiser = lambda x, timestep: network(x, timestep, labels)
        rest = g["rest_joints"]
        parents = g["parents"].tolist()
        self.offsets = torch.stack(
            [rest[k] - rest[parent] if parent >= 0 else rest[k] * 0 for k, parent in enumerate(parents)]
        )

    def decode(self, noise: Tensor, checkpointing: bool = False) -> Tensor:
        return ddim(self.denoiser, self.process, noise, checkpointing=checkpointing)

    def traj(self, x: Tensor) -> Tensor:
        return masked_mean_square(x[:, 24, :3] - self.arrays["traj_target"], self.arrays["traj_mask"])

    def joint(self, x: Tensor) -> Tensor:
        root = (x[:, 24, :3] - x[:, 24, :3, :1]).permute(0, 2, 1)
        joints = joint_positions(x[:, :24].permute(0, 3, 1, 2), root, self.offsets).permute(0, 2, 3, 1)
        return masked_mean_square(joints - self.arrays["joint_target"], self.arrays["joint_mask"])


def masked_mean_square(difference: Tensor, mask: Tensor) -> Tensor:
    return (difference.square() * mask).flatten(1).sum(1) / mask.flatten(1).sum(1)


@pytest.fixture(scope="module")
def reference(golden: Golden) -> Reference:
    return Reference(golden)


@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointed"])
@pytest.mark.parametrize("name", ["traj", "joint"])
def test_gradient_through_the_chain(reference: Reference, name: str, checkpointing: bool) -> None:
    g = reference.arrays
    noise = g["x_T"].clone().requires_grad_()
    x = reference.decode(noise, checkpointing)
    assert_close(x, g["ode_sample"], atol=1e-4)
    loss = getattr(reference, name)(x)
    assert_close(loss, g[f"{name}/loss"], atol=1e-5, rtol=1e-4)
    (gradient,) = torch.autograd.grad(loss.sum(), noise)
    expected = g[f"{name}/grad"]
    assert_close(gradient, expected, atol=1e-3 * float(expected.abs().max()), rtol=2e-3)
    length = gradient.flatten(1).norm(dim=1)
    assert_close(length, g[f"{name}/grad_norm"], atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_inversion_of_all_steps_but_one(reference: Reference) -> None:
    g = reference.arrays
    latent = ddim_inversion(reference.denoiser, reference.process, g["invert_motion"], steps=9)
    # Latents of these random weights reach 600, where 1e-4 is below the last place of float32.
    expected = g["invert_latent_9"]
    assert_close(latent, expected, atol=max(1e-4, 1e-6 * float(expected.abs().max())))


@pytest.mark.parametrize("frames", [64, 60, 20, 130])
def test_decorrelation(golden: Golden, frames: int) -> None:
    g = tensors(golden("dno_regularisers"))
    tag = f"decorrelate/len{frames}"
    noise = g[f"{tag}/z"].clone().requires_grad_()
    padding = g.get(f"{tag}/pad_noise", noise.new_zeros(*noise.shape[:-1], 0))
    assert padding.shape[-1] == padding_length(frames)
    loss = decorrelation(noise, padding, -1)
    assert_close(loss, g[f"{tag}/loss"], atol=0, rtol=1e-4)
    (gradient,) = torch.autograd.grad(loss.sum(), noise)
    assert_close(gradient, g[f"{tag}/grad"], atol=1e-7)


@pytest.mark.parametrize(
    ("name", "steps", "settings"),
    [
        ("default_500_steps", 500, {}),
        ("20_steps_default_warmup_50", 20, {}),
        ("20_steps_warmup_5_decay_8", 20, {"warmup": 5, "decay": 8}),
    ],
)
def test_learning_rates(golden: Golden, name: str, steps: int, settings: dict[str, int]) -> None:
    expected = golden("dno_regularisers")[f"lr/{name}"]
    rates = [0.05 * rate_share(step, steps, **settings) for step in range(len(expected))]
    np.testing.assert_allclose(rates, expected, rtol=1e-12, atol=1e-18)


class Recorded:
    """The reference's own draws."""

    def __init__(self, arrays: dict[str, Tensor], tag: str) -> None:
        self.arrays, self.tag = arrays, tag

    def padding(self, step: int) -> Tensor:
        return self.arrays[f"{self.tag}/pad_noise"][step]

    def perturbation(self, step: int) -> Tensor:
        return self.arrays[f"{self.tag}/perturb_noise"][step]


RUNS: list[tuple[str, str, Search]] = [
    ("plain", "traj", Search(steps=20, warmup=3, decorrelation=1000.0)),
    ("perturb_diff", "joint", Search(steps=20, warmup=0, decorrelation=50.0, perturbation=1e-2, content=0.1)),
]


@pytest.mark.parametrize(("tag", "loss", "search"), RUNS, ids=[run[0] for run in RUNS])
def test_three_steps(golden: Golden, reference: Reference, tag: str, loss: str, search: Search) -> None:
    g = tensors(golden("dno_run"))
    judge: Callable[[Tensor], Tensor] = getattr(reference, loss)
    seen = []

    def task(noise: Tensor, rows: Tensor) -> Judged:
        x = reference.decode(noise)
        seen.append(x.detach())
        value = judge(x)
        return Judged(value, {}, value.detach(), value.detach() < 0)

    searching = NoiseSearch(task, reference.arrays["x_T"], search, Recorded(g, tag))
    for _ in g[f"{tag}/lr"]:
        searching.step()
    trace = searching.trace
    recorded = {
        "loss": trace.column("objective"),
        "loss_decorrelate": trace.column("decorrelation") / search.decorrelation,
        "grad_norm": trace.column("gradient"),
    }
    if search.content:  # the reference records 0 where the term has no weight
        recorded["loss_diff"] = trace.column("content") / search.content
    for name, values in recorded.items():
        assert_close(values, g[f"{tag}/{name}"].double(), atol=1e-6, rtol=1e-3)
    assert_close(trace.column("lr")[:, 0], g[f"{tag}/lr"].double(), atol=0, rtol=1e-9)
    assert_close(searching.noise, g[f"{tag}/z_after_3"], atol=2e-3)
    assert (searching.noise - g[f"{tag}/z_after_3"]).abs().mean() < 2e-4
    assert_close(seen[-1], g[f"{tag}/x_last"], atol=1e-3)
