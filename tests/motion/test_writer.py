"""A motion file written clip by clip is the file written at once."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mdtool.errors import MdtoolError
from mdtool.motion.file import read_motions, write_motions
from mdtool.motion.motion import Motion, MotionSet
from mdtool.motion.writer import write_clips


def some_clips() -> list[Motion]:
    """Three clips, one without an action."""
    rng = np.random.default_rng(0)

    def clip(frames: int, action: str, split: int) -> Motion:
        rot6d = rng.standard_normal((frames, 24, 6)).astype(np.float32)
        root = rng.standard_normal((frames, 3)).astype(np.float32)
        return Motion(rot6d, root, 30.0, action, split, "p001", f"clip of {frames}")

    return [clip(70, "run", 0), clip(3, "", 1), clip(61, "walk", 1)]


@pytest.mark.parametrize("most_frames", [134, 500])
def test_the_same_file_as_at_once(tmp_path: Path, most_frames: int) -> None:
    clips, actions, record = some_clips(), ["walk", "run"], {"seed": 3}
    table = write_clips(tmp_path / "a.h5", iter(clips), actions, record, most_frames, 5)
    write_motions(tmp_path / "b.h5", MotionSet.from_clips(clips, actions, record))
    streamed, at_once = read_motions(tmp_path / "a.h5"), read_motions(tmp_path / "b.h5")
    for name in ("rot6d", "root", "start", "fps", "action", "split"):
        np.testing.assert_array_equal(getattr(streamed, name), getattr(at_once, name))
    assert (streamed.actions, streamed.subject, streamed.name) == (at_once.actions, at_once.subject, at_once.name)
    assert streamed.provenance == at_once.provenance
    assert (len(table), table.lengths.tolist(), table.start.tolist()) == (3, [70, 3, 61], [0, 70, 73, 134])


def test_one_clip_at_a_time_is_in_memory(tmp_path: Path) -> None:
    alive: list[weakref.ref] = []

    def clips() -> Iterator[Motion]:
        for _ in range(4):
            clip = replace(some_clips()[0], rot6d=np.zeros((70, 24, 6), np.float32))
            alive.append(weakref.ref(clip.rot6d))
            yield clip
            del clip
            assert sum(array() is not None for array in alive) <= 1

    write_clips(tmp_path / "m.h5", clips(), ["run"], {}, 280, 4)
    assert len(alive) == 4


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "m.h5"
    first, *others = some_clips()
    broken = replace(first, root=np.full_like(first.root, np.nan))
    for clips, message in (
        ([], "no clip could be used"),
        ([first, broken], "root of clip of 70 holds NaN"),
        ([first, *others, replace(first, action="fly")], "unknown action 'fly'"),
    ):
        with pytest.raises(MdtoolError, match=message):
            write_clips(out, clips, ["run", "walk"], {}, 300, 4)
    assert not list(tmp_path.iterdir())
