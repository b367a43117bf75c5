"""Joint places from elsewhere: what is wrong with their file is told in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mdtool.editing.source import load_source
from mdtool.errors import MdtoolError


def test_a_damaged_archive_of_joints_is_told(tmp_path: Path) -> None:
    path = tmp_path / "noisy.npz"
    np.savez(path, joints=np.zeros((5, 22, 3)), fps=20.0)
    assert len(load_source(path, 0, None, 20.0, False)) == 5
    whole = path.read_bytes()
    for content in (whole[:100], whole[:40] + b"?" * 40 + whole[80:], b""):
        path.write_bytes(content)
        with pytest.raises(MdtoolError, match=r"joint places are an \.npz file"):
            load_source(path, 0, None, 20.0, False)
