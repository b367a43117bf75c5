"""What stands for numpy's and joblib's names in a pickle: only arrays and scalars of numbers and texts come out."""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mdtool.data.byte_stream import ByteStream, Refused
from mdtool.data.pickle_machine import STORED_BYTES, Name, Pending, PickleMachine, StoredBytes, hashable
from mdtool.errors import MdtoolError

_KIND = re.compile(r"[<>|=]?([biufcSUO])(\d*)|\?")
_MOST_AXES = 32


class StoredArray:
    """An array that stays in its file until it is asked for: `numpy.asarray(stored)` or `stored.read()`."""

    __slots__ = ("dtype", "fortran", "offset", "path", "shape")

    def __init__(self, path: Path, offset: int, dtype: np.dtype, shape: tuple[int, ...], fortran: bool) -> None:
        self.path, self.offset, self.dtype, self.shape, self.fortran = path, offset, dtype, shape, fortran

    def __len__(self) -> int:
        return self.shape[0]

    def read(self) -> np.ndarray:
        """The array, read anew at every call.

        Raises:
            MdtoolError: the file is gone or was cut since it was opened.
        """
        count = math.prod(self.shape)
        try:
            flat = np.fromfile(self.path, self.dtype, count, offset=self.offset)
        except OSError as error:
            raise MdtoolError(f"{self.path} cannot be read any more: {error.strerror or error}") from error
        if len(flat) < count:
            raise MdtoolError(f"{self.path} has become shorter while it was read: leave it alone meanwhile")
        return flat.reshape(self.shape, order="F" if self.fortran else "C")

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        array = self.read()
        return array if dtype is None else array.astype(dtype, copy=False)


class _Dtype(Pending):
    """numpy.dtype('f4', align, copy), then its state (version, byte order, …)."""

    def __init__(self, kind: object, *unused: object) -> None:
        super().__init__()
        if not isinstance(kind, str) or not _KIND.fullmatch(kind):
            raise Refused(f"it has an array of type {str(kind)[:40]!r}; mdtool reads numbers and texts")
        self.dtype = np.dtype(kind)

    def build(self, state: object, machine: PickleMachine) -> np.dtype:
        """The type in its byte order."""
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise ValueError("an array type in it is damaged")
        return self.dtype.newbyteorder(state[1])


class _Array(Pending):
    """numpy.core.multiarray._reconstruct(numpy.ndarray, (0,), b'b'), then (version, shape, dtype, fortran, content)."""

    def __init__(self, kind: object, *unused: object) -> None:
        super().__init__()
        _require_plain_array(kind)

    def build(self, state: object, machine: PickleMachine) -> np.ndarray | StoredArray:
        """The array."""
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise ValueError("an array in it is damaged")
        shape, dtype, fortran, content = state[-4:]
        return _make_array(content, _checked_dtype(dtype), _checked_shape(shape), bool(fortran), machine.stream)


class _JoblibArray(Pending):
    """joblib's NumpyArrayWrapper: its state describes an array whose bytes follow in the stream."""

    def build(self, state: object, machine: PickleMachine) -> object:
        """The array."""
        if not isinstance(state, dict):
            raise ValueError("an array in it is damaged")
        _require_plain_array(state.get("subclass"))
        dtype, shape, stream = _checked_dtype(state.get("dtype")), _checked_shape(state.get("shape")), machine.stream
        if dtype.hasobject:  # joblib writes these as a pickle of their own inside the file
            names = {name: stand_in for name, stand_in in machine.names.items() if stand_in is not _JoblibArray}
            return PickleMachine(stream, names, machine.lazy).run()
        if state.get("numpy_array_alignment_bytes") is not None:
            stream.read(stream.read(1)[0])
        size = math.prod(shape) * dtype.itemsize
        left = machine.lazy and size >= STORED_BYTES
        content = StoredBytes(stream.skip(size), size) if left else stream.read(size)
        return _make_array(content, dtype, shape, state.get("order") == "F", stream)


