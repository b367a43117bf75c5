"""Which body to draw or export: the built-in mannequin, or a body model that the user names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mdtool.body.mannequin import mannequin
from mdtool.body.skinning import Body
from mdtool.motion.motion import Motion


def named_body(path: Path | None, clips: Iterable[Motion] = ()) -> Body:
    """The mannequin when `path` is None, else the SMPL, SMPL-H or SMPL-X model of a file or a folder.

    Args:
        clips: who is to wear it: of a folder, the model is taken that their shapes belong to where they share one.

    Raises:
        MdtoolError: there is no such file, or no body model in it.
    """
    if path is None:
        return mannequin()
    from mdtool.body.smpl import smpl_body

    genders = {clip.gender for clip in clips if clip.betas is not None}
    return smpl_body(path, genders.pop() if len(genders) == 1 else "")
