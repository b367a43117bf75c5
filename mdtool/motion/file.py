"""The motion file: HDF5, one schema for recordings, samples and edits alike.

| name | shape, dtype | meaning |
|---|---|---|
| rot6d | [frames, 24, 6] f4 | local SMPL joint rotations, first two rows of the matrix |
| root | [frames, 3] f4 | pelvis position, metres, y up, floor at 0 |
| start | [clips + 1] i8 | clip i is frames start[i] : start[i+1] |
| fps | [clips] f8 | native frame rate |
| action | [clips] i4 | index in attribute `actions`, -1 none |
| split | [clips] u1 | 0 train, 1 test |
| subject, name | [clips] str | who moved; where it came from |
| text, betas [clips, 10] f4, gender, noise [clips, ...] f4 | optional | description; body shape, whose model; latent |

Attributes: format, version, actions (JSON list), skeleton, provenance (JSON).
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from mdtool import __version__
from mdtool.atomic import replacing, require_writable
from mdtool.errors import MdtoolError
from mdtool.motion.motion import SPLITS, ClipTable, MotionSet
from mdtool.motion.skeleton import JOINTS

FORMAT = "mdtool-motion"
Read = TypeVar("Read")
VERSION = 1
SKELETON = "smpl-24"
FARTHEST_M = 1e5
"""Where nobody walks, and float32 has less than a centimetre left."""
_SHORTEST = 1e-6
"""Length of a row of a rotation beneath which it tells no direction."""
_REQUIRED = ("rot6d", "root", "start", "fps", "action", "split")
_NUMBERS = ("fps", "action", "split", "betas", "noise")
_TEXTS = ("subject", "name", "text", "gender")
_PER_CLIP = (*_NUMBERS, *_TEXTS)
_OTHER_KINDS = {".mp4", ".webm", ".gif", ".webp", ".png", ".html", ".glb", ".bvh", ".npz", ".csv", ".json", ".yaml"}


def require_place(path: Path) -> None:
    """Raise at once what `write_motions` would raise of the place, and where its name speaks of another kind of file.

    Raises:
        MdtoolError: the place cannot be written, or reads as a film, a picture, a page or another program's file.
    """
    if path.suffix.lower() in _OTHER_KINDS:
        raise MdtoolError(
            f"{path} is to be a motion file: end its name in .h5; `mdtool render` and `mdtool export` make others"
        )
    require_writable(path)


def write_motions(path: str | Path, motions: MotionSet) -> None:
    """Write a motion file atomically.

    Raises:
        MdtoolError: the place cannot be written, or the set holds non-finite numbers.
    """
    if not len(motions):
        raise MdtoolError(f"nothing to write to {path}: the set of motions is empty")
    for name in ("rot6d", "root"):
        if not np.isfinite(getattr(motions, name)).all():
            raise MdtoolError(f"not writing {path}: {name} holds NaN or infinite numbers")
    with replacing(path, size=_most_bytes(motions)) as temporary, h5py.File(temporary, "w") as file:
        frames = len(motions.rot6d)
        file.create_dataset("rot6d", data=motions.rot6d, dtype="f4", chunks=(min(frames, 60), JOINTS, 6))
        file.create_dataset("root", data=motions.root, dtype="f4", chunks=(min(frames, 60), 3))
        write_table(file, motions)


def write_table(file: h5py.File, motions: MotionSet | ClipTable) -> None:
    """Write all of an open motion file but its frames."""
    file.attrs["format"] = FORMAT
    file.attrs["version"] = VERSION
    file.attrs["skeleton"] = SKELETON
    file.attrs["actions"] = json.dumps(motions.actions)
    file.attrs["provenance"] = json.dumps(motions.provenance)
    for name, dtype in (("start", "i8"), ("fps", "f8"), ("action", "i4"), ("split", "u1")):
        file.create_dataset(name, data=getattr(motions, name), dtype=dtype)
    for name in _TEXTS:
        values = getattr(motions, name, None)
        if values is not None:
            values = list(values) or [""] * len(motions)
            file.create_dataset(name, data=values, dtype=h5py.string_dtype())
    for name in ("betas", "noise"):
        values = getattr(motions, name, None)
        if values is not None:
            file.create_dataset(name, data=values, dtype="f4")


def _most_bytes(motions: MotionSet) -> int:
    """What a file of these motions takes at most; a chunk of 60 frames has an index entry and may be half empty."""
    frames, clips = len(motions.rot6d), len(motions)
    per_clip = 32 + sum(array[0].size * 4 for array in (motions.betas, motions.noise) if array is not None)
    texts = [
        *motions.subject, *motions.name, *(motions.text or []), *(motions.gender or []), json.dumps(motions.provenance)
    ]  # fmt: skip
    strings = sum(len(text.encode()) + 64 for text in texts)
    return frame_bytes(frames) + clips * per_clip + strings


def frame_bytes(frames: int) -> int:
    """What the frames of a motion file take at most, and its headers."""
    return (frames + 60) * (JOINTS * 6 + 3) * 4 * 102 // 100 + 2**18


def read_motions(path: str | Path) -> MotionSet:
    """Read a whole motion file into memory.

    Raises:
        MdtoolError: the file is missing, truncated, foreign, of a later version, inconsistent or not finite.
    """
    path = Path(path)
    motions = _of_file(path, _read)
    _check_content(path, motions)
    return motions


def read_provenance(path: str | Path) -> dict[str, Any]:
    """Where a motion file came from, without its motions.

    Raises:
        MdtoolError: the file is missing, truncated, foreign or of a later version.
    """
    return _of_file(Path(path), lambda file: _labels(file)[1])


def _of_file(path: Path, read: Callable[[h5py.File], Read]) -> Read:
    """What `read` makes of a motion file; its errors in a sentence."""
    if not path.exists():
        raise MdtoolError(f"no such file: {path}; write one with `mdtool preprocess` or `mdtool sample`")
    if path.is_dir():
        raise MdtoolError(f"{path} is a folder, not a motion file (*.h5)")
    try:
        with h5py.File(path, "r") as file:
            _check_header(path, file)
            return read(file)
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise MdtoolError(
            f"{path} cannot be read as a motion file (damaged, truncated or foreign): {reason}"
        ) from error


def file_sha256(path: str | Path) -> str:
    """Hex digest of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def provenance(parents: list[str | Path] | None = None, **details: object) -> dict:
    """The record of how a file comes to be: command line, version, parents' hashes and further details.

    A parent goes by its name alone, or by its path where two have the same name.
    """
    paths = [Path(parent) for parent in parents or []]
    names = [path.name for path in paths]
    return {
        "command": shlex.join(["mdtool", *sys.argv[1:]]),
        "mdtool": __version__,
        "parents": {path.name if names.count(path.name) == 1 else str(path): file_sha256(path) for path in paths},
        **details,
    }


