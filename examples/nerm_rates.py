"""NeRM on recordings of six frame rates: how far its motions are from the recordings at every rate, and its samples.

    python examples/nerm_rates.py CMU BANDAI --out nerm    # folders of archives with their labels.csv, see below
    python examples/nerm_rates.py CMU BANDAI --mdm-steps 5000    # beside an MDM of the same clips, lifted by slerp
    python examples/nerm_rates.py CMU BANDAI --mdm runs/small    # beside an MDM of Bandai too, where that can be

CMU's 120 fps training clips are decimated to 120, 60, 40, 30 and 20 fps, one after the other, and joined by Bandai
Namco dataset-2 at 30 fps. One run learns them as they are; its twin sees all at 20 fps, for equally many steps.
A latent that training found is then asked for the frames of its clip, and for every instant at which that was recorded
(most of them never seen in training), beside slerp between the frames of the clip. CMU holds cmu.zip and labels.csv;
BANDAI holds dataset-2.zip, dataset-2-more.tar.xz, labels.csv and labels-more.csv. Trained runs are taken as they are.

Unless --field-only is given, samples are scored by clip-FID: beside CMU at the rates of the paper, where only CMU was
recorded that fast, and beside Bandai at its own rate, which is all that an MDM of Bandai can be asked for. MDMs learn
at 20 fps; their samples, and those that NeRM makes at 20 fps, are lifted by slerp. How much clip-FID punishes slerp,
sliding and shaking of the recordings themselves is told first.
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
from mdtool.evaluation.distribution import fid
from mdtool.evaluation.rates import clips_at, joint_distance, learnt_latents, positions_at
from mdtool.methods.clip_features import ClipFeatures
from mdtool.methods.contract import FieldMethod
from mdtool.motion.file import read_motions, write_motions
from mdtool.motion.motion import TRAIN, Motion, MotionSet
from mdtool.motion.resample import resample, resample_at
from mdtool.training.run import load_method
from mdtool.training.sequences import sequences_of

RATES = (120.0, 60.0, 40.0, 30.0, 20.0)
SCORED = (20.0, 40.0, 60.0, 100.0, 120.0)
"""Frames per second at which samples are scored beside CMU, as published."""
FAST = "cmu-recorded.h5"
"""CMU's clips as they were recorded."""
BANDAI_SCORED = (20.0, 30.0)
GRID_FPS = 20.0
"""Of the MDM that learns the same clips."""
MDM_FRAMES = 64
"""Of its motions: as many as a clip of clip-FID, so that it has a number at 20 fps too."""


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


def sensitivity(recorded: MotionSet, extractor: ClipFeatures, count: int) -> dict[str, list[float]]:
    """clip-FID at 120 fps of CMU's recordings, changed more and more, from themselves; the first is the floor."""
    clips = [clip for clip in recorded if clip.fps >= 100 and clip.seconds * 120 >= extractor.frames]
    rng = np.random.default_rng(0)

    def features(motions: list[Motion]) -> np.ndarray:
        found = clips_at(motions, 120.0, extractor, count, np.random.default_rng(1))
        assert found is not None
        return found.features

    def slid(clip: Motion, speed: float) -> Motion:
        way = np.arange(len(clip), dtype=np.float32)[:, None] / clip.fps * np.array([speed, 0, 0], np.float32)
        return replace(clip, root=clip.root + way)

    def shaken(clip: Motion, size: float) -> Motion:
        hz, begin = rng.uniform(10, 30, (2, 1, 24))
        wave = np.sin(2 * np.pi * (hz * np.arange(len(clip))[:, None] / clip.fps + begin))
        rot6d = clip.rot6d.copy()
        rot6d[..., 1] += (size * wave).astype(np.float32)
        return replace(clip, rot6d=rot6d)

    real, floor = features(clips), fid(features(clips[::2]), features(clips[1::2]))
    changed = {
        "slerp from 60, 40, 20 fps": [[resample(resample(c, fps), 120.0) for c in clips] for fps in (60.0, 40.0, 20.0)],
        "sliding by 0.3, 1, 2 m/s": [[slid(clip, speed) for clip in clips] for speed in (0.3, 1.0, 2.0)],
        "10-30 Hz of 0.01, 0.03, 0.1": [[shaken(clip, size) for clip in clips] for size in (0.01, 0.03, 0.1)],
    }
    return {name: [floor, *(fid(features(some), real) for some in motions)] for name, motions in changed.items()}


