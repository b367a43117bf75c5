"""SMPL, SMPL-H and SMPL-X bodies of a user's own model files, recognised by content, loaded through smplx.

Files of the original release are pickles of Python 2 with chumpy arrays and scipy matrices inside. They are read by
`safe_pickle`, which runs nothing of theirs; smplx gets plain arrays and never sees the file.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mdtool.body.skinning import Body
from mdtool.data.safe_pickle import StandIn, load_pickle
from mdtool.errors import MdtoolError
from mdtool.motion.rotations import axis_angle_to_matrix
from mdtool.motion.skeleton import JOINT_INDEX, JOINTS
from mdtool.npz_archive import open_npz

KINDS: dict[int, str] = {24: "SMPL", 52: "SMPL-H", 55: "SMPL-X"}
"""Number of joints → body model."""
_NEEDED = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
_BODY_JOINTS = 22
"""Joints of SMPL-H and SMPL-X that are those of SMPL: all but the hands."""
_FINGER_JOINTS = 15
_BETAS = 10
_SUFFIXES = (".npz", ".pkl")
_MOST_FILES = 2000
_MOST_ENTRIES = 10_000_000
"""Entries of a joint regressor; SMPL-X's has 55 x 10,475."""


class _Chumpy(StandIn):
    """An array of chumpy's: plain (Ch), or chosen entries of another in another shape (Select)."""

    def array(self) -> np.ndarray:
        state = self.state if isinstance(self.state, dict) else {}
        if "x" in state:
            return _array(state["x"])
        if {"a", "idxs", "preferred_shape"} <= state.keys():
            return _array(state["a"]).ravel()[_array(state["idxs"]).astype(np.int64)].reshape(state["preferred_shape"])
        raise ValueError("a chumpy array in it says nothing of its numbers")


class _Sparse(StandIn):
    """A matrix of scipy's in compressed columns or rows."""

    by_column = True

    def array(self) -> np.ndarray:
        state = self.state if isinstance(self.state, dict) else {}
        values, inner, starts = (_array(state[name]) for name in ("data", "indices", "indptr"))
        starts = starts.astype(np.int64)
        outer = np.repeat(np.arange(len(starts) - 1), starts[1:] - starts[:-1])
        place = (inner, outer) if self.by_column else (outer, inner)
        rows, columns = (int(size) for size in state["_shape"])
        if not 0 <= rows * columns <= _MOST_ENTRIES:
            raise ValueError(f"a matrix of {rows} x {columns} is too large")
        dense = np.zeros((rows, columns))
        np.add.at(dense, place, values)
        return dense


class _SparseRows(_Sparse):
    by_column = False


_STAND_INS = {
    ("chumpy.ch", "Ch"): _Chumpy,
    ("chumpy.reordering", "Select"): _Chumpy,
    **{(module, "csc_matrix"): _Sparse for module in ("scipy.sparse.csc", "scipy.sparse._csc")},
    **{(module, "csr_matrix"): _SparseRows for module in ("scipy.sparse.csr", "scipy.sparse._csr")},
    ("__builtin__", "set"): set,
    ("builtins", "set"): set,
}


@dataclass(frozen=True)
class ModelFile:
    """The arrays of one body model file."""

    path: Path
    kind: str
    """One of `KINDS`."""
    arrays: dict[str, np.ndarray]


def smpl_body(path: str | Path, gender: str = "") -> Body:
    """The body of a model file, or of the best file of a folder: of `gender`, else neutral, male, female; SMPL first.

    Its joints follow the 24 joints of a motion; fingers of SMPL-H and SMPL-X keep the model's relaxed pose, and the
    face its rest pose. The first 10 shape coefficients are kept.

    Raises:
        MdtoolError: no such file, not a body model, or a pickle that wants to run something.
    """
    model = find_model(Path(path), gender)
    layer = smplx_layer(model)
    joints = len(layer.parents)
    regressor = layer.J_regressor
    parents = (-1, *(int(parent) for parent in layer.parents[1:]))
    sources, rest = (None, None) if joints == JOINTS else _hands(model.kind, model.arrays)
    return Body(
        vertices=layer.v_template,
        faces=np.asarray(layer.faces, np.int32),
        weights=layer.lbs_weights,
        joints=regressor @ layer.v_template,
        parents=parents,
        sources=sources,
        rest_rotations=rest,
        shape_directions=layer.shapedirs[..., :_BETAS],
        pose_directions=layer.posedirs.T.reshape(len(layer.v_template), 3, -1),
        joint_regressor=regressor,
    )


