"""A body model whose shape follows betas, made of the built-in mannequin: nothing licensed is needed to see shapes.

    python examples/shaped_body.py body.npz
    mdtool render shapes.h5 --body body.npz --out shapes.png

The file has SMPL's layout, so that every --body takes it. What its coefficients do is ours and not SMPL's: the first
lengthens trunk, neck and head, the second fills body and limbs out, the third widens shoulders and lengthens arms; the
other seven do nothing. Legs keep their length, because synthetic recordings were all made on one skeleton: with others
their feet would hover or sink.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mdtool.atomic import replacing, require_writable
from mdtool.body.mannequin import mannequin
from mdtool.body.skinning import Body
from mdtool.motion.skeleton import JOINT_INDEX, JOINT_NAMES, JOINTS, PARENTS

TALLER, FULLER, WIDER = 0.045, 0.16, 0.06
"""What one unit of the first three coefficients adds: of the length above the hips, of the distance from the bones, of
the distance from the middle of the body above the waist."""
BETAS = 10
FLESHY = {
    "spine1", "spine2", "spine3", *(f"{side}_{joint}" for side in ("left", "right") for joint in
    ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")),
}  # fmt: skip
"""Joints at the ends of bones that fill out."""
_NEAREST = 300
"""Vertices from which a joint's place is regressed."""
_ROUNDS = 10


def shape_directions(body: Body) -> np.ndarray:
    """Displacement of every vertex per unit of each coefficient; [V, 3, 10], metres."""
    vertices, joints = body.vertices.numpy().astype(np.float64), body.joints.numpy().astype(np.float64)
    directions = np.zeros((len(vertices), 3, BETAS))
    directions[:, 1, 0] = TALLER * (vertices[:, 1] - joints[JOINT_INDEX["pelvis"], 1]).clip(0)
    off_the_floor = (vertices[:, 1:2] / 0.15).clip(0, 1)
    directions[:, :, 1] = FULLER * off_the_floor * smoothed(outwards(vertices, joints), body.faces)
    waist = joints[JOINT_INDEX["spine1"], 1]
    directions[:, 0, 2] = WIDER * vertices[:, 0] * ((vertices[:, 1] - waist) / 0.25).clip(0, 1)
    return directions


def outwards(vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """The way from the nearest bone to every vertex, none where that is a bone of neck, head, hand or foot; [V, 3]."""
    found, least = np.zeros_like(vertices), np.full(len(vertices), np.inf)
    for joint, parent in enumerate(PARENTS):
        if parent < 0:
            continue
        bone = joints[joint] - joints[parent]
        along = ((vertices - joints[parent]) @ bone / (bone @ bone)).clip(0, 1)
        way = vertices - joints[parent] - along[:, None] * bone
        length = np.linalg.norm(way, axis=1)
        nearer = length < least
        found[nearer], least[nearer] = way[nearer] * (JOINT_NAMES[joint] in FLESHY), length[nearer]
    return found


def smoothed(directions: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Directions [V, 3] averaged with those of neighbours again and again, so that no crease shows between bones."""
    edges = np.concatenate([faces[:, pair] for pair in ((0, 1), (1, 2), (2, 0))])
    edges = np.concatenate([edges, edges[:, ::-1]])
    count = np.bincount(edges[:, 0], minlength=len(directions))[:, None]
    for _ in range(_ROUNDS):
        around = np.stack(
            [np.bincount(edges[:, 0], column[edges[:, 1]], len(directions)) for column in directions.T], 1
        )
        directions = (directions + around / count) / 2
    return directions


def joint_regressor(vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Weights [J, V] that sum to 1 and give the joints from the vertices: the smallest ones on those nearby.

    What moves all of them by an affine map moves the joint by the same.
    """
    regressor = np.zeros((len(joints), len(vertices)))
    for place, joint in enumerate(joints):
        near = np.linalg.norm(vertices - joint, axis=1).argsort()[:_NEAREST]
        conditions = np.vstack([(vertices[near] - joint).T, np.ones(_NEAREST)])
        regressor[place, near] = np.linalg.lstsq(conditions, np.array([0, 0, 0, 1.0]), rcond=None)[0]
    return regressor


def model_arrays() -> dict[str, np.ndarray]:
    """The mannequin in the layout of SMPL's files; what its helper joints carry goes to the joints that they follow."""
    body = mannequin()
    vertices, joints = body.vertices.numpy().astype(np.float64), body.joints.numpy().astype(np.float64)
    weights = body.weights.numpy()[:, :JOINTS].copy()
    for place, helper in enumerate(body.helpers):
        weights[:, helper.joint] += body.weights.numpy()[:, JOINTS + place]
    regressor = joint_regressor(vertices, joints)
    return {
        "v_template": vertices,
        "shapedirs": shape_directions(body),
        "posedirs": np.zeros((len(vertices), 3, 9 * (JOINTS - 1))),
        "J_regressor": regressor,
        "weights": weights,
        "kintree_table": np.array([PARENTS, range(JOINTS)], dtype=np.int64),
        "f": body.faces,
    }


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    require_writable(out)
    arrays = model_arrays()
    with replacing(out) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)
    print(f"wrote {out}: {len(arrays['v_template'])} vertices")


if __name__ == "__main__":
    main()
