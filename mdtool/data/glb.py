"""GLB files (glTF 2.0, binary): the joints of a skin and its animations, as recordings that skeleton maps can read."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from mdtool.data.bvh import BvhRecording
from mdtool.data.bvh_hierarchy import BvhJoint
from mdtool.errors import MdtoolError
from mdtool.motion.euler import matrix_to_euler
from mdtool.motion.rotations import matrix_to_quaternion, quaternion_to_matrix, slerp

_DTYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_ORDER = "ZXY"
_ON_FRAME = 1e-2
"""Part of a frame by which a key may miss the frame's time: times are float32."""
_EVEN_SCALE = 1e-3
_MOST_FRAMES = 1_000_000


@dataclass(frozen=True)
class GlbClip:
    """One animation of a file; read when asked for, so that one that cannot be read does not take the others along."""

    name: str
    source: str
    """File and animation, for messages."""
    record: dict[str, Any]
    """What mdtool wrote about the clip: fps, action, split, …; empty in files of other programs."""
    _read: Callable[[], BvhRecording]

    @cached_property
    def recording(self) -> BvhRecording:
        """The joints, at the frame rate that mdtool wrote, else that of the keys.

        Raises:
            MdtoolError: damaged, or with what has no place in a recording (cubic splines, odd times).
        """
        with _damage_told(self.source):
            return self._read()

    @property
    def fps(self) -> float:
        """Frames per second, as mdtool wrote it, else that of the recording."""
        return float(self.record.get("fps") or self.recording.fps)


def read_glb(content: bytes, source: str) -> list[GlbClip]:
    """The animations of a GLB file.

    The pose of the nodes at rest counts as rotation zero, whatever axes a program gave its bones.

    Args:
        source: the file's name, for messages.

    Raises:
        MdtoolError: not a GLB file, damaged, without joints or animations, or with joints that are stretched.
    """
    with _damage_told(source):
        gltf = _Gltf.parse(content, source)
        joints = _Joints.of(gltf)
        clips = []
        for place, animation in enumerate(gltf.document.get("animations") or []):
            name = str(animation.get("name") or f"animation {place}")
            record = dict((animation.get("extras") or {}).get("mdtool") or {})
            where = f"{source}, {name}"
            clips.append(GlbClip(name, where, record, partial(_recording, gltf, joints, animation, record, where)))
    if not clips:
        raise MdtoolError(f"{source}: it has no animation in it")
    return clips


