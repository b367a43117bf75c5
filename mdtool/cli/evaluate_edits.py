"""`mdtool evaluate EDITED --before FILE`: edits against what they were."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mdtool.cli.terminal import say, say_next
from mdtool.wording import counted

if TYPE_CHECKING:
    from rich.console import Console


def evaluate_edits(target: Path, before: Path, out: Path, console: Console) -> None:
    """Print a table of all clips and write every clip's numbers as JSON.

    Raises:
        MdtoolError: one of the files is unusable, or they do not belong together.
    """
    import json
    import math

    from rich.table import Table

    from mdtool.atomic import write_text
    from mdtool.editing.source import load_source
    from mdtool.errors import MdtoolError
    from mdtool.evaluation.edits import edit_scores
    from mdtool.motion.file import provenance, read_motions
    from mdtool.motion.marks import marks_of

    edited = read_motions(target)
    came = edited.provenance.get("inputs")
    if came is None or len(came) != len(edited):
        raise MdtoolError(f"{target} was not made by `mdtool edit`: --before goes with edited files")
    inputs, compared = [], []
    for entry, whole in zip(came, edited, strict=True):
        # A blend goes on after its input.
        motion = whole.slice(0, min(int(entry.get("frames", len(whole))), len(whole)))
        compared.append(motion)
        frames = f"{entry['first']}-{entry['first'] + len(motion) - 1}"
        source = load_source(before, int(entry["clip"]), frames, motion.fps, False)
        if source.motion is None:
            raise MdtoolError(f"{before} holds joint places: --before takes a motion file")
        inputs.append(source.motion)
    scores = edit_scores(compared, inputs, [marks_of(edited.provenance, k) for k in range(len(edited))])
    title = f"{target}: {counted(len(edited), 'edit')} of {before}"
    table = Table("measure", "unit", "before", "after", title=title, title_justify="left")
    for score in scores:
        table.add_row(score.measure, score.unit, *("" if math.isnan(mean) else f"{mean:.3f}" for mean in score.means))
    console.print(table)

    def plain(values: list[float]) -> list[float | None]:
        return [None if math.isnan(value) else value for value in values]

    found = [{"measure": s.measure, "unit": s.unit, "before": plain(s.before), "after": plain(s.after)} for s in scores]
    write_text(out, json.dumps({"edits": found, "provenance": provenance([target, before])}, indent=1) + "\n")
    say(console, f"wrote {out}")
    shown = ("--beside", before, "--ghost", "--show", "targets")
    say_next(console, "mdtool", "render", target, *shown, "--out", "video.mp4")
