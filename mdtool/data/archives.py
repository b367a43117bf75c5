"""Files of one kind in folders, zip and tar archives, or given one by one."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from mdtool.errors import MdtoolError

ARCHIVES = (".zip", ".tar", ".tar.xz", ".tar.gz", ".tar.bz2", ".tgz", ".txz")
_DAMAGE = (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, NotImplementedError)
"""NotImplementedError is what zipfile raises for a way of packing that it does not know."""


@dataclass(frozen=True)
class Container:
    """One folder, archive or single file, with the names of the wanted files in it."""

    path: Path
    names: tuple[str, ...]
    """Names as the archive has them, or relative to the folder, with forward slashes."""
    _walk: Callable[[], Iterator[tuple[str, Callable[[], bytes]]]]
    problem: str = ""
    """Why an archive cannot be opened at all; empty when it can."""

    def read(self) -> Iterator[tuple[str, bytes | MdtoolError]]:
        """(name, content) of every file in order; the error instead of the content where one cannot be read."""
        for name, load in self._walk():
            try:
                yield name, load()
            except (*_DAMAGE, RuntimeError) as error:  # RuntimeError: an encrypted member of a zip
                yield name, MdtoolError(f"{name}: cannot be read from {self.path.name}: {error}")


def open_containers(source: str | Path, suffix: str) -> list[Container]:
    """Find the files ending in `suffix` in a folder (recursive, archives in it included), archive or single file.

    Raises:
        MdtoolError: nothing there, or nothing of that kind in it. A damaged archive is a container with a problem.
    """
    path = Path(source)
    if path.is_dir():
        found = sorted(entry for entry in path.rglob("*") if entry.is_file() and not _hidden(entry.relative_to(path)))
        containers = [_open_archive(entry, suffix) for entry in found if _is_archive(entry)]
        loose = [entry for entry in found if entry.name.lower().endswith(suffix)]
        if loose:
            names = tuple(entry.relative_to(path).as_posix() for entry in loose)
            containers.append(Container(path, names, lambda: ((name, (path / name).read_bytes) for name in names)))
    elif not path.exists():
        raise MdtoolError(f"no such file or folder: {path}")
    elif _is_archive(path):
        containers = [_open_archive(path, suffix)]
    elif path.name.lower().endswith(suffix):
        containers = [Container(path, (path.name,), lambda: iter([(path.name, path.read_bytes)]))]
    else:
        raise MdtoolError(f"{path} is no {suffix} file, folder or archive ({', '.join(ARCHIVES)})")
    containers = [container for container in containers if container.names or container.problem]
    if not containers:
        raise MdtoolError(f"{path} has no {suffix} file in it")
    return containers


def _open_archive(path: Path, suffix: str) -> Container:
    def wanted(name: str) -> bool:
        return name.lower().endswith(suffix) and not _hidden(PurePosixPath(name))

    def walk_zip() -> Iterator[tuple[str, Callable[[], bytes]]]:
        with zipfile.ZipFile(path) as archive:
            for name in names:
                yield name, partial(archive.read, name)

    def walk_tar() -> Iterator[tuple[str, Callable[[], bytes]]]:
        with tarfile.open(path) as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isfile() and wanted(member.name) else None
                if stream is not None:
                    yield member.name, stream.read

    try:
        if path.name.lower().endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                names = tuple(sorted(name for name in archive.namelist() if wanted(name)))
            return Container(path, names, walk_zip)
        with tarfile.open(path) as tar:
            names = tuple(member.name for member in tar if member.isfile() and wanted(member.name))
        return Container(path, names, walk_tar)
    except _DAMAGE as error:
        problem = f"the archive is damaged or not what its name says ({error}): get it again"
        return Container(path, (), lambda: iter(()), problem)


def _is_archive(path: Path) -> bool:
    return path.name.lower().endswith(ARCHIVES)


def _hidden(path: Path | PurePosixPath) -> bool:
    """True for what operating systems add: .DS_Store, __MACOSX/._walk.bvh."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts if part not in (".", ".."))
