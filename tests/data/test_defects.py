"""Signs of broken recordings: seen where they are, not seen where they are not."""

from __future__ import annotations

import numpy as np

from mdtool.data.defects import motion_defects
from mdtool.motion.motion import Motion


def _standing(frames: int = 40, fps: float = 30.0) -> Motion:
    rot6d = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (frames, 24, 1))
    return Motion(rot6d, np.tile(np.array([0, 1.007, 0], np.float32), (frames, 1)), fps)


def test_a_standing_person_is_fine() -> None:
    assert motion_defects(_standing()) == []
    assert motion_defects(_standing(1)) == []


def test_a_jump_between_two_frames_is_too_fast() -> None:
    motion = _standing()
    motion.root[20:, 2] += 0.6  # 18 m/s at 30 fps
    (problem,) = motion_defects(motion)
    assert "18 m/s at frame 19" in problem
    motion.root[20:, 2] -= 0.2  # 12 m/s
    assert motion_defects(motion) == []


def test_a_hand_that_flips_is_named() -> None:
    motion = _standing(fps=120.0)
    motion.rot6d[10:, 16] = [-1, 0, 0, 0, -1, 0]
    (problem,) = motion_defects(motion)
    assert problem.startswith("left_hand moves at 147 m/s")  # 2 · 0.614 m in 1/120 s


def test_feet_under_the_floor() -> None:
    motion = _standing()
    motion.root[:, 1] -= 0.09
    assert motion_defects(motion) == ["its feet are 0.09 m below the floor"]
    motion.root[:, 1] += 0.05
    assert motion_defects(motion) == []


def test_one_frame_under_the_floor_is_no_wrong_floor() -> None:
    motion = _standing()
    motion.root[7, 1] -= 0.3
    assert motion_defects(motion) == []
