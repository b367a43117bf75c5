"""Hostile and odd files for the readers of foreign formats, and joblib's way of writing arrays."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda content: lzma.compress(content, format=lzma.FORMAT_ALONE),
}
"""The ones that joblib.dump offers without further packages, raw first."""


class Calls:
    """Pickles to a call of `function` with `arguments`."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


def attacks(marker: Path) -> dict[str, object]:
    """Values whose pickles, if they are loaded, make the file `marker`."""
    touch = f"touch {marker}"
    python = f"__import__('os').system({touch!r})"
    return {
        "os.system": Calls(os.system, touch),
        "eval": Calls(eval, python),
        "exec": Calls(exec, python),
        "nested in a dict": {"pose": [np.zeros(3), {"x": (Calls(os.system, touch),)}]},
        "in an object array": np.array([1, Calls(os.system, touch)], dtype=object),
        "as a key": {Calls(os.system, touch): 1},
        "numpy.load": Calls(np.load, str(marker)),
        "getattr": Calls(getattr, "x", "upper"),
        "import": Calls(__import__, "this"),
        "open": Calls(open, str(marker), "w"),
    }


RAW_ATTACKS: dict[str, bytes] = {
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x10load.__globals__\x93.",
    "a test runner": b"cnumpy\ntesting._private.utils.runstring\n(S'1'\ndtR.",
    "joblib's own loader": b"cjoblib.numpy_pickle\nload\n(S'other.pkl'\ntR.",
    "an old-style instance": b"(S'touch x'\nios\nsystem\n.",
    "object construction": b"(cos\nsystem\nS'touch x'\no.",
    "a persistent id": b"Pother\n.",
    "an extension code": b"\x82\x01.",
    "an out-of-band buffer": b"\x80\x05\x97.",
    "new globals for an allowed function": b"\x80\x02c_codecs\nencode\n}U\x08__code__K\x01sb.",
    "items into an array": b"\x80\x02cnumpy\nndarray\nK\x00K\x01s.",
    "a builtin with a length": b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x10\x85R.",
    "keywords": b"\x80\x04\x8c\x0bcollections\x8c\x0bOrderedDict\x93)}\x8c\x01aK\x01s\x92.",
}
"""Written by hand, opcode by opcode: what no pickler writes."""


class NumpyArrayWrapper:
    """Has the name and the state of joblib's class of this name, which is written before an array's bytes."""

    def __init__(self, array: np.ndarray, alignment: int | None) -> None:
        self.subclass = type(array)
        self.shape = array.shape
        self.order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        self.dtype = array.dtype
        self.allow_mmap = not array.dtype.hasobject
        self.numpy_array_alignment_bytes = alignment


NumpyArrayWrapper.__module__ = "joblib.numpy_pickle"


class _JoblibPickler(pickle._Pickler):  # type: ignore[name-defined]
    """Writes arrays as joblib does (its file format since 0.10): a wrapper, padding, then the bytes."""

    dispatch = pickle._Pickler.dispatch.copy()  # type: ignore[attr-defined]

    def __init__(self, stream: io.BytesIO, protocol: int, alignment: int | None) -> None:
        super().__init__(stream, protocol)
        self.stream, self.alignment = stream, alignment

    def save(self, obj: object, save_persistent_id: bool = True) -> None:
        if not isinstance(obj, np.ndarray):
            super().save(obj, save_persistent_id)
            return
        super().save(NumpyArrayWrapper(obj, self.alignment))
        if self.proto >= 4:
            self.framer.commit_frame(force=True)
        if obj.dtype.hasobject:
            pickle.dump(obj, self.stream, protocol=2)
            return
        if self.alignment is not None:
            padding = self.alignment - (self.stream.tell() + 1) % self.alignment
            self.stream.write(bytes([padding]) + b"\xff" * padding)
        self.stream.write(obj.tobytes("F" if obj.flags.f_contiguous and not obj.flags.c_contiguous else "C"))

    def save_global(self, obj: object, name: str | None = None) -> None:
        if obj is NumpyArrayWrapper:
            self.write(pickle.GLOBAL + b"joblib.numpy_pickle\nNumpyArrayWrapper\n")
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    dispatch[type] = save_global


def joblib_bytes(value: object, protocol: int = 4, alignment: int | None = 16) -> bytes:
    """What joblib.dump(value) writes without compression; before joblib 1.1 there was no alignment."""
    stream = io.BytesIO()
    _JoblibPickler(stream, protocol, alignment).dump(value)
    return stream.getvalue()
