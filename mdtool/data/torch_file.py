"""Read torch files of others as weights only: tensors and plain values, whatever else the file holds."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path

import torch

from mdtool.errors import MdtoolError

LIMIT_BYTES = 4 << 30
"""What the records of a file may hold when they are unpacked."""

_FOREIGN_NAME = re.compile(r"GLOBAL ([\w.]+)")


def load_torch(path: str | Path, *, limit_bytes: int = LIMIT_BYTES) -> object:
    """The content of a torch file (.pt, .pth, .tar; zipped or of before 1.6), its tensors on the CPU.

    Args:
        limit_bytes: memory that the unpacked records may take.

    Raises:
        MdtoolError: no such file; it holds more than tensors and plain values; it is damaged or too large.
    """
    path = Path(path)
    if not path.is_file():
        raise MdtoolError(f"no such file: {path}" if not path.exists() else f"{path} is no file")
    try:
        size = _unpacked_bytes(path)
        if size <= limit_bytes:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about old formats, which are no news to the user
                return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's own reader fails in as many ways as there are damages
        name = _FOREIGN_NAME.search(str(error))
        if name:
            raise MdtoolError(
                f"{path} is not read: it wants to use {name[1]}, and mdtool loads tensors and plain values only; "
                "nothing of it ran"
            ) from None
        raise MdtoolError(f"{path} is damaged, truncated or no torch file; get it again") from None
    raise MdtoolError(f"{path} is not read: unpacked it takes {size / 2**30:.1f} GiB, more than it may")


def _unpacked_bytes(path: Path) -> int:
    """Bytes of all records of a zipped file, as it says itself; of the file as it lies there for others."""
    if not zipfile.is_zipfile(path):
        return path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        return sum(record.file_size for record in archive.infolist())
