"""AMASS-style npz: SMPL pose parameters as body-model software takes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from mdtool.atomic import replacing
from mdtool.body.skinning import Body
from mdtool.errors import MdtoolError
from mdtool.export.bones import local_matrices
from mdtool.export.clips import clip_record, require_exportable
from mdtool.motion.amass import BODY_JOINTS, REST_PELVIS, WIDTHS, WORLD, full_poses
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import matrix_to_axis_angle

_BETAS, _SOFT_TISSUE = 16, 8
"""Lengths of `betas` and of a frame of `dmpls` in AMASS."""


def write_npz(path: str | Path, motion: Motion, model: str = "smplh", body: Body | None = None) -> None:
    """Write one clip in the layout of AMASS (motion/amass.py), at its native frame rate.

    Args:
        model: "smplh" writes poses [T, 156] as AMASS does, the hands' turns given to the fingers' first joints;
            "smpl" writes [T, 72].
        body: whose resting pelvis, in the shape of the clip's betas, to take off the path; the mean of SMPL's models
            when not given.

    Raises:
        MdtoolError: an unknown model, a clip without frames or with numbers that are not finite, or no place to write.
    """
    if model not in WIDTHS:
        raise MdtoolError(f"{model!r} is no body model for an npz file: choose from {', '.join(WIDTHS)}")
    require_exportable([motion])
    matrices = local_matrices(motion)
    matrices[:, 0] = WORLD @ matrices[:, 0]
    turns = matrix_to_axis_angle(torch.from_numpy(matrices)).numpy()
    pelvis = REST_PELVIS
    if body is not None:
        shape = None if motion.betas is None else torch.from_numpy(motion.betas).to(body.vertices.dtype)
        pelvis = body.shaped_joints(shape)[0].numpy().astype(np.float64)
    record = clip_record(motion)
    betas = np.zeros(_BETAS)
    if motion.betas is not None:
        betas[: len(motion.betas)] = motion.betas
    arrays: dict[str, np.ndarray] = {
        "poses": full_poses(turns, model),
        "trans": motion.root.astype(np.float64) @ WORLD.T - pelvis,
        "betas": betas,
        "dmpls": np.zeros((len(motion), _SOFT_TISSUE)),
        "gender": np.array(motion.gender or "neutral"),
        "mocap_framerate": np.array(float(motion.fps)),
        "rest_pelvis": pelvis,
        "hands": turns[:, BODY_JOINTS:],
    }
    for key in ("action", "split", "subject", "name", "text"):
        if key in record:
            arrays[key] = np.array(record[key])
    with replacing(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)
