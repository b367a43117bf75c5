"""`mdtool demo`: the whole line, from motion capture to a video."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdtool.cli.numbers import finite
from mdtool.cli.terminal import say


def demo(
    data: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DATA", help="BVH folders or archives to learn from; synthetic motion when none."),
    ] = None,
    labels: Annotated[list[Path] | None, typer.Option(help="CSV with the clips' actions and splits.")] = None,
    fps: Annotated[float, typer.Option(callback=finite, help="Frame rate to work at.")] = 20.0,
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    preset: Annotated[str, typer.Option(help="Preset of the generator.")] = "demo",
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps of the generator.")] = None,
) -> None:
    """Preprocess, train, sample, evaluate and render: three to ten minutes on two cores.

    Every stage is the command of the same name; running the demo again goes on where it stopped.
    """
    import time

    from rich.console import Console

    from mdtool.cli.evaluate import evaluate
    from mdtool.cli.preprocess import bvh, synthetic
    from mdtool.cli.render import render
    from mdtool.cli.sample import sample
    from mdtool.cli.train import train
    from mdtool.config import load_preset
    from mdtool.errors import MdtoolError

    if labels and not data:
        raise MdtoolError("--labels is for BVH recordings: name their folders or archives too")
    load_preset(preset)  # now, not when the recogniser is trained
    console = Console(markup=False)
    started_s = time.monotonic()
    motions, judge, run = out / "motions.h5", out / "runs" / "recogniser", out / "runs" / preset
    samples, results, video, strip = out / "sample.h5", out / "results.json", out / "video.mp4", out / "strip.png"

    def stage(title: str) -> None:
        console.rule(f"{title}  ({time.monotonic() - started_s:.0f} s)", align="left")

    stage("1/6 preprocess")
    if motions.exists():
        say(console, f"{motions} is there already")
    elif data:
        bvh(data, out=motions, labels=labels, fps=fps)
    else:
        synthetic(out=motions, fps=fps)
    stage("2/6 train the recogniser (the judge)")
    train(motions, method="recogniser", preset="recogniser-demo", out=judge)
    stage("3/6 train the generator")
    train(motions, preset=preset, out=run, steps=steps)
    stage("4/6 sample")
    sample(run, out=samples, count=60)
    stage("5/6 evaluate")
    evaluate(run, data=motions, recogniser=judge, out=results, seeds=3, count=200)
    stage("6/6 render")
    render(samples, out=video)
    render(samples, out=strip)
    stage("done")
    for path, what in (
        (motions, "the data set: real or synthetic clips"),
        (judge, "the recogniser's run"),
        (run, "the generator's run"),
        (samples, "60 generated motions"),
        (results, "their scores"),
        (video, "a grid of them to watch"),
        (strip, "one of them as a picture"),
    ):
        say(console, f"  {path!s:32} {what}")
