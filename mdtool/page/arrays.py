"""Bodies and motions as the page's JSON: typed arrays in base64, which the player reads back."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mdtool.body.skinning import Body
from mdtool.motion.contacts import foot_contacts
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import matrix_to_quaternion, rot6d_to_matrix

QUATERNION_UNITS = 32767
"""Stored quaternion entries in one: an int16 holds -1 … 1. The error of a joint's angle is below 0.01°."""
INFLUENCES = 4
"""Joints that may move a vertex in the browser; a vertex's weakest beyond them are dropped."""


def typed_array(values: np.ndarray) -> dict[str, str]:
    """An array of any shape as {kind, data}: its type (f4, i2, u1, u2, u4) and its little-endian bytes in base64."""
    kind = values.dtype.str[1:]
    content = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    return {"kind": kind, "data": base64.b64encode(content).decode("ascii")}


def body_to_json(body: Body, shapes: Sequence[np.ndarray | None] = (None,)) -> dict[str, Any]:
    """The mesh in its rest pose, the joints it hangs on, and the four strongest influences on every vertex.

    Args:
        shapes: betas [S] of every shape in which the body appears, None for the rest shape; vertices and joints are
            stored once for each.
    """
    weights = body.weights.numpy()
    index = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
    strongest = np.take_along_axis(weights, index, axis=1)
    strongest = strongest / strongest.sum(1, keepdims=True)
    count = len(weights)
    accent = np.ones(count) if body.accent is None else body.accent
    openness = np.ones(count) if body.openness is None else body.openness
    return {
        "shapes": [_shape_to_json(body, betas) for betas in shapes],
        "faces": typed_array(body.faces.astype(np.uint16 if count < 2**16 else np.uint32)),
        "skin_index": typed_array(index.astype(np.uint8)),
        "skin_weight": typed_array(np.rint(strongest * 65535).astype(np.uint16)),
        "accent": typed_array(accent.astype(np.float32)),
        "openness": typed_array(np.rint(openness * 255).astype(np.uint8)),
        "parents": list(body.parents),
        "helpers": [
            {"joint": helper.joint, "axis": list(helper.axis), "share": helper.share, "least": float(helper.least)}
            for helper in body.helpers
        ],
    }


def _shape_to_json(body: Body, betas: np.ndarray | None) -> dict[str, Any]:
    with torch.no_grad():
        vertices, joints = body.shaped(None if betas is None else torch.from_numpy(betas).to(body.vertices.dtype))
    return {
        "vertices": typed_array(vertices.numpy().astype(np.float32)),
        "joints": [[round(float(value), 6) for value in joint] for joint in joints],
    }


def motion_to_json(motion: Motion, body: Body, shape: int = 0) -> dict[str, Any]:
    """One clip: a quaternion (w, x, y, z) per joint of the body and frame in int16, the pelvis path on the body's legs
    in float32, contacts as four bits, and its place among the shapes that `body_to_json` stored.

    Bit k of a frame's contact byte is foot joint k of `motion.contacts`: left ankle, left toe, right ankle, right toe.
    """
    with torch.no_grad():
        matrices = body.local_rotations(rot6d_to_matrix(torch.from_numpy(motion.rot6d).to(body.vertices.dtype)))
        quaternions = matrix_to_quaternion(matrices).numpy()
    contacts = foot_contacts(motion.positions(), motion.fps)
    return {
        "fps": motion.fps,
        "frames": len(motion),
        "rotations": typed_array(np.rint(quaternions * QUATERNION_UNITS).astype(np.int16)),
        "shape": shape,
        "root": typed_array(body.fitted(motion).root.astype(np.float32)),
        "contacts": typed_array((contacts << np.arange(4)).sum(-1).astype(np.uint8)),
    }


def bytes_of_clip(frames: int, joints: int) -> int:
    """What a clip of so many frames takes in the page, for a body of so many joints."""
    return -(-frames * (joints * 4 * 2 + 3 * 4 + 1) // 3) * 4 + 300
