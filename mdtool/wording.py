"""Numbers as a reader meets them: things counted, and sizes of files."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """ "1 motion", "2,000 motions"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def file_size(size: int) -> str:
    """Bytes in the unit that suits them: bytes, kB or MB."""
    if size < 1000:
        return counted(size, "byte")
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
