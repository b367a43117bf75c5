"""DNO's tables of refinement and completion on any run: noisy or partial joints of test clips, cleaned and completed.

    python examples/dno_refinement.py runs/small motions.h5 --clips 8 --out refinement.json

Every joint of a test clip is shaken by 5 cm on each axis and given to `mask`, all joints or some (Karunratanakul et
al. 2024, table 2); for completion the joints are clean. The noise has no action and the search no condition. MPJPE is
against the clean clip. All clips of a row are searched for in one batch; the file is written after every row.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdtool.atomic import write_text
from mdtool.editing.compiler import compile_request
from mdtool.editing.joints import joint_indices
from mdtool.editing.reading import request_of
from mdtool.editing.session import Session
from mdtool.editing.source import Source
from mdtool.evaluation.control import mpjpe
from mdtool.evaluation.physical import foot_skating, jitter, skating_ratio
from mdtool.motion.file import read_motions
from mdtool.motion.motion import TEST, Motion
from mdtool.training.run import load_generator

ROWS = tuple((joints, 0.05) for joints in ("all", "six", "eight", "ten")) + tuple(
    (joints, 0.0) for joints in ("six", "eight", "ten")
)
"""(observed joints, standard deviation of the noise in metres)."""
PUBLISHED = {
    ("all", 0.05): "9.1 / .07 / .36",
    ("six", 0.05): "8.8 / .07 / .38",
    ("eight", 0.05): "9.3 / .07 / .36",
    ("ten", 0.05): "9.0 / .08 / .39",
    ("six", 0.0): "8.5 / .07 / .33",
    ("eight", 0.0): "8.7 / .07 / .34",
    ("ten", 0.0): "8.6 / .07 / .36",
}
"""DNO with MDM on HumanML3D: MPJPE observed in cm, skating ratio, jitter in 100 m/s³ (of real clips .08 and .50)."""


def row(session: Session, clips: list[Motion], joints: str, noise_m: float, run: dict[str, Any]) -> dict[str, Any]:
    """Search for all clips, and measure input and result against the clean clip."""
    began_s, plans, noisy = time.process_time(), [], []
    truth = [clip.positions().astype(float) for clip in clips]
    for place, (clip, places) in enumerate(zip(clips, truth, strict=True)):
        noisy.append(places + noise_m * np.random.default_rng(place).standard_normal(places.shape))
        request = {"version": 1, "mask": {"observed": {"joints": joints}}, "run": run}
        source = Source(None, noisy[-1], clip.fps, clip.name)
        plans.append(compile_request(*request_of(request, joints), source, len(places)))
    edits = session.edit(plans)
    made = [edited.motions[0].positions().astype(float) for edited in edits]
    seen = joint_indices(joints)
    found: dict[str, Any] = {"cpu_s": time.process_time() - began_s, "steps": [edited.steps for edited in edits]}
    for name, motions in (("input", noisy), ("made", made), ("real", truth)):
        found[name] = {
            "observed_cm": [100 * mpjpe(a, b, seen) for a, b in zip(motions, truth, strict=True)],
            "all_cm": [100 * mpjpe(a, b) for a, b in zip(motions, truth, strict=True)],
            "jitter": [jitter(a, clip.fps) / 100 for a, clip in zip(motions, clips, strict=True)],
            "skating": [skating_ratio(a, clip.fps).ratio for a, clip in zip(motions, clips, strict=True)],
            "foot_skating": [foot_skating(a, clip.fps) for a, clip in zip(motions, clips, strict=True)],
        }
    return found


def printed(rows: dict[str, dict[str, Any]]) -> str:
    """The table as Markdown."""
    head = (
        "observed joints",
        "noise",
        "clips",
        "MPJPE observed, cm: input → result",
        "MPJPE all, cm",
        "skating (GMD): real, result",
        "foot skating",
        "jitter, 100 m/s³: real, input, result",
        "steps",
        "published: MPJPE / skating / jitter",
    )
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for joints, noise_m in ROWS:
        found = rows.get(f"{joints} {noise_m:g}")
        if found is None:
            continue
        mean = {name: {key: float(np.mean(values)) for key, values in found[name].items()} for name in _SETS}
        real, given, made = (mean[name] for name in _SETS)
        cells = (
            joints,
            f"{100 * noise_m:g} cm",
            f"{len(found['steps'])}",
            f"{given['observed_cm']:.1f} → {made['observed_cm']:.1f}",
            f"{given['all_cm']:.1f} → {made['all_cm']:.1f}" if joints == "all" else f"{made['all_cm']:.1f}",
            f"{real['skating']:.2f}, {made['skating']:.2f}",
            f"{real['foot_skating']:.2f}, {made['foot_skating']:.2f}",
            f"{real['jitter']:.2f}, {given['jitter']:.1f}, {made['jitter']:.2f}",
            f"{np.mean(found['steps']):.0f}",
            PUBLISHED[joints, noise_m],
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


_SETS = ("real", "input", "made")


def main() -> None:
    """Run the rows that --out does not have yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("refinement.json"))
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--rows", type=int, nargs="+", help="Some of them, by place.")
    parser.add_argument("--run-section", default="{}", help='JSON, such as {"steps": 300}.')
    asked = parser.parse_args()
    torch.set_num_threads(1)
    session = Session(load_generator(asked.run))
    motions, frames = read_motions(asked.data), session.method.describe().frames[1]
    fit = [int(k) for k in np.flatnonzero((motions.split == TEST) & (np.diff(motions.start) >= frames))]
    picked = np.random.default_rng(0).choice(fit, asked.clips, replace=False)
    clips = [motions[int(clip)].slice(0, frames) for clip in picked]
    rows: dict[str, dict[str, Any]] = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    for joints, noise_m in [ROWS[k] for k in asked.rows] if asked.rows else ROWS:
        name = f"{joints} {noise_m:g}"
        if name not in rows:
            rows[name] = row(session, clips, joints, noise_m, json.loads(asked.run_section))
            write_text(asked.out, json.dumps(rows, indent=1))
            print(printed(rows), flush=True)
    print(printed(rows))


if __name__ == "__main__":
    main()
