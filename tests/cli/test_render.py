"""`mdtool render` as typed."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from mdtool.cli.render import render
from mdtool.errors import MdtoolError
from mdtool.motion.file import write_motions
from mdtool.motion.motion import Motion, MotionSet
from mdtool.motion.skeleton import JOINTS, STANDING_PELVIS_HEIGHT

app = typer.Typer()
app.command()(render)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Six clips of three actions, 8 frames each."""
    rot6d = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (8, JOINTS, 1))
    root = np.tile(np.array([0, STANDING_PELVIS_HEIGHT, 0], np.float32), (8, 1))
    clips = [Motion(rot6d, root, 20.0, action=action) for action in ("walk", "run", "walk", "jump", "walk", "run")]
    write_motions(tmp_path / "some.h5", MotionSet.from_clips(clips))
    return tmp_path / "some.h5"


def typed(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_default_is_a_grid_beside_the_file(file: Path) -> None:
    output = typed(file, "--size", "320x180", "--fps", 10, "--jobs", 1)
    with av.open(str(file.with_suffix(".mp4"))) as container:
        assert container.streams.video[0].frames == 4
        assert (container.streams.video[0].width, container.streams.video[0].height) == (320, 180)
    assert "some.mp4: 6 clips, 0.4 s at 10 fps, 320x180" in output
    assert f"next: mdtool render {file} --clip" in output


def test_one_clip_as_a_strip(file: Path, tmp_path: Path) -> None:
    output = typed(file, "--clip", 1, "--out", tmp_path / "one.png", "--strip-every", 4, "--jobs", 1)
    assert "clip 1 (run)" in output
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.height == 380


def test_chosen_actions_in_one_frame(file: Path, tmp_path: Path) -> None:
    words = ("--action", "jump", "--action", "run", "--frame", 3, "--size", "320x180", "--out", tmp_path / "two.png")
    assert "3 clips" in typed(file, *words)
    with Image.open(tmp_path / "two.png") as picture:
        assert picture.size == (320, 180)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--clip", "6"), "has no clip 6: it has clips 0 to 5"),
        (("--clip", "-1"), "has no clip -1"),
        (("--action", "swim"), "unknown action 'swim'"),
        (("--size", "big"), "write it as 1280x720"),
        (("--out", "film.mov"), "end its name in"),
        (("--out", "film.mp4", "--frame", "2"), "name a .png"),
    ],
)
def test_mistakes(file: Path, words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(MdtoolError, match=sentence):
        typed(file, *words)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match="no such file"):
        typed(tmp_path / "none.h5")
