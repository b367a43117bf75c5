"""`mdtool export` and `mdtool preprocess glb|bvh|npz|csv` as typed: out and back."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from mdtool.export.target import TARGETS
from mdtool.motion.file import read_motions, write_motions
from mdtool.motion.motion import MotionSet
from tests.body.test_smpl import save, synthetic
from tests.cli.command_line import done, refused
from tests.export.clips import assert_same_labels, assert_same_motion, some_clips


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three clips in sample.h5, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    write_motions("sample.h5", MotionSet.from_clips(some_clips()))
    return tmp_path / "sample.h5"


@pytest.mark.parametrize("kind", ["glb", "bvh", "npz", "csv"])
@pytest.mark.parametrize("program", [None, *TARGETS])
def test_out_and_back_by_the_printed_command(kind: str, program: str | None) -> None:
    words = ["--for", program] if program and kind != "npz" else []
    printed = done("export", "--out", f"out/some.{kind}", *words)
    assert "3 clips, 50 frames" in printed
    assert (f"in {str(program).capitalize()}: " in printed) == (bool(words) and kind in ("glb", "bvh"))
    command = printed.splitlines()[-1].removeprefix("next: mdtool ").split()
    done(*command)
    read = read_motions("motions.h5")
    assert len(read) == 3
    by_length = {len(clip): clip for clip in read}
    for clip in some_clips():
        assert_same_motion(by_length[len(clip)], clip)
        assert (by_length[len(clip)].action, by_length[len(clip)].subject) == (clip.action, clip.subject)
        if kind != "bvh":
            assert_same_labels(by_length[len(clip)], clip)


def test_a_glb_beside_the_file_is_the_default() -> None:
    assert "wrote sample.glb: 3 clips" in done("export")
    assert Path("sample.glb").stat().st_size > 100_000


def test_chosen_clips() -> None:
    assert "1 clip, 9 frames" in done("export", "--clip", 1, "--out", "one.bvh")
    assert Path("one.bvh").exists()
    done("export", "--clip", 2, "--clip", 0, "--out", "two.csv")
    assert sorted(path.name for path in Path().glob("two*")) == ["two-000-walk.csv", "two-002-walk.csv"]


def test_words_of_one_s_own_go_before_those_of_the_program() -> None:
    done("export", "--clip", 0, "--out", "a.bvh", "--for", "unreal", "--order", "yxz", "--units", "m")
    text = Path("a.bvh").read_text()
    assert "ROOT root" in text
    assert "CHANNELS 3 Yrotation Xrotation Zrotation" in text
    assert "OFFSET 0.2760000 0.0000000 0.0000000" in text
    (frame_time,) = (line for line in text.splitlines() if line.startswith("Frame Time: "))
    assert 1 / float(frame_time.split()[-1]) == pytest.approx(119.88, rel=1e-15)


def test_positions_alone_are_offered_again_with_rotations() -> None:
    printed = done("export", "--clip", 0, "--out", "a.csv", "--columns", "positions")
    assert "next: mdtool export sample.h5 --out a.csv --columns both" in printed
    assert "do not say how bones are turned" in refused("preprocess", "csv", "a.csv")


@pytest.mark.parametrize("kind", ["glb", "npz"])
def test_a_body_of_the_user_s_own(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDTOOL_BODY", str(save(tmp_path / "bodies" / "SMPL_NEUTRAL.npz", synthetic(52))))
    done("export", "--clip", 0, "--out", f"a.{kind}")
    if kind == "glb":
        assert b'"left_thumb3"' in Path("a.glb").read_bytes()
    done("preprocess", kind, f"a.{kind}")
    assert_same_motion(read_motions("motions.h5")[0], some_clips()[0])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("--out", "a.fbx"),
            "cannot tell the format of a.fbx: end its name in .glb, .bvh, .npz, .csv; Blender makes FBX of a .glb",
        ),
        (("--clip", 3), "sample.h5 has no clip 3: it has clips 0 to 2"),
        (("--out", "a.glb", "--order", "XYZ"), "--order means nothing to a .glb file: it is for .bvh"),
        (("--out", "a.npz", "--for", "unity"), "--for means nothing to a .npz file"),
        (("--out", "a.bvh", "--columns", "both"), "--columns means nothing to a .bvh file"),
        (("--out", "a.bvh", "--order", "XYX"), "'XYX' is no Euler order"),
        (("--out", "a.csv", "--body", "model.npz"), "--body means nothing to a .csv file"),
        (("--out", "a.glb", "--body", "model.npz"), "model.npz"),
        (("none.h5",), "no such file: none.h5"),
        (("--out", "sample.h5/a.glb"), "cannot write sample.h5/a.glb"),
    ],
)
def test_mistakes_leave_nothing(words: tuple[str, ...], sentence: str) -> None:
    assert sentence in refused("export", *words)
    assert os.listdir() == ["sample.h5"]


def test_an_unknown_skeleton_gets_a_map_to_fill_in() -> None:
    done("export", "--out", "a.glb")
    content = Path("a.glb").read_bytes().replace(b'"pelvis"', b'"PELVIS"')
    Path("b.glb").write_bytes(content)
    assert "fits none of the maps" in refused("preprocess", "glb", "b.glb")
    printed = done("preprocess", "glb", "b.glb", "--write-map", "b.toml")
    assert "next: mdtool preprocess glb b.glb --map b.toml" in printed
    assert 'pelvis = "PELVIS"' in Path("b.toml").read_text()


def test_label_files_beside_tables_are_no_motions() -> None:
    done("export", "--out", "both/a.csv")
    done("export", "--out", "both/a.bvh")
    printed = done("preprocess", "csv", "both")
    assert "a-labels.csv: labels of clips, no motion" in printed
    assert "3 clips, 50 frames" in printed
    assert "skipped" not in printed


def test_the_suggested_command_can_be_typed_with_spaces_in_it() -> None:
    printed = done("export", "--clip", 1, "--out", "my clips/one.bvh")
    words = shlex.split(printed.splitlines()[-1].removeprefix("next: mdtool "))
    assert words == ["preprocess", "bvh", "my clips/one.bvh"]
    assert "next: mdtool render 'two clips.h5' --out video.mp4" in done(
        "resample", "sample.h5", "--fps", 10, "--out", "two clips.h5"
    )
