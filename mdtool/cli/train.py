"""`mdtool train`: motion file → run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdtool.cli.numbers import finite
from mdtool.cli.options import Device, Threads
from mdtool.cli.terminal import say, say_next

DEFAULT_PRESET = {
    "mdm": "small",
    "emdm": "emdm-small",
    "balanced-edm": "edm-tiny",
    "nerm": "nerm-small",
    "nerm-codebook": "nerm-codebook",
    "clip-features": "clip-features",
    "recogniser": "recogniser",
    "gru-recogniser": "gru-recogniser",
}


def train(
    data: Annotated[Path, typer.Argument(metavar="FILE", help="Motion file to learn from.")] = Path("motions.h5"),
    method: Annotated[
        str | None,
        typer.Option(
            help="mdm (by default), emdm, balanced-edm, nerm; recogniser or gru-recogniser (the judge that `evaluate` "
            "needs); nerm-codebook, clip-features (what `nerm` and `rates` can use)."
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="small, thesis, mdm-a2m, edm-base …, or a .toml file; the one of the method by default."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/PRESET by default.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps.")] = None,
    ema: Annotated[
        list[float] | None,
        typer.Option(callback=finite, help="Decay of a track of averaged weights; repeat for several tracks."),
    ] = None,
    sampler: Annotated[
        str | None, typer.Option(help="Timestep sampler: uniform, or loss-aware (importance sampling).")
    ] = None,
    weighting: Annotated[
        str | None, typer.Option(help="Weight of each timestep's loss: none, min-snr, or decay (with the noise).")
    ] = None,
    switch_ema: Annotated[
        int | None, typer.Option(min=0, help="Go on from the first --ema's weights every so many steps; 0 never.")
    ] = None,
    init_from: Annotated[
        Path | None,
        typer.Option(help="Run to take the weights from, with its network's sizes; emdm: a run of mdm or emdm."),
    ] = None,
    no_gan: Annotated[
        bool, typer.Option("--no-gan", help="emdm without code and discriminator: what does the GAN bring?")
    ] = False,
    precision: Annotated[str | None, typer.Option(help="fp32, bf16, or auto: bf16 where the hardware has it.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Windows per optimiser step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, batches, timesteps and noise.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting, e.g. model.layers=4.")
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Train a generator (or the recogniser) on a motion file.

    The same command again goes on where the run stopped, bit for bit on a CPU. Ctrl-C leaves a run that resumes.
    `torchrun --nproc-per-node 4 -m mdtool train …` shares every batch among four processes, a GPU each.
    """
    from rich.console import Console

    from mdtool import config as settings
    from mdtool.errors import MdtoolError
    from mdtool.methods.registry import makes_motion
    from mdtool.motion.file import read_motions
    from mdtool.training.checkpoint import RunFolder
    from mdtool.training.distributed import join
    from mdtool.training.run import resolve, settings_to_start_from, settle_precision
    from mdtool.training.run import train as run_training

    if preset is None:
        if method not in (None, *DEFAULT_PRESET):
            raise MdtoolError(f"no method {method!r}: choose from {', '.join(DEFAULT_PRESET)}")
        preset = DEFAULT_PRESET[method or "mdm"]
    table = settings.load_preset(preset)
    if method not in (None, table.setdefault("method", method or "mdm")):
        raise MdtoolError(f"preset {preset} is one of {table['method']} and not of {method}: leave out one of the two")
    table.setdefault("train", {})
    table.setdefault("model", {})
    given = {
        "steps": steps,
        "ema": ema or None,
        "ema_switch_every": switch_ema,
        "precision": precision,
        "batch": batch,
        "seed": seed,
    }
    table["train"].update({key: value for key, value in given.items() if value is not None})
    if sampler is not None:
        table["model"]["timestep_sampler"] = sampler
    if weighting is not None:
        table["model"]["step_weighting"] = weighting
    if no_gan:
        if table["method"] != "emdm":
            raise MdtoolError("--no-gan is for --method emdm: other methods have no GAN")
        table["model"]["adversarial"] = False
    if init_from is not None:
        table["model"].update(settings_to_start_from(table["method"], init_from))
    settings.override(table, set_ or [])
    where, ranks = join(device, threads)
    motions = read_motions(data)
    folder = RunFolder(out or Path("runs") / Path(preset).stem)
    run = settle_precision(resolve(preset, table, data, motions, init_from), folder, where)
    console = Console(markup=False, quiet=not ranks.first)
    finished = run_training(run, motions, folder, where, console, ranks)
    ranks.leave()
    if not finished:
        say(console, f"stopped; everything is saved in {folder.path}: the same command goes on from there")
        raise typer.Exit(130)
    say(console, f"wrote {folder.path}  (step {folder.newest_step()}, weights {', '.join(folder.tracks())})")
    with_codebook = ("--set", "model.time_encoding=cca", "--set", f"model.codebook={folder.path}")
    follow = {
        "nerm-codebook": ("train", "--method", "nerm", *with_codebook),
        "clip-features": ("rates", "RUN", "--features", folder.path),
    }.get(run.method, ("sample", folder.path) if makes_motion(run.method) else ("evaluate",))
    say_next(console, "mdtool", *follow)
