"""What NeRM's parts bring, in the form of the paper's table: reconstruction and clip-FID at five rates.

    python examples/nerm_rates.py CMU BANDAI --out nerm && python examples/nerm_ablations.py nerm --steps 1200

The paper's own field (no linear path) learns CMU's clips at the rates that nerm_rates.py gave them, four times for
equally many steps and from the same seed: without a time encoding, with waves, with waves and a codebook of motion,
and the last without variances of its latents. The codebook is trained first, on all clips, and told how far it misses
joints of windows that it rebuilds. The last sixth of the steps fits the diffusion of the latents.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from nerm_rates import FAST, SCORED, mdtool

from mdtool.evaluation.rates import joint_distance, learnt_latents, positions_at
from mdtool.methods.contract import FieldMethod
from mdtool.methods.motion_codebook import MotionCodebook
from mdtool.motion.file import read_motions, write_motions
from mdtool.motion.kinematics import positions_of
from mdtool.motion.motion import TEST, TRAIN, Motion, MotionSet
from mdtool.motion.pose_vectors import poses_to_vectors, vectors_to_poses
from mdtool.motion.resample import resample, resample_at
from mdtool.training.run import load_method
from mdtool.training.sequences import sequences_of

FIELD = {
    "linear_path": "false", "by_reach": "true", "reinject": "true", "latent": 128, "width": 256, "layers": 5,
    "latent_lr": 1e-2, "hop_s": 1.5, "field_share": 1, "components": 1, "component_spread": 1,
}  # fmt: skip
VARIANTS: dict[str, dict[str, object]] = {
    "no time encoding": {"time_encoding": "none"},
    "Fourier": {"time_encoding": "fourier"},
    "codebook": {"time_encoding": "cca"},
    "codebook, not variational": {"time_encoding": "cca", "variational": "false"},
}
PAPER = {
    "no time encoding": (0.471, 0.803, 1.070, 1.769, 2.944),
    "Fourier": (0.397, 0.519, 0.701, 1.142, 1.717),
    "codebook": (0.389, 0.493, 0.680, 0.903, 1.315),
    "codebook, not variational": (1.280, 2.924, 7.012, 10.482, 14.654),
}
"""clip-FID on HumanML3D (Wei et al. 2024); of Fourier at 100 fps 0.142 is printed."""


def settings(values: dict[str, object]) -> list[object]:
    """Words of `mdtool train` for settings of the model."""
    return [word for name, value in values.items() for word in ("--set", f"model.{name}={value}")]


@torch.no_grad()
def rebuilt(codebook: MotionCodebook, clip: Motion) -> tuple[float, float]:
    """Mean joint error of a clip's first window, from its codes, in the world and about the pelvis; metres."""
    slow = sequences_of(resample(clip, codebook.fps), codebook.sequence_s, True)[0].slice(0, codebook.frames)
    vectors = poses_to_vectors(
        torch.from_numpy(slow.rot6d)[None], torch.from_numpy(slow.root)[None], codebook.root_scale
    )
    rot6d, root = vectors_to_poses(codebook.network(vectors, None)[0].float(), codebook.root_scale)
    made, truth = positions_of(rot6d[0].numpy(), root[0].numpy()), slow.positions()
    return joint_distance(made, truth), joint_distance(made - made[:, :1], truth - truth[:, :1])


def misses(run: Path, seen: MotionSet, recorded: MotionSet) -> list[float]:
    """Mean joint error of the latents of training at each rate, in millimetres, of recordings made at it or faster."""
    method = load_method(run)[0]
    assert isinstance(method, FieldMethod)
    latents = learnt_latents(method, seen)
    pieces = [sequences_of(clip, method.axis_s, False)[0] for clip in recorded if clip.name in latents]
    found = []
    for fps in SCORED:
        times_s = [np.arange(int((len(piece) - 1) / piece.fps * fps + 1e-6) + 1) / fps for piece in pieces]
        truths = [resample_at(piece, at).positions() for piece, at in zip(pieces, times_s, strict=True)]
        made = [positions_at(method, latents[piece.name], at) for piece, at in zip(pieces, times_s, strict=True)]
        found.append(1000 * float(np.mean([joint_distance(*pair) for pair in zip(made, truths, strict=True)])))
    return found


def main() -> None:
    """Train the codebook and the four, and print the table as Markdown."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("folder", type=Path, help="of nerm_rates.py")
    words.add_argument("--steps", type=int, default=1200)
    words.add_argument("--batch", type=int, default=96)
    words.add_argument("--codebook-steps", type=int, default=1200)
    words.add_argument("--repeats", type=int, default=3)
    words.add_argument("--count", type=int, default=1000)
    given = words.parse_args()
    folder, out = given.folder, given.folder / "ablations"
    out.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    recorded, every = read_motions(folder / FAST), read_motions(folder / "mixed.h5")
    fast = {clip.name for clip in recorded}
    write_motions(out / "cmu.h5", MotionSet.from_clips([clip for clip in every if clip.name in fast], recorded.actions))
    seen, book = read_motions(out / "cmu.h5"), out / "vq"
    taught = ("--method", "nerm-codebook", "--steps", given.codebook_steps, "--threads", 1, "--out", book)
    mdtool("train", folder / "mixed.h5", *taught)
    codebook = load_method(book)[0]
    assert isinstance(codebook, MotionCodebook)
    for split, name in ((TRAIN, "training"), (TEST, "test")):
        clips = [clip for clip in every if clip.split == split and clip.seconds > 1][:: 1 if split == TEST else 8]
        world, body = 1000 * np.mean([rebuilt(codebook, clip) for clip in clips], axis=0)
        told = f"{world:.1f} mm, about the pelvis by {body:.1f} mm"
        print(f"codebook: joints of {len(clips)} {name} clips are off by {told}", flush=True)
    shared = {**FIELD, "codebook": book, "codes": codebook.config.codes, "code_width": codebook.config.code_width}
    budget = ("--steps", given.steps, "--batch", given.batch, "--set", "train.lr=1e-3", "--threads", 1)
    lines = [
        "| variant | off by, mm, at " + ", ".join(f"{fps:g}" for fps in SCORED) + " fps | clip-FID | paper's clip-FID |"
    ]
    lines.append("|---|---|---|---|")
    for name, own in VARIANTS.items():
        run = out / name.replace(" ", "-").replace(",", "")
        model = settings({**shared, **own, "field_steps": given.steps * 5 // 6})
        mdtool("train", out / "cmu.h5", "--preset", "nerm-small", *model, *budget, "--out", run)
        result, at = run.with_suffix(".json"), [word for fps in SCORED for word in ("--fps", fps)]
        scored = ("--features", folder / "clip-features", "--repeats", given.repeats, "--count", given.count)
        mdtool("rates", run, "--data", folder / FAST, *scored, *at, "--fits", 0, "--threads", 1, "--out", result)
        distances = [row["clip_fid"] for row in json.loads(result.read_text())["clip_fid"]]
        cells = (misses(run, seen, recorded), distances, PAPER[name])
        lines.append(f"| {name} | " + " | ".join(", ".join(f"{one:.3g}" for one in some) for some in cells) + " |")
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
