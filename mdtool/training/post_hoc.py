"""Power-function averages of weights, of any width, from snapshots of a few widths (Karras et al. 2024, section 3).

The average at time t of a run weighs the weights at time τ by (τ / t)^γ. Its width σ_rel, the standard deviation of
that profile as a share of the run so far, names it: 0.05 remembers about the last 10 %. Two widths tracked in
training and stored now and then span nearly all other widths, at any time: a linear combination of the snapshots has
the profile that is closest to the one asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mdtool.errors import MdtoolError


def exponent_to_width(exponent: float | np.ndarray) -> np.ndarray:
    """σ_rel of an exponent γ: √((γ + 1) / ((γ + 2)² (γ + 3))) (Karras et al. 2024, eq. 123)."""
    exponent = np.asarray(exponent, dtype=np.float64)
    return np.sqrt((exponent + 1) / ((exponent + 2) ** 2 * (exponent + 3)))


def width_to_exponent(width: float | np.ndarray) -> np.ndarray:
    """γ of a width σ_rel: the largest real root of γ³ + 7 γ² + (16 - σ⁻²) γ + (12 - σ⁻²) (eq. 126)."""
    widths = np.asarray(width, dtype=np.float64)
    roots = [np.roots([1, 7, 16 - value**-2.0, 12 - value**-2.0]).real.max() for value in widths.ravel()]
    return np.array(roots, dtype=np.float64).reshape(widths.shape)


def power_decay(width: float, update: float) -> float:
    """Factor on the average at the `update`-th of equal updates: (1 - 1 / update)^(γ + 1) (eq. 127)."""
    return float((1 - 1 / update) ** (width_to_exponent(width) + 1))


def profile_product(first_time: np.ndarray, first_width: np.ndarray, time: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Inner product of the profiles at two times, of two widths; arrays broadcast (Karras et al. 2024, eq. 138)."""
    first, second = width_to_exponent(first_width), width_to_exponent(width)
    power = np.where(first_time < time, second, -first)
    return (
        (first + 1)
        * (second + 1)
        * (first_time / time) ** power
        / ((first + second + 1) * np.maximum(first_time, time))
    )


def coefficients(times: np.ndarray, widths: np.ndarray, time: float | np.ndarray, width: np.ndarray) -> np.ndarray:
    """Factors of snapshots [n] that sum to the average of each wanted width [m] at `time`; [n, m] (eq. 131 to 137).

    They sum to 1 for every width; some are negative or above 1 when a width lies outside the tracked ones.
    """
    times, widths, width = (np.asarray(values, dtype=np.float64) for values in (times, widths, width))
    ends = np.broadcast_to(np.asarray(time, dtype=np.float64), width.shape)
    between = profile_product(times[:, None], widths[:, None], times, widths)
    wanted = profile_product(times[:, None], widths[:, None], ends, width)
    solved = np.linalg.solve(between, wanted)
    return np.asarray(solved / solved.sum(0))


def combine(snapshots: Sequence[Mapping[str, Tensor]], factors: Sequence[float]) -> dict[str, Tensor]:
    """Sum of snapshots times factors, tensor by tensor, in float64; whole numbers are the last snapshot's."""
    combined: dict[str, Tensor] = {}
    for name, last in snapshots[-1].items():
        if not last.is_floating_point():
            combined[name] = last
            continue
        total = torch.zeros_like(last, dtype=torch.float64)
        for snapshot, factor in zip(snapshots, factors, strict=True):
            total += factor * snapshot[name].double()
        combined[name] = total.to(last.dtype)
    return combined


def require_width(width: float) -> None:
    """Refuse widths that no power function has.

    Raises:
        MdtoolError: a width outside 0 … 0.28.
    """
    if not 0 < width < 0.28:
        raise MdtoolError(f"an EMA length is a share of the run between 0 and 0.28, such as 0.05, not {width:g}")
