"""The noise of an input by a search: what an inexact inversion leaves is searched away (the "dense" task of DNO).

DDIM's inversion predicts each step's noise at the wrong end of the step. With few steps that costs decimetres: a walk
whose heading is off by a tenth of a radian ends far from home. Fixed points of each step are no cure, because behind
a spectral skip connection the map forgets fast movement, and undoing it blows the noise up. A search begins where the
inversion ends.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor

from mdtool.editing.decoding import Decoder
from mdtool.editing.goals import Places
from mdtool.editing.joints import joint_indices
from mdtool.editing.optimiser import Judged, NoiseSearch, Search, SeededRandomness
from mdtool.editing.orientation import Turns
from mdtool.editing.placement import Placement
from mdtool.editing.plan import Plan
from mdtool.editing.program import Program
from mdtool.methods.seeds import sample_generators
from mdtool.motion.kinematics import joint_positions
from mdtool.motion.skeleton import JOINTS

ENOUGH_M = 5e-3
"""A noise that rebuilds its input so well needs no search."""
_TURNS = 0.05
"""Weight of a radian between local rotations, which tells the twist of a bone, beside a metre between joints."""


def fitted_noise(
    decoder: Decoder, plan: Plan, reference: Tensor, begin: Tensor, steps: int, until_s: float | None = None
) -> tuple[Tensor, bool]:
    """(noise [1, …] whose motion is the input, searched for from `begin` on; whether Ctrl-C ended the search).

    Args:
        reference: features of the input [1, …].
        steps: of the search at most; it ends when the joints are within `ENOUGH_M` on average.
        until_s: time (monotonic) at which it ends in any case.
    """
    frames, joints = np.arange(plan.frames), joint_indices("all")
    with torch.no_grad():
        rot6d, root = (part[:, : plan.frames] for part in decoder.motions(reference))
        places = joint_positions(rot6d, root)[0][:, list(joints)].cpu().numpy().astype(float)
        turns = rot6d[0].cpu().numpy().astype(float)
    goals = [
        Places((), 1.0, None, frames, joints, places, np.ones(places.shape, bool)),
        Turns((), _TURNS, None, frames, tuple(range(JOINTS)), turns),
    ]
    program = Program(goals, plan.frames, plan.fps, Placement())
    action = decoder.action(plan, 1)

    def task(z: Tensor, rows: Tensor) -> Judged:
        return program.judge(*decoder.motions(decoder.decode(plan, z, action)))

    rngs = sample_generators(plan.request.run.seed, 0, 1)
    search = Search(steps, Search.lr * decoder.method.search_rate(), warmup=min(20, steps // 4))
    randomness = SeededRandomness(begin, None, rngs)
    searching = NoiseSearch(task, begin, search, randomness, searched=decoder.method.searched(begin))

    def unfinished() -> bool:
        in_time = until_s is None or time.monotonic() < until_s
        return in_time and float(searching.best_error[0]) > ENOUGH_M

    try:
        searching.run(unfinished)
    except KeyboardInterrupt:
        return searching.best_noise, True
    return searching.best_noise, False
