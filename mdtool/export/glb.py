"""GLB: a skinned body and its clips as named animations, glTF 2.0 (y up, metres, facing +z: mdtool's own world)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdtool import __version__
from mdtool.atomic import write_bytes
from mdtool.body.skinning import Body
from mdtool.errors import MdtoolError
from mdtool.export.bones import Skeleton, local_matrices, moving_joints, skeleton_of, with_ground_root
from mdtool.export.clips import animation_names, clip_record, require_exportable
from mdtool.export.gltf import FACE_DATA, VERTEX_DATA, GltfBuffer
from mdtool.export.skin import skin_of
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import matrix_to_quaternion

_SKIN_COLOUR = (0.073, 0.246, 0.716, 1.0)
_MARK_COLOUR = (0.045, 0.052, 0.065, 1.0)
"""Linear red, green, blue and opacity."""
_ROUGHNESS = 0.6


def write_glb(path: str | Path, clips: Sequence[Motion], body: Body, ground_root: bool = False) -> None:
    """Write clips as the animations of one skinned body, at their native frame rates.

    The joints carry the names of the 24 SMPL joints and do not turn in the rest pose. A body's helper joints become
    joints below those they follow, so that the skin is that of mdtool's own pictures.

    Args:
        ground_root: put a joint `root` on the floor that carries the path.

    Raises:
        MdtoolError: no clips, clips of different body shapes, a clip without frames or with numbers that are not
            finite, more than 4 GiB, or no place to write.
    """
    require_exportable(clips)
    betas = _one_shape(clips, body)
    skeleton = skeleton_of(body, betas, ground_root)
    buffer = GltfBuffer()
    nodes = _nodes(skeleton, body)
    joints = len(nodes)
    scene = {"name": "motion", "nodes": [0, joints]}
    mesh, inverse_bind = _mesh(buffer, body, betas, skeleton, joints)
    document = {
        "asset": {"version": "2.0", "generator": f"mdtool {__version__}"},
        "scene": 0,
        "scenes": [scene],
        "nodes": [*nodes, {"name": "body", "mesh": 0, "skin": 0}],
        "meshes": [mesh],
        "materials": [_material("skin", _SKIN_COLOUR), _material("markings", _MARK_COLOUR)],
        "skins": [
            {"name": "mdtool", "skeleton": 0, "joints": list(range(joints)), "inverseBindMatrices": inverse_bind}
        ],
        "animations": [
            _animation(buffer, name, clip, turns, skeleton)
            for name, clip, turns in zip(animation_names(clips), clips, _turns(clips, body, skeleton), strict=True)
        ],
    }
    write_bytes(path, buffer.pack(document))


def _one_shape(clips: Sequence[Motion], body: Body) -> np.ndarray | None:
    """The betas that all clips share; None for a body of one shape."""
    if body.shape_directions is None:
        return None
    first = np.zeros(1) if clips[0].betas is None else np.asarray(clips[0].betas)
    for place, clip in enumerate(clips):
        if not np.array_equal(np.zeros(1) if clip.betas is None else clip.betas, first):
            raise MdtoolError(
                f"clips 0 and {place} have different body shapes, and a GLB has one body: "
                f"export them one by one with --clip"
            )
    return clips[0].betas


def _nodes(skeleton: Skeleton, body: Body) -> list[dict[str, Any]]:
    """The joints as nodes, then the helpers, which hang from the joints that they follow."""
    nodes: list[dict[str, Any]] = []
    for joint, (name, offset) in enumerate(zip(skeleton.names, skeleton.offsets, strict=True)):
        nodes.append({"name": name, "translation": offset.tolist(), "children": skeleton.children(joint)})
    for helper in body.helpers:
        above = nodes[helper.joint + skeleton.ground_root]
        number = 1 + sum("_twist" in nodes[child]["name"] for child in above["children"] if child < len(nodes))
        above["children"].append(len(nodes))
        nodes.append({"name": f"{above['name']}_twist{number}", "children": []})
    for node in nodes:
        if not node["children"]:
            del node["children"]
    return nodes


def _mesh(
    buffer: GltfBuffer, body: Body, betas: np.ndarray | None, skeleton: Skeleton, joints: int
) -> tuple[dict[str, Any], int]:
    """The mesh, and the accessor of the inverse bind matrices (column by column)."""
    skin = skin_of(body, betas)
    rest = np.concatenate([skeleton.rest, skeleton.rest[[h.joint + skeleton.ground_root for h in body.helpers]]])
    bind = np.tile(np.eye(4, dtype=np.float32), (joints, 1, 1))
    bind[:, 3, :3] = -rest
    followed = np.where(skin.weights > 0, skin.joints + skeleton.ground_root, 0)
    of_joint = np.uint8 if joints <= 256 else np.uint16
    attributes = {
        "POSITION": buffer.add(skin.vertices, VERTEX_DATA, bounds=True),
        "NORMAL": buffer.add(skin.normals, VERTEX_DATA),
        "JOINTS_0": buffer.add(followed.astype(of_joint), VERTEX_DATA),
        "WEIGHTS_0": buffer.add(skin.weights, VERTEX_DATA, normalised=True),
    }
    of_vertex = np.uint16 if len(skin.vertices) < 65535 else np.uint32
    primitives = [
        {
            "attributes": attributes,
            "indices": buffer.add(faces.ravel().astype(of_vertex), FACE_DATA),
            "material": material,
        }
        for material, faces in enumerate((skin.plain, skin.marked))
        if len(faces)
    ]
    return {"name": "body", "primitives": primitives}, buffer.add(bind.reshape(joints, 16))


def _material(name: str, colour: tuple[float, ...]) -> dict[str, Any]:
    surface = {"baseColorFactor": list(colour), "metallicFactor": 0.0, "roughnessFactor": _ROUGHNESS}
    return {"name": name, "pbrMetallicRoughness": surface}


def _turns(clips: Sequence[Motion], body: Body, skeleton: Skeleton) -> list[np.ndarray]:
    """Quaternions of all joints and helpers, [J + H, T, 4] float32 per clip; all clips in one go, which is quicker."""
    matrices = local_matrices(*clips)
    turns = with_ground_root(matrices) if skeleton.ground_root else matrices
    if body.helpers:
        turns = np.concatenate([turns, body.helper_rotations(torch.from_numpy(matrices)).numpy()], axis=1)
    quaternions = matrix_to_quaternion(torch.from_numpy(turns)).numpy()[..., [1, 2, 3, 0]]
    ends = np.cumsum([len(clip) for clip in clips])
    return [
        continuous_quaternions(part).transpose(1, 0, 2).astype(np.float32) for part in np.split(quaternions, ends[:-1])
    ]


def _animation(buffer: GltfBuffer, name: str, clip: Motion, turns: np.ndarray, skeleton: Skeleton) -> dict[str, Any]:
    """One clip: turns [J + H, T, 4] of all joints and helpers, and the paths of those that move."""
    time = buffer.add((np.arange(len(clip)) / clip.fps).astype(np.float32), bounds=True)
    outputs = [(node, "rotation", accessor) for node, accessor in enumerate(buffer.add_each(turns))]
    for node, path in moving_joints(clip, skeleton).items():
        outputs.append((node, "translation", buffer.add(path.astype(np.float32))))
    return {
        "name": name,
        "samplers": [{"input": time, "output": output, "interpolation": "LINEAR"} for _, _, output in outputs],
        "channels": [
            {"sampler": place, "target": {"node": node, "path": kind}} for place, (node, kind, _) in enumerate(outputs)
        ],
        "extras": {"mdtool": clip_record(clip)},
    }


def continuous_quaternions(quaternions: np.ndarray) -> np.ndarray:
    """Quaternions [T, ..., 4] with, of the two signs of each, the one near the frame before.

    A player that interpolates without looking at signs would else turn the long way round.
    """
    turned = (quaternions[1:] * quaternions[:-1]).sum(axis=-1, keepdims=True) < 0
    signs = np.concatenate([np.ones_like(quaternions[:1, ..., :1]), np.cumprod(np.where(turned, -1.0, 1.0), axis=0)])
    return quaternions * signs
