"""Files of paths over the ground."""

from __future__ import annotations

from pathlib import Path

import pytest

from mdtool.editing.paths import read_path
from mdtool.errors import MdtoolError


def test_a_line_of_names_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "way.csv").write_text("frame,x,z\n0,0,0\n\n50,0.3,-0.4\n")
    assert read_path(tmp_path / "way.csv") == [[0, 0, 0], [50, 0.3, -0.4]]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file or directory; a path is a CSV file of frame,x,z"),
        (b"\x89HDF\r\n", "it is no text; a path is a CSV file of frame,x,z"),
        (b"frame,x,z\n0,0\n", "way.csv:2: a path has the columns frame,x,z .metres., not '0,0'"),
        (b"frame,x,z\n0,0,nan\n", "way.csv:2: a path has the columns"),
    ],
)
def test_a_file_that_is_no_path_hears_what_one_is(tmp_path: Path, content: bytes | None, told: str) -> None:
    if content is not None:
        (tmp_path / "way.csv").write_bytes(content)
    with pytest.raises(MdtoolError, match=told):
        read_path(tmp_path / "way.csv")
