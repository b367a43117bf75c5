"""Which body to draw or export: the built-in mannequin, or a body model that the user names."""

from __future__ import annotations

from pathlib import Path

from mdtool.body.mannequin import mannequin
from mdtool.body.skinning import Body


def named_body(path: Path | None) -> Body:
    """The mannequin when `path` is None, else the SMPL, SMPL-H or SMPL-X model of a file or a folder.

    Raises:
        MdtoolError: there is no such file, or no body model in it.
    """
    if path is None:
        return mannequin()
    from mdtool.body.smpl import smpl_body

    return smpl_body(path)