def _check_header(path: Path, file: h5py.File) -> None:
    if file.attrs.get("format") != FORMAT:
        raise MdtoolError(f"{path} is an HDF5 file but not a motion file: make one with `mdtool preprocess`")
    version = int(file.attrs.get("version", 0))
    if version > VERSION:
        raise MdtoolError(f"{path} has motion-file version {version}, this mdtool reads up to {VERSION}: update mdtool")
    skeleton = file.attrs.get("skeleton", SKELETON)
    if skeleton != SKELETON:
        raise MdtoolError(f"{path} uses skeleton {skeleton!r}; mdtool works on {SKELETON!r}")
    missing = [name for name in _REQUIRED if name not in file]
    if missing:
        raise MdtoolError(f"{path} lacks {', '.join(missing)}: it was not written completely; write it again")


def _read(file: h5py.File) -> MotionSet:
    def strings(name: str) -> list[str] | None:
        return [str(value) for value in file[name].asstr()[()]] if name in file else None

    def numbers(name: str, dtype: type[np.generic]) -> np.ndarray:
        values = np.asarray(file[name][()])
        if values.dtype.kind not in ("iu" if issubclass(dtype, np.integer) else "iuf"):
            raise TypeError(f"{name} holds {values.dtype} where {dtype.__name__} belongs")
        return values.astype(dtype, copy=False)

    actions, history = _labels(file)
    return MotionSet(
        rot6d=numbers("rot6d", np.float32),
        root=numbers("root", np.float32),
        start=numbers("start", np.int64),
        fps=numbers("fps", np.float64),
        action=numbers("action", np.int32),
        split=numbers("split", np.uint8),
        actions=[str(name) for name in actions or []],
        subject=strings("subject") or [],
        name=strings("name") or [],
        text=strings("text"),
        gender=strings("gender"),
        betas=numbers("betas", np.float32) if "betas" in file else None,
        noise=numbers("noise", np.float32) if "noise" in file else None,
        provenance=history,
    )


