"""AMASS-style npz: layout, world, and the way back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mdtool.body.smpl import smpl_body
from mdtool.data.npz_motion import parse_npz, read_amass
from mdtool.errors import MdtoolError
from mdtool.export.npz import write_npz
from mdtool.motion.motion import Motion
from mdtool.motion.skeleton import JOINTS
from tests.body.test_smpl import save, synthetic
from tests.export.clips import any_clip, assert_same_labels, assert_same_motion, content, some_clips


@pytest.mark.parametrize("model", ["smplh", "smpl"])
def test_round_trip(tmp_path: Path, model: str) -> None:
    for clip in some_clips():
        write_npz(tmp_path / "a.npz", clip, model)
        read = parse_npz(*content(tmp_path / "a.npz"))
        assert_same_motion(read.motion, clip)
        assert_same_labels(read.motion, clip)
        assert read.has_split
        assert read.motion.betas is None


def test_the_arrays_are_those_of_amass(tmp_path: Path) -> None:
    """A body that stands at the origin, facing +z: in AMASS's world it stands along z."""
    rot6d = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (4, JOINTS, 1))
    root = np.tile(np.array([0.5, 1.0, 2.0], np.float32), (4, 1))
    write_npz(tmp_path / "a.npz", Motion(rot6d, root, 59.94, betas=np.arange(10, dtype=np.float32)))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["poses"].shape == (4, 156)
        np.testing.assert_allclose(arrays["poses"][:, :3], np.tile([np.pi / 2, 0, 0], (4, 1)), atol=1e-12)
        assert not arrays["poses"][:, 3:].any()
        # SMPL puts the pelvis at trans + its resting place, which it does not turn.
        np.testing.assert_allclose(
            arrays["trans"] + arrays["rest_pelvis"], np.tile([0.5, -2.0, 1.0], (4, 1)), atol=1e-7
        )
        assert float(arrays["mocap_framerate"]) == 59.94
        assert str(arrays["gender"]) == "neutral"
        np.testing.assert_array_equal(arrays["betas"], [*range(10), *[0] * 6])
    read = parse_npz(*content(tmp_path / "a.npz"))
    np.testing.assert_array_equal(read.motion.betas, np.arange(10))  # type: ignore[arg-type]


@pytest.mark.parametrize("gender", ["male", "female", "neutral"])
def test_gender_goes_there_and_back(tmp_path: Path, gender: str) -> None:
    clip = replace(any_clip(3), gender=gender, betas=np.linspace(-1, 1, 10, dtype=np.float32))
    write_npz(tmp_path / "a.npz", clip)
    read, model = read_amass(*content(tmp_path / "a.npz"), gender)
    assert (read.motion.gender, model) == (gender, gender)
    np.testing.assert_array_equal(read.motion.betas, clip.betas)  # type: ignore[arg-type]
    other = parse_npz(*content(tmp_path / "a.npz"))
    assert other.motion.gender == gender
    assert (other.motion.betas is None) == (gender != "neutral")


def test_the_pelvis_of_a_named_body(tmp_path: Path) -> None:
    """SMPL's own formula puts the pelvis where the motion has it, and the way back does not need the body."""
    body = smpl_body(save(tmp_path / "model.npz", synthetic()))
    clip = replace(any_clip(3), betas=np.linspace(-1, 1, 10, dtype=np.float32))
    write_npz(tmp_path / "a.npz", clip, "smpl", body)
    with np.load(tmp_path / "a.npz") as arrays:
        pelvis = body.shaped(torch.from_numpy(arrays["betas"][:10]).float())[1][0].numpy() + arrays["trans"]
    np.testing.assert_allclose(pelvis, clip.root[:, [0, 2, 1]] * [1, -1, 1], atol=1e-5)
    assert_same_motion(parse_npz(*content(tmp_path / "a.npz")).motion, clip)


def test_hands_bend_the_fingers(tmp_path: Path) -> None:
    clip = any_clip(3)
    write_npz(tmp_path / "h.npz", clip)
    write_npz(tmp_path / "s.npz", clip, "smpl")
    with np.load(tmp_path / "h.npz") as fingers, np.load(tmp_path / "s.npz") as hands:
        poses = fingers["poses"].reshape(3, 52, 3)
        for finger in (22, 25, 28, 31):
            np.testing.assert_array_equal(poses[:, finger], hands["poses"].reshape(3, 24, 3)[:, 22])
        assert not poses[:, [23, 24, 34, 49]].any()


def test_mistakes(tmp_path: Path) -> None:
    clip = any_clip(2)
    with pytest.raises(MdtoolError, match=r"'star' is no body model.*smplh, smpl"):
        write_npz(tmp_path / "a.npz", clip, "star")
    with pytest.raises(MdtoolError, match="no frames"):
        write_npz(tmp_path / "a.npz", clip.slice(0, 0))
    with pytest.raises(MdtoolError, match="NaN"):
        write_npz(tmp_path / "a.npz", replace(clip, rot6d=np.full_like(clip.rot6d, np.inf)))
    assert not list(tmp_path.iterdir())
