"""npz archives that others may have written or broken: within a bound of memory, and with two kinds of errors only."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

LIMIT_BYTES = 4 << 30
"""What the arrays of an archive may hold when they are unpacked."""
_DAMAGE = (EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error)
"""RuntimeError: encrypted, or packed in a way that Python does not know."""


@contextmanager
def open_npz(source: Path | bytes, limit_bytes: int = LIMIT_BYTES) -> Iterator[NpzFile]:
    """The arrays of an archive by name, read as they are asked for; nothing is unpickled.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no archive, is damaged, too large, or holds objects; reading an array in the block, too.
    """
    try:
        # Opened here, since np.load leaves a damaged archive open.
        with open(source, "rb") if isinstance(source, Path) else io.BytesIO(source) as stream:
            if not zipfile.is_zipfile(stream):  # else numpy says how to load it unsafely
                raise ValueError("it is no whole zip archive")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as loaded:
                size = sum(member.file_size for member in loaded.zip.infolist()) if loaded.zip else 0
                if size > limit_bytes:
                    raise ValueError(f"unpacked it takes {size / 2**30:.1f} GiB, more than it may")
                yield loaded
    except _DAMAGE as error:
        raise ValueError(str(error) or type(error).__name__) from error
