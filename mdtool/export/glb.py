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
from mdtool.export.bones import Skeleton, local_matrices, moving_joints, skeleton_of
from mdtool.export.clips import animation_names, clip_record, require_exportable
from mdtool.export.gltf import FACE_DATA, VERTEX_DATA, GltfBuffer
from mdtool.export.rig import Rig, rig_of, rig_turns
from mdtool.export.skin import skin_of
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import matrix_to_quaternion

_MATERIALS = [
    {
        "name": name,
        "pbrMetallicRoughness": {"baseColorFactor": [*colour, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.6},
    }
    for name, colour in (("skin", (0.073, 0.246, 0.716)), ("markings", (0.045, 0.052, 0.065)))
]
"""Linear colours, as glTF has them."""


def write_glb(path: str | Path, clips: Sequence[Motion], body: Body, ground_root: bool = False) -> None:
    """Write clips as the animations of one skinned body, at their native frame rates.

    Bones carry the names of the 24 SMPL joints and do not turn in the rest pose. Fingers, face and helper joints are
    bones of their own, so that the skin is that of mdtool's own pictures; only SMPL's corrections of the shape by
    pose are left out. The path is scaled to the body's legs, as in the pictures (`Body.fitted`).

    Args:
        ground_root: put a joint `root` on the floor that carries the path.

    Raises:
        MdtoolError: no clips, clips of different body shapes, a clip without frames or with numbers that are not
            finite, more than 4 GiB, or no place to write.
    """
    require_exportable(clips)
    betas = _one_shape(clips, body)
    skeleton = skeleton_of(body, betas, ground_root)
    rig = rig_of(body, skeleton, betas)
    buffer = GltfBuffer()
    bones = len(rig.names)
    mesh, inverse_bind = _mesh(buffer, body, betas, rig)
    skin = {"name": "mdtool", "skeleton": 0, "joints": list(range(bones)), "inverseBindMatrices": inverse_bind}
    named = zip(animation_names(clips), clips, _turns(clips, body, skeleton), strict=True)
    document = {
        "asset": {"version": "2.0", "generator": f"mdtool {__version__}"},
        "scene": 0,
        "scenes": [{"name": "motion", "nodes": [0, bones]}],
        "nodes": [*_nodes(rig), {"name": "body", "mesh": 0, "skin": 0}],
        "meshes": [mesh],
        "materials": _MATERIALS[: len(mesh["primitives"])],
        "skins": [skin],
        "animations": [_animation(buffer, name, clip, body, turns, skeleton) for name, clip, turns in named],
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


def _nodes(rig: Rig) -> list[dict[str, Any]]:
    """The bones as nodes."""
    nodes: list[dict[str, Any]] = [
        {"name": name, "translation": offset.tolist()} for name, offset in zip(rig.names, rig.offsets, strict=True)
    ]
    for child, parent in enumerate(rig.parents):
        if parent >= 0:
            nodes[parent].setdefault("children", []).append(child)
    return nodes


def _mesh(buffer: GltfBuffer, body: Body, betas: np.ndarray | None, rig: Rig) -> tuple[dict[str, Any], int]:
    """The mesh, and the accessor of the inverse bind matrices (column by column)."""
    skin, bones = skin_of(body, betas), len(rig.names)
    bind = np.tile(np.eye(4, dtype=np.float32), (bones, 1, 1))
    bind[:, 3, :3] = -rig.rest
    followed = np.where(skin.weights > 0, rig.bone_of[skin.joints], 0)
    attributes = {
        "POSITION": buffer.add(skin.vertices, VERTEX_DATA, bounds=True),
        "NORMAL": buffer.add(skin.normals, VERTEX_DATA),
        "JOINTS_0": buffer.add(followed.astype(np.uint8 if bones <= 256 else np.uint16), VERTEX_DATA),
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
    return {"name": "body", "primitives": primitives}, buffer.add(bind.reshape(bones, 16))


def _turns(clips: Sequence[Motion], body: Body, skeleton: Skeleton) -> list[np.ndarray]:
    """Quaternions of all bones, [N, T, 4] float32 per clip; all clips in one go, which is quicker."""
    turns = rig_turns(body, skeleton, local_matrices(*clips))
    quaternions = matrix_to_quaternion(torch.from_numpy(turns)).numpy()[..., [1, 2, 3, 0]]
    ends = np.cumsum([len(clip) for clip in clips])
    return [
        continuous_quaternions(part).transpose(1, 0, 2).astype(np.float32) for part in np.split(quaternions, ends[:-1])
    ]


def _animation(
    buffer: GltfBuffer, name: str, clip: Motion, body: Body, turns: np.ndarray, skeleton: Skeleton
) -> dict[str, Any]:
    """One clip: turns [N, T, 4] of all bones, and the paths of those that move, fitted to the body."""
    time = buffer.add((np.arange(len(clip)) / clip.fps).astype(np.float32), bounds=True)
    outputs = [(node, "rotation", accessor) for node, accessor in enumerate(buffer.add_each(turns))]
    for node, path in moving_joints(body.fitted(clip), skeleton).items():
        outputs.append((node, "translation", buffer.add(path.astype(np.float32))))
    return {
        "name": name,
        "samplers": [{"input": time, "output": output, "interpolation": "LINEAR"} for _, _, output in outputs],
        "channels": [
            {"sampler": place, "target": {"node": node, "path": kind}} for place, (node, kind, _) in enumerate(outputs)
        ],
        "extras": {"mdtool": {**clip_record(clip), "path_scale": body.path_scale(clip)}},
    }


def continuous_quaternions(quaternions: np.ndarray) -> np.ndarray:
    """Quaternions [T, ..., 4] with, of the two signs of each, the one near the frame before.

    A player that interpolates without looking at signs would else turn the long way round.
    """
    turned = (quaternions[1:] * quaternions[:-1]).sum(axis=-1, keepdims=True) < 0
    signs = np.concatenate([np.ones_like(quaternions[:1, ..., :1]), np.cumprod(np.where(turned, -1.0, 1.0), axis=0)])
    return quaternions * signs
