"""The bytes of a file, decompressed on the way, with a bound on how many may be held in memory.

Formats are told by their first bytes, as joblib does: zlib, gzip, bz2, xz and lzma, else the bytes as they are.
"""

from __future__ import annotations

import bz2
import io
import lzma
import os
import zlib
from pathlib import Path
from typing import BinaryIO, Protocol

_CHUNK = 1 << 16
_LZMA_MEMORY = 1 << 28
"""What an lzma dictionary may take; the largest preset (9) needs 65 MB."""


class Refused(Exception):
    """Why a file is not read further, in words that go on after its name."""


class ByteStream:
    """Reads a file from its start; what is read counts against `limit_bytes`, what is skipped does not.

    Attributes:
        file: the decompressed bytes, buffered.
        plain: whether offsets in `file` are offsets in the file at `path`.
        left: bytes that may still be held in memory.
    """

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self.path = path
        self.limit = self.left = limit_bytes
        with open(path, "rb") as opened:
            decompressor = _decompressor(opened.read(6))
        self.plain = decompressor is None
        self._opened = path.open("rb")
        self._size = os.fstat(self._opened.fileno()).st_size
        self.file: BinaryIO = self._opened
        if decompressor is not None:
            self.file = io.BufferedReader(_Decompressed(self._opened, decompressor), _CHUNK)

    def __enter__(self) -> ByteStream:
        return self

    def __exit__(self, *unused: object) -> None:
        self.file.close()
        self._opened.close()

    def spend(self, count: int) -> None:
        """Count `count` more bytes of memory.

        Raises:
            Refused: the limit is reached.
        """
        self.left -= count
        if self.left < 0:
            raise Refused(f"it takes more than the {self.limit / 2**30:.3g} GiB of memory that it may")

    def read(self, count: int) -> bytes:
        """The next `count` bytes; no more memory is taken than there are bytes.

        Raises:
            Refused: over the limit.
            EOFError: fewer bytes are left.
        """
        self._require(count)
        self.spend(count)
        if self.plain or count <= _CHUNK:
            content = self.file.read(count)
        else:  # only as fast as the bytes come: a length that is a lie takes no memory
            pieces = bytearray()
            while len(pieces) < count and (piece := self.file.read(min(count - len(pieces), 1 << 20))):
                pieces += piece
            content = bytes(pieces)
        if len(content) < count:
            raise EOFError(f"it ends {count - len(content)} bytes early")
        return content

    def read_line(self) -> bytes:
        """The next line without its line end.

        Raises:
            Refused: over the limit.
            EOFError: the file ends in the line.
        """
        line = self.file.readline(self.left + 1)
        self.spend(len(line))
        if not line.endswith(b"\n"):
            raise EOFError("it ends in the middle of a line")
        return line[:-1]

    def skip(self, count: int) -> int:
        """Leave `count` bytes of a plain file where they are; the offset of the first.

        Raises:
            EOFError: fewer bytes are left.
        """
        self._require(count)
        offset = self.file.tell()
        self.file.seek(count, os.SEEK_CUR)
        return offset

    def _require(self, count: int) -> None:
        """Refuse a length that cannot be true before anything is allocated for it."""
        if count < 0:
            raise EOFError("a length in it is negative")
        if self.plain and count > _CHUNK and count > self._size - self.file.tell():
            raise EOFError("a length in it goes past its end")


class _Decompressor(Protocol):
    """What bz2 and lzma offer, and `_Zlib` for zlib and gzip."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Zlib:
    """zlib's decompressor with the interface of the other two."""

    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


class _Decompressed(io.RawIOBase):
    """A compressed file as a raw stream that never makes more than it is asked for."""

    def __init__(self, source: BinaryIO, decompressor: _Decompressor) -> None:
        self._source, self._decompressor = source, decompressor

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._decompressor.eof:
            data = self._source.read(_CHUNK) if self._decompressor.needs_input else b""
            if not data and self._decompressor.needs_input:
                raise EOFError("its compressed bytes end early")
            made = self._decompressor.decompress(data, len(buffer))
            if made:
                buffer[: len(made)] = made
                return len(made)
        return 0


def _decompressor(start: bytes) -> _Decompressor | None:
    """A decompressor for a file that starts so; None for a file that is not compressed.

    Raises:
        Refused: a compression that mdtool does not read.
    """
    if start[:1] == b"\x78":
        return _Zlib(zlib.MAX_WBITS)
    if start[:2] == b"\x1f\x8b":
        return _Zlib(zlib.MAX_WBITS + 16)
    if start[:3] == b"BZh":
        return bz2.BZ2Decompressor()
    if start[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY)
    if start[:3] == b"\x5d\0\0":
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY)
    if start[:4] == b"\x04\x22\x4d\x18":
        raise Refused("it is compressed with lz4, which mdtool does not read; save it again with compress='zlib'")
    if start[:2] == b"ZF":
        raise Refused("it is of a joblib before 0.10; load and save it again with a newer joblib")
    return None
