"""Write a motion file clip by clip: for sources whose clips do not fit in memory together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import h5py
import numpy as np

from mdtool.atomic import replacing
from mdtool.errors import MdtoolError
from mdtool.motion.file import frame_bytes, write_table
from mdtool.motion.motion import ClipTable, Motion
from mdtool.motion.skeleton import JOINTS

_CLIP_BYTES = 1024
"""What a clip takes at most besides its frames: its numbers, its name and its subject."""


def write_clips(
    path: str | Path,
    clips: Iterable[Motion],
    actions: Sequence[str],
    provenance: dict,
    most_frames: int,
    most_clips: int,
) -> ClipTable:
    """Write a motion file atomically while its clips are made; one clip at a time is in memory.

    Texts, body shapes and latents of the clips are left out.

    Args:
        most_frames, most_clips: how many there will be at most; the disk must have room for them.

    Raises:
        MdtoolError: the place cannot be written, a clip has an action that is not in `actions` or numbers that are
            not finite, or there is no clip at all.
    """
    labels = {name: label for label, name in enumerate(actions)}
    rows: list[tuple[int, float, int, int, str, str]] = []  # no Motion: that would keep its frames in memory
    size = frame_bytes(most_frames) + most_clips * _CLIP_BYTES
    with replacing(path, size=size) as temporary, h5py.File(temporary, "w") as file:
        shapes = {"rot6d": (JOINTS, 6), "root": (3,)}
        for name, shape in shapes.items():
            file.create_dataset(name, (most_frames, *shape), "f4", maxshape=(None, *shape), chunks=(60, *shape))
        place = 0
        for clip in clips:
            if clip.action and clip.action not in labels:
                raise MdtoolError(f"unknown action {clip.action!r}: the list has {', '.join(actions)}")
            for name in shapes:
                values = getattr(clip, name)
                if not np.isfinite(values).all():
                    raise MdtoolError(f"not writing {path}: {name} of {clip.name} holds NaN or infinite numbers")
                file[name][place : place + len(clip)] = values
            place += len(clip)
            label = labels.get(clip.action, -1)
            rows.append((len(clip), clip.fps, label, clip.split, clip.subject, clip.name))
        if not rows:
            raise MdtoolError(f"nothing to write to {path}: no clip could be used")
        for name, shape in shapes.items():
            file[name].resize((place, *shape))
        lengths, fps, action, split, subject, names = zip(*rows, strict=True)
        table = ClipTable(
            lengths=np.array(lengths, dtype=np.int64),
            fps=np.array(fps, dtype=np.float64),
            action=np.array(action, dtype=np.int32),
            split=np.array(split, dtype=np.uint8),
            actions=list(actions),
            subject=list(subject),
            name=list(names),
            provenance=provenance,
        )
        write_table(file, table)
    return table
