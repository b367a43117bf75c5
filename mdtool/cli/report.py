"""`mdtool report`: runs → tables, claims and figures, in a folder or in one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdtool.cli.refusals import refuse_given
from mdtool.cli.terminal import progress_bar, say, say_next
from mdtool.wording import file_size


def report(
    target: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="TARGET",
            help="Runs, folders of runs, or results files of runs; runs/ by default.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder to write, or an .html file: one page with plots and samples to play.")
    ] = Path("report"),
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes that draw poses; all cores by default.")] = None,
) -> None:
    """Write the thesis's tables and figures from evaluated runs, ours beside the published numbers.

    Rows of different protocols, recognisers, recordings, counts or sampling stand in blocks of their own. Claims of the
    thesis are checked against what was measured. Evaluate first: `mdtool evaluate RUN --checkpoint all`, or `last`,
    keeps scores in the run.
    """
    from rich.console import Console

    from mdtool.atomic import require_writable
    from mdtool.report.claims import check_claims
    from mdtool.report.collect import read_study
    from mdtool.report.document import write_report

    console = Console(markup=False)
    study = read_study(target or [Path("runs")])
    for error in study.passed_over:
        say(console, f"note: passed over {error}")
    if not any(run.evaluations for run in study.runs):
        keep = f"`mdtool evaluate {study.runs[0].path} --checkpoint last` keeps them in the run"
        say(console, f"note: no scores: {keep}, or name a results.json beside the runs")
    if out.suffix.lower() == ".html":
        refuse_given({"--jobs": jobs}, "means nothing in a page, whose player draws the poses: leave it out")
        from mdtool.report.page import write_report_page

        require_writable(out)
        parts = write_report_page(out, study)
        say(console, f"wrote {out}: {', '.join(parts).lower()}; {file_size(out.stat().st_size)}, works offline")
        say_next(console, "open", out)
        return
    require_writable(out / "report.md")
    with progress_bar(console, "drawing poses") as show:
        written = write_report(out, study, jobs, show)
    if out / "claims.md" in written:
        for claim in check_claims(study):
            say(console, f"({claim.name}) {claim.sentence}: {claim.verdict}. {claim.evidence}")
    say(console, f"wrote {written[0]} and {len(written) - 1} tables and figures beside it")
    run = next((run.path for run in study.runs if run.samples), study.runs[-1].path)
    samples = run / "samples.h5"
    follow = ("render", samples, "--out", "video.mp4") if samples.exists() else ("sample", run)
    say_next(console, "mdtool", *follow)
