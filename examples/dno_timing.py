"""Seconds per step of an edit's search, by model and batch, and what each way to save some brings.

    python examples/dno_timing.py --presets small thesis --batches 1 16 --threads 1

Weights are new, since time does not depend on them. A step is one chain from noise to joints and back. The rows: as
`mdtool edit` does it (10 sampling steps, one pass without guidance, only the joints asked for); the same with all 22
joints; with two passes (classifier-free guidance, as the released code of DNO); the first half of a coarse search; with
one sampling step in memory at a time; and with the network in bf16 (`run: {precision: bf16}`). Processor time, least
of --repeats steps: what else runs hardly counts.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from mdtool.atomic import write_text
from mdtool.config import load_preset
from mdtool.editing.joints import joint_indices
from mdtool.methods.contract import Method
from mdtool.methods.registry import build_generator
from mdtool.methods.seeds import sample_generators
from mdtool.motion.kinematics import positions_frames_last

ACTIONS = ["walk", "run", "wave"]
WAYS: dict[str, tuple[dict[str, Any], bool, bool]] = {
    "as it is": ({}, False, False),
    "all joints": ({}, True, False),
    "two passes": ({"guidance": 2.5}, False, False),
    "coarse half": ({"steps": 5}, False, False),
    "checkpointing": ({"checkpointing": True}, False, False),
    "bf16": ({}, False, True),
}
"""Way → (options of `decode`, whether all joints are computed, whether the network is rounded)."""
EDIT_STEPS = 300


def step_s(method: Method, batch: int, options: dict[str, Any], whole: bool, bf16: bool, repeats: int) -> float:
    """Processor seconds of one step."""
    action = torch.arange(batch) % len(ACTIONS)
    joints = list(joint_indices("all")) if whole else [0]
    took = []
    for repeat in range(repeats):
        noise = method.noise(sample_generators(repeat, 0, batch)).requires_grad_()
        began = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            features = method.decode(noise, action, **{**method.smooth_options(), **options})
        rot6d, root = method.to_motion(features.float())
        places = positions_frames_last(rot6d.permute(0, 2, 3, 1), joints=joints).permute(0, 3, 1, 2) + root[:, :, None]
        torch.autograd.grad(places[:, -1].abs().mean((1, 2)).sum(), noise)
        took.append(time.process_time() - began)
    return min(took)


def main() -> None:
    """Measure, print a Markdown table, and write JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["small", "thesis"])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    found: list[dict[str, Any]] = []
    print("| preset | batch | " + " | ".join(asked.ways) + f" | {EDIT_STEPS} steps |")
    print("|" + "---|" * (3 + len(asked.ways)))
    for preset in asked.presets:
        method = build_generator("mdm", load_preset(preset)["model"], ACTIONS, 20.0).eval().requires_grad_(False)
        for batch in asked.batches:
            times = {way: step_s(method, batch, *WAYS[way], asked.repeats) for way in asked.ways}
            found.append({"preset": preset, "batch": batch, "threads": asked.threads, "step_s": times})
            cells = " | ".join(f"{took:.2f} s" for took in times.values())
            print(f"| {preset} | {batch} | {cells} | {EDIT_STEPS * times[asked.ways[0]]:.0f} s |", flush=True)
            if asked.out:
                write_text(asked.out, json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
