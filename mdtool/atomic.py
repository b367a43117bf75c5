"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mdtool.errors import MdtoolError, reason


@contextmanager
def replacing(path: str | Path, size: int = 0) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it into place when the block succeeds.

    A block that raises, or a process that is killed, leaves the old file untouched. The temporary name
    keeps the suffix of `path`, because encoders choose their format by it.

    Args:
        size: bytes that the block will write at most, for writers that do not survive a full disk (HDF5 crashes):
            a disk without that much room is refused before they begin.

    Raises:
        MdtoolError: the folder cannot be created or written, or the disk is full.
    """
    path = Path(path)
    temporary = _new_beside(path)
    try:
        _require_room(temporary, size)
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def require_writable(path: str | Path) -> None:
    """Raise what `replacing` would raise at once, so that long work is not done for nothing; makes the folder."""
    _new_beside(Path(path)).unlink()


def require_name(path: Path) -> Path:
    """`path`, when it ends in a name that another can be made of.

    Raises:
        MdtoolError: it does not, as "" and "." do not.
    """
    if not path.name:
        raise MdtoolError(f"{str(path)!r} is no file: give its name")
    return path


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: str | Path, content: bytes | memoryview) -> None:
    """Write a file atomically.

    For libraries whose own writers hide a full disk behind an exception of their own (torch, safetensors): they fill
    memory, and the operating system tells what went wrong here.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def unwritable(path: Path, error: OSError) -> MdtoolError:
    """Turn the operating system's refusal to write `path` into a sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
        return MdtoolError(f"cannot write {path}: the disk is full; free some space or choose another --out")
    return MdtoolError(f"cannot write {path}: {reason(error)}; choose another --out")


def _new_beside(path: Path) -> Path:
    """An empty temporary file in the folder of `path`, with its suffix."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise MdtoolError(f"cannot write {path}: it is a folder; give a file name")
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise unwritable(path, error) from error
    return Path(name)


def _require_room(temporary: Path, size: int) -> None:
    """Raise the operating system's refusal if `temporary` cannot hold `size` bytes; quotas and limits count."""
    if size and hasattr(os, "posix_fallocate"):
        with open(temporary, "rb+") as stream:
            os.posix_fallocate(stream.fileno(), 0, size)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
