"""`mdtool rates`: how a generator does at every frame rate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdtool.cli.numbers import finite
from mdtool.cli.options import Threads, Weights
from mdtool.cli.refusals import refuse_given
from mdtool.cli.terminal import progress_bar, say, say_next

if TYPE_CHECKING:
    from rich.table import Table

_CLIPS = 4000
"""Per side of clip-FID, when the caller does not say."""


def rates(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run of a generator; one without a time axis is lifted by slerp.")
    ],
    data: Annotated[Path, typer.Option(help="Recordings at their own frame rates.")] = Path("motions.h5"),
    features: Annotated[
        Path | None, typer.Option(help="Run of clip-features, for clip-FID; without it reconstruction alone.")
    ] = None,
    fps: Annotated[
        list[float] | None, typer.Option(callback=finite, min=1, help="Rates; 20, 40, 60, 100, 120 by default.")
    ] = None,
    count: Annotated[int, typer.Option(min=40, max=1_000_000, help="Clips per side of clip-FID.")] = _CLIPS,
    split: Annotated[
        str, typer.Option(help="Recordings that clip-FID compares with: train, test (as published), or both.")
    ] = "both",
    fits: Annotated[
        int, typer.Option(min=0, help="Recordings per split that are fitted for reconstruction; 0 leaves it out.")
    ] = 100,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats of clip-FID, each with a seed of its own.")] = 1,
    lift_from: Annotated[
        float | None,
        typer.Option(callback=finite, min=1, help="Rate at which clip-FID's motions are made, to be lifted by slerp."),
    ] = None,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(help="First seed of samples and clips.")] = 0,
    out: Annotated[Path, typer.Option(help="JSON file to write.")] = Path("rates.json"),
    threads: Threads = None,
) -> None:
    """Score a run at every frame rate: clip-FID beside its floor, reconstruction of train and unseen recordings.

    Only recordings made at a rate or faster count at it. Joint errors are of the latents that training found, if the
    recordings have the names of those it saw, and of fitted ones: at all instants, and at every second frame when the
    field has seen the others only, beside slerp.
    """
    import json

    from rich.console import Console
    from rich.table import Table

    from mdtool.atomic import require_writable, write_text
    from mdtool.errors import MdtoolError
    from mdtool.evaluation.rates import CLIP_FID, RECONSTRUCTION, clip_fid, learnt_latents, reconstruction
    from mdtool.methods.clip_features import ClipFeatures
    from mdtool.methods.contract import FieldMethod
    from mdtool.methods.generate import Generator
    from mdtool.motion.file import file_sha256, provenance, read_motions
    from mdtool.motion.motion import SPLITS, splits_named
    from mdtool.training.checkpoint import RunFolder
    from mdtool.training.device import prepare
    from mdtool.training.run import load_generator, load_method

    splits = splits_named(split)
    if features is None:
        of_clip_fid = {
            "--count": count != _CLIPS, "--split": split != "both", "--repeats": repeats != 1, "--lift-from": lift_from,
        }  # fmt: skip
        refuse_given(of_clip_fid, "is of clip-FID, which needs --features")
    require_writable(out)
    prepare("cpu", threads)
    recordings, console = read_motions(data), Console(markup=False)
    asked = sorted(fps or [20.0, 40.0, 60.0, 100.0, 120.0])
    result: dict[str, object] = {"run": str(run), "data": str(data), "clips": count, "seed": seed, "repeats": repeats}
    tables: list[tuple[str, tuple[str, ...], list[dict[str, Any]], float]] = []
    if features is not None:
        extractor, _, sha256 = load_method(features)
        if not isinstance(extractor, ClipFeatures):
            raise MdtoolError(f"{features} is no run of clip-features: `mdtool train --method clip-features` makes one")
        generator: Generator = load_generator(run, weights)
        if lift_from is not None and not isinstance(generator.method, FieldMethod):
            raise MdtoolError(f"{run} has no time axis and is lifted by slerp as it is: leave --lift-from out")
        with progress_bar(console, "clip-FID") as show:
            seeds = range(seed, seed + repeats)
            found = clip_fid(generator, recordings, extractor, asked, count, splits, seeds, lift_from, show)
        result |= {"clip_fid": found, "split": split, "lift_from": lift_from}
        result["extractor_sha256"] = sha256
        for row in found:
            if row["why"]:
                say(console, f"note: no clip-FID at {row['fps']:g} fps: {row['why']}")
        title = f"clip-FID, {count} clips of {extractor.frames} poses, extractor {sha256[:12]}"
        tables.append((title, CLIP_FID[repeats > 1], found, 1.0))
    method, track, sha256 = load_method(run, weights)
    if isinstance(method, FieldMethod) and fits:
        about = RunFolder(run).read_config()
        trained_on = Path(about.data)
        known = trained_on.exists() and file_sha256(trained_on) == about.data_sha256
        learnt = learnt_latents(method, read_motions(trained_on)) if known else None
        if learnt is None:
            say(console, f"note: {trained_on} is not here as the run saw it: no errors of the latents that it learnt")
        for part in sorted({int(value) for value in recordings.split}):
            say(console, f"fitting {SPLITS[part]} recordings …")
            rows = reconstruction(method, recordings, part, asked, fits, seed, learnt)
            result[f"reconstruction_{SPLITS[part]}"] = rows
            tables.append(
                (
                    f"{SPLITS[part]} recordings, joint errors in mm",
                    ("fps", "recordings", *RECONSTRUCTION),
                    rows,
                    1000.0,
                )
            )
    elif features is None:
        why = "has no time axis to reconstruct with" if fits else "is asked for no reconstruction"
        raise MdtoolError(f"{run} {why}: give --features for its clip-FID")
    result["provenance"] = provenance([data], weights=track, checkpoint_sha256=sha256)
    write_text(out, json.dumps(result, indent=1) + "\n")
    for title, columns, found, units in tables:
        shown = Table(*(key.removesuffix("_m").replace("_", " ") for key in columns), title=title, title_justify="left")
        for row in found:
            shown.add_row(*(_cell(row[key], units if key.endswith("_m") else 1.0) for key in columns))
        console.print(shown)
        if columns in CLIP_FID:
            console.print(_jerk_table(found))
    say(console, f"wrote {out}")
    at_any_rate = isinstance(method, FieldMethod)
    say_next(console, "mdtool", "sample", run, *(("--fps", f"{asked[-1]:g}") if at_any_rate else ()))


def _jerk_table(rows: list[dict[str, Any]]) -> Table:
    """Of what was made and of the recordings, by frequency; bands above half a rate are empty."""
    from rich.table import Table

    from mdtool.methods.clip_features import BANDS

    bands = [f"{low:g}-{high:g} Hz" for low, high in BANDS]
    shown = Table("fps", *bands, title="jerk, m/s³: made / recorded", title_justify="left")
    for row in rows:
        pairs = zip(BANDS, row["jerk"] or (), row["jerk_real"] or (), strict=False)
        cells = [f"{one:.3g} / {other:.3g}" if low < row["fps"] / 2 else "–" for (low, _), one, other in pairs]
        shown.add_row(f"{row['fps']:g}", *(cells or ["–"] * len(bands)))
    return shown


def _cell(value: float | None, units: float) -> str:
    return "–" if value is None else f"{value * units:.4g}"
