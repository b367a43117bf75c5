"""GLB: read by pygltflib and trimesh, skinned by the letter of glTF 2.0, and read back by mdtool."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pygltflib
import pytest
import torch
import trimesh

from mdtool.body.mannequin import mannequin
from mdtool.body.skinning import Body, posed_vertices
from mdtool.body.smpl import smpl_body
from mdtool.data.glb import read_glb
from mdtool.data.motion_files import glb_to_clip
from mdtool.errors import MdtoolError
from mdtool.export.glb import continuous_quaternions, write_glb
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import axis_angle_to_quaternion, quaternion_to_matrix
from mdtool.motion.skeleton import JOINT_NAMES
from tests.body.test_smpl import save, synthetic
from tests.export.clips import any_clip, assert_same_labels, assert_same_motion, content, some_clips

_DTYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Loaded:
    """A GLB through pygltflib, with the parts of glTF that a player needs, straight from the specification."""

    def __init__(self, path: Path) -> None:
        self.file = pygltflib.GLTF2().load(str(path))
        self.blob = self.file.binary_blob()
        self.names = [node.name for node in self.file.nodes]
        self.above = {child: place for place, node in enumerate(self.file.nodes) for child in node.children or []}

    def array(self, index: int) -> np.ndarray:
        accessor = self.file.accessors[index]
        view = self.file.bufferViews[accessor.bufferView]
        dtype, width = _DTYPES[accessor.componentType], _WIDTHS[accessor.type]
        start = view.byteOffset + (accessor.byteOffset or 0)
        assert start % np.dtype(dtype).itemsize == 0
        assert (accessor.byteOffset or 0) + accessor.count * width * np.dtype(dtype).itemsize <= view.byteLength
        values = np.frombuffer(self.blob, dtype, accessor.count * width, start).reshape(-1, width)
        if accessor.min:
            np.testing.assert_array_equal(values.min(axis=0), np.array(accessor.min, dtype))
            np.testing.assert_array_equal(values.max(axis=0), np.array(accessor.max, dtype))
        return values / np.iinfo(dtype).max if accessor.normalized else values

    def locals(self, animation: int, frame: int) -> np.ndarray:
        """Local transforms of all nodes [n, 4, 4] in one key frame."""
        matrices = np.tile(np.eye(4), (len(self.file.nodes), 1, 1))
        for place, node in enumerate(self.file.nodes):
            matrices[place, :3, 3] = node.translation or [0, 0, 0]
        clip = self.file.animations[animation]
        for channel in clip.channels:
            value = self.array(clip.samplers[channel.sampler].output)[frame].astype(np.float64)
            if channel.target.path == "rotation":
                turn = quaternion_to_matrix(torch.from_numpy(value[[3, 0, 1, 2]])).numpy()
                matrices[channel.target.node, :3, :3] = turn
            else:
                matrices[channel.target.node, :3, 3] = value
        return matrices

    def worlds(self, animation: int, frame: int) -> np.ndarray:
        """World transforms of all nodes [n, 4, 4]."""
        matrices = self.locals(animation, frame)

        def world(node: int) -> np.ndarray:
            return world(self.above[node]) @ matrices[node] if node in self.above else matrices[node]

        return np.stack([world(node) for node in range(len(matrices))])

    def skinned(self, animation: int, frame: int) -> np.ndarray:
        """Vertices [V, 3] in one key frame (glTF 2.0, section 3.7.3)."""
        skin, attributes = self.file.skins[0], self.file.meshes[0].primitives[0].attributes
        inverse = self.array(skin.inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1)
        joints = self.worlds(animation, frame)[skin.joints] @ inverse
        weights = self.array(attributes.WEIGHTS_0)
        assert np.abs(weights.sum(axis=1) - 1).max() < 1e-9
        blended = np.einsum("vk,vkab->vab", weights, joints[self.array(attributes.JOINTS_0)])
        points = np.concatenate([self.array(attributes.POSITION), np.ones((len(weights), 1))], axis=1)
        return np.einsum("vab,vb->va", blended, points)[:, :3]


@pytest.fixture(scope="module", params=[False, True], ids=["pelvis", "ground-root"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Motion]]:
    path, clips = tmp_path_factory.mktemp("glb") / "a.glb", some_clips()
    write_glb(path, clips, mannequin(), ground_root=request.param)
    return path, clips


def test_round_trip(written: tuple[Path, list[Motion]]) -> None:
    path, clips = written
    animations = read_glb(*content(path))
    assert [animation.name for animation in animations] == ["walk 1", "Jump & run", "walk 2"]
    for animation, clip in zip(animations, clips, strict=True):
        read = glb_to_clip(animation)
        assert_same_motion(read.motion, clip)
        assert_same_labels(read.motion, clip)
        assert read.has_split


def test_pygltflib_finds_our_joints_and_our_skin(written: tuple[Path, list[Motion]]) -> None:
    path, clips = written
    loaded = Loaded(path)
    nodes = [loaded.names.index(name) for name in JOINT_NAMES]
    for animation, clip in enumerate(clips):
        for frame in {0, len(clip) - 1}:
            worlds = loaded.worlds(animation, frame)
            np.testing.assert_allclose(worlds[nodes, :3, 3], clip.positions()[frame], atol=1e-5)
    skin = posed_vertices(mannequin(), clips[1], slice(3, 4))[0]
    got = loaded.skinned(1, 3)
    assert len(got) > len(skin)
    np.testing.assert_allclose(got[: len(skin)], skin, atol=1e-4)


def test_trimesh_finds_our_joints(written: tuple[Path, list[Motion]]) -> None:
    """trimesh leaves animations alone: its own scene graph gets the key frame that pygltflib read."""
    path, clips = written
    scene = trimesh.load(path)
    assert sum(len(mesh.faces) for mesh in scene.geometry.values()) > len(mannequin().faces)
    height = scene.bounds[1, 1]
    assert 1.6 < height < 1.8
    loaded = Loaded(path)
    matrices = loaded.locals(0, 5)
    for node, parent in loaded.above.items():
        scene.graph.update(loaded.names[node], loaded.names[parent], matrix=matrices[node])
    top = next(node for node in range(len(matrices)) if node not in loaded.above and loaded.file.nodes[node].children)
    scene.graph.update(loaded.names[top], scene.graph.base_frame, matrix=matrices[top])
    got = np.array([scene.graph[name][0][:3, 3] for name in JOINT_NAMES])
    np.testing.assert_allclose(got, clips[0].positions()[5], atol=1e-5)


def test_the_file_says_what_players_need(written: tuple[Path, list[Motion]]) -> None:
    path, clips = written
    loaded = Loaded(path)
    assert all(view.byteOffset % 4 == 0 for view in loaded.file.bufferViews)
    assert loaded.file.buffers[0].byteLength == len(loaded.blob)
    assert len(loaded.names) == len(set(loaded.names))
    for animation, clip in zip(loaded.file.animations, clips, strict=True):
        inputs = {sampler.input for sampler in animation.samplers}
        assert len(inputs) == 1
        times = loaded.array(inputs.pop())[:, 0]
        np.testing.assert_allclose(times, np.arange(len(clip)) / clip.fps, rtol=1e-6)
        accessor = loaded.file.accessors[animation.samplers[0].input]
        assert accessor.min == [0.0]
        for channel in animation.channels:
            if channel.target.path == "rotation":
                turns = loaded.array(animation.samplers[channel.sampler].output)
                assert ((turns[1:] * turns[:-1]).sum(axis=1) >= 0).all()
                np.testing.assert_allclose(np.linalg.norm(turns, axis=1), 1, atol=1e-6)
    for primitive in loaded.file.meshes[0].primitives:
        assert loaded.array(primitive.indices).max() < len(loaded.array(primitive.attributes.POSITION))
        for accessor in (primitive.indices, primitive.attributes.POSITION):
            assert loaded.file.bufferViews[loaded.file.accessors[accessor].bufferView].target in (34962, 34963)


def test_a_root_on_the_floor_carries_the_path(tmp_path: Path) -> None:
    clip = any_clip(4)
    write_glb(tmp_path / "a.glb", [clip], mannequin(), ground_root=True)
    loaded = Loaded(tmp_path / "a.glb")
    root = loaded.worlds(0, 2)[loaded.names.index("root")]
    np.testing.assert_allclose(root[:3, 3], clip.root[2] * [1, 0, 1], atol=1e-6)
    np.testing.assert_array_equal(root[:3, :3], np.eye(3))


def test_a_turn_does_not_go_the_long_way_round() -> None:
    angle = torch.linspace(0, 4 * torch.pi, 50, dtype=torch.float64)
    quaternions = axis_angle_to_quaternion(angle[:, None] * torch.tensor([0.0, 1.0, 0.0])).numpy()
    flipped = quaternions * np.where(np.arange(50) % 3 == 0, -1, 1)[:, None]
    np.testing.assert_allclose(np.abs(continuous_quaternions(flipped)), np.abs(quaternions))
    np.testing.assert_allclose(continuous_quaternions(flipped), -quaternions, atol=1e-12)


@pytest.fixture(params=[24, 52, 55], ids=["SMPL", "SMPL-H", "SMPL-X"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Body:
    """A body as a user's file gives it, without corrections by pose, and with no more than four joints a vertex."""
    arrays = synthetic(request.param)
    arrays["weights"] = np.where(arrays["weights"] >= np.sort(arrays["weights"])[:, -4:-3], arrays["weights"], 0)
    arrays["weights"] /= arrays["weights"].sum(1, keepdims=True)
    return replace(smpl_body(save(tmp_path / "model.npz", arrays)), pose_directions=None)


