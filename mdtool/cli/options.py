"""Options that several verbs take, so that each is told in one way."""

from __future__ import annotations

from typing import Annotated

import typer

from mdtool.cli.numbers import finite

Device = Annotated[str, typer.Option(help="auto, cpu, or cuda.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; all cores by default.")]
Weights = Annotated[str | None, typer.Option(help="raw, or ema:DECAY; the slowest EMA by default.")]
DiffusionSteps = Annotated[int | None, typer.Option(min=1, help="Diffusion steps; fewer is faster.")]
Sampler = Annotated[str | None, typer.Option(help="ddpm, ddim, dpm++, few-step or heun; the preset's own by default.")]
Guidance = Annotated[
    float | None,
    typer.Option(callback=finite, help="Classifier-free guidance scale, 1 is off; the preset's own by default."),
]
