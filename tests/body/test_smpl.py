"""Body models of the user: every layout is recognised by content, nothing runs, and the skin is smplx's."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mdtool.body.choice import named_body
from mdtool.body.smpl import find_model, smpl_body, smplx_layer
from mdtool.errors import MdtoolError
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import axis_angle_to_matrix

Arrays = dict[str, np.ndarray]


def synthetic(joints: int = 24, vertices: int = 60, betas: int = 10, seed: int = 0) -> Arrays:
    """A made-up body in the layout of SMPL (24), SMPL-H (52) or SMPL-X (55)."""
    rng = np.random.default_rng(seed)
    parents = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19]
    if joints == 24:
        parents += [20, 21]
    else:
        parents += [15] * (joints - 52)  # jaw and eyes
        for side, wrist in ((0, 20), (1, 21)):
            first = joints - 30 + 15 * side
            parents += [joint for k in range(5) for joint in (wrist, first + 3 * k, first + 3 * k + 1)]
    weights = rng.random((vertices, joints)) ** 8
    regressor = rng.random((joints, vertices)) ** 8
    arrays = {
        "v_template": rng.normal(size=(vertices, 3)),
        "shapedirs": 0.03 * rng.normal(size=(vertices, 3, betas)),
        "posedirs": 0.01 * rng.normal(size=(vertices, 3, 9 * (joints - 1))),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": np.array([parents, range(joints)]).astype(np.uint32),
        "f": rng.integers(0, vertices, (40, 3)).astype(np.uint32),
    }
    if joints > 24:
        for side in "lr":
            arrays[f"hands_mean{side}"] = 0.3 * rng.normal(size=45)
            arrays[f"hands_components{side}"] = np.eye(45)
    return arrays


def save(path: Path, arrays: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
    return path


class Chumpy:
    """Pickles itself as chumpy's classes do: by name and attributes."""

    def __init__(self, module: str, name: str, state: dict) -> None:
        self.module, self.name, self.state = module, name, state


def original_release(arrays: Arrays, path: Path, **extra: object) -> Path:
    """Write a pickle as the original release has it: protocol 2, chumpy arrays, a scipy matrix, names of Python 2."""
    rows, columns = np.nonzero(arrays["J_regressor"].T)  # sorted by column of the regressor
    sparse = {
        "_shape": arrays["J_regressor"].shape,
        "data": arrays["J_regressor"][columns, rows],
        "indices": columns.astype(np.int32),
        "indptr": np.searchsorted(rows, np.arange(arrays["J_regressor"].shape[1] + 1)).astype(np.int32),
        "format": "csc",
        "maxprint": 50,
    }
    flat = arrays["shapedirs"].ravel()
    chosen = {
        "a": Chumpy("chumpy.ch", "Ch", {"x": flat[::-1].copy()}),
        "idxs": np.arange(len(flat))[::-1].copy(),
        "preferred_shape": arrays["shapedirs"].shape,
    }
    content = {
        **arrays,
        "v_template": Chumpy("chumpy.ch", "Ch", {"x": arrays["v_template"], "_dirty_vars": set(), "_itr": None}),
        "shapedirs": Chumpy("chumpy.reordering", "Select", chosen),
        "J_regressor": Chumpy("scipy.sparse.csc", "csc_matrix", sparse),
        "bs_type": "lrotmin",
        "vert_sym_idxs": np.arange(3),
        **extra,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dump(content))
    return path


class _Pickler(pickle._Pickler):  # the pure-Python one, so that `save` can write what is not installed
    def save(self, item: object, save_persistent_id: bool = True) -> None:
        if isinstance(item, Chumpy):
            self.write(pickle.GLOBAL + f"{item.module}\n{item.name}\n".encode() + pickle.EMPTY_TUPLE + pickle.NEWOBJ)
            super().save(item.state)
            self.write(pickle.BUILD)
            return
        super().save(item, save_persistent_id)


def dump(content: object) -> bytes:
    import io

    stream = io.BytesIO()
    _Pickler(stream, protocol=2).dump(content)
    return stream.getvalue()


def assert_same_body(path: Path, arrays: Arrays) -> None:
    found = find_model(path).arrays
    for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "f"):
        np.testing.assert_allclose(found[name], arrays[name], atol=1e-7)


