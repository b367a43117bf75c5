"""Synthetic motions in the layout of AMASS, with an index and splits as HumanML3D has them, for a try without either.

A tree of SMPL-H npz files: data sets of their own frame rates, subjects with their own gender and body shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mdtool.atomic import replacing, require_writable, write_text
from mdtool.data.amass import INDEX_FPS, SHORTEST, SPLIT_FILES, TRIMMED_S
from mdtool.data.synthetic.performer import PERFORMERS, Take
from mdtool.data.synthetic.stand_ins import HUMANACT12_STAND_INS, perform
from mdtool.data.threads import one_thread
from mdtool.errors import MdtoolError
from mdtool.motion.amass import REST_PELVIS, WORLD, full_poses
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import matrix_to_axis_angle, rot6d_to_matrix

INDEX = "index.csv"
GENDERS = ("neutral", "male", "female")
_ACTION_STREAM, _SHAPE_STREAM = 300, 3
_SECONDS = (1.4, 9.0)
_BETAS, _SHAPED, _SOFT_TISSUE = 16, 10, 8


@dataclass(frozen=True)
class _DataSet:
    name: str
    fps: float


_DATA_SETS = (
    _DataSet("KIT", 100.0), _DataSet("CMU", 120.0), _DataSet("Eyes_Japan_Dataset", 60.0), _DataSet("SSM_synced", 59.0),
)  # fmt: skip


def write_raw_amass(
    folder: str | Path, clips_per_action: int, seed: int = 0, on_clip: Callable[[], None] = lambda: None
) -> list[Motion]:
    """Write recordings of 12 exercises below `folder`, and index.csv, train.txt, val.txt and test.txt beside them.

    Shapes are drawn as SMPL's are distributed, one per subject; a third of the subjects each is neutral, male and
    female. The index also has what the rule of data/amass.py leaves out: mirrored copies, rows of HumanAct12, segments
    below 32 frames.

    Args:
        on_clip: called after each recording, for progress.

    Returns:
        What was performed, whole and at its own frame rate, with the shapes and names of its files.

    Raises:
        MdtoolError: there is an index already, the folder cannot be written, or senseless numbers.
    """
    folder = Path(folder)
    if clips_per_action < 1:
        raise MdtoolError(f"cannot make {clips_per_action} clips per action: give 1 or more")
    if seed < 0:
        raise MdtoolError(f"cannot use the seed {seed}: give 0 or more")
    if (folder / INDEX).exists():
        raise MdtoolError(f"{folder / INDEX} exists already; give an empty folder, so that no data set is lost")
    require_writable(folder / INDEX)
    motions: list[Motion] = []
    rows = ["source_path,start_frame,end_frame,new_name"]
    splits: dict[str, list[str]] = {split: [] for split in SPLIT_FILES}
    with one_thread():
        for number in range(clips_per_action):
            for action, (name, stand_in) in enumerate(HUMANACT12_STAND_INS.items()):
                place = len(motions)
                dataset, person = _DATA_SETS[place % len(_DATA_SETS)], (place + number) % PERFORMERS
                lead_s = TRIMMED_S.get(dataset.name, 0.0)
                frames = tuple(int((seconds + lead_s) * dataset.fps) for seconds in _SECONDS)
                take = Take(seed, _ACTION_STREAM + action, number, dataset.fps, (frames[0], frames[1]))
                path = f"{dataset.name}/{person:02d}/{name.replace(' ', '_')}_{number:02d}_poses"
                motion = perform(stand_in, take, person, seed)
                motion = replace(motion, name=f"{path}.npz", betas=_betas(person, seed), fps=dataset.fps)
                _write(folder / f"{path}.npz", motion, GENDERS[person % len(GENDERS)])
                motions.append(motion)
                there = len(motion) // int(dataset.fps / INDEX_FPS) - int(lead_s * INDEX_FPS)
                rows.append(f"./pose_data/{path}.npy,0,{min(there, 200)},{place:06d}.npy")
                split = SPLIT_FILES[(0, 0, 0, 2, 0, 0, 1)[place % 7]]
                splits[split] += [f"{place:06d}"] + ([f"M{place:06d}"] if split == "train" else [])
                on_clip()
    rows += [
        "./pose_data/humanact12/humanact12/P01G01R01F0000T0064A0101.npy,0,-1,900000.npy",
        f"./pose_data/{motions[0].name.removesuffix('.npz')}.npy,0,{SHORTEST - 1},900001.npy",
    ]
    splits["train"] += ["900000", "900001"]
    for split, names in splits.items():
        write_text(folder / f"{split}.txt", "".join(f"{name}\n" for name in names))
    write_text(folder / INDEX, "".join(f"{row}\n" for row in rows))
    return motions


def _betas(person: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, _SHAPE_STREAM, person])
    return rng.standard_normal(_SHAPED).astype(np.float32)


def _write(path: Path, motion: Motion, gender: str) -> None:
    """One recording as AMASS has it: nothing of mdtool's own is in it."""
    matrices = rot6d_to_matrix(torch.from_numpy(motion.rot6d.astype(np.float64)))
    matrices[:, 0] = torch.from_numpy(WORLD) @ matrices[:, 0]
    betas = np.zeros(_BETAS)
    betas[:_SHAPED] = 0 if motion.betas is None else motion.betas
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        np.savez(
            temporary,
            allow_pickle=False,
            poses=full_poses(matrix_to_axis_angle(matrices).numpy(), "smplh"),
            trans=motion.root.astype(np.float64) @ WORLD.T - REST_PELVIS,
            betas=betas,
            dmpls=np.zeros((len(motion), _SOFT_TISSUE)),
            gender=np.array(gender),
            mocap_framerate=np.array(float(motion.fps)),
        )
