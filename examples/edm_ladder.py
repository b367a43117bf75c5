"""Balanced EDM step by step: the ladder of the paper, and MDM without actions at equal processor time.

    python examples/edm_ladder.py motions.h5 runs/recogniser --out ladder.json --plot gradients.png

Every rung is trained alike on clips of 32 to 64 frames and judged by FID against the training recordings (with the
distance of two draws of recordings as floor), the physical card, and how far its raw rotations are from rotations.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from mdtool.atomic import write_bytes, write_text
from mdtool.config import TrainConfig, load_preset
from mdtool.data.windows import draw_windows
from mdtool.evaluation.distribution import fid
from mdtool.evaluation.physical import measure
from mdtool.losses.balanced import Balance
from mdtool.methods.balanced_edm import BalancedEDM
from mdtool.methods.contract import Method, sample_generators, step_generator
from mdtool.methods.generate import Generator
from mdtool.methods.registry import build_generator
from mdtool.motion.feature_groups import GROUPS
from mdtool.motion.file import read_motions
from mdtool.motion.motion import TRAIN, MotionSet
from mdtool.report.plots import COLOURS, figure_png
from mdtool.training.batches import WindowSource
from mdtool.training.loop import Trainer
from mdtool.training.run import LoadedRecogniser, load_recogniser

UNET = {
    "frames": 64,
    "shortest": 32,
    "channels": 32,
    "multipliers": [1, 2, 2],
    "blocks": 1,
    "attention": [2],
    "head_channels": 64,
}
"""The size of every rung; the rest is the method's own defaults, as published, and not a preset's."""
PLAIN = {"balance": "edm2", "per_group": False, "dimension_weights": "off"}
RUNGS: dict[str, dict[str, Any]] = {
    "z-score by group, EDM2 weights": {**PLAIN, "normaliser": "hml_z"},
    "+ rotations times √3": PLAIN,
    "+ balanced over noise": {**PLAIN, "balance": "consistent"},
    "+ uncertainty per group": {"dimension_weights": "off"},
    "+ dimension weights": {},
    "the printed formula (literal)": {"balance": "literal"},
}
WHOLE = "+ dimension weights"
"""The rung with everything, whose gradients and round trip are measured."""
BALANCES: tuple[Balance, ...] = ("edm2", "literal", "consistent")
MDM = {"conditional": False, "guidance": 1.0, "width": 128, "layers": 4, "feedforward": 256}
BATCH = 16


def train(
    method: Method, source: WindowSource, config: TrainConfig, budget_s: float | None = None
) -> tuple[Trainer, float]:
    """Train to the last step, or until the processor time is used up; (trainer, processor seconds)."""
    trainer = Trainer(method, source, config, torch.device("cpu"))
    method.train()
    started = time.process_time()
    while trainer.step < config.steps and (budget_s is None or time.process_time() - started < budget_s):
        trainer.train_step()
    return trainer, time.process_time() - started


def features_of(judge: LoadedRecogniser, motions: MotionSet, clips: np.ndarray, seed: int) -> np.ndarray:
    """Features of one random window of each clip."""
    rot6d, root = draw_windows(motions, clips, judge.frames, np.random.default_rng(seed))
    with torch.no_grad():
        return judge.features_and_logits(torch.from_numpy(rot6d), torch.from_numpy(root))[0].double().numpy()


def judged(method: Method, judge: LoadedRecogniser, real: np.ndarray, count: int, seed: int) -> dict[str, float]:
    """FID, physical card and rotation residuals of `count` samples, and milliseconds of processor time for each."""
    method.eval()
    generator = Generator(method, "ema", "")
    started = time.process_time()
    made = generator.sample([0] * count, seed, batch=64)
    took = time.process_time() - started
    features = features_of(judge, made, np.arange(count), seed)
    card = measure(made)
    with torch.no_grad():
        rows = method.to_raw_motion(method.decode(method.noise(sample_generators(seed, 0, 64)), None))[0]
    first, second = rows.unflatten(-1, (2, 3)).unbind(-2)
    return {
        "fid": fid(features, real),
        "skating": float(np.nanmean(card["foot skating"])),
        "jitter": float(np.nanmean(card["jitter"])),
        "column_length": float((first.norm(dim=-1) - 1).abs().mean()),
        "column_angle": float((first * second).sum(-1).abs().mean()),
        "cpu_ms_per_clip": 1000 * took / count,
        "calls": method.describe().network_calls,
    }


def gradients(
    method: BalancedEDM, source: WindowSource, balance: Balance, bins: int = 12, batches: int = 2
) -> dict[str, list[float]]:
    """Mean length of the loss's gradient by noise level: of the output, by group, and of all weights.

    Args:
        balance: weights to try on the network as it is; what it expects of its errors does not depend on them.
    """
    method.eval()
    levels = torch.logspace(-2, 1.3, bins)
    found: dict[str, list[float]] = {"sigma": levels.tolist(), "weights": [], **{group.name: [] for group in GROUPS}}
    parameters = list(method.network.parameters())
    own = method.config
    config = own.model_copy(update={"p_std": 1e-6, "balance": balance})
    for level in levels.tolist():
        lengths: dict[str, list[float]] = {name: [] for name in found if name != "sigma"}
        method.config = config.model_copy(update={"p_mean": float(np.log(level))})
        for step in range(batches):
            outputs: list[Tensor] = []
            handle = method.network.register_forward_hook(lambda _, __, output, kept=outputs: kept.append(output))
            loss = method.losses(source.batch(step), step_generator(0, step))["denoising"]
            handle.remove()
            (towards,) = torch.autograd.grad(loss.sum(), outputs[0], retain_graph=True)
            for group in GROUPS:
                lengths[group.name].append(float(towards[:, group.channels].flatten(1).norm(dim=1).mean()))
            whole = torch.autograd.grad(loss.mean(), parameters, allow_unused=True)
            lengths["weights"].append(float(torch.cat([g.flatten() for g in whole if g is not None]).norm()))
        for name, values in lengths.items():
            found[name].append(float(np.mean(values)))
    method.config = own
    return found


def gradient_plot(gradients: dict[str, dict[str, list[float]]]) -> Figure:
    """One panel per weighting: length of the gradient over σ, each curve relative to its panel's mean."""
    figure = Figure(figsize=(4.2 * len(gradients), 3.6), layout="constrained")
    for place, (name, found) in enumerate(gradients.items(), start=1):
        axes = figure.add_subplot(1, len(gradients), place)
        shown = [group.name for group in GROUPS if max(found[group.name]) > 0]
        middle = np.mean([found[group] for group in shown])
        for colour, group in zip(COLOURS[1:], shown, strict=False):
            axes.loglog(found["sigma"], np.array(found[group]) / middle, color=colour, label=f"output, {group}")
        whole = np.array(found["weights"])
        axes.loglog(found["sigma"], whole / whole.mean(), color=COLOURS[0], linestyle="--", label="all weights")
        axes.set(title=name, xlabel="noise level σ", ylabel="gradient, relative", ylim=(0.02, 20))
        axes.legend(frameon=False, fontsize=8)
    return figure