@contextmanager
def _damage_told(source: str) -> Iterator[None]:
    """What a damaged file does to its reader, in a sentence."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, struct.error, RecursionError) as error:
        raise MdtoolError(
            f"{source}: damaged, or not a GLB file of glTF 2.0 ({type(error).__name__}: {error})"
        ) from error


@dataclass
class _Gltf:
    """The document and its buffer."""

    document: dict[str, Any]
    buffer: bytes
    source: str

    @classmethod
    def parse(cls, content: bytes, source: str) -> _Gltf:
        if content[:4] != b"glTF":
            raise MdtoolError(f"{source}: not a GLB file: it does not begin with glTF; export it as binary glTF (.glb)")
        version, total = struct.unpack_from("<II", content, 4)
        if version != 2:
            raise MdtoolError(f"{source}: glTF version {version}; mdtool reads version 2")
        if total > len(content):
            raise MdtoolError(f"{source}: truncated: {len(content)} of {total} bytes; get it again")
        chunks: dict[bytes, bytes] = {}
        place = 12
        while place + 8 <= total:
            length, kind = struct.unpack_from("<I4s", content, place)
            chunks.setdefault(kind, content[place + 8 : place + 8 + length])
            place += 8 + length
        document = json.loads(chunks[b"JSON"])
        if any("uri" in buffer for buffer in document.get("buffers", [])):
            raise MdtoolError(f"{source}: its numbers lie in another file; export it as one binary file (.glb)")
        return cls(document, chunks.get(b"BIN\0", b""), source)

    def array(self, index: int) -> np.ndarray:
        """Accessor `index` as float64 [n] or [n, C]."""
        accessor = self.document["accessors"][index]
        if "sparse" in accessor or "bufferView" not in accessor:
            raise MdtoolError(f"{self.source}: sparse arrays are not read; export it without compression")
        view = self.document["bufferViews"][accessor["bufferView"]]
        dtype, width = np.dtype(_DTYPES[accessor["componentType"]]), _WIDTHS[accessor["type"]]
        stride = view.get("byteStride") or dtype.itemsize * width
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        values = np.ndarray((accessor["count"], width), dtype, self.buffer, start, (stride, dtype.itemsize))
        values = values.astype(np.float64)
        if accessor.get("normalized") and dtype.kind in "iu":
            values = np.maximum(values / np.iinfo(dtype).max, -1)
        if not np.isfinite(values).all():
            raise MdtoolError(f"{self.source}: it holds NaN or infinite numbers")
        return values[:, 0] if width == 1 else values


@dataclass
class _Joints:
    """The nodes of the skins and all above them, parents first; below an extra one where there are several tops."""

    nodes: list[int] = field(default_factory=list)
    """Node of every joint; -1 for the extra one."""
    names: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    rotations: list[np.ndarray] = field(default_factory=list)
    """[3, 3] of every node at rest, against the one above."""
    stances: list[np.ndarray] = field(default_factory=list)
    """[3, 3] of every node at rest, in the world."""
    translations: list[np.ndarray] = field(default_factory=list)
    unit: list[float] = field(default_factory=list)
    """Scale of all that is above a node."""

    @classmethod
    def of(cls, gltf: _Gltf) -> _Joints:
        document = gltf.document
        nodes = document.get("nodes") or []
        above = {child: parent for parent, node in enumerate(nodes) for child in node.get("children", [])}
        wanted: set[int] = set()
        for joint in {joint for skin in document.get("skins") or [] for joint in skin["joints"]} or range(len(nodes)):
            while joint is not None and joint not in wanted:
                wanted.add(joint)
                joint = above.get(joint)
        tops = [node for node in sorted(wanted) if node not in above]
        if not tops:
            raise MdtoolError(f"{gltf.source}: it has no joints in it")
        joints = cls()
        if len(tops) > 1:
            joints._add(-1, "", -1, np.eye(3), np.zeros(3), 1.0)
        pending = [(top, 0 if len(tops) > 1 else -1, 1.0) for top in reversed(tops)]
        while pending:
            node, parent, unit = pending.pop()
            if node in joints.nodes:
                raise ValueError(f"node {node} hangs from two others")
            rotation, translation, scale = _pose(nodes[node], gltf.source)
            joints._add(node, str(nodes[node].get("name", "")), parent, rotation, translation, unit)
            place = len(joints.nodes) - 1
            children = [child for child in nodes[node].get("children", []) if child in wanted]
            pending += [(child, place, unit * scale) for child in reversed(children)]
        return joints

    def _add(
        self, node: int, name: str, parent: int, rotation: np.ndarray, translation: np.ndarray, unit: float
    ) -> None:
        unique = name or f"node {node}"
        while unique in self.names:
            unique += "'"
        self.nodes.append(node)
        self.names.append(unique)
        self.parents.append(parent)
        self.rotations.append(rotation)
        self.stances.append((self.stances[parent] if parent >= 0 else np.eye(3)) @ rotation)
        self.translations.append(translation)
        self.unit.append(unit)


def _pose(node: dict[str, Any], source: str) -> tuple[np.ndarray, np.ndarray, float]:
    """(rotation [3, 3], translation [3], scale) of a node at rest."""
    if "matrix" in node:
        matrix = np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
        translation, scales = matrix[:3, 3], np.linalg.norm(matrix[:3, :3], axis=0)
        rotation = matrix[:3, :3] / np.where(scales > 0, scales, 1)
    else:
        translation = np.array(node.get("translation", (0, 0, 0)), dtype=np.float64)
        scales = np.array(node.get("scale", (1, 1, 1)), dtype=np.float64)
        x, y, z, w = node.get("rotation", (0, 0, 0, 1))
        rotation = quaternion_to_matrix(torch.tensor([w, x, y, z], dtype=torch.float64)).numpy()
    even = scales.min() > 0 and np.ptp(scales) <= _EVEN_SCALE * scales.max()
    if not even or np.linalg.det(rotation) < 0:
        raise MdtoolError(f"{source}: joint {node.get('name')} is stretched or mirrored; apply its scale, export again")
    return rotation, translation, float(scales.mean())


def _recording(
    gltf: _Gltf, joints: _Joints, animation: dict[str, Any], record: dict[str, Any], source: str
) -> BvhRecording:
    """One animation sampled at even times."""
    place_of = {node: place for place, node in enumerate(joints.nodes)}
    turning: dict[int, tuple[np.ndarray, np.ndarray, bool]] = {}
    moving: dict[int, tuple[np.ndarray, np.ndarray, bool]] = {}
    times: dict[int, np.ndarray] = {}
    for channel in animation["channels"]:
        place, kind = place_of.get(channel["target"].get("node", -1)), channel["target"]["path"]
        if place is None or kind not in ("rotation", "translation"):
            continue
        sampler = animation["samplers"][channel["sampler"]]
        way = sampler.get("interpolation", "LINEAR")
        if way not in ("LINEAR", "STEP"):
            raise MdtoolError(f"{source}: its curves are {way}; bake the animation to one key per frame")
        keys = times.setdefault(sampler["input"], gltf.array(sampler["input"]))
        if len(keys) < 1 or (np.diff(keys) <= 0).any():
            raise MdtoolError(f"{source}: the times of its keys do not increase")
        (turning if kind == "rotation" else moving)[place] = keys, gltf.array(sampler["output"]), way == "STEP"
    if not turning and not moving:
        raise MdtoolError(f"{source}: no joint moves in it")
    frame_time_s, grid = _grid(list(times.values()), record, source)
    frames = len(grid)
    rotations = np.tile(np.array(joints.rotations), (frames, 1, 1, 1))
    for place, (keys, values, steps) in turning.items():
        rotations[:, place] = _turns_at(grid, keys, values, steps)
    # A world rotation G counts as G B⁻¹ with B that at rest: local rotations become B_above R B⁻¹.
    stances = np.array(joints.stances)
    above = np.concatenate([np.eye(3)[None], stances])[[parent + 1 for parent in joints.parents]]
    angles = matrix_to_euler(above @ rotations @ stances.transpose(0, 2, 1), _ORDER)
    columns, bvh_joints, first = [], [], 0
    for place, (name, parent, unit) in enumerate(zip(joints.names, joints.parents, joints.unit, strict=True)):
        channels = [f"{letter}rotation" for letter in _ORDER]
        offset = unit * above[place] @ joints.translations[place]
        if place in moving:
            keys, values, steps = moving[place]
            channels = ["Xposition", "Yposition", "Zposition", *channels]
            columns.append(unit * _values_at(grid, keys, values, steps) @ above[place].T)
        columns.append(angles[:, place])
        x, y, z = offset.tolist()
        bvh_joints.append(BvhJoint(name, parent, (x, y, z), tuple(channels), first, None))
        first += len(channels)
    return BvhRecording(source, tuple(bvh_joints), frame_time_s, np.concatenate(columns, axis=1))


def _grid(times: list[np.ndarray], record: dict[str, Any], source: str) -> tuple[float, np.ndarray]:
    """(frame time, times of the frames [T]), seconds: as recorded by mdtool, else of the closest keys."""
    first, last = min(keys[0] for keys in times), max(keys[-1] for keys in times)
    if record.get("fps"):
        frame_time_s = 1 / float(record["fps"])
    else:
        densest = max(times, key=len)
        if len(densest) < 2:
            raise MdtoolError(f"{source}: a single key, so that its frame rate is unknown")
        frame_time_s = float(densest[-1] - densest[0]) / (len(densest) - 1)
    frames = round((last - first) / frame_time_s) + 1
    if not 0 < frames <= _MOST_FRAMES:
        raise MdtoolError(f"{source}: {last - first:g} s at {1 / frame_time_s:g} fps are no length for a clip")
    return frame_time_s, first + np.arange(frames) * frame_time_s


def _places(grid: np.ndarray, keys: np.ndarray, steps: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(key before, key after, weight of the one after) for every time of the grid; a key close by is taken as it is."""
    places = np.interp(grid, keys, np.arange(len(keys)))
    nearest = np.round(places)
    places = np.where(np.abs(places - nearest) < _ON_FRAME, nearest, places)
    before = np.floor(places).astype(np.int64)
    weight = np.zeros_like(places) if steps else places - before
    return before, np.minimum(before + 1, len(keys) - 1), weight


def _turns_at(grid: np.ndarray, keys: np.ndarray, values: np.ndarray, steps: bool) -> np.ndarray:
    """Rotations [T, 3, 3] at the times of the grid of keys (x, y, z, w) [n, 4]."""
    before, after, weight = _places(grid, keys, steps)
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    if not length.min() > 0:
        raise ValueError("a quaternion of length zero")
    matrices = quaternion_to_matrix(torch.from_numpy(values[:, [3, 0, 1, 2]] / length))
    result = matrices[before]
    between = np.flatnonzero(weight > 0)
    if len(between):
        start, end = (matrix_to_quaternion(matrices[index[between]]) for index in (before, after))
        result[between] = quaternion_to_matrix(slerp(start, end, torch.from_numpy(weight[between])))
    return result.numpy()


def _values_at(grid: np.ndarray, keys: np.ndarray, values: np.ndarray, steps: bool) -> np.ndarray:
    """Vectors [T, 3] at the times of the grid of keys [n, 3]."""
    before, after, weight = _places(grid, keys, steps)
    return values[before] + weight[:, None] * (values[after] - values[before])
