"""Files in folders, zips and tars: the same content from each, and what is damaged."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from mdtool.data.archives import Container, open_containers
from mdtool.errors import MdtoolError

FILES = {"a/1.bvh": b"one", "a/2.BVH": b"two" * 4000, "b/3.bvh": b"three"}
JUNK = {"a/notes.txt": b"?", "__MACOSX/a/._1.bvh": b"?", "a/.hidden.bvh": b"?"}


def _folder(root: Path) -> Path:
    for name, content in {**FILES, **JUNK}.items():
        (root / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "set" / name).write_bytes(content)
    return root / "set"


def _zip(root: Path, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(root / "set.zip", "w", compression) as archive:
        for name, content in {**FILES, **JUNK}.items():
            archive.writestr(name, content)
    return root / "set.zip"


def _tar(root: Path, suffix: str) -> Path:
    folder = _folder(root)
    path = root / f"set{suffix}"
    with tarfile.open(path, "w:" + suffix.split(".")[-1].replace("tar", "").replace("tgz", "gz")) as archive:
        archive.add(folder, ".")
    return path


def _read(containers: list[Container]) -> dict[str, bytes | MdtoolError]:
    return {name.removeprefix("./"): content for container in containers for name, content in container.read()}


@pytest.mark.parametrize("make", [_folder, _zip, *(".tar", ".tar.gz", ".tar.xz", ".tgz", ".tar.bz2")])
def test_every_packing_gives_the_same_files(tmp_path: Path, make) -> None:
    path = _tar(tmp_path, make) if isinstance(make, str) else make(tmp_path)
    containers = open_containers(path, ".bvh")
    assert _read(containers) == FILES
    assert sorted(name.removeprefix("./") for container in containers for name in container.names) == sorted(FILES)


def test_a_single_file(tmp_path: Path) -> None:
    containers = open_containers(_folder(tmp_path) / "b/3.bvh", ".bvh")
    assert _read(containers) == {"3.bvh": b"three"}


def test_archives_inside_a_folder_are_read_too(tmp_path: Path) -> None:
    _folder(tmp_path)
    _zip(tmp_path)
    containers = open_containers(tmp_path, ".bvh")
    assert [container.path.name for container in containers] == ["set.zip", tmp_path.name]
    assert _read(containers) == {**FILES, **{f"set/{name}": content for name, content in FILES.items()}}


def test_what_is_not_there_or_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match="no such file or folder"):
        open_containers(tmp_path / "nothing", ".bvh")
    with pytest.raises(MdtoolError, match=r"has no \.bvh file in it"):
        open_containers(tmp_path, ".bvh")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(MdtoolError, match=r"a\.txt is no \.bvh file, folder or archive"):
        open_containers(tmp_path / "a.txt", ".bvh")


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.xz"])
def test_damaged_archives(tmp_path: Path, suffix: str) -> None:
    path = _zip(tmp_path) if suffix == ".zip" else _tar(tmp_path, suffix)
    content = path.read_bytes()
    for damage in (content[: len(content) // 2], b"this is no archive", b""):
        path.write_bytes(damage)
        (container,) = open_containers(path, ".bvh")
        assert "the archive is damaged" in container.problem
        assert list(container.read()) == []


def test_one_damaged_member_does_not_hide_the_others(tmp_path: Path) -> None:
    path = _zip(tmp_path, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"three", b"thrxx"))
    read = _read(open_containers(path, ".bvh"))
    assert read["a/1.bvh"] == b"one"
    with pytest.raises(MdtoolError, match=r"3\.bvh: cannot be read from set\.zip"):
        raise read["b/3.bvh"]  # type: ignore[misc]
