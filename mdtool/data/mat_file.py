"""One numeric array out of a MATLAB v5 file (`save -v6` or `-v7`), within a bound of memory; nothing is executed.

Format: "MAT-File Format", The MathWorks: a header of 128 bytes, then tagged elements, deflated ones included.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from mdtool.errors import MdtoolError

_HEADER = 128
_COMPRESSED, _MATRIX = 15, 14
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Type of the stored numbers → numpy's; MATLAB stores whole doubles as small integers."""
_NUMERIC_CLASSES = range(6, 16)
_COMPLEX = 0x0800


class _Damaged(Exception):
    """What is wrong with the file, in words that go on after its name."""


def read_mat_array(content: bytes, variable: str, where: str, limit_bytes: int = 1 << 26) -> np.ndarray:
    """The real numeric array called `variable`, in its own shape, as float64.

    Args:
        content: the whole file.
        where: name for messages.
        limit_bytes: most bytes that an element may take once it is decompressed.

    Raises:
        MdtoolError: it is no MATLAB v5 file, is damaged or too large, or has no such numeric array.
    """
    try:
        return _find(content, variable, limit_bytes)
    except (_Damaged, struct.error, zlib.error, UnicodeDecodeError) as error:
        raise MdtoolError(f"{where}: {error}") from error


def _find(content: bytes, variable: str, limit_bytes: int) -> np.ndarray:
    if content[:8] == b"\x89HDF\r\n\x1a\n" or content[512:520] == b"\x89HDF\r\n\x1a\n":
        raise _Damaged("it is a MATLAB v7.3 file; save it with -v7 or -v6")
    if len(content) < _HEADER or content[126:128] not in (b"IM", b"MI"):
        raise _Damaged("it is no MATLAB file of version 5")
    order = "<" if content[126:128] == b"IM" else ">"
    seen = []
    for kind, data in _elements(content[_HEADER:], order):
        if kind == _COMPRESSED:
            inflater = zlib.decompressobj()
            unpacked = inflater.decompress(data, limit_bytes)
            if inflater.unconsumed_tail:
                raise _Damaged(f"an array in it takes more than {limit_bytes >> 20} MiB")
            kind, data = next(_elements(unpacked, order), (0, b""))
        if kind == _MATRIX:
            name, array = _matrix(data, order, variable)
            if array is not None:
                return array
            seen.append(name)
    raise _Damaged(f"it has no variable {variable!r}; variables: {', '.join(seen) or 'none'}")


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """(type, content) of each tagged element; up to 4 bytes may sit inside the tag itself."""
    place = 0
    while place + 8 <= len(data):
        kind, size = struct.unpack_from(order + "II", data, place)
        if kind >> 16:
            kind, size = kind & 0xFFFF, kind >> 16
            if size > 4:
                raise _Damaged("it is damaged (a tag that cannot be)")
            yield kind, data[place + 4 : place + 4 + size]
            place += 8
            continue
        place += 8
        if place + size > len(data):
            raise _Damaged("it is cut short")
        yield kind, data[place : place + size]
        place += size + (0 if kind == _COMPRESSED else -size % 8)


def _matrix(data: bytes, order: str, variable: str) -> tuple[str, np.ndarray | None]:
    """Name of a matrix element, and its numbers if it is the wanted one."""
    parts = _elements(data, order)
    (_, flags), (_, sizes), (_, name) = (next(parts, (0, b"")) for _ in range(3))
    text = name.decode("ascii")
    if text != variable:
        return text, None
    (flag,) = struct.unpack_from(order + "I", flags)
    if flag & 0xFF not in _NUMERIC_CLASSES or flag & _COMPLEX:
        raise _Damaged(f"its variable {variable!r} is not an array of real numbers")
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    kind, numbers = next(parts, (0, b""))
    if kind not in _NUMBERS or any(size < 0 for size in shape):
        raise _Damaged(f"its variable {variable!r} is damaged")
    dtype = np.dtype(order + _NUMBERS[kind])
    if math.prod(shape) * dtype.itemsize != len(numbers):
        raise _Damaged(f"its variable {variable!r} has {len(numbers)} bytes, which do not make {list(shape)}")
    return text, np.frombuffer(numbers, dtype).astype(np.float64).reshape(shape, order="F")
