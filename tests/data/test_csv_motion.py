"""Motion tables with mistakes in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mdtool.data.csv_motion import parse_csv
from mdtool.errors import MdtoolError
from mdtool.export.csv import write_csv
from tests.export.clips import any_clip, assert_same_motion


@pytest.fixture
def text(tmp_path: Path) -> str:
    write_csv(tmp_path / "a.csv", any_clip(3), "rotations")
    return (tmp_path / "a.csv").read_text()


def test_columns_in_any_order_and_a_spreadsheet_s_line_ends(text: str) -> None:
    lines = text.splitlines()
    header, rows = lines[:4], [line.split(",")[::-1] for line in lines[4:]]
    shuffled = "\r\n".join([*header, *(",".join(row) for row in rows)])
    assert_same_motion(parse_csv(b"\xef\xbb\xbf" + shuffled.encode(), "a.csv").motion, any_clip(3))


def test_a_remark_below_the_names_is_no_header(text: str) -> None:
    with pytest.raises(MdtoolError, match="line 9: 1 cells where the names are"):
        parse_csv((text + "# a remark\n").encode(), "a.csv")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: "", "needs a line like `# axes"),
        (lambda text: text.replace("left up", "left left"), "needs a line like `# axes"),
        (lambda text: text.replace("# fps: 30.0", "# fps: -1"), "needs a line like `# fps"),
        (lambda text: text.replace('"m"', '"inch"'), "needs a line like `# unit"),
        (lambda text: text.replace("# fps: 30.0", "# fps"), "line 1: expected `# key: value`"),
        (lambda text: text.replace("head_qw", "skull_qw"), "it lacks head_qw"),
        (lambda text: "\n".join(text.splitlines()[:5]), "no frames"),
        (lambda text: text + "1,2,3\n", "line 9: 3 cells where the names are 101"),
        (lambda text: text.replace("\n1,", "\none,"), "line 7: could not convert"),
        (lambda text: text.replace("\n1,", "\nnan,"), "line 7: NaN"),
    ],
)
def test_mistakes_name_the_line(text: str, change: Callable[[str], str], sentence: str) -> None:
    with pytest.raises(MdtoolError, match=sentence):
        parse_csv(change(text).encode(), "a.csv")


def test_a_quaternion_of_zeros(text: str) -> None:
    lines = text.splitlines()
    lines[-1] = ",".join(["0"] * 101)
    with pytest.raises(MdtoolError, match="no rotation"):
        parse_csv("\n".join(lines).encode(), "a.csv")


def test_not_a_text_file() -> None:
    with pytest.raises(MdtoolError, match="not a text file"):
        parse_csv(b"\xff\xfe\x00", "a.csv")
