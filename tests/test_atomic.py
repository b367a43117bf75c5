"""Files appear whole or not at all, whatever goes wrong in between."""

from __future__ import annotations

import errno
import importlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mdtool.atomic import replacing, require_writable, unwritable, write_bytes, write_text
from mdtool.errors import MdtoolError


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The operating system refuses to let any file of this process grow beyond `size` bytes."""
    before, bytecode = resource.getrlimit(resource.RLIMIT_FSIZE), sys.dont_write_bytecode
    # Python cuts the bytecode of a module that is imported under the limit, and from then on no process can import it.
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = bytecode


def test_an_import_under_the_limit_leaves_no_cut_bytecode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "long_module.py"
    module.write_text("".join(f"name_{k} = {k}\n" for k in range(1000)))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    with files_of_at_most(2000):
        importlib.import_module("long_module")
    assert not list(tmp_path.rglob("*.pyc"))
    assert sys.dont_write_bytecode is False


def test_new_content_replaces_the_old_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.txt"
    write_text(path, "Grüße")
    write_bytes(path, b"second")
    assert path.read_bytes() == b"second"
    assert os.listdir(path.parent) == ["a.txt"]


def test_nobody_sees_the_file_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("old")
    with replacing(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".mp4"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize(
    "error", [ValueError("wrong"), KeyboardInterrupt(), OSError(errno.EIO, "broken"), MdtoolError("no")]
)
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    expected = MdtoolError if isinstance(error, OSError) else type(error)

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(expected):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_kill_9_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    script = (
        "import sys, time\nfrom mdtool.atomic import replacing\n"
        "with replacing(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n    print('writing', flush=True)\n    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert path.read_text() == "old"


def test_asking_whether_a_file_can_be_written_leaves_it_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    require_writable(tmp_path / "a.txt")
    require_writable(tmp_path / "new" / "b.txt")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert not os.listdir(tmp_path / "new")
    with pytest.raises(MdtoolError, match=r"cannot write .*a\.txt/b\.txt"):
        require_writable(tmp_path / "a.txt" / "b.txt")


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match=r"cannot write .*: it is a folder; give a file name"):
        write_text(tmp_path, "")
    (tmp_path / "file").write_text("")
    with pytest.raises(MdtoolError, match=r"cannot write .*file/a\.txt: .*; choose another --out"):
        write_text(tmp_path / "file" / "a.txt", "")


def test_a_disk_that_fills_up_while_writing(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_text("old")
    with files_of_at_most(1000), pytest.raises(MdtoolError, match=r"cannot write .*a\.bin: File too large"):
        write_bytes(tmp_path / "a.bin", bytes(5000))
    assert os.listdir(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_text() == "old"


def test_a_disk_without_room_is_refused_before_the_block(tmp_path: Path) -> None:
    begun = False
    with (
        files_of_at_most(1000),
        pytest.raises(MdtoolError, match="cannot write"),
        replacing(tmp_path / "a.bin", size=1001),
    ):
        begun = True
    assert not begun
    assert not os.listdir(tmp_path)
    with replacing(tmp_path / "a.bin", size=5000) as temporary:
        temporary.write_bytes(b"short")
    assert (tmp_path / "a.bin").read_bytes() == b"short"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Quota"),
        OSError("[Errno 28] write failed: No space left on device"),
    ],
)
def test_a_full_disk_has_its_own_sentence(error: OSError) -> None:
    assert str(unwritable(Path("a.h5"), error)) == (
        "cannot write a.h5: the disk is full; free some space or choose another --out"
    )


@pytest.mark.slow
def test_a_really_full_disk(tmp_path: Path) -> None:
    """A file system of 64 kB, where the kernel lets us mount one: HDF5, torch and safetensors must not crash."""
    script = """
import os, sys, torch
from mdtool.errors import MdtoolError
from mdtool.motion.file import write_motions
from mdtool.training.checkpoint import RunFolder
from tests.motion.smooth_motion import smooth_clips
weights = {"a": torch.zeros(400_000)}
run = RunFolder(sys.argv[1])
for write in (
    lambda: write_motions(run.path / "a.h5", smooth_clips(2)),
    lambda: run.save_state(weights),
    lambda: run.save_weights(1, {"raw": weights}, keep_older=False),
):
    try:
        write()
    except MdtoolError as error:
        print(error)
print([name for _, _, names in os.walk(run.path) for name in names])
"""
    mount = f'mount -t tmpfs -o size=64k none "{tmp_path}"'
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    command = f'{mount} && exec "$0" -c "$1" "{tmp_path}"'
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, sys.executable, script], capture_output=True, text=True, check=True
    )
    lines = ran.stdout.splitlines()
    assert [line.partition(": ")[2].partition(";")[0] for line in lines[:3]] == ["the disk is full"] * 3
    assert lines[3:] == ["[]"]
    assert not ran.stderr
