"""How long an edit takes: one and the same edit, whichever the family."""

from __future__ import annotations

import time
from typing import Any

from mdtool.editing.compiler import compile_request
from mdtool.editing.reading import request_of
from mdtool.editing.report import reports
from mdtool.editing.sampled import sampled_source
from mdtool.editing.session import Session
from mdtool.methods.generate import Generator
from mdtool.motion.skeleton import JOINT_INDEX

STEPS = 100
"""Of the search, at most: it stops early where nothing is gained any more."""


def bench_edit(generator: Generator) -> dict[str, Any]:
    """Bring the right wrist of a sample, in its middle, halfway to the upper chest: no arm is too short for that.

    Returns:
        edit_s: wall seconds from the sample to the edited motion; edit_steps: of its search; edit_error_m: how far
        the wrist then is from its target.
    """
    wanted: dict[str, Any] = {
        "generate": {"action": generator.actions[0] if generator.conditional else None, "seed": 0}
    }
    values: dict[str, Any] = {"version": 1, "input": wanted, "run": {"steps": STEPS}}
    source = sampled_source(generator, request_of(values, "bench")[0])
    middle = len(source) // 2
    wrist, chest = (source.positions[middle, JOINT_INDEX[joint]] for joint in ("right_wrist", "spine3"))
    values["targets"] = [{"at": middle, "joint": "right_wrist", "xyz": ((wrist + chest) / 2).tolist()}]
    plan = compile_request(*request_of(values, "bench"), source, len(source), force=True)
    began_s = time.perf_counter()
    (edited,) = Session(generator, force=True).edit([plan])
    took_s = time.perf_counter() - began_s
    return {"edit_s": took_s, "edit_steps": edited.steps, "edit_error_m": reports(edited)[0].objective_error}
