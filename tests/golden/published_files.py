"""Files as other programs write them, with the golden set's weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from mdtool.motion.skeleton import PARENTS
from mdtool.networks.stgcn import spatial_partitions
from tests.golden.weight_recipe import recipe_state_dict


def published_weights(golden_folder: Path, name: str) -> dict[str, Tensor]:
    """The complete state dict that `name`_state_dict.json lists, constructed tensors included."""
    listed = json.loads((golden_folder / f"{name}_state_dict.json").read_text())
    shapes = listed["state_dict"]
    made = recipe_state_dict(shapes, listed["weight_recipe_seed"])
    # The fixed table of positions is made, not loaded, whatever the file holds.
    constructed = {key: torch.zeros(shape) for key, shape in shapes.items() if key not in made}
    constructed |= {"A": spatial_partitions(PARENTS)} if "A" in shapes else {}
    weights = {**constructed, **made}
    return {key: weights[key] for key in shapes}
