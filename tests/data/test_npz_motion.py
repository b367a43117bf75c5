"""npz files in the layout of AMASS: those of others, and what is none."""

from __future__ import annotations

import io

import numpy as np
import pytest

from mdtool.data.npz_motion import amass_to_clip, parse_npz
from mdtool.errors import MdtoolError


def amass(**changes: object) -> dict[str, np.ndarray]:
    """A file as AMASS has it: a person who stands at (1, 2) on the floor, facing -y; z up."""
    poses = np.zeros((5, 156))
    poses[:, 0] = np.pi / 2
    arrays: dict[str, object] = {
        "poses": poses,
        "trans": np.tile([1.0, 2.0, 1.2], (5, 1)),
        "betas": np.zeros(16),
        "gender": np.array("neutral"),
        "mocap_framerate": np.array(120.0),
        **changes,
    }
    return {key: np.asarray(value) for key, value in arrays.items() if value is not None}


def test_z_up_becomes_y_up() -> None:
    clip = amass_to_clip(amass(), "a.npz")
    motion = clip.motion
    np.testing.assert_allclose(motion.rot6d, np.tile([1, 0, 0, 0, 1, 0], (5, 24, 1)), atol=1e-6)
    # SMPL turns the body about its resting pelvis, at (0, -0.23, 0.03) in its own coordinates, and adds trans.
    np.testing.assert_allclose(motion.root, np.tile([1.0, 1.2 + 0.03, -(2.0 - 0.23)], (5, 1)), atol=1e-6)
    assert motion.fps == 120
    assert not clip.has_split
    head = motion.positions()[0, 15] - motion.root[0]
    assert head[1] > 0.4


@pytest.mark.parametrize("columns", [66, 72, 156, 165])
def test_every_model_of_the_family(columns: int) -> None:
    poses = np.random.default_rng(0).normal(0, 0.3, (5, columns))
    motion = amass_to_clip(amass(poses=poses), "a.npz").motion
    turned = amass_to_clip(amass(poses=np.pad(poses[:, :66], [(0, 0), (0, 90)])), "a.npz").motion
    np.testing.assert_array_equal(motion.rot6d[:, :22], turned.rot6d[:, :22])
    hands_turn = not np.allclose(motion.rot6d[:, 22:], [1, 0, 0, 0, 1, 0], atol=1e-6)
    assert hands_turn == (columns == 72)


def test_the_shape_of_another_model_is_left_out() -> None:
    betas = np.linspace(1, 2, 16)
    neutral = amass_to_clip(amass(betas=betas), "a.npz")
    np.testing.assert_allclose(neutral.motion.betas, betas[:10], rtol=1e-6)  # type: ignore[arg-type]
    assert not neutral.warnings
    male = amass_to_clip(amass(betas=betas, gender=np.array(b"male")), "a.npz")
    assert male.motion.betas is None
    assert "male model and was left out" in male.warnings[0]


def test_the_other_name_of_the_frame_rate() -> None:
    arrays = amass(mocap_framerate=None, mocap_frame_rate=np.array(59.94))
    assert amass_to_clip(arrays, "a.npz").motion.fps == 59.94


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"poses": None}, "it lacks poses"),
        ({"mocap_framerate": None, "trans": None}, "it lacks trans, mocap_framerate"),
        ({"poses": np.zeros((5, 70))}, r"poses is \[5, 70\]"),
        ({"trans": np.zeros((4, 3))}, r"trans \[4, 3\]"),
        ({"poses": np.zeros((0, 72)), "trans": np.zeros((0, 3))}, r"poses is \[0, 72\]"),
        ({"trans": np.full((5, 3), np.nan)}, "NaN"),
        ({"mocap_framerate": np.array(0.0)}, "frame rate of 0"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(MdtoolError, match=sentence):
        amass_to_clip(amass(**changes), "a.npz")


def test_what_is_no_archive_and_what_would_run_code() -> None:
    stream = io.BytesIO()
    np.savez(stream, poses=np.array([{"a": 1}], dtype=object))
    for content in (b"", b"PK\3\4 no", b"not an archive", stream.getvalue(), stream.getvalue()[:40]):
        with pytest.raises(MdtoolError, match="not an npz archive"):
            parse_npz(content, "a.npz")
