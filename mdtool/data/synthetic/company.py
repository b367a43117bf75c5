"""The catalogue of actions, and a company of virtual performers that carries them out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mdtool.data.synthetic.arms import arm_circling, punching, rotation_clapping
from mdtool.data.synthetic.assemble import assemble
from mdtool.data.synthetic.gait import alternate_knee_lifting, walking
from mdtool.data.synthetic.legs import jumping_jack, squatting
from mdtool.data.synthetic.performer import Take
from mdtool.data.synthetic.pose import Pose
from mdtool.data.synthetic.torso import head_anticlockwise_circling, left_stretching, standing_toe_touches
from mdtool.data.threads import one_thread
from mdtool.errors import MdtoolError
from mdtool.motion.file import provenance
from mdtool.motion.motion import TEST, TRAIN, Motion, MotionSet

EXERCISES: dict[str, Callable[[Take], Pose]] = {
    "jumping-jack": jumping_jack,
    "squatting": squatting,
    "left-stretching": left_stretching,
    "rotation-clapping": rotation_clapping,
    "punching": punching,
    "arm-circling": arm_circling,
    "head-anticlockwise-circling": head_anticlockwise_circling,
    "alternate-knee-lifting": alternate_knee_lifting,
    "standing-toe-touches": standing_toe_touches,
    "walking": walking,
}
"""How each action is performed."""
ACTIONS: tuple[str, ...] = tuple(EXERCISES)
"""Names of the actions, as UESTC has them where it has them; a clip's chance depends on the place in this list."""


def synthesise(
    clips_per_action: int,
    seed: int,
    fps: float = 30.0,
    actions: list[str] | None = None,
    test_fraction: float = 0.2,
    frames: tuple[int, int] = (90, 150),
) -> MotionSet:
    """Make clips of procedural actions; clip i of an action is the same however many others are made.

    Args:
        seed: not negative; decides the performers and every clip.
        actions: which of ACTIONS, in the order their labels are to have; all when not given.
        test_fraction: share of the performers, 0 <= share < 1, whose clips are the test split.
        frames: shortest and longest clip.

    Raises:
        MdtoolError: an unknown action, or a number that makes no sense.
    """
    names = list(ACTIONS) if actions is None else list(dict.fromkeys(actions))
    _check(clips_per_action, seed, fps, names, test_fraction, frames)
    with one_thread():
        clips = [
            _clip(name, clip, seed, fps, test_fraction, frames) for name in names for clip in range(clips_per_action)
        ]
    return MotionSet.from_clips(clips, names, provenance(source="synthetic", seed=seed))


def _clip(action: str, clip: int, seed: int, fps: float, test_fraction: float, frames: tuple[int, int]) -> Motion:
    take = Take(seed, ACTIONS.index(action), clip, fps, frames)
    facing_deg = float(np.clip(take.rng.normal(0, 8), -20, 20))
    place = (take.draw(-0.15, 0.15), take.draw(-0.15, 0.15))
    pose = take.imprecise(EXERCISES[action](take))
    rot6d, root = assemble(pose, facing_deg, place)
    return Motion(
        rot6d=rot6d,
        root=root,
        fps=float(fps),
        action=action,
        split=TEST if _is_tested(take.performer_index, test_fraction) else TRAIN,
        subject=f"performer-{take.performer_index}",
        name=f"synthetic/{action}/{clip:04d}",
    )


def _is_tested(performer: int, fraction: float) -> bool:
    """Spread the test performers evenly over the company, so that a few clips already have some of both."""
    return int((performer + 1) * fraction + 0.5) > int(performer * fraction + 0.5)


def _check(
    clips_per_action: int, seed: int, fps: float, names: list[str], test_fraction: float, frames: tuple[int, int]
) -> None:
    unknown = [name for name in names if name not in EXERCISES]
    if unknown:
        raise MdtoolError(f"unknown action {unknown[0]!r}: choose from {', '.join(ACTIONS)}")
    if not names:
        raise MdtoolError(f"no action to synthesise: choose from {', '.join(ACTIONS)}")
    if clips_per_action < 1:
        raise MdtoolError(f"cannot make {clips_per_action} clips per action: give 1 or more")
    if seed < 0:
        raise MdtoolError(f"cannot use the seed {seed}: give 0 or more")
    if not 5 <= fps <= 1000:
        raise MdtoolError(f"cannot synthesise at {fps} frames per second: give 5 to 1000")
    if not 0 <= test_fraction < 1:
        raise MdtoolError(f"cannot hold out a share of {test_fraction} for the test: give 0 up to less than 1")
    if not 2 <= frames[0] <= frames[1]:
        raise MdtoolError(f"cannot make clips of {frames[0]} to {frames[1]} frames: give two lengths from 2 on")
