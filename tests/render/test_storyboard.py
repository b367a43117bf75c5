"""Storyboards: the panels show the most different poses, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mdtool.body.skinning import Body
from mdtool.motion.motion import Motion
from mdtool.render.exhibit import exhibits
from mdtool.render.grid import GAP_PX
from mdtool.render.storyboard import key_frames, storyboard_picture

MakeMotion = Callable[..., Motion]


def nodding(make_motion: MakeMotion) -> Motion:
    """Stands still but for two bows, in frames 10 to 14 forwards and in frames 30 to 34 backwards."""
    motion = make_motion(frames=50)
    rot6d = motion.rot6d.copy()
    for begin, angle in ((10, 0.8), (30, -0.8)):
        rot6d[begin : begin + 5, 3] = [1, 0, 0, 0, np.cos(angle), -np.sin(angle)]
    return replace(motion, rot6d=rot6d)


def test_key_frames_are_the_first_and_the_most_different(make_motion: MakeMotion) -> None:
    frames = key_frames(nodding(make_motion), 4)
    assert frames[0] == 0
    assert sum(10 <= frame < 15 for frame in frames) == 1
    assert sum(30 <= frame < 35 for frame in frames) == 1


def test_key_frames_never_repeat(make_motion: MakeMotion) -> None:
    still = make_motion(frames=6)
    assert key_frames(make_motion(frames=9), 3).tolist() == [0, 4, 8]
    assert key_frames(still, 4).tolist() == sorted(set(key_frames(still, 4).tolist()))
    assert key_frames(still, 99).tolist() == list(range(6))
    assert key_frames(make_motion(frames=6, speed=3.0), 2)[0] == 0  # going somewhere is no other pose


def test_panels_fill_rows_of_four_and_say_their_number(make_motion: MakeMotion, ball_body: Body) -> None:
    shown = exhibits([nodding(make_motion), make_motion(frames=3)])
    done = []
    board = storyboard_picture(shown, ball_body, 6, workers=1, progress=lambda *pieces: done.append(pieces))
    # The second clip has three frames and so three panels.
    assert board.shape == (3 * 400 + 2 * GAP_PX, 4 * 400 + 3 * GAP_PX, 3)
    assert done == [(1, 2), (2, 2)]
    assert (board[401 + GAP_PX : 800, 820:] == 255).all()  # two panels of the second row stay white
    plain = storyboard_picture(shown[:1], ball_body, 2, workers=1, captions=False)
    named = storyboard_picture(shown[:1], ball_body, 2, workers=1)
    changed = np.argwhere((plain != named).any(axis=2))
    assert len(changed) > 100
    assert ((changed[:, 0] < 40) | (changed[:, 0] > 350)).all()
