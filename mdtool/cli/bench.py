"""`mdtool bench`: how fast this machine trains, samples and draws."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdtool.cli.options import Device, Threads
from mdtool.cli.refusals import refuse_given
from mdtool.cli.terminal import say

_PRESET, _ACTIONS = "thesis", 40
"""What is timed when the caller does not say."""


def bench(
    out: Annotated[Path, typer.Option(help="JSON file to write.")] = Path("bench.json"),
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,RUN,…",
            help="Instead of a preset, trained runs side by side: run folders, or methods whose newest run counts.",
        ),
    ] = None,
    preset: Annotated[str, typer.Option(help="Preset whose network is timed.")] = _PRESET,
    batch: Annotated[int, typer.Option(min=1, help="Windows per step.")] = 64,
    actions: Annotated[int, typer.Option(min=1, help="Number of action labels.")] = _ACTIONS,
    repeats: Annotated[int, typer.Option(min=1, help="Timed repeats; medians are reported.")] = 3,
    precision: Annotated[
        list[str] | None, typer.Option(help="fp32 and/or bf16; by default those that the device has in hardware.")
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    drawing: Annotated[
        bool, typer.Option(help="Also time 60 frames at 720p, encoding included, and a GLB of 16 clips.")
    ] = True,
) -> None:
    """Time training and sampling in each precision, beside the machine's own matrix-product rate, and drawing.

    Machines drift: compare rows of one run with each other, not with those of another run.
    """
    import json

    from rich.console import Console
    from rich.table import Table

    from mdtool.atomic import require_writable, write_text
    from mdtool.config import load_preset
    from mdtool.errors import MdtoolError
    from mdtool.evaluation import bench as measure
    from mdtool.methods.registry import build_generator
    from mdtool.training.device import native_precisions, prepare

    unknown = [name for name in precision or [] if name not in ("fp32", "bf16")]
    if unknown:
        raise MdtoolError(f"--precision must be fp32 or bf16, not {unknown[0]!r}")
    require_writable(out)
    if methods is not None:
        of_a_preset = {
            "--preset": preset != _PRESET,
            "--actions": actions != _ACTIONS,
            "--precision": bool(precision),
            f"--device {device}": device not in ("auto", "cpu"),
        }
        refuse_given(of_a_preset, "means nothing with --methods, which times runs as they are and on the CPU")
        _families(methods, out, batch, repeats, threads)
        return
    where = prepare(device, threads)
    table = load_preset(preset)
    labels = [f"action {k}" for k in range(actions)]
    rows = []
    console = Console(markup=False)
    native = native_precisions(where)
    if not precision and len(native) == 1:
        say(console, "bf16 is emulated on this device: --precision bf16 times it all the same, for minutes")
    for name in precision or native:
        say(console, f"timing {preset} in {name}, batch {batch} …")
        method = build_generator(table.get("method", "mdm"), table.get("model", {}), labels, 30.0)
        rows.append(measure.bench(method, batch, where, name, repeats))
    result: dict[str, object] = {"machine": measure.machine(where), "preset": preset, "batch": batch, "rows": rows}
    if drawing:
        from mdtool.export.bench import bench_glb
        from mdtool.render.bench import bench_rendering

        say(console, "timing 60 frames at 720p …")
        result["drawing"] = drawn = bench_rendering(threads)
        result["glb"] = exported = bench_glb()
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
            f"{drawn['processor_s']:.1f} s of processor time; a GLB of 16 clips: {exported['write_s']:.2f} s",
        )
    say(console, f"wrote {out}")


def _families(methods: str, out: Path, batch: int, repeats: int, threads: int | None) -> None:
    """Measure the named runs one after the other, and print one table of them."""
    import json
    import os

    import torch
    from rich.console import Console
    from rich.table import Table

    from mdtool.atomic import write_text
    from mdtool.editing.bench import bench_edit
    from mdtool.errors import MdtoolError
    from mdtool.evaluation.bench import machine
    from mdtool.evaluation.families import compare, run_of

    console = Console(markup=False)
    runs = [run_of(name.strip(), Path("runs"), console) for name in methods.split(",") if name.strip()]
    if not runs:
        raise MdtoolError("--methods names no run: give run folders, or methods such as mdm,emdm")
    say(console, f"measuring {', '.join(map(str, runs))} …")
    rows = compare(runs, batch, repeats, threads or os.cpu_count() or 1, bench_edit)
    write_text(
        out, json.dumps({"machine": machine(torch.device("cpu")), "batch": batch, "rows": rows}, indent=2) + "\n"
    )
    shown = Table("", *(row["method"] for row in rows), title=f"families, batch {batch}, cpu")
    lines = (
        ("parameters", "parameters", 1), ("network calls per motion", "calls", 1), ("frames", "frames", 1),
        ("ms per motion, alone", "motion_s", 1e3), ("ms per motion at 120 fps", "motion_s_at_120", 1e3),
        ("motions per second", "motions_per_s", 1), ("ms per step of an edit's search", "search_step_s", 1e3),
        ("seconds of an edit", "edit_s", 1), ("its steps", "edit_steps", 1), ("its error, cm", "edit_error_m", 100),
        ("memory of a batch, MB", "peak_mb", 1), ("memory of a batch at 120 fps, MB", "peak_mb_at_120", 1),
        ("accuracy", "accuracy", 1), ("FID", "fid", 1), ("FID floor", "fid_floor", 1), ("motions scored", "count", 1),
    )  # fmt: skip
    for heading, key, units in lines:
        shown.add_row(heading, *("–" if row.get(key) is None else f"{row[key] * units:.4g}" for row in rows))
    console.print(shown)
    if len({(row.get("protocol"), row.get("count"), row.get("split")) for row in rows}) > 1:
        say(console, "note: scores of different protocols, counts or splits are not comparable, nor is a missing one")
    say(console, f"wrote {out}")
