"""MATLAB files against SciPy's writer, and what is refused."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from scipy.io import savemat

from mdtool.data.mat_file import read_mat_array
from mdtool.errors import MdtoolError


def saved(compress: bool = False, **variables: object) -> bytes:
    """A MATLAB file by SciPy."""
    stream = io.BytesIO()
    savemat(stream, variables, do_compression=compress)
    return stream.getvalue()


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1", "i8"])
@pytest.mark.parametrize("shape", [(7, 75), (1, 1), (2, 3, 4), (1, 3)])
def test_numbers_come_out_as_scipy_wrote_them(compress: bool, dtype: str, shape: tuple[int, ...]) -> None:
    array = (np.arange(np.prod(shape)).reshape(shape) - 0.5 * (dtype[0] == "f")).astype(dtype)
    content = saved(compress, first=np.eye(2), v=array, text="words")
    np.testing.assert_array_equal(read_mat_array(content, "v", "x.mat"), array)


def test_the_other_byte_order_and_small_integers_are_read() -> None:
    """As MATLAB stores whole doubles: a double array whose numbers are kept as bytes, inside their tag."""
    body = struct.pack(">IIII", 6, 8, 6, 0) + struct.pack(">IIii", 5, 8, 1, 3) + struct.pack(">HH", 1, 1) + b"v\0\0\0"
    body += struct.pack(">HH", 3, 2) + bytes([5, 6, 7, 0])
    content = b" " * 124 + struct.pack(">H", 0x0100) + b"MI" + struct.pack(">II", 14, len(body)) + body
    np.testing.assert_array_equal(read_mat_array(content, "v", "x.mat"), [[5.0, 6, 7]])


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    bomb = zlib.compress(bytes(1 << 24))
    content = saved(v=np.eye(2))[:128] + struct.pack("<II", 15, len(bomb)) + bomb
    with pytest.raises(MdtoolError, match=r"x\.mat: an array in it takes more than 1 MiB"):
        read_mat_array(content, "v", "x.mat", limit_bytes=1 << 20)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no MATLAB file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(900), "v7.3"),
        (saved(w=np.eye(2)), "no variable 'v'; variables: w"),
        (saved(v="words"), "not an array of real numbers"),
        (saved(v=np.eye(2) * 1j), "not an array of real numbers"),
        (saved(v={"a": 1}), "not an array of real numbers"),
        (saved(v=np.eye(9))[:-40], "cut short"),
        (saved(True, v=np.eye(9))[:-10], "cut short"),
    ],
)
def test_other_files_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(MdtoolError, match=rf"^x\.mat: .*{message}"):
        read_mat_array(content, "v", "x.mat")


def test_damage_is_refused_or_harmless() -> None:
    rng = np.random.default_rng(0)
    said = set()
    for compress in (False, True):
        whole = saved(compress, v=np.eye(5))
        for _ in range(300):
            damaged = bytearray(whole)
            for place in rng.integers(120, len(whole), 3):
                damaged[place] = rng.integers(256)
            said.add(_outcome(bytes(damaged)))
    assert len(said) > 3
    assert all(sentence.startswith("x.mat: ") for sentence in said - {"float64"})


def _outcome(content: bytes) -> str:
    """Type of what was read, or what was said against it."""
    try:
        return str(read_mat_array(content, "v", "x.mat").dtype)
    except MdtoolError as error:
        return str(error)
