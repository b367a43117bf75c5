"""The motion file: what is written is read back, whole or not at all, and damage is told in a sentence."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mdtool.errors import MdtoolError
from mdtool.motion.file import VERSION, file_sha256, provenance, read_motions, write_motions
from mdtool.motion.motion import MotionSet
from tests.motion.smooth_motion import smooth_clips
from tests.test_atomic import files_of_at_most


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three clips of 70 to 72 frames with every optional part."""
    motions = smooth_clips(3)
    motions.text = ["hops", "sways", "wäves"]
    motions.betas = np.arange(30, dtype=np.float32).reshape(3, 10)
    motions.gender = ["female", "male", ""]
    motions.noise = np.arange(24, dtype=np.float32).reshape(3, 2, 4)
    motions.provenance = {"seed": 3}
    write_motions(tmp_path / "a.h5", motions)
    return tmp_path / "a.h5"


def test_everything_is_read_back(file: Path) -> None:
    motions, expected = read_motions(file), smooth_clips(3)
    for name in ("rot6d", "root", "start", "fps", "action", "split"):
        first, second = getattr(motions, name), getattr(expected, name)
        assert first.dtype == second.dtype, name
        np.testing.assert_array_equal(first, second)
    for name in ("actions", "subject", "name"):
        assert getattr(motions, name) == getattr(expected, name)
    assert motions.text == ["hops", "sways", "wäves"]
    np.testing.assert_array_equal(motions.betas, np.arange(30).reshape(3, 10))
    assert motions.gender == ["female", "male", ""]
    assert [motion.gender for motion in motions] == motions.gender
    np.testing.assert_array_equal(motions.noise, np.arange(24).reshape(3, 2, 4))
    assert motions.provenance == {"seed": 3}


def test_optional_parts_may_be_absent(tmp_path: Path) -> None:
    motions = replace(smooth_clips(2), subject=[], name=[])
    write_motions(tmp_path / "a.h5", motions)
    again = read_motions(tmp_path / "a.h5")
    assert [again.text, again.betas, again.gender, again.noise] == [None, None, None, None]
    assert (again[1].name, again[1].subject, again[1].gender) == ("", "", "")


def test_schema_is_the_documented_one(file: Path) -> None:
    with h5py.File(file) as opened:
        kinds = {name: opened[name].dtype.str for name in ("rot6d", "root", "start", "fps", "action", "split")}
        assert kinds == {"rot6d": "<f4", "root": "<f4", "start": "<i8", "fps": "<f8", "action": "<i4", "split": "|u1"}
        assert set(opened) == {*kinds, "subject", "name", "text", "betas", "gender", "noise"}
        assert (opened.attrs["format"], opened.attrs["version"], opened.attrs["skeleton"]) == (
            "mdtool-motion",
            VERSION,
            "smpl-24",
        )
        assert json.loads(opened.attrs["actions"]) == ["hop", "sway", "wave"]


