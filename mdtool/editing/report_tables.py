"""Reports of edits as tables for people."""

from __future__ import annotations

import numpy as np
from rich.table import Table

from mdtool.editing.report import EditReport


def target_table(report: EditReport) -> Table:
    """Wanted and reached."""
    title, count = report.name, len(report.restarts)
    if count > 1:
        others = ", ".join(f"{loss:.4g}" for loss in sorted(report.restarts)[1:])
        title += f": best of {count} restarts, objective {report.loss:.4g} (others {others})"
    table = Table("request", "wants", "frames", "before", "after", "worst", "must", title=title, title_justify="left")
    for row in report.targets:
        scale, unit = {"m": (100.0, "cm"), "rad": (180 / np.pi, "°")}.get(row.unit, (1.0, row.unit))
        before = "" if row.before is None else f"{scale * row.before:.1f}"
        must = "" if row.must is None else f"{scale * row.must:.1f} {'MISSED' if row.missed else 'met'}"
        table.add_row(
            row.key, row.what, row.frames, before, f"{scale * row.error:.1f} {unit}", f"{scale * row.worst:.1f}", must
        )
    return table


def change_table(report: EditReport) -> Table:
    """The whole motion before and after."""
    table = Table("measure", "unit", "before", "after")
    for row in report.changes:
        table.add_row(row.measure, row.unit, "" if row.before is None else f"{row.before:.2f}", f"{row.after:.2f}")
    return table


def search_line(report: EditReport) -> str:
    """What the search minimised, from its first step to its last; empty where there was none.

    Of a fit in several stages, how far it was off after each.
    """
    course = report.course
    if course is None or not course.steps:
        return ""
    objective = course.losses["objective"]
    line = f"search: objective {objective[0]:.4g} → {objective[-1]:.4g}"
    if len(report.stages) < 2:
        return line
    told = [f"{one.stage} {100 * one.error_m:.1f} cm (steps: {one.steps})" for one in report.stages]
    return f"{line}; off after each stage: {', '.join(told)}"