@pytest.mark.parametrize("joints", [24, 52, 55])
def test_skin_is_that_of_smplx(tmp_path: Path, joints: int) -> None:
    arrays = synthetic(
        joints, vertices=11_000 if joints == 55 else 7_000, betas=20
    )  # smplx picks landmarks of real meshes
    path = save(tmp_path / "anything.npz", arrays)
    body, layer = smpl_body(path), smplx_layer(find_model(path))
    rng = np.random.default_rng(1)
    pose = torch.from_numpy(0.5 * rng.normal(size=(3, joints, 3))).float()
    betas = torch.from_numpy(rng.normal(size=(3, 10))).float()
    named = {"global_orient": pose[:, 0], "body_pose": pose[:, 1 : 24 if joints == 24 else 22].flatten(1)}
    if joints > 24:
        named |= {"left_hand_pose": pose[:, -30:-15].flatten(1), "right_hand_pose": pose[:, -15:].flatten(1)}
    if joints == 55:
        named |= {"jaw_pose": pose[:, 22], "leye_pose": pose[:, 23], "reye_pose": pose[:, 24]}
        named |= {"expression": torch.zeros(3, layer.num_expression_coeffs)}
    rows = [{name: value[k : k + 1] for name, value in {**named, "betas": betas}.items()} for k in range(3)]
    expected = torch.cat([layer(**row).vertices for row in rows])  # one by one: smplx's landmarks take no batch
    _, rest = body.shaped(betas)
    vertices = body.posed(axis_angle_to_matrix(pose), rest[:, 0], betas)
    torch.testing.assert_close(vertices, expected, atol=2e-5, rtol=1e-5)


def test_golden_body_of_both_files(golden: Callable[[str], Arrays], golden_folder: Path) -> None:
    arrays = golden("smpl_forward")
    for suffix in (".npz", ".pkl"):
        body = smpl_body(golden_folder / f"smpl_synthetic{suffix}")
        pose = torch.from_numpy(np.concatenate([arrays["global_orient"], arrays["body_pose"]], axis=1))
        betas = torch.from_numpy(arrays["betas"])
        _, rest = body.shaped(betas)
        root = rest[:, 0] + torch.from_numpy(arrays["transl"])
        matrices = axis_angle_to_matrix(pose.reshape(-1, 24, 3))
        np.testing.assert_allclose(body.posed(matrices, root, betas), arrays["vertices"], atol=1e-5)
        np.testing.assert_allclose(body.posed_joints(matrices, root, betas)[1], arrays["joints"], atol=1e-5)


def test_original_release_is_read_without_chumpy(tmp_path: Path) -> None:
    arrays = synthetic()
    path = original_release(arrays, tmp_path / "basicModel_f_lbs_10_207_0_v1.0.0.pkl")
    assert b"chumpy.reordering" in path.read_bytes()
    assert_same_body(path, arrays)


def test_of_a_folder_the_model_of_the_wearers_gender_is_taken(tmp_path: Path) -> None:
    for scale, name in enumerate(("SMPL_NEUTRAL.npz", "basicmodel_m_v1.npz", "SMPL_FEMALE.npz"), start=1):
        arrays = synthetic()
        arrays["v_template"] = scale * arrays["v_template"]
        save(tmp_path / name, arrays)
    still = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (2, 24, 1))
    man, woman, shapeless = (
        Motion(still, np.zeros((2, 3), np.float32), 20.0, betas=betas, gender=gender)
        for betas, gender in ((np.zeros(10, np.float32), "male"), (np.zeros(10, np.float32), "female"), (None, "male"))
    )
    plain = smpl_body(tmp_path / "SMPL_NEUTRAL.npz").vertices
    for clips, scale in (((), 1), ((man,), 2), ((woman, woman), 3), ((man, woman), 1), ((shapeless,), 1)):
        torch.testing.assert_close(named_body(tmp_path, clips).vertices, scale * plain)


def test_hostile_pickle_is_refused_and_does_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "owned"),)

    path = original_release(synthetic(), tmp_path / "SMPL_NEUTRAL.pkl", extra=Evil())
    with pytest.raises(MdtoolError, match=r"SMPL_NEUTRAL.pkl is not read: it wants to use \w+.mkdir"):
        named_body(path)
    with pytest.raises(MdtoolError, match="mkdir"):
        named_body(tmp_path)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "layout",
    [
        ("smpl/SMPL_FEMALE.pkl", "smpl/SMPL_NEUTRAL.pkl", "smplx/SMPLX_NEUTRAL.npz"),
        ("SMPL_python_v.1.1.0/smpl/models/basicmodel_f_lbs_10_207_0_v1.1.0.pkl", "x/basicmodel_neutral_lbs.pkl"),
        ("smplh/female/model.npz", "smplh/neutral/model.npz"),
    ],
)
def test_folders_of_the_releases(tmp_path: Path, layout: tuple[str, ...]) -> None:
    *others, best = [name for name in layout if "x/SMPLX" not in name]
    wanted = synthetic(52 if "smplh" in best else 24, seed=7)
    for name in layout:
        arrays = wanted if name == best else synthetic(55 if "smplx" in name else 24, seed=3)
        (save if name.endswith("npz") else lambda path, kept: original_release(kept, path))(tmp_path / name, arrays)
    (tmp_path / "notes.npz").write_bytes(b"no archive")
    assert others
    assert_same_body(tmp_path, wanted)


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    arrays = synthetic()
    path = original_release(arrays, tmp_path / "model.npz")  # a pickle
    assert find_model(path).kind == "SMPL"
    (tmp_path / "model.pkl").write_bytes(save(tmp_path / "x.npz", synthetic(55)).read_bytes())
    assert find_model(tmp_path / "model.pkl").kind == "SMPL-X"