def numpy_names(stream: ByteStream) -> dict[tuple[str, str], Callable[..., object]]:
    """(module, name) → stand-in, for the names that plain values, numpy arrays and joblib's arrays need.

    Args:
        stream: what the pickle is read from; its memory is counted and its arrays are left in its file.
    """

    def from_buffer(content: object, dtype: object, shape: object, order: object) -> object:
        return _make_array(content, _checked_dtype(dtype), _checked_shape(shape), order == "F", stream)

    def scalar(dtype: object, content: object) -> object:
        return np.asarray(_make_array(content, _checked_dtype(dtype), (), False, stream))[()]

    names: dict[tuple[str, str], Callable[..., object]] = {
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        ("numpy", "memmap"): _Array,
        ("numpy.core.memmap", "memmap"): _Array,
        ("joblib.numpy_pickle", "NumpyArrayWrapper"): _JoblibArray,
        ("collections", "OrderedDict"): _ordered,
        ("_codecs", "encode"): _encode,
    }
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray", "_reconstruct"] = _Array
        names[f"{core}.multiarray", "scalar"] = scalar
        names[f"{core}.numeric", "_frombuffer"] = from_buffer
    for builtins in ("builtins", "__builtin__"):
        for kind in (list, tuple, dict, set, frozenset):
            names[builtins, kind.__name__] = partial(_container, kind)
        names[builtins, "bytes"] = _byte_string
        names[builtins, "bytearray"] = lambda *arguments: bytearray(_byte_string(*arguments))
        names[builtins, "complex"] = _complex
    return names


def _require_plain_array(kind: object) -> None:
    if not isinstance(kind, Name) or kind.name not in ("ndarray", "memmap"):
        raise Refused("it has an array of another class than numpy.ndarray")


def _checked_dtype(dtype: object) -> np.dtype:
    if not isinstance(dtype, np.dtype) or not dtype.itemsize:
        raise ValueError("an array in it has no type")
    return dtype


def _checked_shape(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or len(shape) > _MOST_AXES or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("an array in it has a shape that none can have")
    return shape


def _make_array(
    content: object, dtype: np.dtype, shape: tuple[int, ...], fortran: bool, stream: ByteStream
) -> np.ndarray | StoredArray:
    """The array of `content`, which must be of exactly the size that `dtype` and `shape` make."""
    count = math.prod(shape)
    if isinstance(content, StoredBytes) and content.size == count * dtype.itemsize and not dtype.hasobject:
        return StoredArray(stream.path, content.offset, dtype, shape, fortran)
    order: Literal["F", "C"] = "F" if fortran else "C"
    if dtype.hasobject and isinstance(content, list) and len(content) == count:
        stream.spend(8 * count)
        flat = np.empty(count, dtype=object)
        for place, value in enumerate(content):
            flat[place] = value
        return flat.reshape(shape, order=order)
    if isinstance(content, str):  # a byte string of Python 2
        content = content.encode("latin1")
    if dtype.hasobject or not isinstance(content, bytes | bytearray) or len(content) != count * dtype.itemsize:
        raise ValueError("an array in it has another size than its content")
    stream.spend(len(content))
    flat = np.frombuffer(bytearray(content), dtype) if count else np.zeros(0, dtype)
    return flat.reshape(shape, order=order)


def _ordered(items: object = ()) -> OrderedDict:
    if not isinstance(items, list | tuple) or not all(isinstance(item, list | tuple) for item in items):
        raise ValueError("an OrderedDict in it is damaged")
    return OrderedDict((hashable(key), value) for key, value in items)


def _container(kind: Callable[[Any], object], items: object = ()) -> object:
    """A builtin container of the elements of another one."""
    if kind is dict:
        return dict(_ordered(items))
    if not isinstance(items, list | tuple | set | frozenset):
        raise ValueError("a container in it is damaged")
    return kind([hashable(item) for item in items] if kind in (set, frozenset) else items)


def _byte_string(content: object = b"", encoding: object = "latin-1") -> bytes:
    content = _encode(content, encoding) if isinstance(content, str) else content
    if not isinstance(content, bytes):  # a number would be a length
        raise ValueError("a byte string in it is damaged")
    return content


def _complex(real: object, imaginary: object) -> complex:
    if not isinstance(real, float) or not isinstance(imaginary, float):
        raise ValueError("a complex number in it is damaged")
    return complex(real, imaginary)


def _encode(text: object, encoding: object = "latin1") -> bytes:
    """How Python 3 writes bytes in protocols 0 to 2."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused("it encodes something else than bytes as latin1")
    return text.encode("latin1")