def round_trip(method: BalancedEDM, source: WindowSource) -> dict[int, float]:
    """Relative error of real windows after inversion and sampling with as many steps, by steps."""
    method.eval()
    batch = source.batch(3)
    x = method.from_motion(batch.rot6d[:6], batch.root[:6])
    scale = (x - x.mean(-1, keepdim=True)).norm()
    with torch.no_grad():
        return {
            steps: float((method.decode(method.invert(x, None, steps=steps), None, steps=steps) - x).norm() / scale)
            for steps in (8, 16, 32, 64)
        }


def main() -> None:
    """Run what the command line asks for, and write after every rung."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("recogniser", type=Path)
    parser.add_argument("--out", type=Path, default=Path("ladder.json"))
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--count", type=int, default=384)
    parser.add_argument("--rungs", type=int, nargs="*", help="Some of them, by place and in this order; 6 is MDM.")
    parser.add_argument("--plot", type=Path, help="Picture of the gradients by noise level.")
    parser.add_argument("--budget-s", type=float, default=60.0, help="Processor seconds of MDM, if it comes first.")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    motions, judge = read_motions(asked.data), load_recogniser(asked.recogniser)
    clips = np.flatnonzero(motions.split == TRAIN)
    rng = np.random.default_rng(0)
    real, again = (features_of(judge, motions, rng.choice(clips, 2 * asked.count), seed) for seed in (1, 2))
    floor = fid(again[: asked.count], real)
    table: dict[str, Any] = {"floor": floor, "count": asked.count, "steps": asked.steps, "rungs": {}, "gradients": {}}
    card = measure(motions.select(clips))
    table["real"] = {"skating": float(np.nanmean(card["foot skating"])), "jitter": float(np.nanmean(card["jitter"]))}
    print("real", table["real"], "floor", floor, flush=True)
    everything = [*RUNGS, "MDM without actions"]
    names = everything if asked.rungs is None else [everything[k] for k in asked.rungs]
    for seed in asked.seeds:
        spent = asked.budget_s
        for name in names:
            torch.manual_seed(seed)
            if name in RUNGS:
                config = TrainConfig(
                    steps=asked.steps,
                    batch=BATCH,
                    seed=seed,
                    lr=2e-2,
                    lr_final=0.0,
                    warmup_steps=20,
                    adam_beta2=0.99,
                    ema=[0.1],
                    ema_kind="power",
                )
                own = {**UNET, "mirror": 0.0, "uncertainty_warmup": asked.steps // 10, **RUNGS[name]}
                method = build_generator("balanced-edm", own, [], 20.0)
            else:
                config = TrainConfig(
                    steps=int(1e6),
                    batch=BATCH,
                    seed=seed,
                    lr=1e-3,
                    warmup_steps=20,
                    weight_decay=0.01,
                    adam_beta2=0.99,
                    grad_clip=1.0,
                    ema=[0.995],
                )
                method = build_generator("mdm", {**load_preset("small")["model"], **MDM}, motions.actions, 20.0)
            bucket = method.bucket
            source = WindowSource(motions, TRAIN, method.frames, BATCH, seed, labelled=False, bucket=bucket)
            method.fit_statistics(source.random)
            trainer, took = train(method, source, config, None if name in RUNGS else spent)
            spent = took
            with trainer.ema.applied(config.ema[0]):
                result = judged(method, judge, real, asked.count, 1000 + seed)
                if name == WHOLE and isinstance(method, BalancedEDM) and not table["gradients"]:
                    table["round_trip"] = round_trip(method, source)
                    for balance in BALANCES:
                        table["gradients"][balance] = gradients(method, source, balance)
            result |= {"training_cpu_s": took, "steps": trainer.step, "parameters": method.describe().parameters}
            table["rungs"].setdefault(name, []).append(result)
            write_text(asked.out, json.dumps(table, indent=1))
            if asked.plot and table["gradients"]:
                write_bytes(asked.plot, figure_png(gradient_plot(table["gradients"])))
            print(seed, name, {key: round(value, 4) for key, value in result.items()}, flush=True)


if __name__ == "__main__":
    main()
