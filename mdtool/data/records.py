"""What mdtool's own exports say about a clip beside its frames: words and numbers in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mdtool.data.gather import Clip
from mdtool.errors import MdtoolError
from mdtool.motion.motion import SPLITS, TRAIN, Motion

_BETAS = 10


def labelled(motion: Motion, record: Mapping[str, Any], source: str) -> Clip:
    """Give a motion the action, split, subject, name, text, body shape and gender of its record; those that are there.

    Raises:
        MdtoolError: a body shape that is not ten numbers.
    """
    split, betas = record.get("split"), None
    if record.get("betas") is not None:
        try:
            betas = np.array(record["betas"], np.float32)
        except (TypeError, ValueError, OverflowError):
            betas = np.empty(0, np.float32)
        if betas.shape != (_BETAS,) or not np.isfinite(betas).all():
            raise MdtoolError(f"{source}: its betas are not {_BETAS} numbers")
    motion = replace(
        motion,
        action=str(record.get("action", motion.action)),
        split=SPLITS.index(split) if split in SPLITS else TRAIN,
        subject=str(record.get("subject", "")),
        name=str(record.get("name") or motion.name),
        text=str(record.get("text", "")),
        betas=betas,
        gender=str(record.get("gender", "")),
    )
    return Clip(motion, split in SPLITS)
