"""Which clips can be exported, and what their files and animations are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mdtool.errors import MdtoolError
from mdtool.motion.motion import SPLITS, Motion


def require_exportable(clips: Sequence[Motion]) -> None:
    """Check that there are clips, and that each has frames and finite numbers.

    Raises:
        MdtoolError: with the clip at fault.
    """
    if not clips:
        raise MdtoolError("nothing to export: no clip is chosen")
    for place, clip in enumerate(clips):
        name = f"clip {place}" + (f" ({clip.name})" if clip.name else "")
        if not len(clip):
            raise MdtoolError(f"cannot export {name}: it has no frames")
        if not (np.isfinite(clip.rot6d).all() and np.isfinite(clip.root).all()):
            raise MdtoolError(f"cannot export {name}: it holds NaN or infinite numbers; repair or drop it")


def file_per_clip(out: Path, clips: Sequence[Motion], indices: Sequence[int]) -> list[Path]:
    """One file name per clip: `out` itself for a single clip, else walks-0007-run.bvh for clip 7 of walks.bvh."""
    if len(clips) == 1:
        return [out]
    digits = max(len(str(max(indices))), 3)
    return [
        out.with_name(
            "-".join(part for part in (out.stem, f"{index:0{digits}d}", _plain(clip.action)) if part) + out.suffix
        )
        for index, clip in zip(indices, clips, strict=True)
    ]


def animation_names(clips: Sequence[Motion]) -> list[str]:
    """A name per clip: its action, or its own name, with a number where several have the same."""
    wanted = [clip.action or Path(clip.name).stem or "motion" for clip in clips]
    seen: dict[str, int] = {}
    names = []
    for name in wanted:
        seen[name] = seen.get(name, 0) + 1
        names.append(f"{name} {seen[name]}" if wanted.count(name) > 1 else name)
    return names


def clip_record(clip: Motion) -> dict[str, object]:
    """What is known about a clip beside its frames, in words and numbers that JSON takes; empty entries left out."""
    record: dict[str, object] = {
        "fps": float(clip.fps),
        "action": clip.action,
        "split": SPLITS[clip.split],
        "subject": clip.subject,
        "name": clip.name,
        "text": clip.text,
        "gender": clip.gender,
    }
    if clip.betas is not None:
        record["betas"] = [float(value) for value in clip.betas]
    return {key: value for key, value in record.items() if value != ""}


def _plain(action: str) -> str:
    """An action in letters that every file system takes."""
    return re.sub(r"[^a-z0-9]+", "-", action.lower()).strip("-")
