"""Balanced EDM step by step: the ladder of the paper, and MDM without actions at equal processor time.

    python examples/edm_ladder.py motions.h5 runs/recogniser --out ladder.json --plot gradients.png
    python examples/edm_ladder.py motions.h5 runs/recogniser --out mixture.json --components 96 --rungs 0 4 9

Every rung is trained alike, with three seeds, on clips of 32 to 64 frames, and judged by FID against the training
recordings (with the distance of two draws of recordings as floor), the physical card, and what is raw in its output:
how far rotations are from rotations and, where the data have body shapes, a shape from one shape; limbs in mm with
--body. Recordings without shapes get one each, drawn from N(0, 1), with --draw-shapes. The file is written after
every rung, and the same line goes on where it was stopped; the table at the end is that of all there is.

The rungs are behind EDM's own skip connection, and MDM predicts x_0, as published. With --components they are behind
the mixture of edm-tiny, centred as there (so that rung 1 is rung 0), and MDM is the preset small without actions.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from mdtool.atomic import write_bytes, write_text
from mdtool.body.choice import named_body
from mdtool.config import TrainConfig, load_preset
from mdtool.data.windows import draw_windows
from mdtool.evaluation.distribution import fid
from mdtool.evaluation.physical import measure
from mdtool.evaluation.raw_output import BoneLengths, raw_card
from mdtool.evaluation.results import Spread
from mdtool.losses.balanced import Balance
from mdtool.methods.balanced_edm import BalancedEDM
from mdtool.methods.contract import Method
from mdtool.methods.generate import Generator
from mdtool.methods.registry import build_generator
from mdtool.methods.seeds import step_generator
from mdtool.motion.feature_groups import GROUPS
from mdtool.motion.file import file_sha256, read_motions
from mdtool.motion.motion import TEST, TRAIN, MotionSet
from mdtool.report.plots import COLOURS, figure_png
from mdtool.training.batches import WindowSource
from mdtool.training.loop import Trainer
from mdtool.training.run import LoadedRecogniser, load_recogniser

UNET = {"frames": 64, "shortest": 32, "multipliers": [1], "blocks": 1, "attention": [], "head_channels": 64}
"""The size of every rung but its width; the rest is the method's own defaults, as published, and not a preset's. One
level: what a second one adds is learnt later than a minute of training shows (docs/balanced-edm.md)."""
WIDTH = 192
"""Channels: more than the 145 features, whose noise must pass (docs/balanced-edm.md)."""
PLAIN = {"balance": "edm2", "per_group": False, "dimension_weights": "off"}
RUNGS: dict[str, dict[str, Any]] = {
    "z-score by group, EDM2 weights": {**PLAIN, "normaliser": "hml_z"},
    "+ rotations times √3": PLAIN,
    "+ balanced over noise": {**PLAIN, "balance": "consistent"},
    "+ uncertainty per group": {"dimension_weights": "off"},
    "+ dimension weights": {},
    "the printed formula (literal)": {"balance": "literal"},
    "z-score, balanced over noise": {**PLAIN, "normaliser": "hml_z", "balance": "consistent"},
    "z-score, balanced, per group": {"normaliser": "hml_z", "dimension_weights": "off"},
    "z-score, with everything": {"normaliser": "hml_z"},
}
"""The paper's ladder, its formula as printed, and the same steps from the first rung on without the second."""
WHOLE = "+ dimension weights"
"""The rung with everything, whose gradients, round trip and likelihood are measured."""
RIVAL = "MDM without actions"
EVERYTHING = (*RUNGS, RIVAL)
BALANCES: tuple[Balance, ...] = ("edm2", "literal", "consistent")
MDM = {"conditional": False, "guidance": 1.0, "guide_at": 0.0, "width": 128, "layers": 4, "feedforward": 256}
PUBLISHED = {"prediction": "x0", "standardise": False, "temperature": 1.0, "temperature_floor": 0.0}
"""MDM without what `small` adds to it: standardised features, the spectral skip, a sampler that makes less noise."""
BATCH, MDM_BATCH = 8, 16
ODE_STEPS = (8, 16, 32, 64)
BETAS = 10
"""Numbers of a body shape in a motion file."""
PROBE = 10
"""Steps by which the time of one is measured."""
LEVELS = 12
"""Noise levels at which gradients are measured."""
COLUMNS = {
    "fid": "FID", "foot skating": "foot skating, %", "skating below 5 cm": "skating below 5 cm, %",
    "jitter": "jitter, m/s³",
    "raw columns, length": "raw columns, length, % off", "raw columns, angle": "raw columns, angle, % off",
    "raw shape spread": "raw shape spread, % of data", "raw limb length σ": "raw limb length σ, mm",
    "training_cpu_s": "training, s",
}  # fmt: skip
"""What the table shows of each rung."""
CARD = ("foot skating", "skating below 5 cm", "jitter")


class Judge(NamedTuple):
    """What every rung is measured by."""

    recogniser: LoadedRecogniser
    motions: MotionSet
    real: np.ndarray
    """Features of windows of the training recordings."""
    count: int
    bone_lengths: BoneLengths | None


