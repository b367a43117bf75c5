"""GLB files of other programs, and what is no GLB file."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import roma
import torch

from mdtool.body.mannequin import mannequin
from mdtool.data.gather import Clip, Skipped, gather
from mdtool.data.glb import read_glb
from mdtool.data.motion_files import FileBatch, glb_to_clip
from mdtool.errors import MdtoolError
from mdtool.export.glb import write_glb
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import matrix_to_quaternion, quaternion_to_matrix
from tests.export.clips import any_clip, assert_same_motion

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def clip() -> Motion:
    return any_clip(6, fps=30.0, action="walk")


@pytest.fixture
def glb(clip: Motion, tmp_path: Path) -> bytes:
    write_glb(tmp_path / "a.glb", [clip], mannequin())
    return (tmp_path / "a.glb").read_bytes()


def changed(glb: bytes, change: Change) -> bytes:
    """The same file with another document."""
    length = struct.unpack_from("<I", glb, 12)[0]
    document = json.loads(glb[20 : 20 + length])
    change(document)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    rest = glb[20 + length :]
    head = struct.pack("<4sII", b"glTF", 2, 20 + len(text) + len(rest)) + struct.pack("<I4s", len(text), b"JSON")
    return head + text + rest


def without_record(document: dict[str, Any]) -> None:
    del document["animations"][0]["extras"]


def test_a_program_may_write_the_scale_of_the_path_as_a_whole_number(glb: bytes, clip: Motion) -> None:
    def doubled(document: dict[str, Any]) -> None:
        document["animations"][0]["extras"]["mdtool"]["path_scale"] = 2

    (animation,) = read_glb(changed(glb, doubled), "b.glb")
    np.testing.assert_allclose(glb_to_clip(animation).motion.root, clip.root / 2, atol=1e-6)


def test_a_file_of_another_program_takes_its_rate_from_its_keys(glb: bytes, clip: Motion) -> None:
    (animation,) = read_glb(changed(glb, without_record), "b.glb")
    read = glb_to_clip(animation)
    assert_same_motion(read.motion, clip)
    assert (read.motion.action, read.motion.name, read.has_split) == ("walk", "b.glb, walk", False)


def test_a_scaled_armature_above_the_joints(glb: bytes, clip: Motion) -> None:
    """As converters from FBX leave it: joints in centimetres below a node of scale 0.01, which turns them upright."""

    def armature(document: dict[str, Any]) -> None:
        for node in document["nodes"]:
            if "translation" in node:
                node["translation"] = [100 * value for value in node["translation"]]
        document["nodes"].append({"name": "Armature", "children": [0], "scale": [0.01, 0.01, 0.01]})
        document["scenes"][0]["nodes"] = [len(document["nodes"]) - 1]
        path = next(c for c in document["animations"][0]["channels"] if c["target"]["path"] == "translation")
        document["animations"][0]["channels"].remove(path)

    (animation,) = read_glb(changed(glb, armature), "b.glb")
    still = Motion(clip.rot6d, np.tile([0, 1.007, 0], (6, 1)).astype(np.float32), clip.fps)
    read = glb_to_clip(animation).motion
    np.testing.assert_allclose(read.positions()[:, 4] - read.root, still.positions()[:, 4] - still.root, atol=1e-5)
    np.testing.assert_allclose(read.root, still.root, atol=5e-3)


def test_bones_with_axes_of_their_own(glb: bytes, clip: Motion) -> None:
    """Every node turned at rest, below an armature that lies down, and the keys with them: the same motion."""
    length = struct.unpack_from("<I", glb, 12)[0]
    document = json.loads(glb[20 : 20 + length])
    body = bytearray(glb[28 + length :])
    nodes, animation = document["nodes"], document["animations"][0]
    above = {child: parent for parent, node in enumerate(nodes) for child in node.get("children", [])}
    torch.manual_seed(0)
    stance = roma.random_rotmat(len(nodes), dtype=torch.float64).numpy()
    armature = stance[-1]

    def stance_above(node: int) -> np.ndarray:
        return stance[above[node]] if node in above else armature

    def keys(accessor: dict[str, Any]) -> np.ndarray:
        start = document["bufferViews"][accessor["bufferView"]]["byteOffset"] + accessor["byteOffset"]
        width = {"VEC3": 3, "VEC4": 4}[accessor["type"]]
        return np.frombuffer(body, np.float32, accessor["count"] * width, start).reshape(-1, width)

    for node, content in enumerate(nodes[:-1]):
        back = stance_above(node).T
        content["translation"] = (back @ content["translation"]).tolist()
        content["rotation"] = matrix_to_quaternion(torch.from_numpy(back @ stance[node])).roll(-1).tolist()
    for channel in animation["channels"]:
        node, kind = channel["target"]["node"], channel["target"]["path"]
        values = keys(document["accessors"][animation["samplers"][channel["sampler"]]["output"]])
        if kind == "translation":
            values[:] = values @ stance_above(node)
        else:
            turns = quaternion_to_matrix(torch.from_numpy(values[:, [3, 0, 1, 2]].astype(np.float64))).numpy()
            turned = stance_above(node).T @ turns @ stance[node]
            values[:] = matrix_to_quaternion(torch.from_numpy(turned)).roll(-1, -1).numpy()
    nodes.append({"children": [0], "rotation": matrix_to_quaternion(torch.from_numpy(armature)).roll(-1).tolist()})

    def replaced(old: dict[str, Any]) -> None:
        old.clear()
        old.update(document)
        without_record(old)

    (turned_clip,) = read_glb(changed(glb[: 28 + length] + bytes(body), replaced), "b.glb")
    assert_same_motion(glb_to_clip(turned_clip).motion, clip)


def test_frames_between_keys_are_interpolated(glb: bytes, clip: Motion) -> None:
    def twice_the_rate(document: dict[str, Any]) -> None:
        document["animations"][0]["extras"]["mdtool"]["fps"] = 60.0

    (animation,) = read_glb(changed(glb, twice_the_rate), "b.glb")
    read = glb_to_clip(animation).motion
    assert len(read) == 11
    assert_same_motion(Motion(read.rot6d[::2], read.root[::2], 30.0), clip)
    np.testing.assert_allclose(read.root[1], (clip.root[0] + clip.root[1]) / 2, atol=1e-6)


def renamed(document: dict[str, Any]) -> None:
    for place, node in enumerate(document["nodes"]):
        node["name"] = f"bone {place}"


def test_an_unknown_skeleton_asks_for_a_map(glb: bytes, tmp_path: Path) -> None:
    (tmp_path / "b.glb").write_bytes(changed(glb, renamed))
    batch = FileBatch.glb([tmp_path / "b.glb"])
    with pytest.raises(MdtoolError, match=r"fits none of the maps.*--write-map"):
        gather(batch)
    assert batch.unknown_recording().joints[0].name == "bone 0"


def channels(document: dict[str, Any]) -> list[dict[str, Any]]:
    return document["animations"][0]["channels"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.pop("animations"), "no animation in it"),
        (lambda d: d.pop("nodes"), "damaged"),
        (lambda d: d["nodes"][3].update(children=[1]), "damaged"),
        (lambda d: d["accessors"][-1].update(count=10**9), "damaged"),
        (lambda d: d["accessors"][-1].update(sparse={}), "sparse"),
        (lambda d: d["buffers"][0].update(uri="a.bin"), "another file"),
        (lambda d: d["animations"][0]["samplers"][0].update(interpolation="CUBICSPLINE"), "bake the animation"),
        (lambda d: d["animations"][0].update(channels=[]), "no joint moves"),
        (lambda d: d["animations"][0]["extras"]["mdtool"].update(fps=1e12), "no length for a clip"),
        (lambda d: d["animations"][0]["extras"]["mdtool"].update(fps="many"), "damaged"),
        (lambda d: d["animations"][0]["extras"]["mdtool"].update(betas=[1, "x"]), "betas are not 10 numbers"),
        (lambda d: d["nodes"][0].update(scale=[1, 2, 1]), "stretched"),
        (lambda d: d["nodes"][0].update(matrix=[-1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]), "mirrored"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(glb: bytes, change: Change, sentence: str) -> None:
    with pytest.raises(MdtoolError, match=sentence):
        [glb_to_clip(animation) for animation in read_glb(changed(glb, change), "b.glb")]


def test_what_is_no_glb(glb: bytes) -> None:
    for content, sentence in (
        (b"", "not a GLB file"),
        (b"{}", "not a GLB file"),
        (glb[:-10], "truncated"),
        (glb[:4] + b"\1" + glb[5:], "version 1"),
        (glb[:20] + b"x" + glb[21:], "damaged"),
        (b"glTF", "damaged"),
    ):
        with pytest.raises(MdtoolError, match=sentence):
            read_glb(content, "b.glb")


def test_one_bad_animation_does_not_stop_the_others(glb: bytes, tmp_path: Path) -> None:
    def one_more(document: dict[str, Any]) -> None:
        document["animations"].insert(0, {"name": "spline", "channels": [], "samplers": []})

    (tmp_path / "b.glb").write_bytes(changed(glb, one_more))
    first, second = FileBatch.glb([tmp_path / "b.glb"])
    assert isinstance(first, Skipped)
    assert first.reason == "spline: no joint moves in it"
    assert isinstance(second, Clip)


def test_one_bad_file_does_not_stop_the_others(glb: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.glb").write_bytes(glb)
    (tmp_path / "b.glb").write_bytes(glb[:100])
    readings = list(FileBatch.glb([tmp_path]))
    assert [type(reading) for reading in readings] == [Clip, Skipped]
    assert len(gather(FileBatch.glb([tmp_path])).clips) == 1
