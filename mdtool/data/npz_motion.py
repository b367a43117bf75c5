"""SMPL parameters in the layout of AMASS (motion/amass.py): one npz archive, one clip."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from mdtool.data.gather import Clip
from mdtool.errors import MdtoolError
from mdtool.motion.amass import BODY_JOINTS, REST_PELVIS, WORLD
from mdtool.motion.motion import SPLITS, TRAIN, Motion
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d
from mdtool.motion.skeleton import JOINTS
from mdtool.npz_archive import open_npz

_SMPL = 3 * JOINTS
_WIDTHS = (3 * BODY_JOINTS, _SMPL, 156, 165)
"""Columns of poses: the body alone, SMPL, SMPL-H, SMPL-X."""
_RATES = ("mocap_framerate", "mocap_frame_rate")
_BETAS = 10


def parse_npz(content: bytes, source: str) -> Clip:
    """Read one archive; z up becomes y up, and the frame rate stays as it is.

    The pelvis of a file that mdtool did not write is placed by the mean resting pelvis of SMPL, which is right to
    about 2 cm. Shapes of the male and the female model are left out: they mean nothing to another model.

    Args:
        source: the file's name, for messages.

    Raises:
        MdtoolError: not an npz archive, without poses, trans or a frame rate, or with numbers that do not fit.
    """
    return read_amass(content, source)[0]


def read_amass(content: bytes, source: str, model: str = "neutral") -> tuple[Clip, str]:
    """Read one archive as `parse_npz` does; (clip, the body model of its shape: neutral, male or female).

    Args:
        model: whose body shapes to keep; those of another model are left out.

    Raises:
        MdtoolError: as `parse_npz`.
    """
    try:
        with open_npz(content) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return amass_to_clip(arrays, source, model), _gender(arrays)
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise MdtoolError(f"{source}: not an npz archive in the layout of AMASS, or damaged ({error})") from error


def amass_to_clip(arrays: Mapping[str, np.ndarray], source: str, model: str = "neutral") -> Clip:
    """Turn the arrays of one AMASS archive into a clip.

    Args:
        model: whose body shapes to keep, neutral, male or female; those of another model are left out.

    Raises:
        MdtoolError: without poses, trans or a frame rate, or with numbers that do not fit.
    """
    rate = next((name for name in _RATES if name in arrays), "mocap_framerate")
    missing = [name for name in ("poses", "trans", rate) if name not in arrays]
    if missing:
        raise MdtoolError(f"{source}: it lacks {', '.join(missing)}, so that it is no motion in the layout of AMASS")
    poses, trans = (np.asarray(arrays[name], dtype=np.float64) for name in ("poses", "trans"))
    if poses.ndim != 2 or poses.shape[1] not in _WIDTHS or trans.shape != (len(poses), 3) or not len(poses):
        raise MdtoolError(
            f"{source}: poses is {list(poses.shape)} and trans {list(trans.shape)}; they should be [T, 72] or [T, 156] "
            f"and [T, 3]"
        )
    if not (np.isfinite(poses).all() and np.isfinite(trans).all()):
        raise MdtoolError(f"{source}: it holds NaN or infinite numbers")
    turns = np.zeros((len(poses), JOINTS, 3))
    joints = JOINTS if poses.shape[1] == _SMPL else BODY_JOINTS
    turns[:, :joints] = poses[:, : 3 * joints].reshape(len(poses), joints, 3)
    if joints < JOINTS and "hands" in arrays:
        turns[:, BODY_JOINTS:] = arrays["hands"]
    matrices = axis_angle_to_matrix(torch.from_numpy(turns))
    matrices[:, 0] = torch.from_numpy(WORLD.T) @ matrices[:, 0]
    root = (trans + arrays.get("rest_pelvis", REST_PELVIS)) @ WORLD
    fps = float(arrays[rate])
    if not 0 < fps < np.inf:
        raise MdtoolError(f"{source}: a frame rate of {fps:g} is no number above 0")
    betas, warnings = _shape(arrays, model)
    split = _word(arrays, "split")
    motion = Motion(
        matrix_to_rot6d(matrices).numpy().astype(np.float32),
        root.astype(np.float32),
        fps,
        action=_word(arrays, "action"),
        split=SPLITS.index(split) if split in SPLITS else TRAIN,
        subject=_word(arrays, "subject"),
        name=_word(arrays, "name") or source,
        text=_word(arrays, "text"),
        betas=betas,
        gender=_word(arrays, "gender"),
    )
    return Clip(motion, split in SPLITS, warnings)


def _gender(arrays: Mapping[str, np.ndarray]) -> str:
    """The body model that an archive's shape belongs to."""
    return _word(arrays, "gender") or "neutral"


def _shape(arrays: Mapping[str, np.ndarray], model: str) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """(the first ten shape coefficients of the model asked for, what was left out)."""
    if "betas" not in arrays or not np.any(arrays["betas"]):
        return None, ()
    gender = _gender(arrays)
    if gender != model:
        return None, (f"its body shape is of the {gender} model and was left out",)
    betas = np.zeros(_BETAS, np.float32)
    given = np.asarray(arrays["betas"], np.float32).ravel()[:_BETAS]
    betas[: len(given)] = given
    return betas, ()


def _word(arrays: Mapping[str, np.ndarray], name: str) -> str:
    """A text entry; AMASS stores some as bytes."""
    value = arrays[name].item() if name in arrays else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