def train(method: Method, source: WindowSource, config: TrainConfig) -> tuple[Trainer, float]:
    """Train to the last step; (trainer, processor seconds)."""
    trainer = Trainer(method, source, config, torch.device("cpu"))
    method.train()
    started = time.process_time()
    while trainer.step < config.steps:
        trainer.train_step()
    return trainer, time.process_time() - started


def features_of(judge: LoadedRecogniser, motions: MotionSet, clips: np.ndarray, seed: int) -> np.ndarray:
    """Features of one random window of each clip."""
    rot6d, root = draw_windows(motions, clips, judge.frames, np.random.default_rng(seed))
    with torch.no_grad():
        return judge.features_and_logits(torch.from_numpy(rot6d), torch.from_numpy(root))[0].double().numpy()


def judged(method: Method, judge: Judge, seed: int) -> dict[str, float]:
    """FID, physical card and what is raw in samples, and milliseconds of processor time for each."""
    generator = Generator(method, "ema", "")
    started = time.process_time()
    made = generator.sample([0] * judge.count, seed, batch=64)
    took = time.process_time() - started
    card = measure(made)
    raw = raw_card(generator, seed, min(64, judge.count), judge.motions.betas, judge.bone_lengths)
    return {
        "fid": fid(features_of(judge.recogniser, made, np.arange(judge.count), seed), judge.real),
        **{name: float(np.nanmean(card[name])) for name in CARD},
        **{row.metric: row.mean for row in raw},
        "cpu_ms_per_clip": 1000 * took / judge.count,
        "calls": method.describe().network_calls,
    }


def gradients(method: BalancedEDM, source: WindowSource, balance: Balance, batches: int = 2) -> dict[str, list[float]]:
    """Mean length of the loss's gradient by noise level: of the output, by group, and of all weights.

    Args:
        balance: weights to try on the network as it is; what it expects of its errors does not depend on them.
    """
    method.eval()
    levels = torch.logspace(-2, 1.3, LEVELS)
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


def along_the_ode(method: BalancedEDM, motions: MotionSet) -> dict[str, dict[int, float]]:
    """By steps, of held-out windows: error of inverting and sampling over their movement; NLL in nats a number."""
    split = TEST if (motions.split == TEST).any() else TRAIN
    batch = WindowSource(motions, split, method.frames, 6, 0, labelled=False).batch(0)
    x = method.from_motion(batch.rot6d, batch.root)
    x = x if batch.betas is None else method.with_betas(x, batch.betas)
    scale, found = (x - x.mean(-1, keepdim=True)).norm(), {"round_trip": {}, "nll": {}}
    numbers = float((method.normaliser.active * method.normaliser.sizes).sum()) * x.shape[-1]
    for steps in ODE_STEPS:
        with torch.no_grad():
            again = method.decode(method.invert(x, None, steps=steps), None, steps=steps)
        found["round_trip"][steps] = float((again - x).norm() / scale)
        likely = method.log_likelihood(x, None, torch.Generator().manual_seed(0), steps=steps)
        found["nll"][steps] = -float(likely.mean()) / numbers
    return found


def settings_of(asked: argparse.Namespace, recogniser_sha256: str) -> dict[str, Any]:
    """What rungs of one file must share."""
    return {
        "data": file_sha256(asked.data), "recogniser": recogniser_sha256, "steps": asked.steps, "count": asked.count,
        "width": asked.width, "lr": asked.lr, "batch": BATCH, "components": asked.components,
        "draw_shapes": asked.draw_shapes,
    }  # fmt: skip


