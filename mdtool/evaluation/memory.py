"""How much memory a piece of work needs beyond what was there before it."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_megabytes(work: Callable[[], object]) -> float | None:
    """Megabytes by which this process's resident memory at its highest, while it does `work`, exceeds that before.

    `ru_maxrss` will not do: a new process inherits its parent's, and what was once loaded and freed hides what comes
    after. Linux alone keeps a high-water mark that can be set back; None elsewhere.
    """
    if not _mark_set_back():
        work()
        return None
    before = _resident("VmRSS")
    work()
    return _resident("VmHWM") - before


def _mark_set_back() -> bool:
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)  # glibc: freed memory must not be had for nothing
        _RESET.write_text("5")
    except (OSError, AttributeError, TypeError):
        return False
    return True


def _resident(name: str) -> float:
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines[name].split()[0]) / 1024
