"""`mdtool bench`: how fast this machine trains, samples and draws."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdtool.cli.terminal import say


def bench(
    out: Annotated[Path, typer.Option(help="JSON file to write.")] = Path("bench.json"),
    preset: Annotated[str, typer.Option(help="Preset whose network is timed.")] = "thesis",
    batch: Annotated[int, typer.Option(min=1, help="Windows per step.")] = 64,
    actions: Annotated[int, typer.Option(min=1, help="Number of action labels.")] = 40,
    repeats: Annotated[int, typer.Option(min=1, help="Timed repeats; medians are reported.")] = 3,
    precision: Annotated[list[str] | None, typer.Option(help="fp32 and/or bf16; both by default.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; all cores by default.")] = None,
    drawing: Annotated[bool, typer.Option(help="Also time 60 frames at 720p, encoding included.")] = True,
) -> None:
    """Time training and sampling in each precision, beside the machine's own matrix-product rate, and drawing.

    Machines drift: compare rows of one run with each other, not with those of another run.
    """
    import json

    from rich.console import Console
    from rich.table import Table

    from mdtool.atomic import require_writable, write_text
    from mdtool.config import load_preset
    from mdtool.evaluation import bench as measure
    from mdtool.methods.registry import build_generator
    from mdtool.training.device import prepare

    require_writable(out)
    where = prepare(device, threads)
    table = load_preset(preset)
    labels = [f"action {k}" for k in range(actions)]
    rows = []
    console = Console(markup=False)
    for name in precision or ["fp32", "bf16"]:
        say(console, f"timing {preset} in {name}, batch {batch} …")
        method = build_generator(table["method"], table["model"], labels, 30.0)
        rows.append(measure.bench(method, batch, where, name, repeats))
    result: dict[str, object] = {"machine": measure.machine(where), "preset": preset, "batch": batch, "rows": rows}
    if drawing:
        from mdtool.render.bench import bench_rendering

        say(console, "timing 60 frames at 720p …")
        result["drawing"] = drawn = bench_rendering(threads)
    write_text(out, json.dumps(result, indent=2) + "\n")
    shown = Table("", *(row["precision"] for row in rows), title=f"{preset}, batch {batch}, {where}")
    for key in rows[0]:
        if key != "precision":
            shown.add_row(key, *(f"{row[key]:.4g}" for row in rows))
    console.print(shown)
    if drawing:
        say(
            console,
            f"60 frames at 720p, drawn and encoded: {drawn['render_and_encode_s']:.1f} s, "
            f"{drawn['processor_s']:.1f} s of processor time",
        )
    say(console, f"wrote {out}")
