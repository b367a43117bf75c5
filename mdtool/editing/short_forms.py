"""The usual edits in one line, as the requests that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdtool.errors import MdtoolError

FORMS = {
    "refine": ("FILE", "clean a noisy recording"),
    "complete": ("FILE", "make up what --joints leaves out"),
    "inbetween": ("FILE OTHER", "go from the last pose of one clip to the first of another"),
    "blend": ("FILE OTHER", "go over from one clip into another"),
    "path": ("FILE CSV", "follow a path: columns frame,x,z, in metres"),
}
"""Word → (its files, what it does)."""


@dataclass(frozen=True)
class ShortForm:
    """A short form as it was typed."""

    word: str
    files: tuple[str, ...]

    def request(self, joints: str | None, clip: int = 0) -> dict[str, Any]:
        """The request that it stands for.

        Args:
            joints: which ones "complete" takes from its input; six by default.
            clip: of the first file.

        Raises:
            MdtoolError: joints for another form than "complete".
        """
        if joints is not None and self.word != "complete":
            raise MdtoolError(f"mdtool edit {self.word} takes no --joints: they are for `complete`")
        if self.word == "refine":
            return {"version": 1, "mask": {"observed": {"joints": "all"}}}
        if self.word == "complete":
            words = [word.strip() for word in (joints or "six").split(",") if word.strip()]
            return {"version": 1, "mask": {"observed": {"joints": words[0] if len(words) == 1 else words}}}
        if self.word == "blend":
            return {"version": 1, "blend": {"with": self.files[1]}}
        if self.word == "path":
            return {"version": 1, "path": {"file": self.files[1]}}
        ends = [{"at": 0, "pose": f"{self.files[0]}#{clip}:-1"}, {"at": -1, "pose": f"{self.files[1]}#0:0"}]
        return {"version": 1, "targets": ends}


def read_words(words: Sequence[str]) -> tuple[Path | None, ShortForm | None]:
    """(file to edit, short form) of the words after `mdtool edit`.

    Raises:
        MdtoolError: a short form with other files than it takes, or more than one file without one.
    """
    if words and words[0] in FORMS:
        files, wants = tuple(words[1:]), FORMS[words[0]][0]
        if len(files) != len(wants.split()):
            raise MdtoolError(f"mdtool edit {words[0]} takes {wants}, to {FORMS[words[0]][1]}")
        return Path(files[0]), ShortForm(words[0], files)
    if len(words) > 1:
        raise MdtoolError(
            f"mdtool edit takes one FILE, or a short form ({', '.join(FORMS)}) with its files, not {' '.join(words)}"
        )
    return (Path(words[0]) if words else None), None
