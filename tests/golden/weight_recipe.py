"""The golden set's weight recipe: weights that are functions of their state-dict key."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor


def recipe_seed(folder: Path) -> int:
    """SEED of a golden set, which every listing of its weights repeats."""
    for path in sorted(folder.glob("*.json")):
        seed = json.loads(path.read_text()).get("weight_recipe_seed")
        if seed is not None:
            return int(seed)
    pytest.skip(f"no listing in {folder} tells the seed of its weights")


def recipe_state_dict(shapes: Mapping[str, Sequence[int]], seed: int) -> dict[str, Tensor]:
    """Recipe-made float32 tensors for every key that the recipe covers.

    Keys whose values are constructed (`*.pe`, `A`, `num_batches_tracked`) are left out: load the result with
    `strict=False`, or over a full state dict with `{**network.state_dict(), **recipe_state_dict(...)}`.

    Args:
        shapes: state-dict key -> shape.
        seed: the golden set's SEED, stored in its files as `recipe_seed`.
    """
    return {key: _recipe_tensor(key, tuple(shape), seed) for key, shape in shapes.items() if not _is_constructed(key)}


def _is_constructed(key: str) -> bool:
    return key.rsplit(".", 1)[-1] in ("pe", "A", "num_batches_tracked")


def _recipe_tensor(key: str, shape: tuple[int, ...], seed: int) -> Tensor:
    draws = np.random.RandomState((zlib.crc32(key.encode()) ^ seed) & 0xFFFFFFFF).standard_normal(shape)
    if key.endswith("running_var"):
        values = 1 + 0.2 * np.abs(draws)
    elif key.endswith("running_mean"):
        values = 0.1 * draws
    elif "edge_importance" in key:
        values = 1 + 0.1 * draws
    elif "action_embedding" in key:
        values = draws
    elif len(shape) == 1:
        values = 1 + 0.1 * draws if key.endswith(".weight") else 0.05 * draws
    else:
        values = draws / math.sqrt(math.prod(shape[1:])) * (1.6 if len(shape) > 2 else 1.0)
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
