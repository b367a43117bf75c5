"""A run's folder: settings, weights, resumable state, logs.

config.toml                          every setting, resolved
checkpoints/step-000001000.safetensors          weights, with the EMA tracks' weights as
checkpoints/step-000001000-ema-0.9995.safetensors  files of their own
checkpoints/state.pt                 all that an exact resume needs, in one file replaced atomically
metrics.jsonl                        one JSON object per logged step
timesteps.npz                        draws per bin of optimiser steps × diffusion step
log                                  what happened when
"""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from mdtool.atomic import replacing, unwritable, write_bytes, write_text
from mdtool.config import RunConfig, read_run_config
from mdtool.errors import MdtoolError
from mdtool.motion.file import file_sha256
from mdtool.npz_archive import open_npz

RAW = "raw"


class RunFolder:
    """Reads and writes the files of one run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"

    @property
    def config_path(self) -> Path:
        """Where the settings lie."""
        return self.path / "config.toml"

    @property
    def state_path(self) -> Path:
        """Where the resumable state lies."""
        return self.checkpoints / "state.pt"

    def read_config(self) -> RunConfig:
        """The run's settings.

        Raises:
            MdtoolError: the folder is no run, or its settings are damaged.
        """
        return read_run_config(self.path)

    def write_config(self, config: RunConfig) -> None:
        """Store the settings."""
        write_text(self.config_path, config.to_toml())

    def save_weights(self, step: int, tracks: dict[str, dict[str, Tensor]], keep_older: bool) -> None:
        """Write the weights of `step`: one file per track (raw, ema:0.9995, …); drop those of earlier steps.

        Args:
            keep_older: leave earlier files where they are.
        """
        older = [] if keep_older else self._weight_files()
        for track, weights in tracks.items():
            content = safetensors.torch.save({name: tensor.contiguous() for name, tensor in weights.items()})
            write_bytes(self._weights_path(step, track), content)
        written = {self._weights_path(step, track) for track in tracks}
        for path in older:
            if path not in written and not self._is_kept(path):
                path.unlink(missing_ok=True)

    def mark_kept(self, step: int) -> None:
        """Keep the weights of `step` when later ones are written."""
        kept = sorted({*self._kept_steps(), step})
        write_text(self.checkpoints / "kept.json", json.dumps(kept))

    def save_state(self, state: dict[str, Any]) -> None:
        """Write the resumable state atomically."""
        content = io.BytesIO()
        torch.save(state, content)
        write_bytes(self.state_path, content.getbuffer())

    def load_state(self) -> dict[str, Any] | None:
        """The resumable state, or None when the run has not saved any yet.

        Raises:
            MdtoolError: the file is damaged.
        """
        if not self.state_path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.state_path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise MdtoolError(f"{self.state_path} is damaged; train again into another --out") from error
        return state

    def tracks(self, step: int | None = None) -> list[str]:
        """Names of the weights that a step has: raw, ema:0.9995, …; of the newest step when none is given."""
        step = self.newest_step() if step is None else step
        prefix = f"step-{step:09d}"
        names = [path.stem.removeprefix(prefix) for path in self._weight_files() if path.stem.startswith(prefix)]
        return sorted(RAW if not name else name.removeprefix("-").replace("-", ":", 1) for name in names)

    def steps(self) -> list[int]:
        """Steps whose weights are there, in order."""
        return sorted({int(path.stem.split("-")[1]) for path in self._weight_files()})

    def newest_step(self) -> int:
        """The last step whose weights are there.

        Raises:
            MdtoolError: there are none.
        """
        steps = self.steps()
        if not steps:
            raise MdtoolError(f"{self.path} has no weights yet: let `mdtool train` reach its first checkpoint")
        return steps[-1]

    def load_weights(self, track: str | None = None, step: int | None = None) -> tuple[dict[str, Tensor], str, str]:
        """Weights of a track; without a name, the EMA track with the largest decay, or raw when there is none.

        Returns:
            (weights, track, sha256 of the file).

        Raises:
            MdtoolError: no such step or track, or the file is damaged.
        """
        step = self.newest_step() if step is None else step
        there = self.tracks(step)
        if not there:
            raise MdtoolError(
                f"{self.path} has no weights of step {step}: choose from {', '.join(map(str, self.steps()))}"
            )
        track = track or max(there, key=lambda name: float(name.partition(":")[2] or 0))
        if track not in there:
            raise MdtoolError(f"{self.path} has no weights {track!r}: choose from {', '.join(there)}")
        path = self._weights_path(step, track)
        try:
            return safetensors.torch.load_file(path), track, file_sha256(path)
        except (SafetensorError, OSError) as error:
            raise MdtoolError(
                f"{path} is damaged ({error}); run the same `mdtool train` again to rewrite it"
            ) from error

    def weights_sha256(self, track: str, step: int) -> str:
        """Hash of the file with a track's weights of a step."""
        return file_sha256(self._weights_path(step, track))

    def read_histogram(self) -> tuple[np.ndarray, int] | None:
        """(draws [rows, N], optimiser steps per row) of timesteps.npz; None when there is none.

        Raises:
            MdtoolError: the file is damaged.
        """
        path = self.path / "timesteps.npz"
        if not path.exists():
            return None
        try:
            with open_npz(path) as arrays:
                return arrays["draws"], int(arrays["optimiser_steps_per_row"])
        except (OSError, ValueError, KeyError) as error:
            raise MdtoolError(f"{path} is damaged ({error}): delete it; training writes it again") from error

    def save_histogram(self, draws: Tensor, steps_per_row: int) -> None:
        """Write timesteps.npz: `draws` [rows, N] and `optimiser_steps_per_row`."""
        with replacing(self.path / "timesteps.npz") as temporary, open(temporary, "wb") as stream:
            np.savez_compressed(stream, draws=draws.cpu().numpy(), optimiser_steps_per_row=steps_per_row)

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Add one line to metrics.jsonl."""
        self._append("metrics.jsonl", json.dumps(record))

    def cut_metrics(self, step: int) -> None:
        """Drop the lines of metrics.jsonl after `step`, which a resumed run logs again, and those that are damaged."""
        path = self.path / "metrics.jsonl"
        if path.exists():
            lines = path.read_text("utf-8", errors="replace").splitlines()
            write_text(path, "".join(f"{line}\n" for line in lines if _step_of(line) <= step))

    def note(self, text: str) -> None:
        """Add one dated line to the log."""
        self._append("log", f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}")

    def _append(self, name: str, line: str) -> None:
        path = self.path / name
        try:
            with open(path, "a", encoding="utf-8") as stream:
                stream.write(line + "\n")
        except OSError as error:
            raise unwritable(path, error) from error

    def _weights_path(self, step: int, track: str) -> Path:
        suffix = "" if track == RAW else "-" + track.replace(":", "-")
        return self.checkpoints / f"step-{step:09d}{suffix}.safetensors"

    def _weight_files(self) -> list[Path]:
        return sorted(self.checkpoints.glob("step-*.safetensors")) if self.checkpoints.is_dir() else []

    def _kept_steps(self) -> list[int]:
        path = self.checkpoints / "kept.json"
        return list(json.loads(path.read_text("utf-8"))) if path.exists() else []

    def _is_kept(self, path: Path) -> bool:
        return int(path.stem.split("-")[1]) in self._kept_steps()


def readable_runs(folders: Iterable[Path], tell: Callable[[str], object]) -> Iterator[tuple[RunFolder, RunConfig]]:
    """Runs with their settings; `tell` gets a sentence on every one whose settings cannot be read."""
    for run in map(RunFolder, folders):
        try:
            config = run.read_config()
        except MdtoolError as error:
            tell(str(error))
            continue
        yield run, config


def _step_of(line: str) -> float:
    """The step that a line of metrics.jsonl is about; infinity for one that a crash cut short, or worse."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
