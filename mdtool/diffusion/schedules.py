"""Noise schedules and the choice of diffusion steps, as pure functions that return a vector."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mdtool.errors import MdtoolError


def cosine_betas(steps: int) -> np.ndarray:
    """β of the cosine schedule (Nichol & Dhariwal 2021, eq. 17), capped at 0.999; [N] float64."""

    def signal(position: float) -> float:
        return math.cos((position + 0.008) / 1.008 * math.pi / 2) ** 2

    return np.array([min(1 - signal((k + 1) / steps) / signal(k / steps), 0.999) for k in range(steps)])


def linear_betas(steps: int, scale: float = 1.0) -> np.ndarray:
    """β of the linear schedule (Ho et al. 2020), stretched to N steps: 1e-4 … 0.02 times 1000 scale / N; [N].

    Raises:
        MdtoolError: too few steps, so that a β would reach 1.
    """
    stretch = 1000 * scale / steps
    if 0.02 * stretch >= 1:
        raise MdtoolError(
            f"the linear schedule needs more than {int(20 * scale)} diffusion steps, not {steps}; use cosine"
        )
    return np.linspace(1e-4 * stretch, 0.02 * stretch, steps, dtype=np.float64)


def scaled_linear_betas(steps: int) -> np.ndarray:
    """β of latent diffusion, linear in √β from 8.5e-4 to 0.012 (Rombach et al. 2022; MLD, NeRM); [N] float64."""
    return np.linspace(8.5e-4**0.5, 0.012**0.5, steps, dtype=np.float64) ** 2


def vp_betas(
    steps: int, beta_min: float = 0.1, beta_max: float = 20.0, floor: float = 1e-3, power: float = 1.0
) -> np.ndarray:
    """β between T + 1 times of the variance-preserving SDE (Song et al. 2021, eq. 33); [T] float64.

    log ᾱ(u) = -u² (β_max - β_min) / 2 - u β_min at the times u_i = floor + (1 - floor) (i / T) ^ power, and
    β_i = 1 - ᾱ(u_i) / ᾱ(u_{i-1}). With power 1 the times are equidistant; above it they crowd at low noise.
    """
    time = floor + (1 - floor) * (np.arange(steps + 1, dtype=np.float64) / steps) ** power
    log_signal = -(time**2) * (beta_max - beta_min) / 2 - time * beta_min
    return -np.expm1(np.diff(log_signal))


def equivalent_timesteps(alphas_cumprod: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Where in the process with β = `others` the noise is as strong as at each ᾱ: real-valued timesteps, float64.

    Interpolated in log(ᾱ / (1 - ᾱ)); beyond the ends it is the end.
    """
    theirs = np.cumprod(1 - others)
    noise = np.log1p(-theirs) - np.log(theirs)
    return np.interp(np.log1p(-alphas_cumprod) - np.log(alphas_cumprod), noise, np.arange(len(others)))


def betas(schedule: str, steps: int, scale: float = 1.0) -> np.ndarray:
    """β of a schedule by name, cosine, linear or scaled-linear; [N] float64.

    Raises:
        MdtoolError: no such schedule.
    """
    if schedule == "cosine":
        return cosine_betas(steps)
    if schedule == "linear":
        return linear_betas(steps, scale)
    if schedule == "scaled-linear":
        return scaled_linear_betas(steps)
    raise MdtoolError(f"no noise schedule {schedule!r}: choose cosine, linear or scaled-linear")


def space_timesteps(steps: int, spec: str | Sequence[int]) -> list[int]:
    """The timesteps to keep of N, ascending (Nichol & Dhariwal 2021, as in improved-diffusion).

    Args:
        spec: "ddimK" takes every i-th step with the smallest stride i that gives exactly K (N - 1 is never
            among them); "leadingK" takes every ⌊N / K⌋-th from 1 on (diffusers, with steps_offset 1); a list, or
            "a,b,c", splits 0 … N - 1 into near-equal sections and keeps that many steps of each, both ends
            included.

    Raises:
        MdtoolError: the request cannot be met.
    """
    if isinstance(spec, str):
        try:
            counts = [int(part) for part in spec.removeprefix("ddim").removeprefix("leading").split(",")]
        except ValueError as error:
            raise MdtoolError(f"{spec!r} names no diffusion steps: write 50, ddim50, or 10,10,30") from error
        if spec.startswith("ddim"):
            return _strided(steps, counts[0])
        if spec.startswith("leading"):
            return _leading(steps, counts[0])
        spec = counts
    size, longer = divmod(steps, len(spec))
    kept: list[int] = []
    begin = 0
    for section, count in enumerate(spec):
        length = size + (1 if section < longer else 0)
        if not 1 <= count <= length:
            raise MdtoolError(f"cannot take {count} of {length} diffusion steps: ask for 1 to {length}")
        place, stride = 0.0, (length - 1) / (count - 1) if count > 1 else 1.0
        for _ in range(count):  # added up as the reference does: at half steps its rounding errors decide
            kept.append(begin + round(place))
            place += stride
        begin += length
    return kept


def _strided(steps: int, count: int) -> list[int]:
    for stride in range(1, steps + 1):
        if len(range(0, steps, stride)) == count:
            return list(range(0, steps, stride))
    raise MdtoolError(f"no whole stride takes {count} of {steps} diffusion steps; give the number without 'ddim'")


def _leading(steps: int, count: int) -> list[int]:
    if not 1 <= count < steps:
        raise MdtoolError(f"cannot take {count} of {steps} diffusion steps: ask for 1 to {steps - 1}")
    return [1 + steps // count * k for k in range(count)]