@pytest.mark.parametrize("ground_root", [False, True])
@pytest.mark.parametrize("betas", [None, np.linspace(-2, 2, 10, dtype=np.float32)], ids=["rest", "shaped"])
def test_bodies_of_the_user(model: Body, betas: np.ndarray | None, ground_root: bool, tmp_path: Path) -> None:
    clip = replace(any_clip(4), betas=betas)
    write_glb(tmp_path / "a.glb", [clip], model, ground_root)
    loaded = Loaded(tmp_path / "a.glb")
    np.testing.assert_allclose(
        loaded.skinned(0, 2), posed_vertices(model, model.fitted(clip), slice(2, 3))[0], atol=1e-3
    )
    (animation,) = read_glb(*content(tmp_path / "a.glb"))
    read = glb_to_clip(animation).motion
    assert_same_motion(read, clip)
    np.testing.assert_array_equal(read.betas, clip.betas)  # type: ignore[arg-type]
    assert {"left_hand", "right_hand"} <= set(loaded.names)
    assert ("left_thumb3" in loaded.names) == (len(model.parents) > 24)
    assert ("jaw" in loaded.names) == (len(model.parents) == 55)


def test_one_file_has_one_shape(tmp_path: Path) -> None:
    clips = [any_clip(2), replace(any_clip(2), betas=np.ones(10, np.float32))]
    with pytest.raises(MdtoolError, match="clips 0 and 1 have different body shapes"):
        write_glb(tmp_path / "a.glb", clips, smpl_body(save(tmp_path / "model.npz", synthetic())))
    write_glb(tmp_path / "a.glb", clips, mannequin())


def test_mistakes(tmp_path: Path) -> None:
    clip = any_clip(2)
    with pytest.raises(MdtoolError, match="no clip is chosen"):
        write_glb(tmp_path / "a.glb", [], mannequin())
    with pytest.raises(MdtoolError, match="clip 1: it has no frames"):
        write_glb(tmp_path / "a.glb", [clip, clip.slice(0, 0)], mannequin())
    with pytest.raises(MdtoolError, match="NaN"):
        write_glb(tmp_path / "a.glb", [replace(clip, root=np.full_like(clip.root, np.nan))], mannequin())
    assert not list(tmp_path.iterdir())
