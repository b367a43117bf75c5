"""Power-function averages of weights, of any width, from snapshots of a few widths (Karras et al. 2024, section 3).

The average at time t of a run weighs the weights at time τ by (τ / t)^γ. Its width σ_rel, the standard deviation of
that profile as a share of the run so far, names it: 0.05 remembers about the last 10 %. Two widths tracked in
training and stored now and then span nearly all other widths, at any time: a linear combination of the snapshots has
the profile that is closest to the one asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from torch import Tensor

from mdtool.errors import MdtoolError
from mdtool.training.checkpoint import RunFolder

_FEWEST = 3
"""Steps with averages from which others can be made."""


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


def combine(snapshots: Iterable[Mapping[str, Tensor]], factors: Sequence[float]) -> dict[str, Tensor]:
    """Sum of snapshots times factors, tensor by tensor, in float64; what are no fractions is the last snapshot's."""
    combined: dict[str, Tensor] = {}
    last: Mapping[str, Tensor] = {}
    for last, factor in zip(snapshots, factors, strict=True):
        for name, tensor in last.items():
            if tensor.is_floating_point():
                part = factor * tensor.double()
                combined[name] = combined[name] + part if name in combined else part
    return {name: combined[name].to(tensor.dtype) if name in combined else tensor for name, tensor in last.items()}


def reconstruct(folder: RunFolder, widths: Sequence[float], step: int | None = None) -> list[str]:
    """Write averages of other widths at a step of a run beside those it tracked, from its kept steps until then.

    Args:
        step: the newest step that is there by default.

    Returns:
        Names of the tracks written: ema:0.07 …; those of widths that the run tracked itself are there already.

    Raises:
        MdtoolError: the run tracked no power-function averages, kept too few steps, or a width is impossible.
    """
    settings = folder.read_config().train
    if settings.ema_kind != "power" or not settings.ema:
        raise MdtoolError(
            f"{folder.path} tracked no power-function averages: train with --set train.ema_kind=power, --ema 0.05 and "
            "--ema 0.1"
        )
    for width in widths:
        require_width(width)
    widths = [width for width in widths if width not in settings.ema]
    if not widths:
        return []
    end = folder.newest_step() if step is None else step
    tracked = [f"ema:{width:g}" for width in settings.ema]
    there = [at for at in folder.steps() if 0 < at <= end and set(tracked) <= set(folder.tracks(at))]
    if len(there) < _FEWEST or end not in there:
        raise MdtoolError(
            f"{folder.path} kept averages of {len(there)} steps until {end} and needs {_FEWEST}, that one included: "
            "train with --set train.keep_every=… and --set train.save_every=…"
        )
    pairs = [(at, width) for at in there for width in settings.ema]
    times, known = (np.array(column, dtype=np.float64) for column in zip(*pairs, strict=True))
    factors = coefficients(times, known, end, np.array(widths))
    tracks = {}
    for width, column in zip(widths, factors.T, strict=True):
        snapshots = (folder.load_weights(f"ema:{own:g}", at)[0] for at, own in pairs)
        tracks[f"ema:{width:g}"] = combine(snapshots, column.tolist())
    folder.save_weights(end, tracks, keep_older=True)
    return list(tracks)


def require_width(width: float) -> None:
    """Refuse widths that no power function has.

    Raises:
        MdtoolError: a width outside 0 … 0.28.
    """
    if not 0 < width < 0.28:
        raise MdtoolError(f"an EMA length is a share of the run between 0 and 0.28, such as 0.05, not {width:g}")
