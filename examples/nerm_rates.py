"""NeRM on recordings of six frame rates: how far its motions are from the recordings at every rate.

    python examples/nerm_rates.py CMU BANDAI --out nerm    # folders of archives with their labels.csv, see below

CMU's 120 fps training clips are decimated to 120, 60, 40, 30 and 20 fps, one after the other, and joined by Bandai
Namco dataset-2 at 30 fps. One run learns them as they are; its twin sees all at 20 fps, for equally many steps.
A latent that training found is then asked for the frames of its clip, and for every instant at which that was recorded
(most of them never seen in training), beside slerp between the frames of the clip. CMU holds cmu.zip and labels.csv;
BANDAI holds dataset-2.zip, dataset-2-more.tar.xz, labels.csv and labels-more.csv. Trained runs are taken as they are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdtool.atomic import write_text
from mdtool.config import load_preset
from mdtool.evaluation.rates import joint_distance, learnt_latents, positions_at
from mdtool.methods.contract import FieldMethod
from mdtool.motion.file import read_motions, write_motions
from mdtool.motion.motion import TRAIN, Motion, MotionSet
from mdtool.motion.resample import resample, resample_at
from mdtool.training.run import load_method
from mdtool.training.sequences import sequences_of

RATES = (120.0, 60.0, 40.0, 30.0, 20.0)


def mdtool(*words: object) -> None:
    """Run a command as a user types it."""
    print("$ mdtool", *words, flush=True)
    subprocess.run([sys.executable, "-m", "mdtool", *map(str, words)], check=True)


def mixed_rates(cmu: MotionSet, bandai: MotionSet) -> tuple[MotionSet, MotionSet]:
    """(training data of many rates, the same clips as recorded); CMU's actions are told apart from Bandai's."""
    recorded = [replace(clip, action=f"cmu {clip.action}") for clip in cmu]
    known = [clip for clip in recorded if clip.split == TRAIN]
    rates = {clip.name: RATES[place % len(RATES)] for place, clip in enumerate(known)}
    slower = [resample(clip, rates.get(clip.name, clip.fps)) for clip in recorded]
    others = list(bandai)
    actions = list(dict.fromkeys([clip.action for clip in others] + [clip.action for clip in recorded]))
    return MotionSet.from_clips(slower + others, actions), MotionSet.from_clips(recorded + others, actions)


def errors_of(method: FieldMethod, seen: Motion, recorded: Motion, latent: torch.Tensor) -> tuple[float, float, float]:
    """Millimetres: at the clip's frames, at all instants at which it was recorded, and slerp's there."""
    seen, recorded = (sequences_of(clip, method.axis_s, False)[0] for clip in (seen, recorded))
    own_s = np.arange(len(seen)) / seen.fps
    all_s = np.arange(len(recorded)) / recorded.fps
    all_s = all_s[all_s <= own_s[-1] + 1e-9]
    truth = recorded.positions()[: len(all_s)]
    pairs = (
        (positions_at(method, latent, own_s), seen.positions()),
        (positions_at(method, latent, all_s), truth),
        (resample_at(seen, all_s).positions(), truth),
    )
    first, second, third = (1000 * joint_distance(one, other) for one, other in pairs)
    return first, second, third


def table(run: Path, seen: MotionSet, recorded: MotionSet) -> list[dict[str, Any]]:
    """A row per source and rate of the training clips; of Bandai's, 120 or so stand for all."""
    method = load_method(run)[0]
    assert isinstance(method, FieldMethod)
    latents = learnt_latents(method, seen)
    clips = [k for k in range(len(seen)) if seen[k].name in latents]
    bandai = [k for k in clips if recorded[k].fps < 100]
    picked = [k for k in clips if recorded[k].fps >= 100] + bandai[:: max(len(bandai) // 120, 1)]
    groups: dict[tuple[str, float], list[tuple[float, float, float]]] = {}
    for k in picked:
        source = "CMU" if recorded[k].fps >= 100 else "Bandai"
        found = errors_of(method, seen[k], recorded[k], latents[seen[k].name])
        groups.setdefault((source, float(seen[k].fps)), []).append(found)
    names = ("seen_mm", "all_mm", "slerp_mm")
    return [
        {"source": source, "fps": fps, "clips": len(rows)} | dict(zip(names, np.mean(rows, axis=0), strict=True))
        for (source, fps), rows in sorted(groups.items())
    ]


def main() -> None:
    """Prepare, train, and print the tables as Markdown."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("cmu", type=Path)
    words.add_argument("bandai", type=Path)
    words.add_argument("--out", type=Path, default=Path("nerm"))
    words.add_argument("--field-only", action="store_true", help="leave out the diffusion of latents")
    words.add_argument("--set", action="append", default=[], help="as for `mdtool train`; repeatable")
    given = words.parse_args()
    out: Path = given.out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    cmu, bandai, data = out / "cmu.h5", out / "bandai.h5", out / "mixed.h5"
    if not data.exists():
        mdtool("preprocess", "bvh", given.cmu, "--out", cmu, "--labels", given.cmu / "labels.csv")
        archives = [given.bandai / name for name in ("dataset-2.zip", "dataset-2-more.tar.xz")]
        labels = [word for name in ("labels", "labels-more") for word in ("--labels", given.bandai / f"{name}.csv")]
        mdtool("preprocess", "bvh", *archives, *labels, "--out", bandai)
        seen, recorded = mixed_rates(read_motions(cmu), read_motions(bandai))
        write_motions(data, seen)
        write_motions(out / "native.h5", recorded)
    seen, recorded = read_motions(data), read_motions(out / "native.h5")
    steps = load_preset("nerm-small")["model"]["field_steps"]
    chosen = [word for value in given.set for word in ("--set", value)]
    if given.field_only:
        chosen += ["--steps", steps]
    found = {}
    for name, native_from in (("native", 0), ("fixed", steps)):
        run = out / name
        settings = ("--preset", "nerm-small", "--set", f"model.native_from={native_from}", *chosen)
        mdtool("train", data, *settings, "--threads", 1, "--out", run)
        found[name] = rows = table(run, seen, recorded)
        print(f"\n| {name}: source, fps | clips | at its frames, mm | at all recorded instants, mm | slerp there, mm |")
        print("|---|---|---|---|---|")
        for row in rows:
            numbers = " | ".join(f"{row[key]:.1f}" for key in ("seen_mm", "all_mm", "slerp_mm"))
            print(f"| {row['source']}, {row['fps']:g} | {row['clips']} | {numbers} |", flush=True)
    write_text(out / "rates.json", json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
