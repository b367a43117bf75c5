"""What an evaluation has made so far, kept beside its results until these are written: it goes on where it stopped."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mdtool.atomic import write_bytes
from mdtool.npz_archive import open_npz

Arrays = dict[str, np.ndarray]
_STATE = "random_state"


class Kept:
    """Arrays by name, in files of a folder `RESULTS.parts`.

    The state of torch's generator is kept with them, since recognisers with a random hidden state draw from it: a
    resumed evaluation gives the numbers of an undisturbed one.
    """

    def __init__(self, results: Path, key: str, first: bool = True) -> None:
        """Args:
        results: the file that the evaluation will write.
        key: what stands for everything that decides the arrays; those of another key are not taken.
        first: whether this process writes; every rank reads.
        """
        self.folder, self.key, self.first = parts_folder(results), key, first
        self._there = {path.name for path in self.folder.glob(f"{key}-*.npz")}

    def made(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """The kept arrays of this name, or those that `make` makes, which are kept from then on."""
        path = self.folder / f"{self.key}-{name}.npz"
        if path.name in self._there:
            try:
                with open_npz(path) as archive:
                    arrays = {key: archive[key] for key in archive.files}
                torch.set_rng_state(torch.from_numpy(arrays.pop(_STATE)))
                return arrays
            except (OSError, ValueError, KeyError):
                pass  # it is made again, and its file replaced
        arrays = make()
        if self.first:
            content = io.BytesIO()
            np.savez(content, allow_pickle=False, **arrays, **{_STATE: torch.get_rng_state().numpy()})
            write_bytes(path, content.getbuffer())
        return arrays


def parts_folder(results: Path) -> Path:
    """Where the parts of an evaluation lie until its results are written."""
    return results.with_name(f"{results.name}.parts")


def forget(results: Path) -> None:
    """Remove the parts of an evaluation that is over."""
    shutil.rmtree(parts_folder(results), ignore_errors=True)
