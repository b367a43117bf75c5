"""`mdtool sample`: run → motion file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdtool.cli.terminal import say


def sample(
    run: Annotated[Path | None, typer.Argument(help="Run folder; the newest under runs/ by default.")] = None,
    out: Annotated[Path, typer.Option(help="Motion file to write.")] = Path("sample.h5"),
    action: Annotated[
        list[str] | None, typer.Option(help="Action to make; repeat for several; all by default.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of motions, spread evenly over the actions.")] = 16,
    seed: Annotated[int, typer.Option(help="Sample i of a seed is the same motion in any batch.")] = 0,
    first: Annotated[int, typer.Option(min=0, help="Index of the first sample of the seed.")] = 0,
    steps: Annotated[int | None, typer.Option(min=1, help="Diffusion steps; fewer is faster.")] = None,
    sampler: Annotated[str | None, typer.Option(help="ddpm, ddim or heun; the preset's own by default.")] = None,
    guidance: Annotated[
        float | None, typer.Option(help="Classifier-free guidance scale, 1 is off; the preset's own by default.")
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Scale of ddpm's step noise; below 1: likelier, less various motion."),
    ] = None,
    autoguidance: Annotated[
        float | None, typer.Option(help="Scale of guidance by an earlier step of the run; 1 is off. Needs --guide.")
    ] = None,
    guide: Annotated[
        int | None, typer.Option(min=1, help="Kept step to guide away from, such as a quarter of the training.")
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames per motion; as trained by default.")] = None,
    weights: Annotated[str | None, typer.Option(help="raw, or ema:DECAY; the slowest EMA by default.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Motions per network call.")] = 64,
    device: Annotated[str, typer.Option(help="auto, cpu, or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; all cores by default.")] = None,
) -> None:
    """Make motions with a trained run.

    `torchrun --nproc-per-node 4 -m mdtool sample …` shares the batches among four processes; the motions are the same.
    """
    import time

    from rich.console import Console
    from rich.progress import Progress

    from mdtool.atomic import require_writable
    from mdtool.errors import MdtoolError
    from mdtool.motion.file import provenance, write_motions
    from mdtool.training.distributed import join
    from mdtool.training.run import load_generator, newest_run

    require_writable(out)
    where, ranks = join(device, threads)
    console = Console(markup=False, quiet=not ranks.first)
    run = run or newest_run(Path("runs"), makes_motion=True)
    generator = load_generator(run, weights, where, ranks)
    generator.options = {"steps": steps, "sampler": sampler, "guidance": guidance, "temperature": temperature}
    if (autoguidance is None) != (guide is None):
        raise MdtoolError("--autoguidance and --guide go together: a scale, and the step to guide away from")
    if guide is not None:
        if not generator.method.autoguides:
            raise MdtoolError(f"{run}: its method takes no --autoguidance")
        weaker = load_generator(run, weights, where, step=guide).method
        generator.options |= {"guide": weaker, "autoguidance": autoguidance}
    if action and not generator.conditional:
        raise MdtoolError(f"{run} was trained without actions: leave out --action")
    for name in action or []:
        if name not in generator.actions:
            raise MdtoolError(f"unknown action {name!r}: {run} knows {', '.join(generator.actions)}")
    labels = [generator.actions.index(name) for name in action or generator.actions] if generator.conditional else [-1]
    wanted = [labels[k % len(labels)] for k in range(count)]
    if count <= batch * (ranks.world - 1):
        say(console, f"note: {count} motions in batches of {batch} leave ranks idle; a smaller --batch gives them work")
    started_s = time.monotonic()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("sampling", total=count)
        try:
            motions = generator.sample(
                wanted,
                seed,
                first,
                batch,
                frames,
                keep_noise=True,
                progress=lambda done: progress.update(task, completed=done),
            )
        except MdtoolError as error:
            raise MdtoolError(f"{run}: {error}") from error
    motions.provenance = provenance(
        run=str(run), weights=generator.weights, checkpoint_sha256=generator.sha256, seed=seed, first=first,
        steps=steps, sampler=sampler, guidance=guidance, temperature=temperature,
        autoguidance=autoguidance, guide=guide,
    )  # fmt: skip
    if ranks.first:
        write_motions(out, motions)
    ranks.leave()
    took_s = time.monotonic() - started_s
    say(
        console,
        f"wrote {out}: {count} motions of {generator.method.frames if frames is None else frames} frames at "
        f"{generator.fps:g} fps from {run} ({generator.weights}), {took_s:.1f} s",
    )
    say(console, f"next: mdtool render {out} --out video.mp4")