def _labels(file: h5py.File) -> tuple[list[str] | None, dict[str, Any]]:
    """Names of the actions and provenance."""
    actions, history = (json.loads(file.attrs.get(name, "null")) for name in ("actions", "provenance"))
    if not isinstance(actions, list | None) or not isinstance(history, dict | None):
        raise TypeError("its actions are no list or its provenance no table")
    return actions, history or {}


def _check_content(path: Path, motions: MotionSet) -> None:
    if motions.start.ndim != 1 or len(motions.start) < 2 or not motions.rot6d.size:
        raise MdtoolError(f"{path} holds no motion: preprocess or sample again")
    frames, clips = motions.rot6d.shape[0] if motions.rot6d.ndim else 0, len(motions)
    if motions.rot6d.shape[1:] != (JOINTS, 6) or motions.root.shape != (frames, 3):
        raise MdtoolError(
            f"{path} does not hold the {JOINTS}-joint skeleton: "
            f"rot6d is {list(motions.rot6d.shape)}, root {list(motions.root.shape)}"
        )
    start = motions.start
    if start[0] != 0 or start[-1] != frames or (np.diff(start) <= 0).any():
        raise MdtoolError(f"{path} has clip boundaries that do not fit its {frames} frames: write it again")
    per_clip = {name: getattr(motions, name) for name in _PER_CLIP}
    counts = {name: np.shape(values)[:1] for name, values in per_clip.items() if values is not None}
    # A file may leave out texts of every clip by an empty list, but not numbers.
    wrong = [name for name, count in counts.items() if count != (clips,) and (count != (0,) or name in _NUMBERS)]
    wrong += [name for name in ("fps", "action", "split") if per_clip[name].shape != (clips,)]
    if wrong:
        raise MdtoolError(f"{path} has {wrong[0]} for another number of clips than its {clips}: write it again")
    if motions.betas is not None and motions.betas.shape != (clips, 10):
        raise MdtoolError(f"{path} holds body shapes {list(motions.betas.shape)}; they must be [{clips}, 10]")
    if motions.action.max(initial=-1) >= len(motions.actions):
        raise MdtoolError(f"{path} uses an action label that its list of {len(motions.actions)} names does not have")
    if motions.split.max(initial=0) >= len(SPLITS):
        raise MdtoolError(f"{path} has a clip whose split is neither 0 (train) nor 1 (test): write it again")
    for name in ("rot6d", "root", "fps", "betas", "noise"):
        values = getattr(motions, name)
        if values is not None and not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0][0])
            clip = int(np.searchsorted(start, row, side="right") - 1) if name in ("rot6d", "root") else row
            raise MdtoolError(
                f"{path} holds NaN or infinite numbers in {name}, first in clip {clip}: repair or drop it"
            )
    for spoilt, problem in (
        ((np.abs(motions.root) > FARTHEST_M).any(-1), f"a root farther than {FARTHEST_M:g} m from the origin"),
        (_are_zero(motions.rot6d).any(-1), "a rotation with a row of zeros"),
    ):
        if spoilt.any():
            row = int(spoilt.argmax())
            clip = int(np.searchsorted(start, row, side="right") - 1)
            raise MdtoolError(
                f"{path} holds {problem}, first in clip {clip} at frame {row - start[clip]}: repair or drop it"
            )
    if (motions.fps <= 0).any():
        clip = int(np.argmax(motions.fps <= 0))
        raise MdtoolError(f"{path} has a frame rate of {motions.fps[clip]:g} in clip {clip}: it must be above 0")


def _are_zero(rot6d: np.ndarray) -> np.ndarray:
    """Which rows of rotations [F, 24, 6] tell no direction, so that no matrix can be made of them; [F, 48]."""
    rows = rot6d.reshape(-1, 3)
    short: np.ndarray = np.einsum("ij,ij->i", rows, rows) < _SHORTEST**2
    return short.reshape(len(rot6d), -1)
