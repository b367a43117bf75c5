"""`mdtool render … --out page.html` as typed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mdtool.motion.file import write_motions
from mdtool.motion.marks import KEY, Marks, Point, Solid
from mdtool.motion.motion import Motion, MotionSet
from mdtool.motion.skeleton import JOINTS, STANDING_PELVIS_HEIGHT
from mdtool.page import motions as page_motions
from tests.cli.command_line import done, refused

OPTIONS = {"follow": True, "captions": True, "contacts": True, "trails": False, "targets": True, "overlay": False}


def write(path: Path, actions: tuple[str, ...], frames: int = 8, provenance: dict | None = None) -> Path:
    """A file of standing people."""
    rot6d = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (frames, JOINTS, 1))
    root = np.tile(np.array([0, STANDING_PELVIS_HEIGHT, 0], np.float32), (frames, 1))
    clips = [Motion(rot6d, root, 20.0, action=action) for action in actions]
    write_motions(path, MotionSet.from_clips(clips, provenance=provenance))
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
    assert data["options"] == OPTIONS
    assert not any("marks" in clip for clip in data["clips"])


def test_options_of_films_that_have_a_meaning_here(file: Path, tmp_path: Path) -> None:
    words = ("--clip", 1, "--seconds", 0.2, "--camera", "fixed", "--no-captions")
    done("render", file, "--out", tmp_path / "page.html", *words)
    data = content(tmp_path / "page.html")
    assert [row["note"] for row in data["rows"]] == ["clip 1"]
    assert data["clips"][0]["frames"] == 4
    assert data["options"] == {**OPTIONS, "follow": False, "captions": False}


def test_a_page_shows_at_first_what_is_asked_for(file: Path, tmp_path: Path) -> None:
    done("render", file, "--beside", file, "--ghost", "--show", "trails", "--out", tmp_path / "page.html")
    switched = {"contacts": False, "trails": True, "targets": False, "overlay": True}
    assert content(tmp_path / "page.html")["options"] == OPTIONS | switched


def test_a_page_has_the_targets_and_obstacles_of_an_edit(tmp_path: Path) -> None:
    told = Marks([Point(3, (0.5, 1.2, 0.1), 21, "xyz"), Point(5, (0.0, 1.0, 0.0), 15, "y")], [[(0.0, 0.0), (1.0, 2.0)]])
    wall = Solid(
        [(-1.0, 0.0), (1.0, 0.0), (0.0, 1.0)], 0.0, 2.0, [(0.0, 0.0, 0.0, 1.0, 0.0), (7.0, 0.0, 0.0, 3.0, 0.5)]
    )
    provenance = {KEY: [Marks().plain(), Marks(told.points, told.lines, [wall]).plain()]}
    edited = write(tmp_path / "edited.h5", ("walk", "run"), provenance=provenance)
    done("render", edited, "--clip", 1, "--beside", edited, "--show", "targets", "--out", tmp_path / "page.html")
    data = content(tmp_path / "page.html")
    first, second = data["clips"]
    assert "marks" not in second
    assert [point["at"] for point in first["marks"]["points"]] == [[0.5, 1.2, 0.1]]  # a height alone has no place
    assert first["marks"]["lines"] == [[[0.0, 0.0], [1.0, 2.0]]]
    assert first["marks"]["solids"][0]["places"][1] == [7.0, 0.0, 0.0, 3.0, 0.5]
    assert data["options"] == {**OPTIONS, "contacts": False}


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
        (("--out", "page.html", "--style", "storyboard"), "--style means nothing in a page"),
        (("--out", "page.html", "--show", "trails,shoes"), "cannot show 'shoes': choose from"),
        (("--out", "page.html", "--show", "targets"), "some.h5 has no targets to show"),
        (("--out", "page.html", "--ghost"), "--ghost needs a second motion file"),
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
