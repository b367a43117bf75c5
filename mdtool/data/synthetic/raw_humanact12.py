"""Synthetic motions in the raw layout of HumanAct12: `HumanAct12Poses/humanact12poses.pkl`."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mdtool.atomic import replacing, require_writable
from mdtool.data.humanact12 import FILE, FPS
from mdtool.data.synthetic.camera import film
from mdtool.data.synthetic.performer import PERFORMERS, Take
from mdtool.data.synthetic.stand_ins import HUMANACT12_STAND_INS, perform
from mdtool.data.threads import one_thread
from mdtool.errors import MdtoolError
from mdtool.motion.motion import Motion

FOLDER = "HumanAct12Poses"
_ACTION_STREAM = 200
_FRAMES = (24, 150)
_PICKLE_PROTOCOL = 3


def write_raw_humanact12(
    folder: str | Path,
    clips_per_action: int,
    seed: int = 0,
    on_clip: Callable[[], None] = lambda: None,
) -> list[Motion]:
    """Write HumanAct12Poses/humanact12poses.pkl below `folder`: clips of stand-ins for all 12 actions, in turn.

    Args:
        on_clip: called after each clip, for progress.

    Returns:
        What was performed, in the order of the file, in the world of the motion file.

    Raises:
        MdtoolError: there is a file of that name, it cannot be written, or senseless numbers.
    """
    path = Path(folder) / FOLDER / FILE
    if clips_per_action < 1:
        raise MdtoolError(f"cannot make {clips_per_action} clips per action: give 1 or more")
    if seed < 0:
        raise MdtoolError(f"cannot use the seed {seed}: give 0 or more")
    if path.exists():
        raise MdtoolError(f"{path} exists already; give an empty folder, so that no data set is lost")
    require_writable(path)
    motions: list[Motion] = []
    content: dict[str, list] = {"poses": [], "oldposes": [], "joints3D": [], "y": []}
    with one_thread():
        for number in range(clips_per_action):
            for action, (name, stand_in) in enumerate(HUMANACT12_STAND_INS.items()):
                take = Take(seed, _ACTION_STREAM + action, number, FPS, _FRAMES)
                motion = replace(perform(stand_in, take, number % PERFORMERS, seed), action=name)
                filmed = film(motion, np.zeros(1))
                content["poses"].append(filmed.pose)
                content["joints3D"].append((filmed.joints + filmed.pelvis[:, None]).astype(np.float32))
                content["y"].append(action)
                motions.append(motion)
                on_clip()
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        pickle.dump(content, stream, protocol=_PICKLE_PROTOCOL)
    return motions
