"""Read pickles of others without running anything of theirs: plain pickles and joblib's, compressed ones included.

data = load_pickle("vibe_output.pkl")                                             # dicts, lists, numbers, arrays
body = load_pickle("SMPL_NEUTRAL.pkl", allow={("chumpy.ch", "Ch"): StandIn})      # and what stands for a class
cache = load_pickle("vibe_cache_refined.pkl", lazy=True)                          # arrays stay in the file
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdtool.data.byte_stream import ByteStream, Refused
from mdtool.data.pickle_arrays import StoredArray, numpy_names
from mdtool.data.pickle_machine import Name, Pending, PickleMachine, StoredBytes
from mdtool.errors import MdtoolError

__all__ = ["DEEPEST", "LIMIT_BYTES", "StandIn", "StoredArray", "load_pickle"]

LIMIT_BYTES = 2 << 30
"""Memory that one file may take unless its reader says otherwise."""
DEEPEST = 100
"""Containers inside containers; what people save is not a tenth as deep."""

_LEAST_BYTES = 16
"""Memory that a value takes in whatever a caller makes of it; values that occur once were counted with more."""

_LEAVES = (str, int, float, complex, bytes, bytearray, np.generic, np.dtype, StoredArray, StoredBytes)
_OLD_JOBLIB = {("joblib.numpy_pickle", "NDArrayWrapper"), ("joblib.numpy_pickle", "ZNDArrayWrapper")}


class StandIn(Pending):
    """What a file says of an object whose class is not loaded.

    Attributes:
        args: what the class was called with.
        state: what was in the object, mostly a dict of its attributes; None when nothing was said.
    """

    def __init__(self, *args: object) -> None:
        super().__init__()
        self.args = args
        self.state: object = None

    def build(self, state: object, machine: PickleMachine) -> object:
        """Keep the state."""
        self.state = state
        return self


def load_pickle(
    path: str | Path,
    *,
    allow: Mapping[tuple[str, str], Callable[..., object]] | None = None,
    limit_bytes: int = LIMIT_BYTES,
    lazy: bool = False,
) -> object:
    """The value in a pickle (protocols 0 to 5) or a joblib file (raw, zlib, gzip, bz2, xz, lzma).

    Out come None, numbers, texts, bytes, lists, tuples, sets, dicts, numpy arrays and scalars, and nothing else
    but what `allow` makes. Byte strings of Python 2 come as texts, each character one byte.

    Args:
        allow: names that are allowed beside numpy's: (module, name) → what is called with the arguments in the file,
            mostly `StandIn`. It must be safe for any argument.
        limit_bytes: memory that may be taken; about twice as much is in use for a moment.
        lazy: leave arrays from 1 kB on in the file (`StoredArray`); those of a compressed file, and those of
            protocols 0 to 2 that Python 3 wrote, cannot be left there and count as memory.

    Raises:
        MdtoolError: no such file; it uses a name that is not allowed; it is damaged; it takes too much memory.
    """
    path = Path(path)
    if not path.is_file():
        raise MdtoolError(f"no such file: {path}" if not path.exists() else f"{path} is no file")
    try:
        stream = ByteStream(path, limit_bytes)
    except Refused as error:
        raise MdtoolError(f"{path} is not read: {error}") from None
    except OSError as error:
        raise MdtoolError(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        with warnings.catch_warnings(), stream:
            warnings.simplefilter("ignore")  # escapes and types of old files, which are no news to the user
            names = {**numpy_names(stream), **dict.fromkeys(_OLD_JOBLIB, _refuse_old), **_by_name(allow or {})}
            value = PickleMachine(stream, names, lazy).run()
            _require_plain(value, limit_bytes // _LEAST_BYTES)
            return value
    except Refused as error:
        hint = "; save it again uncompressed, with pickle protocol 3 or later" if lazy and stream.left < 0 else ""
        raise MdtoolError(f"{path} is not read: {error}{hint}") from None
    except OSError as error:
        raise MdtoolError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # what damaged bytes lead to has no end: struct, Unicode, Index, Memory, LZMA errors …
        reason = " ".join(f"{error}".split())[:200] or type(error).__name__
        raise MdtoolError(f"{path} is damaged, truncated or no pickle ({reason}); get it again") from None


def _by_name(allow: Mapping[tuple[str, str], Callable[..., object]]) -> dict[tuple[str, str], Callable[..., object]]:
    """The caller's names; protocols 0 and 1 call copyreg for every object of a class."""
    rebuild = {(module, "_reconstructor"): _reconstructor for module in ("copyreg", "copy_reg")}
    return {**rebuild, **{(module, "object"): _no_object for module in ("builtins", "__builtin__")}, **allow}


def _reconstructor(kind: object, base: object, state: object) -> object:
    if not isinstance(kind, Name) or not isinstance(base, Name) or base.stand_in is not _no_object:
        raise Refused("it makes an object of a class with a builtin inside")
    return kind.stand_in()


def _no_object(*unused: object) -> object:
    raise Refused("it makes a bare object")


def _refuse_old(*unused: object) -> object:
    raise Refused("its arrays lie in files beside it (joblib before 0.10); load and save it again with a newer joblib")


@dataclass
class _Visit:
    """A container that is being gone through."""

    value: object
    inside: Iterator[object]
    depth: int = 1
    """Containers inside each other from here down."""
    count: int = 0
    """Values inside, those of a container that occurs twice counted twice."""


def _require_plain(value: object, most: int) -> None:
    """Refuse a value that is nested too deep, that contains itself, or that has a bare name in it.

    Args:
        most: values that it may have when everything is written out where it is referred to: a list of a list twice,
            of a list twice … is small in the file, and never ends for whoever makes an array of it.

    Raises:
        Refused: one of these.
    """
    known: dict[int, _Visit] = {}
    path = [_Visit(value, _inside(value))]
    on_path = {id(value)}
    while path:
        visit = path[-1]
        if len(path) > DEEPEST:
            raise Refused(f"it has containers inside containers, more than {DEEPEST} deep")
        for part in visit.inside:
            visit.count += 1
            if part is None or isinstance(part, _LEAVES):
                continue
            if id(part) in on_path:
                raise Refused("it contains itself")
            if id(part) not in known:
                path.append(_Visit(part, _inside(part)))
                on_path.add(id(part))
                break
            _take(known[id(part)], visit, len(path), most)
        else:
            path.pop()
            on_path.discard(id(visit.value))
            known[id(visit.value)] = visit
            if path:
                _take(visit, path[-1], len(path), most)


def _take(part: _Visit, owner: _Visit, above: int, most: int) -> None:
    """Count a container that was gone through with the one that holds it, which is the last of `above`."""
    owner.depth = max(owner.depth, part.depth + 1)
    owner.count += part.count
    if above + part.depth > DEEPEST:
        raise Refused(f"it has containers inside containers, more than {DEEPEST} deep")
    if owner.count > most:
        raise Refused(f"written out it has more than {most} values, most of them the same ones again and again")


def _inside(value: object) -> Iterator[object]:
    """The parts of a container; nothing for a leaf."""
    if value is None or isinstance(value, _LEAVES):
        return iter(())
    if isinstance(value, dict):
        return iter(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return iter(value)
    if isinstance(value, np.ndarray):
        return iter(value.flat) if value.dtype.hasobject else iter(())
    if isinstance(value, StandIn):
        return iter((value.args, value.state))
    if isinstance(value, Name):
        raise Refused(f"it has the name {value.module}.{value.name} as a value")
    if isinstance(value, Pending):
        raise Refused("it has an array that is never described")
    return iter(())  # what `allow` made: its maker answers for it
