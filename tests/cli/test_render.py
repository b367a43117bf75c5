"""`mdtool render` as typed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from mdtool.cli.render import _names, render
from mdtool.errors import MdtoolError
from mdtool.motion.file import read_motions, write_motions
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
        (("--out", "film.mov"), r"end its name in \.mp4, .*\.png or \.html"),
        (("--out", "film.mp4", "--frame", "2"), "name a .png"),
        (("--out", "strip.png", "--show", "contacts"), "--show means nothing in a strip: add --frame"),
        (("--out", "strip.png", "--size", "320x200"), "--size means nothing in a strip: add --frame"),
        (
            ("--out", "strip.png", "--style", "storyboard", "--camera", "orbit"),
            "--camera means nothing in a storyboard",
        ),
        (("--ghost",), "name it with --beside OTHER.h5"),
        (("--beside", "some.h5", "--ghost", "--out", "strip.png"), "has no ghosts: add --frame"),
        (("--beside", "nothing.h5"), "no such file: nothing.h5"),
        (("--show", "contacts,bones"), "cannot show 'bones'"),
        (("--body", "nobody"), "no body model at nobody"),
    ],
)
def test_mistakes(file: Path, words: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    with pytest.raises(MdtoolError, match=sentence):
        typed(file, *words)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match="no such file"):
        typed(tmp_path / "none.h5")


def test_two_files_side_by_side_and_as_a_ghost(file: Path, tmp_path: Path) -> None:
    write_motions(tmp_path / "other.h5", MotionSet.from_clips([moved(clip) for clip in read_motions(file)]))
    words = ("--beside", tmp_path / "other.h5", "--clip", 1, "--frame", 3, "--size", "320x180", "--jobs", 1)
    output = typed(file, *words, "--out", tmp_path / "pair.png", "--show", "contacts, trails", "--camera", "orbit")
    assert f"clip 1 (run) beside those of {tmp_path / 'other.h5'}" in output
    assert "clip 1 (run) with ghosts of" in typed(file, *words, "--ghost", "--out", tmp_path / "ghost.png")
    with Image.open(tmp_path / "pair.png") as pair, Image.open(tmp_path / "ghost.png") as ghost:
        halves = np.asarray(pair).astype(int)
        shown = np.asarray(ghost).astype(int)
    orange = [(part[..., 0] - part[..., 2]).max() for part in (halves[:, :155], halves[:, 165:], shown)]
    assert orange[0] < 60 < 90 < orange[1]
    assert orange[2] > 60


def moved(clip: Motion) -> Motion:
    return replace(clip, root=clip.root + np.float32([0.9, 0, 0]))


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ("a.h5", "b.h5", ("a", "b")),
        ("before/clip.h5", "after/clip.h5", ("before", "after")),
        ("clip.h5", "./clip.h5", ("clip", "clip")),
    ],
)
def test_what_two_files_are_called(first: str, second: str, names: tuple[str, str]) -> None:
    assert _names(Path(first), Path(second)) == names


def test_storyboard(file: Path, tmp_path: Path) -> None:
    words = ("--style", "storyboard", "--panels", 2, "--clip", 0, "--jobs", 1, "--out", tmp_path / "board.png")
    assert "802x400" in typed(file, *words)


def test_a_body_model_by_option_and_by_environment(
    file: Path, tmp_path: Path, golden_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = golden_folder / "smpl_synthetic.pkl"
    if not model.exists():
        pytest.skip(f"no {model.name} in {golden_folder}: set MDTOOL_GOLDEN to the folder of golden arrays")
    words = ("--clip", 0, "--frame", 0, "--size", "160x120", "--out")
    typed(file, *words, tmp_path / "named.png", "--body", model)
    typed(file, *words, tmp_path / "mannequin.png")
    monkeypatch.setenv("MDTOOL_BODY", str(model))
    typed(file, *words, tmp_path / "variable.png")
    named, variable, mannequin = (
        (tmp_path / f"{name}.png").read_bytes() for name in ("named", "variable", "mannequin")
    )
    assert named == variable != mannequin
