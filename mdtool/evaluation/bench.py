"""How fast this machine trains and samples, beside what its matrix products reach: ratios within one run."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mdtool.config import TrainConfig
from mdtool.errors import MdtoolError
from mdtool.methods.contract import Batch, Method, SequenceLearner
from mdtool.methods.seeds import sample_generators, step_generator
from mdtool.training.ema import EMA
from mdtool.training.optim import make_optimiser

_SLOW_PRODUCT_S = 0.25


def matrix_rate(device: torch.device, dtype: torch.dtype, repeats: int = 7) -> float:
    """GFLOP/s of the network's commonest product, [B·T, D] × [D, 2D] at B·T = 3904, D = 512: the ceiling."""
    left = torch.randn(3904, 512, device=device, dtype=dtype)
    right = torch.randn(512, 1024, device=device, dtype=dtype)
    once_s = _median_s(lambda: left @ right, device, 1)
    if once_s > _SLOW_PRODUCT_S:  # emulated: one is as exact as many, and many take minutes
        return 2 * 3904 * 512 * 1024 / 1e9 / once_s
    return 2 * 3904 * 512 * 1024 / 1e9 / _median_s(lambda: left @ right, device, repeats, inner=10)


def training_flops(method: Method, batch: int) -> float:
    """GFLOP of a network's training step: 2 per weight and token, twice that backward, and attention's products.

    A network of convolutions, whose levels differ in length, is counted while it runs.
    """
    if any(parameter.dim() == 3 for parameter in method.network.parameters()):  # type: ignore[union-attr]
        return 3 * batch * _counted_flops(method) / 1e9
    tokens = method.frames // int(getattr(method.network, "patch", 1)) + 1
    work = 0.0
    for name, parameter in method.named_parameters():
        if parameter.dim() != 2 or "action_embedding" in name or not name.startswith("network."):
            continue
        # The condition is embedded once per sample, everything else once per token.
        once = any(part in name for part in ("embed_timestep", "modulation", "z_transform"))
        work += 2 * parameter.numel() * (1 if once else tokens)
        if "in_proj_weight" in name:
            work += 4 * tokens**2 * parameter.shape[1]
    return 3 * batch * work / 1e9


def _counted_flops(method: Method) -> float:
    """FLOP of one call of the network for one motion."""
    latent = method.noise(sample_generators(0, 0, 1)).to(next(method.parameters()))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        method.network(latent, latent.new_zeros(1), torch.zeros(1, dtype=torch.int64, device=latent.device))  # type: ignore[operator]
    return float(counter.get_total_flops())


def bench(method: Method, batch: int, device: torch.device, precision: str, repeats: int = 3) -> dict[str, Any]:
    """Training step, split into its parts, and one denoising step, in one precision.

    Returns:
        Seconds (medians), rates, and the share of the machine's own matrix-product rate. What a method does in some
        training steps alone, as the gradient penalty of a GAN, is in none of them.

    Raises:
        MdtoolError: a method that does not learn from windows.
    """
    if isinstance(method, SequenceLearner):
        name = method.describe().method
        raise MdtoolError(f"{name} learns from whole recordings, not windows: time a run with --methods {name}")
    method = method.to(device)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    windows = _standing_windows(batch, method.frames, len(method.actions), device)
    moved = {name: part.parameters for name, part in method.optimised().items()}
    optimisers = {name: make_optimiser(parameters, TrainConfig(steps=1)) for name, parameters in moved.items()}
    ema = EMA(method.averaged(), [0.9995])

    def autocast() -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")

    def losses() -> Tensor:
        with autocast():
            return method.losses(windows, step_generator(0, 0, device))["loss"].mean()

    def minimise(values: Tensor, name: str = "network") -> None:
        optimisers[name].zero_grad(set_to_none=True)
        with torch.autocast(device.type, enabled=False):
            values.mean().backward()
        optimisers[name].step()

    def step() -> None:
        lone = len(optimisers) == 1
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=lone):
            method.training_step(windows, step_generator(0, 0, device), 1, minimise)
        ema.update()

    latents = method.noise(sample_generators(0, 0, batch)).to(device)
    if latents.dim() == 2:  # several noises in one: the network sees a window
        latents = method.from_motion(windows.rot6d, windows.root)

    size = getattr(getattr(method, "config", None), "latent", 0) if hasattr(method.network, "z_transform") else 0
    code = {"latent": torch.zeros(batch, size, device=device)} if size else {}

    def network_forward() -> Tensor:
        with autocast():
            time = torch.zeros_like(windows.action)
            output: Tensor = method.network(latents, time, windows.action, **code)  # type: ignore[operator]
        return output

    def network() -> None:
        network_forward().float().square().mean().backward()

    def denoise() -> None:
        with torch.no_grad():
            network_forward()

    def lose() -> None:
        losses().backward()

    def optimise() -> None:
        for optimiser in optimisers.values():
            optimiser.step()
        ema.update()

    method.train()
    whole_s = _median_s(step, device, repeats)
    network_s = _median_s(network, device, repeats)
    optimiser_s = _median_s(optimise, device, repeats)
    denoiser, method.network = method.network, _Silent(latents)
    losses_s = _median_s(lose, device, repeats)
    method.network = denoiser
    method.eval()
    call_s = _median_s(denoise, device, repeats)
    calls = method.describe().network_calls
    rate, work = matrix_rate(device, dtype), training_flops(method, batch)
    return {
        "precision": precision,
        "training_step_s": whole_s,
        "network_forward_backward_s": network_s,
        "optimiser_and_ema_s": optimiser_s,
        "losses_s": losses_s,
        "training_steps_per_s": 1 / whole_s,
        "windows_per_s": batch / whole_s,
        "denoising_call_s": call_s,
        "network_calls_per_sample": calls,
        "samples_per_s": batch / (call_s * calls),
        "matrix_product_gflops": rate,
        "training_gflop_per_step": work,
        "share_of_matrix_rate": work / whole_s / rate,
    }


class _Silent(torch.nn.Module):
    """A network that costs nothing, so that what remains is the losses."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = torch.nn.Parameter(output.clone())

    def forward(self, *_: object, **__: object) -> Tensor:
        """The same output whatever comes in."""
        return self.output


def machine(device: torch.device) -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _median_s(work: Callable[[], object], device: torch.device, repeats: int, inner: int = 1) -> float:
    """Median seconds of one call, after one call to warm up."""
    work()
    times = []
    for _ in range(repeats):
        _wait(device)
        begin = time.perf_counter()
        for _ in range(inner):
            work()
        _wait(device)
        times.append((time.perf_counter() - begin) / inner)
    return statistics.median(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _standing_windows(batch: int, frames: int, actions: int, device: torch.device) -> Batch:
    """Windows of the rest pose with a little noise: the arithmetic does not depend on the content."""
    rng = torch.Generator().manual_seed(0)
    identity = torch.tensor([1.0, 0, 0, 0, 1, 0]).expand(batch, frames, 24, 6)
    rot6d = identity + 0.05 * torch.randn(identity.shape, generator=rng)
    root = 0.1 * torch.randn(batch, frames, 3, generator=rng)
    return Batch(rot6d.to(device), root.to(device), (torch.arange(batch) % actions).to(device))
