"""The container of glTF 2.0 in one binary file: a JSON document and one buffer (Khronos glTF 2.0, section 4)."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from mdtool.errors import MdtoolError

_COMPONENTS = {"uint8": 5121, "uint16": 5123, "uint32": 5125, "float32": 5126}
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
VERTEX_DATA, FACE_DATA = 34962, 34963
"""Targets of a buffer view: attributes of vertices, and the indices of faces."""
_LARGEST = 2**32 - 1


class GltfBuffer:
    """Arrays laid end to end, each at an address of four bytes, with the tables that describe them."""

    def __init__(self) -> None:
        self.accessors: list[dict[str, Any]] = []
        self.views: list[dict[str, Any]] = []
        self._chunks: list[bytes] = []
        self._length = 0

    def add(self, array: np.ndarray, target: int | None = None, bounds: bool = False, normalised: bool = False) -> int:
        """Store one array [n] or [n, C] and describe it.

        Args:
            target: VERTEX_DATA or FACE_DATA; not given for animations.
            bounds: write the least and the greatest value.
            normalised: integers stand for 0..1.

        Returns:
            The index of its accessor.
        """
        return self.add_each(array[None], target, bounds, normalised)[0]

    def add_each(
        self, arrays: np.ndarray, target: int | None = None, bounds: bool = False, normalised: bool = False
    ) -> list[int]:
        """Store several arrays of one shape [k, n] or [k, n, C] in one view; the indices of their accessors."""
        content = np.ascontiguousarray(arrays).tobytes()
        view: dict[str, Any] = {"buffer": 0, "byteOffset": self._length, "byteLength": len(content)}
        if target is not None:
            view["target"] = target
        self.views.append(view)
        padded = content + b"\0" * (-len(content) % 4)
        self._chunks.append(padded)
        self._length += len(padded)
        first = len(self.accessors)
        for place, array in enumerate(arrays):
            accessor: dict[str, Any] = {
                "bufferView": len(self.views) - 1,
                "byteOffset": place * array.nbytes,
                "componentType": _COMPONENTS[array.dtype.name],
                "count": len(array),
                "type": _TYPES[array.size // len(array)],
            }
            if bounds:
                accessor["min"], accessor["max"] = (
                    np.atleast_1d(limit).astype(float).tolist() for limit in (array.min(axis=0), array.max(axis=0))
                )
            if normalised:
                accessor["normalized"] = True
            self.accessors.append(accessor)
        return list(range(first, len(self.accessors)))

    def pack(self, document: dict[str, Any]) -> bytes:
        """The bytes of a .glb file of a document that uses the accessors.

        Raises:
            MdtoolError: more than the 4 GiB that the format can say.
        """
        tables = {"accessors": self.accessors, "bufferViews": self.views, "buffers": [{"byteLength": self._length}]}
        text = json.dumps({**document, **tables}, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + self._length
        if total > _LARGEST:
            raise MdtoolError("these clips make a GLB of more than 4 GiB: export fewer with --clip")
        head = struct.pack("<4sII", b"glTF", 2, total) + struct.pack("<I4s", len(text), b"JSON") + text
        return b"".join([head, struct.pack("<I4s", self._length, b"BIN\0"), *self._chunks])
