"""Foreign pickles: what is read, what is refused, and what neither may ever do."""

from __future__ import annotations

import pickle
import random
import struct
import subprocess
import sys
import zlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from mdtool.data.safe_pickle import StandIn, StoredArray, load_pickle
from mdtool.errors import MdtoolError
from tests.data.foreign_files import COMPRESSIONS, RAW_ATTACKS, attacks, joblib_bytes

RNG = np.random.default_rng(0)
VALUE = {
    1: {
        "pose": RNG.standard_normal((70, 72)).astype("f4"),
        "betas": np.asfortranarray(RNG.standard_normal((30, 10))),
        "frame_ids": np.arange(700),
        "big-endian": np.arange(4, dtype=">i2"),
        "none": None,
        "scalar": np.float32(2.5),
        "bytes": b"abc" * 1000,
        "set": {1, 2},
        "mixed": np.array([[1], "s", None], dtype=object),
        "texts": np.array(["ab", "ç"]),
        "empty": np.zeros((0, 3)),
        "ordered": OrderedDict(a=1, b=-(10**50)),
        "flags": np.array([True, False]),
    },
    "2": (1, [2.5, {}, ()], True, "ü" * 300, frozenset({3}), bytearray(b"12"), 1 + 2j),
}


def same(first: object, second: object) -> bool:
    """Equal in value and type, arrays included."""
    if isinstance(first, np.ndarray):
        second = np.asarray(second)
        return first.dtype == second.dtype and np.array_equal(first, second)
    if isinstance(first, dict) and isinstance(second, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return type(first) is type(second) and first == second


def refusal(path: Path, content: bytes, **options: object) -> str:
    """The one sentence with which `content` is refused."""
    path.write_bytes(content)
    with pytest.raises(MdtoolError) as caught:
        load_pickle(path, **options)  # type: ignore[arg-type]
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "p.pkl"
    path.write_bytes(pickle.dumps(VALUE, protocol))
    assert same(VALUE, load_pickle(path))
    read = load_pickle(path, lazy=True)
    assert isinstance(read, dict)
    assert isinstance(read[1]["pose"], StoredArray) == (protocol >= 3)
    assert all(same(VALUE[1][key], read[1][key]) for key in ("pose", "betas", "frame_ids"))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("protocol", [2, 4])
def test_joblib_files_of_every_compression(tmp_path: Path, compression: str, protocol: int) -> None:
    path = tmp_path / "j.pkl"
    for alignment in (None, 16):
        path.write_bytes(COMPRESSIONS[compression](joblib_bytes(VALUE, protocol, alignment)))
        assert same(VALUE, load_pickle(path))
        read = load_pickle(path, lazy=True)
        assert isinstance(read, dict)
        assert isinstance(read[1]["pose"], StoredArray) == (compression == "raw")
        assert same(VALUE[1]["betas"], read[1]["betas"])


def test_a_compressed_file_that_is_too_large_says_what_helps(tmp_path: Path) -> None:
    array = np.zeros((1000, 1000))
    content = joblib_bytes({"pose": array})
    message = refusal(tmp_path / "j.pkl", COMPRESSIONS["zlib"](content), limit_bytes=1 << 20, lazy=True)
    assert "save it again uncompressed" in message
    (tmp_path / "raw.pkl").write_bytes(content)
    read = load_pickle(tmp_path / "raw.pkl", limit_bytes=1 << 20, lazy=True)
    assert isinstance(read, dict)
    assert same(array, read["pose"])


def test_python_2_byte_strings(tmp_path: Path) -> None:
    """As cPickle of Python 2 writes an array: module names of then, and its bytes in a BINSTRING."""
    content = np.arange(400, dtype="<f4").tobytes()
    text = (
        b"\x80\x02}U\x04posecnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01M\x90\x01\x85"
        b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + struct.pack("<i", len(content)) + content + b"tbs."
    )  # fmt: skip
    (tmp_path / "py2.pkl").write_bytes(text)
    for lazy in (False, True):
        read = load_pickle(tmp_path / "py2.pkl", lazy=lazy)
        assert isinstance(read, dict)
        np.testing.assert_array_equal(np.asarray(read["pose"]), np.arange(400, dtype="f4"))


def test_attacks_are_refused_and_do_not_run(tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "evil.pkl"
    for name, value in attacks(marker).items():
        contents = [pickle.dumps(value, protocol) for protocol in range(6)]
        contents += [compress(joblib_bytes(value)) for compress in COMPRESSIONS.values()]
        for content in contents:
            message = refusal(path, content)
            assert "it wants to use" in message, (name, message)
            assert "nothing of it ran" in message
    for name, content in RAW_ATTACKS.items():
        message = refusal(path, content)
        assert "is not read: it" in message or "a byte string in it is damaged" in message, (name, message)
    assert not marker.exists()
    assert not Path("x").exists()


def test_standing_in_for_a_class(tmp_path: Path) -> None:
    """In both ways that classes are pickled: by copyreg in protocols 0 and 1, by opcodes of their own since."""
    path = tmp_path / "c.pkl"
    for protocol in range(6):
        content = pickle.dumps({"J": Regressor()}, protocol)
        assert "Regressor, which is not among the allowed names" in refusal(path, content)
        read = load_pickle(path, allow={(Regressor.__module__, "Regressor"): StandIn})
        assert isinstance(read, dict)
        assert isinstance(read["J"], StandIn)
        assert isinstance(read["J"].state, dict)
        np.testing.assert_array_equal(read["J"].state["data"], np.arange(3))


class Regressor:
    """Stands for a class that the reader does not have."""

    def __init__(self) -> None:
        self.data = np.arange(3)


def test_shape_and_depth_and_length_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "odd.pkl"
    assert "deep" in refusal(path, b"]" * 200 + b"a" * 199 + b".")
    assert "deep" in refusal(path, b"]" + b"\x85" * 200 + b".")
    loop: list = []
    loop.append(loop)
    assert "contains itself" in refusal(path, pickle.dumps(loop))
    assert "tuple as a key" in refusal(path, b"})\x85\x85Ns.")  # the hash of the 60 tuples would take for ever
    whole = pickle.dumps(np.zeros((7, 5)))
    assert "size" in refusal(path, whole.replace(b"K\x07K\x05", b"K\x07K\x06"))
    assert "past its end" in refusal(path, b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.")
    assert "number of" in refusal(path, b"\x80\x04\x8b" + struct.pack("<i", 1 << 20) + bytes(1 << 20) + b".")
    assert "numbers and texts" in refusal(path, pickle.dumps(np.zeros(2, dtype=[("a", "f4")])))
    assert "another class" in refusal(path, pickle.dumps(np.zeros(2)).replace(b"\x07ndarray", b"\x05dtype"))


def test_what_is_no_pickle(tmp_path: Path) -> None:
    path = tmp_path / "p.pkl"
    whole = pickle.dumps(VALUE)
    for content in (compress(whole) for compress in COMPRESSIONS.values()):
        for end in (0, 1, 10, len(content) // 2, len(content) - 40):
            assert "truncated" in refusal(path, content[:end])
    assert "no pickle" in refusal(path, b"hello")
    assert "lz4" in refusal(path, b"\x04\x22\x4d\x18....")
    assert "joblib before 0.10" in refusal(path, b"ZF0x20      ")
    assert "joblib before 0.10" in refusal(path, b"\x80\x02cjoblib.numpy_pickle\nNDArrayWrapper\n)\x81.")
    assert "protocol 9" in refusal(path, b"\x80\x09.")
    with pytest.raises(MdtoolError, match="no such file"):
        load_pickle(tmp_path / "nowhere.pkl")
    with pytest.raises(MdtoolError, match="is no file"):
        load_pickle(tmp_path)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_decompression_bombs_stop_at_the_limit(tmp_path: Path, compression: str) -> None:
    size = 1 << 22
    for content in (
        b"\x80\x04\x8e" + struct.pack("<Q", size) + bytes(size) + b".",  # one byte string
        b"(" + b"]" * (size // 4) + b"l.",  # many lists
        b"(" + b"X\x00\x10\x00\x00".join([b"", *[b"a" * 4096] * (size // 4096)]) + b"l.",  # many texts
    ):
        message = refusal(tmp_path / "bomb.pkl", COMPRESSIONS[compression](content), limit_bytes=1 << 18)
        assert "more than the 0.000244 GiB" in message


def test_lists_of_the_same_list_are_bounded(tmp_path: Path) -> None:
    """40 levels of [x, x] are 200 bytes, and 2^40 numbers to whoever makes an array of them."""
    value: object = [1.0]
    for _ in range(40):
        value = [value, value]
    assert "again and again" in refusal(tmp_path / "a.pkl", pickle.dumps({"pose": value}))
    shared = [[1.0, 2.0]] * 1000
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(shared))
    assert load_pickle(tmp_path / "a.pkl") == shared


def test_copies_of_a_container_count_as_memory(tmp_path: Path) -> None:
    """200,000 numbers, then 300 lists of them by their name: 12 bytes each in the file, 1.6 MB in memory."""
    numbers = b"(" + b"K\x01" * 200_000 + b"t\x94"
    content = b"\x80\x04" + numbers + b"]" + b"cbuiltins\nlist\nh\x00\x85Ra" * 300 + b"."
    assert "more than the 0.0625 GiB" in refusal(tmp_path / "a.pkl", content, limit_bytes=64 << 20)


def test_a_bomb_of_ten_gigabytes_takes_little_memory(tmp_path: Path) -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    mebibyte = b"B" + struct.pack("<I", 1 << 20) + bytes(1 << 20) + b"0"  # a byte string, dropped at once
    block = deflate.compress(mebibyte) + deflate.flush(zlib.Z_FULL_FLUSH)
    path = tmp_path / "bomb.pkl"
    path.write_bytes(b"\x78\x9c" + block * 10_240)
    code = (
        "import resource, sys\n"
        "from mdtool.data.safe_pickle import load_pickle\n"
        "from mdtool.errors import MdtoolError\n"
        "used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "try:\n    load_pickle(sys.argv[1], limit_bytes=64 << 20)\n"
        "except MdtoolError as error:\n    print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    message, grown_kib = ran.stdout.splitlines()
    assert "more than the 0.0625 GiB" in message
    assert int(grown_kib) < 64 << 10


def test_mutated_files_give_a_value_or_one_sentence(tmp_path: Path) -> None:
    """1,000 files with bytes changed, cut out, doubled or cut off; whatever they say, nothing but MdtoolError comes."""
    rng = random.Random(0)
    value = {"a": [np.arange(9.0), "text", {1: (2, 3.5)}], "o": np.array([1, "x"], dtype=object)}
    seeds = [pickle.dumps(value, protocol) for protocol in range(6)]
    seeds += [compress(joblib_bytes(value)) for compress in COMPRESSIONS.values()]
    refused = 0
    path = tmp_path / "mutant.pkl"
    for _ in range(1000):
        path.write_bytes(mutated(rng.choice(seeds), rng))
        try:
            load_pickle(path, limit_bytes=1 << 24, lazy=rng.random() < 0.5)
        except MdtoolError:
            refused += 1
    assert 500 < refused < 1000


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A copy with one to four damages."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(changed) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            changed[place : place + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            del changed[place : place + rng.randint(1, 8)]
        elif kind == 2:
            changed[place:place] = changed[place : place + rng.randint(1, 16)]
        elif kind == 3 and rng.random() < 0.2:
            del changed[place:]
        else:
            changed[place:place] = rng.choice([b"R", b"b", b"a", b"e", b"\x8b\xff\xff\xff\x7f", b"\x8e" + b"\xff" * 8])
    return bytes(changed)