def smplx_layer(model: ModelFile) -> Any:
    """smplx's own module of a model, made of plain arrays; it is also what tests compare our skinning with."""
    import smplx
    from smplx.utils import Struct

    arrays = dict(model.arrays)
    arrays["kintree_table"] = arrays["kintree_table"].astype(np.int64)
    settings: dict[str, object] = {"create_transl": False, "num_betas": _BETAS}
    if model.kind != "SMPL":
        settings |= {"use_pca": False, "flat_hand_mean": True}
        for side in "lr":
            arrays.setdefault(f"hands_components{side}", np.eye(3 * _FINGER_JOINTS, dtype=np.float32))
            arrays.setdefault(f"hands_mean{side}", np.zeros(3 * _FINGER_JOINTS, np.float32))
    if model.kind == "SMPL-X":
        settings |= {"use_face_contour": False, "num_expression_coeffs": _BETAS}
        # Landmarks of the face: nothing here uses them, but smplx wants one at least.
        arrays.setdefault("lmk_faces_idx", np.zeros(1, np.int64))
        arrays.setdefault("lmk_bary_coords", np.array([[1, 0, 0]], np.float32))
    build = {"SMPL": smplx.SMPL, "SMPL-H": smplx.SMPLH, "SMPL-X": smplx.SMPLX}[model.kind]
    # smplx prints how many coefficients a file has, and reads SMPL-X from files only: it gets one of plain arrays.
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
        if model.kind == "SMPL-X":
            np.savez(clean := Path(folder) / "clean.npz", allow_pickle=False, **arrays)
            layer = build(str(clean), **settings)
        else:
            layer = build(str(model.path), data_struct=Struct(**arrays), **settings)
    return layer.requires_grad_(False)


def find_model(path: Path, gender: str = "") -> ModelFile:
    """The model in a file, or the best of a folder and the folders in it, of `gender` if there is one.

    Raises:
        MdtoolError: no such file, or no body model in it.
    """
    if not path.exists():
        raise MdtoolError(f"no body model at {path}: name a file or folder of SMPL, SMPL-H or SMPL-X files")
    if not path.is_dir():
        return read_model(path)
    files = sorted(found for found in path.rglob("*") if found.suffix.lower() in _SUFFIXES)

    def rank(file: Path) -> tuple[bool, int, int, int, Path]:
        own = _gender(file)
        return own != gender, _GENDERS.index(own), _kind_rank(file), len(file.parts), file

    ranked = sorted(files[:_MOST_FILES], key=rank)
    refusals = []
    for file in ranked:
        try:
            return read_model(file)
        except MdtoolError as error:
            refusals.append(str(error))
    reason = f"; {refusals[0]}" if refusals else f": there is no {' or '.join(_SUFFIXES)} file"
    raise MdtoolError(f"{path} holds no SMPL, SMPL-H or SMPL-X model{reason}")


def read_model(path: Path) -> ModelFile:
    """Read one .npz or .pkl file and check that it is a body model.

    Raises:
        MdtoolError: it is not, or it wants to run something.
    """
    content = _read_npz(path) if _is_zip(path) else load_pickle(path, allow=_STAND_INS)
    if not isinstance(content, dict):
        raise MdtoolError(f"{path} is no body model: it holds a {type(content).__name__}, not a table of arrays")
    missing = [name for name in _NEEDED if name not in content]
    if missing:
        raise MdtoolError(
            f"{path} is no SMPL, SMPL-H or SMPL-X model: it lacks {', '.join(missing[:4])}; "
            "download the model itself, not motions or a template"
        )
    arrays = {}
    for name, value in content.items():
        if name in _NEEDED or str(name).startswith(("hands_", "lmk_", "dynamic_lmk")):
            try:
                arrays[str(name)] = _numbers(value)
            except (ValueError, TypeError, KeyError, IndexError) as error:
                raise MdtoolError(f"{path} has a damaged array {name}: {error}; get it again") from error
    _check_shapes(path, arrays)
    return ModelFile(path, KINDS[arrays["kintree_table"].shape[1]], arrays)


