"""`mdtool render … --out page.html` as typed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mdtool.motion.file import write_motions
from mdtool.motion.motion import Motion, MotionSet
from mdtool.motion.skeleton import JOINTS, STANDING_PELVIS_HEIGHT
from mdtool.page import motions as page_motions
from tests.cli.command_line import done, refused


def write(path: Path, actions: tuple[str, ...], frames: int = 8) -> Path:
    """A file of standing people."""
    rot6d = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (frames, JOINTS, 1))
    root = np.tile(np.array([0, STANDING_PELVIS_HEIGHT, 0], np.float32), (frames, 1))
    write_motions(path, MotionSet.from_clips([Motion(rot6d, root, 20.0, action=action) for action in actions]))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "some.h5", ("walk", "run", "walk", "jump_up"))


def content(page: Path) -> dict:
    """What the page's player reads."""
    (text,) = re.findall(r'<script type="application/json" id="mdtool-motions">(.*?)</script>', page.read_text("utf-8"))
    return json.loads(text)


def test_all_clips_by_default(file: Path, tmp_path: Path) -> None:
    printed = done("render", file, "--out", tmp_path / "page.html")
    assert "wrote" in printed
    assert "4 motions" in printed
    data = content(tmp_path / "page.html")
    assert [row["label"] for row in data["rows"]] == ["jump up", "run", "walk", "walk"]
    assert [clip["frames"] for clip in data["clips"]] == [8] * 4
    assert data["options"] == {"follow": True, "captions": True}


def test_options_of_films_that_have_a_meaning_here(file: Path, tmp_path: Path) -> None:
    words = ("--clip", 1, "--seconds", 0.2, "--camera", "fixed", "--no-captions")
    done("render", file, "--out", tmp_path / "page.html", *words)
    data = content(tmp_path / "page.html")
    assert [row["note"] for row in data["rows"]] == ["clip 1"]
    assert data["clips"][0]["frames"] == 4
    assert data["options"] == {"follow": False, "captions": False}


def test_beside_pairs_clips_of_the_same_action(file: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = write(tmp_path / "other" / "some.h5", ("walk", "run"), frames=5)
    done("render", file, "--beside", other, "--clip", 0, "--clip", 1, "--out", tmp_path / "page.html")
    data = content(tmp_path / "page.html")
    assert [column["name"] for column in data["columns"]] == [tmp_path.name, "other"]
    assert [row["clips"] for row in data["rows"]] == [[0, 1], [2, 3]]
    assert [clip["frames"] for clip in data["clips"]] == [8, 5, 8, 5]
    assert "has no clip of 'jump_up' to compare with" in refused(
        "render", file, "--beside", other, "--clip", 3, "--out", tmp_path / "b.html"
    )
    assert not (tmp_path / "b.html").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--out", "page.html", "--fps", "10"), "--fps means nothing in a page"),
        (("--out", "page.html", "--size", "640x360"), "--size means nothing in a page"),
        (("--out", "page.html", "--show", "trails"), "--show means nothing in a page"),
        (("--out", "page.html", "--beside", "some.h5", "--ghost"), "--ghost means nothing in a page"),
        (("--out", "page.html", "--beside", "none.h5"), "no such file"),
        (("--out", "page.html", "--clip", "9"), "has no clip 9"),
        (("--out", "folder.html"), "it is a folder"),
    ],
)
def test_mistakes(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    assert sentence in refused("render", file, *words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.html", "some.h5"]


def test_a_page_too_large_to_open_is_refused(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_motions, "LARGEST_MB", 1)
    assert "show fewer clips" in refused("render", file, "--out", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