def conflict(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Why rungs of these settings cannot stand in one table; empty where they can."""
    return ", ".join(f"{name} {before.get(name)} and not {now[name]}" for name in now if before.get(name) != now[name])


def trained(name: str, seed: int, asked: argparse.Namespace, motions: MotionSet, budget_s: float) -> tuple[Any, ...]:
    """(method, trainer, its training windows, processor seconds) of a rung."""
    torch.manual_seed(seed)
    if name == RIVAL:
        own = {**load_preset("small")["model"], **MDM, **({} if asked.components else PUBLISHED)}
        method = build_generator("mdm", own, motions.actions, 20.0)
        config = TrainConfig(
            steps=PROBE, batch=MDM_BATCH, seed=seed, lr=1e-3, lr_final=1e-5, warmup_steps=PROBE - 1, weight_decay=0.01,
            adam_beta2=0.99, grad_clip=1.0, ema=[0.995], ema_kind="warmup",
        )  # fmt: skip
    else:
        config = TrainConfig(
            steps=asked.steps, batch=BATCH, seed=seed, lr=asked.lr, lr_final=0.0, warmup_steps=min(20, asked.steps - 1),
            adam_beta2=0.99, ema=[0.1], ema_kind="power",
        )  # fmt: skip
        own = {"channels": asked.width, "mirror": 0.0, "uncertainty_warmup": asked.steps // 10, **RUNGS[name]}
        if asked.components:
            own |= {"skip": "spectral", "components": asked.components, "normaliser": "hml_z"}
        method = build_generator("balanced-edm", {**UNET, **own}, [], 20.0)
    source = WindowSource(motions, TRAIN, method.frames, config.batch, seed, labelled=False, bucket=method.bucket)
    method.fit_statistics(source.random)
    if name == RIVAL:
        fresh = copy.deepcopy(method.state_dict())
        took = min(train(method, source, config)[1] for _ in range(3))
        method.load_state_dict(fresh)
        config = config.model_copy(update={"steps": max(int(budget_s / took * PROBE), PROBE)})
    return method, *train(method, source, config), source


def table_of(table: dict[str, Any]) -> str:
    """Means and deviations over seeds in Markdown, the recordings first."""
    shown = [key for key in COLUMNS if any(key in run for runs in table["rungs"].values() for run in runs.values())]
    lines = ["| rung | seeds | " + " | ".join(COLUMNS[key] for key in shown) + " |", "|---" * (2 + len(shown)) + "|"]
    real = {**table["real"], "fid": table["floor"]}
    lines.append("| recordings | – | " + " | ".join(f"{real[key]:.3g}" if key in real else "" for key in shown) + " |")
    for name in EVERYTHING:
        runs = list(table["rungs"].get(name, {}).values())
        spreads = [Spread(tuple(run[key] for run in runs if key in run)) for key in shown]
        cells = [
            "" if not s.values else f"{s.mean:.3g}" + ("" if np.isnan(s.std) else f" ± {s.std:.2g}") for s in spreads
        ]
        if runs:
            lines.append(f"| {name} | {len(runs)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def begun(out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The table so far; a new one where there is no file."""
    if not out.exists():
        return {"settings": settings, "rungs": {}, "gradients": {}}
    table: dict[str, Any] = json.loads(out.read_text())
    odd = conflict(table.get("settings", {}), settings)
    if odd:
        raise SystemExit(f"{out} is of other settings ({odd}): name another --out")
    return table


def main() -> None:
    """Run what the command line asks for and is not there yet, and write after every rung."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("recogniser", type=Path)
    parser.add_argument("--out", type=Path, default=Path("ladder.json"))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--count", type=int, default=384, help="Samples that are judged.")
    parser.add_argument("--width", type=int, default=WIDTH, help="Channels of every rung.")
    parser.add_argument("--lr", type=float, default=2e-2)
    parser.add_argument("--components", type=int, default=0, help="Spectra of a mixture as skip; 0 is EDM's own.")
    parser.add_argument("--rungs", type=int, nargs="*", help="Some of them, by place, in this order; 9 is MDM.")
    parser.add_argument("--plot", type=Path, help="Picture of the gradients by noise level.")
    parser.add_argument("--body", type=Path, help="Body model whose limbs are measured, for data with body shapes.")
    parser.add_argument("--draw-shapes", action="store_true", help="Give each recording a body shape.")
    parser.add_argument("--budget-s", type=float, default=60.0, help="Processor seconds of MDM, if it comes first.")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    motions, recogniser = read_motions(asked.data), load_recogniser(asked.recogniser)
    if asked.draw_shapes:
        motions.betas = np.random.default_rng(0).standard_normal((len(motions), BETAS)).astype(np.float32)
    table = begun(asked.out, settings_of(asked, recogniser.sha256))
    clips, rng = np.flatnonzero(motions.split == TRAIN), np.random.default_rng(0)
    real, again = (features_of(recogniser, motions, rng.choice(clips, 2 * asked.count), seed) for seed in (1, 2))
    card = measure(motions.select(clips))
    table["floor"] = fid(again[: asked.count], real)
    table["real"] = {name: float(np.nanmean(card[name])) for name in CARD}
    lengths = None if asked.body is None else named_body(asked.body).bone_lengths
    judge = Judge(recogniser, motions, real, asked.count, lengths)
    for seed in asked.seeds:
        for name in EVERYTHING if asked.rungs is None else [EVERYTHING[k] for k in asked.rungs]:
            done = table["rungs"].setdefault(name, {})
            if str(seed) in done:
                continue
            spent = [run["training_cpu_s"] for run in table["rungs"].get(WHOLE, {}).values()]
            budget_s = float(np.mean(spent)) if spent else asked.budget_s
            method, trainer, took, source = trained(name, seed, asked, motions, budget_s)
            method.eval()
            with trainer.ema.applied(trainer.config.ema[0]):
                result = judged(method, judge, 1000 + seed)
                if name == WHOLE and not table["gradients"]:
                    table |= along_the_ode(method, motions)
                    table["gradients"] = {balance: gradients(method, source, balance) for balance in BALANCES}
            parameters = method.describe().parameters
            done[str(seed)] = result | {"training_cpu_s": took, "steps": trainer.step, "parameters": parameters}
            write_text(asked.out, json.dumps(table, indent=1))
            print(seed, name, {key: round(value, 4) for key, value in done[str(seed)].items()}, flush=True)
    if asked.plot and table["gradients"]:
        write_bytes(asked.plot, figure_png(gradient_plot(table["gradients"])))
    print(table_of(table))


if __name__ == "__main__":
    main()