def _check_shapes(path: Path, arrays: dict[str, np.ndarray]) -> None:
    table, vertices = arrays["kintree_table"], len(arrays["v_template"])
    joints = table.shape[1] if table.ndim == 2 else 0
    if joints not in KINDS:
        raise MdtoolError(
            f"{path} is a model of {joints} joints; SMPL has 24, SMPL-H 52 and SMPL-X 55 (hands alone do not do)"
        )
    shapes = {
        "v_template": (vertices, 3),
        "posedirs": (vertices, 3, 9 * (joints - 1)),
        "J_regressor": (joints, vertices),
        "weights": (vertices, joints),
        "kintree_table": (2, joints),
    }
    wrong = [name for name, shape in shapes.items() if arrays[name].shape != shape]
    if arrays["shapedirs"].shape[:2] != (vertices, 3) or arrays["shapedirs"].ndim != 3 or not arrays["shapedirs"].size:
        wrong.append("shapedirs")
    faces = arrays["f"]
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.min(initial=0) < 0 or faces.max(initial=0) >= vertices:
        wrong.append("f")
    parents = table[0, 1:].astype(np.int64) if "kintree_table" not in wrong else np.zeros(0)
    if ((parents < 0) | (parents >= np.arange(1, len(parents) + 1))).any():
        wrong.append("kintree_table")
    wrong += [name for name in _NEEDED if not np.isfinite(arrays[name]).all()]
    if wrong:
        raise MdtoolError(f"{path} is a damaged body model: its {wrong[0]} does not fit the rest; get it again")


def _hands(kind: str, arrays: dict[str, np.ndarray]) -> tuple[tuple[int, ...], Tensor]:
    """Sources and rest rotations of a body with fingers: roots of fingers follow SMPL's hand joints."""
    joints = next(count for count, name in KINDS.items() if name == kind)
    sources = [joint if joint < _BODY_JOINTS else -1 for joint in range(joints)]
    rest = np.zeros((joints, 3), np.float32)
    for side, name in enumerate(("left_hand", "right_hand")):
        first = joints - 2 * _FINGER_JOINTS + side * _FINGER_JOINTS
        mean = arrays.get(f"hands_mean{name[0]}", np.zeros(3 * _FINGER_JOINTS))
        rest[first : first + _FINGER_JOINTS] = mean.reshape(_FINGER_JOINTS, 3)
        for finger in range(0, _FINGER_JOINTS, 3):
            sources[first + finger] = JOINT_INDEX[name]
    return tuple(sources), axis_angle_to_matrix(torch.from_numpy(rest))


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with open_npz(path) as stored:
            wanted = [
                name for name in stored.files if name in _NEEDED or name.startswith(("hands_", "lmk_", "dynamic"))
            ]
            found = {}
            for name in wanted:
                with contextlib.suppress(ValueError):  # an object array, which would have to be unpickled
                    found[name] = stored[name]
            return found
    except (OSError, ValueError) as error:
        raise MdtoolError(f"{path} cannot be read as .npz: {' '.join(str(error).split())}; get it again") from error


def _is_zip(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def _array(value: object) -> np.ndarray:
    """A plain array of what a file holds."""
    if isinstance(value, _Chumpy | _Sparse):
        return value.array()
    array = np.asarray(value)
    if array.dtype.kind not in "iufb":
        raise ValueError(f"it holds {array.dtype}, not numbers")
    return array


def _numbers(value: object) -> np.ndarray:
    """The same; smplx computes in float32, and integers keep their kind."""
    array = _array(value)
    return array.astype(np.float32) if array.dtype.kind == "f" else array


_GENDERS = ("neutral", "male", "female")


def _gender(path: Path) -> str:
    words = str(path).lower()
    if "female" in words or "_f_" in words:
        return "female"
    return "male" if "male" in words or "_m_" in words else "neutral"


def _kind_rank(path: Path) -> int:
    words = str(path).lower()
    return 2 if "smplx" in words else 1 if "smplh" in words or "smpl-h" in words else 0