def test_the_same_motions_make_the_same_bytes(file: Path, tmp_path: Path) -> None:
    write_motions(tmp_path / "b.h5", read_motions(file))
    assert file_sha256(file) == file_sha256(tmp_path / "b.h5")
    assert file_sha256(file) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_provenance_names_command_and_parents(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/mdtool", "sample", "my run"])
    record = provenance([file], seed=5)
    assert record["command"] == "mdtool sample 'my run'"
    assert record["parents"] == {"a.h5": file_sha256(file)}
    assert record["seed"] == 5


def test_parents_of_the_same_name_are_both_recorded(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "a.h5"
    write_motions(other, smooth_clips(1))
    assert set(provenance([file, other])["parents"].values()) == {file_sha256(file), file_sha256(other)}


@pytest.mark.parametrize("name", ["rot6d", "root"])
def test_numbers_that_are_none_are_not_written(file: Path, name: str) -> None:
    before = file.read_bytes()
    motions = read_motions(file)
    getattr(motions, name)[5] = np.inf
    with pytest.raises(MdtoolError, match=f"not writing .*{name} holds NaN or infinite"):
        write_motions(file, motions)
    assert file.read_bytes() == before


def test_nothing_to_write(tmp_path: Path) -> None:
    empty = smooth_clips(1)
    empty.start = np.zeros(1, np.int64)
    with pytest.raises(MdtoolError, match="the set of motions is empty"):
        write_motions(tmp_path / "a.h5", empty)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("room", [2_000, 300_000])
def test_a_disk_that_is_full_leaves_the_old_file(file: Path, room: int) -> None:
    before = file.read_bytes()
    with files_of_at_most(room), pytest.raises(MdtoolError, match=r"cannot write .*a\.h5"):
        write_motions(file, smooth_clips(12))
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == ["a.h5"]


def test_the_room_asked_for_is_enough(tmp_path: Path) -> None:
    """Otherwise HDF5 would meet the full disk itself, and crash."""
    many = smooth_clips(40, frames=2)
    many.provenance = {"note": "long " * 20_000}
    many.noise = np.zeros((40, 25, 6, 60), np.float32)
    for motions in (smooth_clips(1, frames=1), many):
        for room in (2**18, 2**19, 2**20, 2**21, 2**22):
            with files_of_at_most(room):
                try:
                    write_motions(tmp_path / "a.h5", motions)
                except MdtoolError:
                    continue
            break
        assert len(read_motions(tmp_path / "a.h5")) == len(motions)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match=r"no such file: .*none\.h5"):
        read_motions(tmp_path / "none.h5")
    with pytest.raises(MdtoolError, match="is a folder"):
        read_motions(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_truncated_file(file: Path, share: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    refused(file, "cannot be read as a motion file")


def refused(file: Path, sentence: str) -> None:
    with pytest.raises(MdtoolError) as caught:
        read_motions(file)
    assert sentence in str(caught.value)
    assert file.name in str(caught.value)
    assert "\n" not in str(caught.value)


def put(name: str, value: Any) -> Callable[[h5py.File], None]:
    """Replace a data set."""

    def change(opened: h5py.File) -> None:
        if name in opened:
            del opened[name]
        opened[name] = value

    return change


def attribute(name: str, value: Any) -> Callable[[h5py.File], None]:
    """Replace an attribute."""
    return lambda opened: opened.attrs.__setitem__(name, value)


def group(name: str) -> Callable[[h5py.File], None]:
    """Put a folder where a data set should be."""

    def change(opened: h5py.File) -> None:
        del opened[name]
        opened.create_group(name)

    return change


def spoil(name: str, row: int, value: float = np.nan) -> Callable[[h5py.File], None]:
    """Spoil one row."""
    return lambda opened: opened[name].__setitem__(row, value)


DAMAGE: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "no format": (lambda opened: opened.attrs.__delitem__("format"), "not a motion file: make one"),
    "later version": (attribute("version", VERSION + 1), "update mdtool"),
    "version is a word": (attribute("version", "newest"), "cannot be read as a motion file"),
    "other skeleton": (attribute("skeleton", "smplx-55"), "skeleton 'smplx-55'"),
    "actions are no list": (attribute("actions", "{walk"), "cannot be read as a motion file"),
    "actions are a number": (attribute("actions", "3"), "cannot be read as a motion file"),
    "provenance is no JSON": (attribute("provenance", "by hand"), "cannot be read as a motion file"),
    "no rotations": (lambda opened: opened.__delitem__("rot6d"), "lacks rot6d"),
    "rotations are a folder": (group("rot6d"), "cannot be read as a motion file"),
    "names are a folder": (group("name"), "cannot be read as a motion file"),
    "rotations are one number": (put("rot6d", 3.0), "does not hold the 24-joint skeleton: rot6d is []"),
    "rotations are words": (put("rot6d", np.full((213, 24, 6), b"x")), "cannot be read as a motion file"),
    "names are numbers": (put("name", np.arange(3)), "cannot be read as a motion file"),
    "22 joints": (put("rot6d", np.zeros((213, 22, 6))), "does not hold the 24-joint skeleton"),
    "root of another length": (put("root", np.zeros((5, 3))), "does not hold the 24-joint skeleton"),
    "no clips": (put("start", np.zeros(1, np.int64)), "holds no motion"),
    "no boundaries": (put("start", np.zeros(0, np.int64)), "holds no motion"),
    "boundaries too far": (put("start", np.array([0, 70, 141, 999])), "clip boundaries"),
    "boundaries backwards": (put("start", np.array([0, 141, 70, 213])), "clip boundaries"),
    "boundaries are fractions": (put("start", np.array([0.0, 70.5, 141.0, 213.0])), "start holds float64"),
    "fewer labels": (put("action", np.zeros(2, np.int32)), "another number of clips"),
    "fewer names": (put("name", ["a", "b"]), "another number of clips"),
    "fewer latents": (put("noise", np.zeros((2, 4))), "another number of clips"),
    "no latents": (put("noise", np.zeros((0, 4))), "another number of clips"),
    "a latent for all": (put("noise", 3.0), "another number of clips"),
    "a frame rate for all": (put("fps", 20.0), "another number of clips"),
    "no shapes": (put("betas", np.zeros((0, 10))), "another number of clips"),
    "shapes of 16 numbers": (put("betas", np.zeros((3, 16))), "body shapes [3, 16]"),
    "unknown label": (put("action", np.array([0, 1, 3], np.int32)), "list of 3 names"),
    "unknown split": (put("split", np.array([0, 1, 2], np.uint8)), "split"),
    "no frame rate": (put("fps", np.array([20.0, 0.0, 20.0])), "frame rate"),
    "negative frame rate": (put("fps", np.array([20.0, -20.0, 20.0])), "frame rate"),
    "NaN rotations": (spoil("rot6d", 75), "in rot6d, first in clip 1"),
    "NaN root": (spoil("root", 212), "in root, first in clip 2"),
    "NaN frame rate": (spoil("fps", 0), "in fps, first in clip 0"),
    "a root beyond every floor": (spoil("root", 80, 1e30), "farther than 100000 m from the origin, first in clip 1"),
    "a rotation of zeros": (spoil("rot6d", 75, 0.0), "a row of zeros, first in clip 1 at frame 5"),
    "NaN latent": (spoil("noise", 1), "in noise, first in clip 1"),
    "NaN shape": (spoil("betas", 2), "in betas, first in clip 2"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_told_in_one_sentence(file: Path, name: str) -> None:
    change, sentence = DAMAGE[name]
    with h5py.File(file, "a") as opened:
        change(opened)
    refused(file, sentence)


def test_every_flipped_kilobyte_is_read_or_refused(file: Path, tmp_path: Path) -> None:
    """No damage on the disk, wherever it is, gives anything but motions or a sentence."""
    content = file.read_bytes()
    outcomes = {read_or_refusal(damaged_copy(content, begin, tmp_path)) for begin in range(0, len(content), 4096)}
    assert "refused" in outcomes


def damaged_copy(content: bytes, begin: int, folder: Path) -> Path:
    """The content with 512 of its bytes changed, in a file."""
    path = folder / "damaged.h5"
    spoilt = bytes(byte ^ 0x5A for byte in content[begin : begin + 512])
    path.write_bytes(content[:begin] + spoilt + content[begin + 512 :])
    return path


def read_or_refusal(path: Path) -> str:
    """ "read" or "refused"; any other way to fail fails the test."""
    try:
        read_motions(path)
    except MdtoolError:
        return "refused"
    return "read"


def test_a_copy_of_the_set_has_every_field(file: Path) -> None:
    shutil.copy(file, file.with_name("b.h5"))
    first, second = read_motions(file), read_motions(file.with_name("b.h5"))
    for field in fields(MotionSet):
        np.testing.assert_equal(getattr(first, field.name), getattr(second, field.name))
