"""The motion file of an edit: its clips, the noise that made them, and how they came to be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mdtool.editing.edited import Edited
from mdtool.editing.marking import marks
from mdtool.methods.generate import Generator
from mdtool.motion.file import provenance, write_motions
from mdtool.motion.marks import KEY
from mdtool.motion.motion import MotionSet


def write_edits(path: Path, edits: Sequence[Edited], generator: Generator, run: str) -> None:
    """Write all motions of some edits, atomically.

    Provenance has the lineage (hashes of the inputs, their clips, seeds, the edits before in a chain), the requests as
    they were understood, the weights, so that the next edit can begin with the stored noise, and the marks of targets
    and obstacles.

    Raises:
        MdtoolError: the place cannot be written.
    """
    clips = [motion for edited in edits for motion in edited.motions]
    motions = MotionSet.from_clips(clips, generator.actions)
    parents = {edited.plan.source.path for edited in edits if edited.plan.source.path is not None}
    motions.provenance = provenance(
        sorted(parents),
        run=run,
        weights=generator.weights,
        checkpoint_sha256=generator.sha256,
        edits=[{**_told(edited), "earlier": [_told(each) for each in edited.history]} for edited in edits],
        inputs=[
            {
                "clip": edited.plan.source.clip,
                "first": edited.plan.source.first,
                "frames": edited.plan.frames if edited.before is None else len(edited.before),
            }
            for edited in edits
            for _ in edited.motions
        ],
        **{KEY: [marks(edited.plan).plain() for edited in edits for _ in edited.motions]},
    )
    write_motions(path, motions)


def _told(edited: Edited) -> dict[str, Any]:
    """How one edit came to be."""
    source = edited.plan.source
    return {
        "task": edited.plan.task,
        "request": edited.plan.request.model_dump(mode="json", exclude_defaults=True, by_alias=True),
        "file": edited.plan.document.file,
        "parent": None if source.path is None else source.path.name,
        "clip": source.clip,
        "seed": edited.plan.request.run.seed,
        "steps": edited.steps,
        "ended": edited.ended,
        "start": edited.start.how,
    }