def score_samples(out: Path, recorded: MotionSet, given: argparse.Namespace) -> None:
    """Print how much clip-FID feels, and the clip-FID of both runs, of slerp from 20 fps, and of the MDM."""
    features, fast, bandai = out / "clip-features", out / FAST, out / "bandai.h5"
    few = ("--steps", given.features_steps, "--threads", 1)
    mdtool("train", out / "native.h5", "--method", "clip-features", *few, "--out", features)
    extractor = load_method(features)[0]
    assert isinstance(extractor, ClipFeatures)
    print("\n| recordings at 120 fps, changed | floor | little | more | much |\n|---|---|---|---|---|")
    for name, distances in sensitivity(recorded, extractor, given.count).items():
        print(f"| {name} | " + " | ".join(f"{one:.3g}" for one in distances) + " |", flush=True)
    settings = ("--features", features, "--repeats", given.repeats, "--count", given.count, "--fits", 0, "--threads", 1)
    makers: list[tuple[str, Path, tuple[object, ...]]] = [
        ("NeRM native", out / "native", ()),
        ("NeRM fixed", out / "fixed", ()),
        ("NeRM native, 20 fps + slerp", out / "native", ("--lift-from", 20)),
    ]
    if given.mdm_steps:
        slow = out / "mixed-20.h5"
        if not slow.exists():
            mdtool("resample", out / "mixed.h5", "--fps", GRID_FPS, "--out", slow)
        few = ("--preset", "small", "--sampler", "loss-aware", "--set", f"model.frames={MDM_FRAMES}")
        mdtool("train", slow, *few, "--steps", given.mdm_steps, "--threads", 1, "--out", out / "mdm")
        makers.append(("MDM + slerp", out / "mdm", ()))
    lines = []
    for data, rates, some in (
        (fast, SCORED, makers),
        (bandai, BANDAI_SCORED, makers + ([("MDM of Bandai + slerp", given.mdm, ())] if given.mdm else [])),
    ):
        floor = ""
        lines += [f"\n| beside {data.stem}, fps | " + " | ".join(f"{fps:g}" for fps in rates) + " |"]
        lines += ["|" + "---|" * (len(rates) + 1)]
        for name, run, lifted in some:
            result = out / f"clip-fid-{data.stem}-{name.replace(' ', '-').replace(',', '')}.json"
            asked = [word for fps in rates for word in ("--fps", fps)]
            mdtool("rates", run, "--data", data, *settings, *asked, *lifted, "--out", result)
            rows = json.loads(result.read_text())["clip_fid"]
            lines.append(f"| {name} | " + " | ".join(_cell(row, "clip_fid") for row in rows) + " |")
            floor = "| recordings | " + " | ".join(_cell(row, "floor") for row in rows) + " |"
        lines.append(floor)
    print("\n".join(lines))


def _cell(row: dict[str, Any], name: str) -> str:
    if row[name] is None:
        return str(row["why"])
    return f"{row[name]:.2f}" + (f" ± {row[name + '_ci95']:.2f}" if row[name + "_ci95"] is not None else "")


def main() -> None:
    """Prepare, train, and print the tables as Markdown."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("cmu", type=Path)
    words.add_argument("bandai", type=Path)
    words.add_argument("--out", type=Path, default=Path("nerm"))
    words.add_argument("--field-only", action="store_true", help="leave out the diffusion of latents")
    words.add_argument("--mdm", type=Path, help="run of another method, trained on Bandai")
    words.add_argument("--mdm-steps", type=int, default=0, help="of an MDM of the same clips at 20 fps")
    words.add_argument("--features-steps", type=int, default=1500, help="of clip-FID's extractor")
    words.add_argument("--fits", type=int, default=20, help="recordings per split to which latents are fitted")
    words.add_argument("--repeats", type=int, default=20, help="of clip-FID, as published")
    words.add_argument("--count", type=int, default=4000, help="clips per side of clip-FID")
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
    write_motions(out / FAST, MotionSet.from_clips([clip for clip in recorded if clip.fps >= 100], recorded.actions))
    for name in found if given.fits else ():
        asked = ("--data", out / FAST, "--fits", given.fits, "--threads", 1, "--out", out / f"fits-{name}.json")
        mdtool("rates", out / name, *asked)
    if not given.field_only:
        score_samples(out, recorded, given)


if __name__ == "__main__":
    main()
