"""Labels of clips from a CSV file, or from the names of their folders."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mdtool.errors import MdtoolError, reason
from mdtool.motion.motion import TEST, TRAIN

_COLUMNS = {
    "path": ("path", "file", "filename", "member", "name", "clip"),
    "archive": ("archive", "zip", "tar"),
    "action": ("action", "label", "class", "category"),
    "split": ("split", "set", "subset"),
    "subject": ("subject", "actor", "performer"),
    "skip_first": ("skip_first",),
    "quality": ("quality",),
    "note": ("note", "notes"),
    "text": ("text", "description", "cmu_description"),
}
_SPLITS = {"train": TRAIN, "training": TRAIN, "test": TEST, "testing": TEST, "val": TEST, "validation": TEST}
DEFECT = "defect"
_LONGEST_HEADER = 1 << 16
"""Bytes of a first line."""


@dataclass(frozen=True)
class Label:
    """What is known about one clip beside its motion."""

    action: str = ""
    split: int | None = None
    """TRAIN, TEST, or None where nobody has said."""
    subject: str = ""
    skip_first: int | None = None
    """Frames to drop at the start; None leaves that to the reader."""
    text: str = ""
    defect: str = ""
    """Why the clip should not be used; empty for a good one."""


class LabelTable:
    """The rows of one or several label files, found by the names of archives and members."""

    def __init__(self, paths: list[Path]) -> None:
        """Read the files.

        Raises:
            MdtoolError: a file cannot be read, has no column for paths or actions, or a cell is wrong.
        """
        self.paths = paths
        self._by_archive: dict[tuple[str, str], Label] = {}
        self._by_path: dict[str, Label | None] = {}  # None where rows disagree
        self._by_ending: dict[str, Label | None] = {}
        for path in paths:
            self._read(path)

    def find(self, archive: str, member: str) -> Label | None:
        """The label of a member: by archive and path, else by paths of which one is the end of the other.

        Args:
            archive: name of the archive or folder.
            member: name inside of it.

        Returns:
            None where no row fits or several rows that disagree do.
        """
        path = _key(member)
        if (archive, path) in self._by_archive:
            return self._by_archive[archive, path]
        for candidate in (f"{archive}/{path}", path):
            if candidate in self._by_ending:
                return self._by_ending[candidate]
        return next((self._by_path[ending] for ending in _endings(path) if ending in self._by_path), None)

    def _read(self, path: Path) -> None:
        try:
            with open(path, encoding="utf-8-sig", newline="") as stream:
                reader = csv.DictReader(stream)
                columns = _find_columns(reader.fieldnames or [])
                if "path" not in columns or "action" not in columns:
                    raise MdtoolError(
                        f"{path} is no label file: its first line needs at least the columns path and action, "
                        f"and has {', '.join(reader.fieldnames or ['nothing'])}"
                    )
                for row in reader:
                    cells = {name: (row[column] or "").strip() for name, column in columns.items()}
                    self._add(cells, f"{path}, line {reader.line_num}")
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise MdtoolError(f"cannot read the labels {path}: {reason(error)}") from error

    def _add(self, cells: dict[str, str], place: str) -> None:
        if not cells["path"]:
            raise MdtoolError(f"{place}: the path is empty")
        label = _parse_label(cells, place)
        path = _key(cells["path"])
        self._by_archive[cells.get("archive", ""), path] = label
        for table, keys in ((self._by_path, [path]), (self._by_ending, _endings(path))):
            for key in keys:
                table[key] = label if table.get(key, label) == label else None


def is_label_file(content: bytes) -> bool:
    """Whether the first line of a table names columns for paths and actions."""
    first = content.decode("utf-8-sig", "replace").partition("\n")[0].rstrip("\r")
    return {"path", "action"} <= set(_find_columns(next(csv.reader([first]), [])))


def find_labels(container: Path, names: tuple[str, ...]) -> list[Path]:
    """Label files in or beside a folder or archive that know some of its members.

    Other tables there, whatever is in them, are none of ours and passed over.

    Raises:
        MdtoolError: a label file there has a wrong cell.
    """
    folders = [container, container.parent] if container.is_dir() else [container.parent]
    found = []
    for candidate in [entry for folder in folders for entry in sorted(folder.glob("*.csv"))]:
        if not _begins_like_labels(candidate):
            continue
        table = LabelTable([candidate])
        if any(table.find(container.name, name) for name in names):
            found.append(candidate)
    return found


def _begins_like_labels(path: Path) -> bool:
    try:
        with open(path, "rb") as stream:
            return is_label_file(stream.readline(_LONGEST_HEADER))
    except (OSError, csv.Error):
        return False


def folder_label(container: Path, name: str) -> Label:
    """The label that a clip's folder names: walk/03.bvh is a walk, and so is 03.bvh of walk.zip."""
    folder = PurePosixPath(name).parent.name
    if not folder:
        folder = container.name.split(".")[0] if container.name != name else container.parent.name
    return Label(action=folder)


def _parse_label(cells: dict[str, str], place: str) -> Label:
    split, quality = cells.get("split", "").lower(), cells.get("quality", "").lower()
    if split not in ("", DEFECT, *_SPLITS):
        raise MdtoolError(f"{place}: split {split!r} is none of {', '.join(_SPLITS)}, {DEFECT}")
    skip = cells.get("skip_first", "")
    if skip and not skip.isdecimal():
        raise MdtoolError(f"{place}: skip_first must be a number of frames, not {skip!r}")
    return Label(
        action=cells["action"],
        split=_SPLITS.get(split),
        subject=cells.get("subject", ""),
        skip_first=int(skip) if skip else None,
        text=cells.get("text", ""),
        defect=(cells.get("note") or "marked as a defect") if DEFECT in (split, quality) else "",
    )


def _find_columns(names: Sequence[str]) -> dict[str, str]:
    by_name = {name.strip().lower(): name for name in names}
    return {
        meaning: next(by_name[word] for word in words if word in by_name)
        for meaning, words in _COLUMNS.items()
        if any(word in by_name for word in words)
    }


def _endings(path: str) -> list[str]:
    """ "a/b/c" → "a/b/c", "b/c", "c"."""
    parts = path.split("/")
    return ["/".join(parts[first:]) for first in range(len(parts))]


def _key(path: str) -> str:
    return path.replace("\\", "/").removeprefix("./").removesuffix(".bvh").removesuffix(".BVH")
