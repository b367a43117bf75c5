"""A report on disk: Markdown with its tables, verdicts and figures, and each of them as a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mdtool.atomic import write_bytes, write_text
from mdtool.errors import MdtoolError
from mdtool.render.video import write_png
from mdtool.report.claims import check_claims, claims_to_markdown
from mdtool.report.collect import Study
from mdtool.report.figures import STRIP_EVERY, STRIP_FRAMES, study_plots, study_strip
from mdtool.report.tables import other_table, table_to_latex, table_to_markdown, thesis_tables


def write_report(
    folder: str | Path, study: Study, workers: int | None = None, progress: Callable[[int, int], None] | None = None
) -> list[Path]:
    """Write tables (Markdown, LaTeX), claims and figures (SVG, PNG) of a study, and report.md that shows them all.

    Args:
        workers: processes that draw the strip; all cores by default.
        progress: told (rows of the strip done, rows in all).

    Returns:
        Every file written, report.md first.

    Raises:
        MdtoolError: nothing was evaluated, or the folder cannot be written.
    """
    folder = Path(folder)
    if not study.setups():
        names = ", ".join(str(run.path) for run in study.runs)
        raise MdtoolError(
            f"nothing to report: no checkpoint of {names} was evaluated; try mdtool evaluate --checkpoint all"
        )
    parts, written = ["# Report\n"], [folder / "report.md"]
    thesis = thesis_tables(study)
    other = other_table(study)
    for table in [*thesis, *([other] if other else [])]:
        stem = f"table-{table.number}"
        parts.append(table_to_markdown(table))
        for suffix, text in ((".md", table_to_markdown(table)), (".tex", table_to_latex(table))):
            write_text(folder / f"{stem}{suffix}", text)
            written.append(folder / f"{stem}{suffix}")
    if thesis:
        claims = claims_to_markdown(check_claims(study))
        write_text(folder / "claims.md", claims)
        written.append(folder / "claims.md")
        parts.append(claims)
    for plot in study_plots(study):
        write_text(folder / f"{plot.name}.svg", plot.svg())
        write_bytes(folder / f"{plot.name}.png", plot.png())
        written += [folder / f"{plot.name}.svg", folder / f"{plot.name}.png"]
        parts.append(_shown(plot.name, f"{plot.name}.svg", plot.title, plot.caption))
    strip = study_strip(study, workers, progress)
    if strip is not None:
        run, picture = strip
        write_png(folder / "figure-4.3.png", picture)
        written.append(folder / "figure-4.3.png")
        caption = f"samples of {run.path.name}, every {STRIP_EVERY}rd frame of frames 1 to {STRIP_FRAMES}"
        parts.append(_shown("figure-4.3", "figure-4.3.png", "Poses", caption))
    write_text(folder / "report.md", "\n".join(parts))
    return written


def _shown(name: str, file: str, title: str, caption: str) -> str:
    heading = name.replace("-", " ").capitalize()
    return f"## {heading}: {title}\n\n![{title}]({file})\n\n{caption}\n"