def change(name: str, value: object) -> Callable[[Arrays], None]:
    return lambda arrays: arrays.__setitem__(name, value)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda arrays: arrays.pop("weights"), "it lacks weights"),
        (change("kintree_table", np.zeros((2, 16), np.int64)), "a model of 16 joints"),
        (change("posedirs", np.zeros((60, 3, 9))), "its posedirs does not fit"),
        (change("f", np.full((4, 3), 60)), "its f does not fit"),
        (change("v_template", np.full((60, 3), np.nan)), "its v_template does not fit"),
        (change("kintree_table", np.array([range(1, 25), range(24)])), "its kintree_table does not fit"),
        (change("weights", np.array(["a"] * 60)), "damaged array weights"),
    ],
)
def test_wrong_models_are_one_sentence(tmp_path: Path, spoil: Callable[[Arrays], None], words: str) -> None:
    arrays = synthetic()
    spoil(arrays)
    with pytest.raises(MdtoolError, match=words) as told:
        smpl_body(save(tmp_path / "m.npz", arrays))
    assert "\n" not in str(told.value)


def test_wrong_files_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match="no body model at"):
        smpl_body(tmp_path / "none.npz")
    (tmp_path / "text.pkl").write_text("not a pickle")
    with pytest.raises(MdtoolError, match=r"text.pkl"):
        smpl_body(tmp_path / "text.pkl")
    (tmp_path / "cut.npz").write_bytes(save(tmp_path / "whole.npz", synthetic()).read_bytes()[:3000])
    with pytest.raises(MdtoolError, match=r"cut\.npz cannot be read"):
        smpl_body(tmp_path / "cut.npz")
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(MdtoolError, match="it holds a list"):
        smpl_body(tmp_path / "list.pkl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MdtoolError, match=r"there is no \.npz or \.pkl file"):
        smpl_body(tmp_path / "empty")


def test_hands_follow_the_hand_joints_and_rest_relaxed(tmp_path: Path) -> None:
    arrays = synthetic(52)
    body = smpl_body(save(tmp_path / "h.npz", arrays))
    matrices = torch.eye(3).repeat(24, 1, 1)
    relaxed = body.local_rotations(matrices)
    mean = torch.from_numpy(arrays["hands_meanl"].reshape(15, 3)).float()
    torch.testing.assert_close(relaxed[22:37], axis_angle_to_matrix(mean))
    turn = axis_angle_to_matrix(torch.tensor([0.0, 0.0, 0.7]))
    matrices[22] = turn
    bent = body.local_rotations(matrices)
    for finger in range(0, 15, 3):
        torch.testing.assert_close(bent[22 + finger], turn @ relaxed[22 + finger])
    torch.testing.assert_close(bent[37:], relaxed[37:])
    torch.testing.assert_close(bent[:22], relaxed[:22])


def test_pelvis_path_is_scaled_to_the_legs_unless_the_shape_is_known(tmp_path: Path) -> None:
    body = smpl_body(save(tmp_path / "m.npz", synthetic()))
    rot6d = np.tile(np.float32([1, 0, 0, 0, 1, 0]), (2, 24, 1))
    motion = Motion(rot6d, np.float32([[0, 1.007, 0], [1, 1.007, 2]]), 20.0)
    height = float(body.joints[0, 1] - body.vertices[:, 1].min())
    np.testing.assert_allclose(body.fitted(motion).root, motion.root * height / 1.007, rtol=1e-6)
    known = Motion(rot6d, motion.root, 20.0, betas=np.zeros(10, np.float32))
    assert body.fitted(known) is known
    assert named_body(None).fitted(motion) is motion
