"""Which instants a command is to make: frames, seconds, one or several frame rates, or a file of times."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class Grid(NamedTuple):
    """Instants to make, and where to write them."""

    out: Path
    frames: int | None
    fps: float | None
    times_s: np.ndarray | None


def asked_grids(
    out: Path, frames: int | None, rates: list[float], seconds: float | None, times: Path | None
) -> list[Grid]:
    """What was asked for: one grid, one per frame rate, or the instants of a file."""
    from mdtool.atomic import require_name
    from mdtool.errors import MdtoolError

    require_name(out)
    if frames is not None and seconds is not None:
        raise MdtoolError("--frames and --seconds both say how long: give one of them")
    if times is None:
        rates = list(dict.fromkeys(rates))
        if len(rates) < 2:
            return [Grid(out, frames, rates[0] if rates else None, None)]
        return [Grid(out.with_stem(f"{out.stem}-{rate:g}fps"), frames, rate, None) for rate in rates]
    if rates or frames is not None or seconds is not None:
        raise MdtoolError("--times names every instant: leave out --fps, --frames and --seconds")
    return [Grid(out, None, *_read_times(times))]


def _read_times(path: Path) -> tuple[float, np.ndarray]:
    """(a frame rate to label the poses with, instants) of a text file of numbers."""
    import numpy as np

    from mdtool.errors import MdtoolError

    try:
        times_s = np.array([float(word) for word in path.read_text("utf-8").replace(",", " ").split()])
    except OSError as error:
        raise MdtoolError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise MdtoolError(f"{path} must hold seconds, as numbers between spaces or commas: {error}") from error
    if not len(times_s) or not np.isfinite(times_s).all() or (times_s < 0).any():
        raise MdtoolError(f"{path} must hold one or more finite times in seconds, none below 0")
    gaps = np.diff(np.unique(times_s))
    return (1 / float(np.median(gaps)) if len(gaps) else 1.0), times_s
