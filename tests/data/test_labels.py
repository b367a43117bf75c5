"""Labels: tolerant columns, archives of equal member names, folder names, mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mdtool.data.labels import Label, LabelTable, find_labels, folder_label
from mdtool.errors import MdtoolError
from mdtool.motion.motion import TEST, TRAIN


def _table(folder: Path, text: str, name: str = "labels.csv") -> LabelTable:
    (folder / name).write_text(text, encoding="utf-8-sig")
    return LabelTable([folder / name])


def test_all_columns(tmp_path: Path) -> None:
    table = _table(
        tmp_path,
        "path,zip,subject,action,cmu_description,skip_first,split,quality,note\n"
        "cmu/1.bvh,cmu.zip,02,walk,slow walk,8,train,ok,\n"
        "cmu/2.bvh,cmu.zip,07,run,,,defect,defect,below the floor\n"
        'cmu/3.bvh,cmu.zip,07,"kick, high",,0,Test,,\n',
    )
    assert table.find("cmu.zip", "cmu/1.bvh") == Label("walk", TRAIN, "02", 8, "slow walk")
    assert table.find("cmu.zip", "cmu/2.bvh") == Label("run", None, "07", defect="below the floor")
    assert table.find("cmu.zip", "cmu/3.bvh") == Label("kick, high", TEST, "07", 0)
    assert table.find("cmu.zip", "cmu/4.bvh") is None


@pytest.mark.parametrize(
    "header", ["path,action", "file,label", "Filename , Class", "clip,category", "name,action,archive"]
)
def test_other_words_for_columns(tmp_path: Path, header: str) -> None:
    table = _table(tmp_path, f"{header}\na/01.bvh,walk{',' * (header.count(',') - 1)}\n")
    assert table.find("any.zip", "a/01.bvh") == Label("walk")


def test_a_member_is_found_by_path_by_folder_and_by_file_name(tmp_path: Path) -> None:
    table = _table(tmp_path, "path,action\nset/walk/01.bvh,walk\nset/run/01.bvh,run\n./set/run\\02,run\n")
    assert table.find("set.zip", "set/walk/01.bvh") == Label("walk")
    assert table.find("set", "walk/01.bvh") == Label("walk")  # the folder itself was given
    assert table.find("set.zip", "set/run/02.bvh") == Label("run")
    assert table.find("elsewhere", "02.BVH") == Label("run")
    assert table.find("elsewhere", "01.bvh") is None  # two rows disagree
    assert table.find("run", "01.bvh") == Label("run")
    assert table.find("elsewhere", "jump/02.bvh") is None  # another 02.bvh


def test_rows_without_folders_fit_members_in_folders(tmp_path: Path) -> None:
    table = _table(tmp_path, "clip,action\n07_01,walk\n")
    assert table.find("cmu.zip", "cmu/subject07/07_01.bvh") == Label("walk")


def test_equal_member_names_in_two_archives(tmp_path: Path) -> None:
    table = _table(tmp_path, "path,archive,action\n1.bvh,a.zip,walk\n1.bvh,b.zip,run\n")
    assert table.find("a.zip", "1.bvh") == Label("walk")
    assert table.find("b.zip", "1.bvh") == Label("run")
    assert table.find("c.zip", "1.bvh") is None


def test_several_files_make_one_table(tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text("path,action\n2.bvh,run\n")
    _table(tmp_path, "path,action\n1.bvh,walk\n")
    table = LabelTable([tmp_path / "labels.csv", tmp_path / "more.csv"])
    assert [table.find("", f"{clip}.bvh") for clip in (1, 2)] == [Label("walk"), Label("run")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has nothing"),
        ("clip,source,id\n1,2,3\n", "needs at least the columns path and action, and has clip, source, id"),
        ("path,action,split\n1.bvh,walk,trian\n", "line 2: split 'trian' is none of"),
        ("path,action,skip_first\n1.bvh,walk,2\n2.bvh,walk,-1\n", "line 3: skip_first must be a number"),
        ("path,action\n,walk\n", "line 2: the path is empty"),
    ],
)
def test_wrong_tables(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(MdtoolError, match=f"labels.csv.*{message}"):
        _table(tmp_path, text)


def test_unreadable_tables(tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match=r"cannot read the labels .*no\.csv: No such file or directory$"):
        LabelTable([tmp_path / "no.csv"])
    (tmp_path / "binary.csv").write_bytes(b"path,action\n\xff\xfe,\x00\n")
    with pytest.raises(MdtoolError, match=r"cannot read the labels .*binary\.csv"):
        LabelTable([tmp_path / "binary.csv"])


def test_tables_beside_the_recordings_are_found_if_they_know_them(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    _table(tmp_path, "path,action\nclips/1.bvh,walk\n")
    _table(tmp_path, "path,action\nother.bvh,walk\n", "others.csv")
    (tmp_path / "numbers.csv").write_text("x,y\n1,2\n")
    (tmp_path / "expenses.csv").write_bytes("Betrag;Empfänger\n7,50;Müller\n".encode("latin-1"))
    (tmp_path / "folder.csv").mkdir()
    assert find_labels(folder, ("1.bvh",)) == [tmp_path / "labels.csv"]
    assert find_labels(tmp_path / "clips.zip", ("clips/1.bvh",)) == [tmp_path / "labels.csv"]
    assert find_labels(folder, ("2.bvh",)) == []
    _table(folder, "path,action\n1.bvh,run\n")
    assert len(find_labels(folder, ("1.bvh",))) == 2
    (folder / "labels.csv").write_text('"path","action"\r\n"1.bvh","run"\r\n')
    assert len(find_labels(folder, ("1.bvh",))) == 2
    (tmp_path / "labels.csv").write_text("path,action,split\n1.bvh,run,tset\n")
    with pytest.raises(MdtoolError, match="line 2: split 'tset'"):
        find_labels(folder, ("1.bvh",))


@pytest.mark.parametrize(
    ("container", "name", "action"),
    [
        ("data", "walk/01.bvh", "walk"),
        ("data", "train/walk/01.bvh", "walk"),
        ("walk", "01.bvh", "walk"),
        ("run.tar.xz", "01.bvh", "run"),
        ("all.zip", "all/run/01.bvh", "run"),
        ("jump/01.bvh", "01.bvh", "jump"),
        ("01.bvh", "01.bvh", ""),
    ],
)
def test_folders_name_actions(container: str, name: str, action: str) -> None:
    assert folder_label(Path(container), name) == Label(action)
