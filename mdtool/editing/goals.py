"""What an edit wants, as functions of a body's motion: a loss to minimise, and an error to tell people.

Every goal works on numpy (reports, dry runs) and on torch (the search) alike. Losses are the paper's where it has
them (Karunratanakul et al. 2024): L1 over masked coordinates, and hinges on distances to obstacles.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mdtool.editing.detour import Detour
from mdtool.editing.document import Key
from mdtool.editing.obstacles import JOINT_RADII, Obstacle, nearest
from mdtool.editing.shapes import Coordinate, choose, like, off_axis, root
from mdtool.motion.contacts import CONTACT_HEIGHT, CONTACT_SPEED, SOLE_HEIGHTS
from mdtool.motion.skeleton import JOINT_NAMES

TOLERANCE_M = 0.01
"""A target without `must` counts as met within a centimetre."""
_STANDING_M_S = 0.2
"""Speed over the ground that the measured feet of a standing person have."""
_TOES = [1, 3]
"""Among `FEET`."""
_CLEARANCE_M = 0.04
"""Height over flat stance at which swinging toes clear the floor."""
_CALMEST_M = 1.25e-3
"""Mean third difference of a standing body at 20 frames per second (10 m/s³): nobody has to be calmer."""
_ALOFT_M_S = 1e3
"""Stands for the speed of a foot that does not touch the floor."""


@dataclass(frozen=True)
class BodyMotion:
    """A batch of motions as goals see them; all arrays numpy, or all torch."""

    positions: Any
    """[..., T, K, 3] joint places in the request's space, metres."""
    columns: dict[int, int]
    """Joint → its place among the K."""
    rot6d: Any
    """[..., T, 24, 6] local rotations; the pelvis' is turned with the space."""
    fps: float
    between: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """[E] frames with fractions, whose rows follow those of the whole frames in both arrays."""

    @property
    def whole(self) -> int:
        """How many whole frames there are."""
        return int(self.positions.shape[-3]) - len(self.between)

    def rows(self, frames: np.ndarray) -> np.ndarray:
        """Where frames [n] are among the rows of the arrays; those with fractions must be among `between`."""
        if frames.dtype.kind == "i":
            return frames
        found = np.where(frames == np.rint(frames), frames, self.whole + np.searchsorted(self.between, frames))
        return found.astype(np.int64)

    def of(self, joints: Sequence[int], frames: np.ndarray | None = None) -> Any:
        """Places [..., n, k, 3] of some joints at some frames; at all whole ones when not given."""
        rows = slice(0, self.whole) if frames is None else self.rows(frames)
        return self.positions[..., rows, :, :][..., [self.columns[joint] for joint in joints], :]

    def turns(self, frames: np.ndarray) -> Any:
        """Local rotations [..., n, 24, 6] at some frames."""
        return self.rot6d[..., self.rows(frames), :, :]


@dataclass(frozen=True)
class Goal(abc.ABC):
    """One thing that is wanted."""

    key: Key
    """Where the request says so."""
    weight: float
    must: float | None
    frames: np.ndarray
    """[n] the frames that it is about."""
    joints: tuple[int, ...]
    """The joints that it is about."""

    hard = True
    """Whether to aim at it to the tolerance; noisy observations and habits are not."""
    term = "goal"
    """Name of its part of the loss."""
    wish = ""
    """What it wants of its joints, in a word or two; the term by default."""
    unit = "m"

    @abc.abstractmethod
    def residual(self, body: BodyMotion) -> Coordinate:
        """What to minimise the mean of; [..., n]."""

    def error(self, body: BodyMotion) -> Coordinate:
        """How far it is missed at each of its frames, in its unit; [..., n]."""
        return self.residual(body)

    @property
    def tolerance(self) -> float:
        """Error up to which it is met."""
        return TOLERANCE_M if self.must is None else self.must


@dataclass(frozen=True)
class Places(Goal):
    """Joints at places: |J - C| over the coordinates of a mask."""

    values: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 3)))
    """[n, K, 3], metres."""
    mask: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 3), bool))
    """[n, K, 3], which of them are wanted."""
    shares: np.ndarray | None = None
    """[n] weights of the frames; all 1 when not given."""
    group: str = "pose"
    hard: bool = True
    asked: np.ndarray | None = None
    """Frames that the request names, when neighbours are drawn along."""

    term = "pose"
    wish = "as given"

    def total(self, body: BodyMotion) -> tuple[Coordinate, float]:
        """(Σ |J - C| [...], number of coordinates)."""
        off = abs(body.of(self.joints, self.frames) - like(self.values, body.positions))
        weight = self.mask * (1.0 if self.shares is None else self.shares[:, None, None])
        return (off * like(weight, body.positions)).sum((-1, -2, -3)), float(self.mask.sum())

    def residual(self, body: BodyMotion) -> Coordinate:
        """Mean distance along the wanted axes."""
        off = abs(body.of(self.joints, self.frames) - like(self.values, body.positions))
        return (off * like(self.mask, body.positions)).sum((-1, -2)) / like(
            self.mask.sum((-1, -2)).clip(1), body.positions
        )

    def error(self, body: BodyMotion) -> Coordinate:
        """Euclidean distance over the wanted axes, averaged over joints (DNO's objective error)."""
        picked = np.arange(len(self.frames)) if self.asked is None else np.flatnonzero(np.isin(self.frames, self.asked))
        off = body.of(self.joints, self.frames[picked]) - like(self.values[picked], body.positions)
        squared = (off**2 * like(self.mask[picked], body.positions)).sum(-1)
        wanted = self.mask[picked].any(-1)
        return (root(squared) * like(wanted, body.positions)).sum(-1) / like(wanted.sum(-1).clip(1), body.positions)


@dataclass(frozen=True)
class AlongLine(Goal):
    """A joint on a line over the ground, at any time."""

    line: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    """[m, 2] (x, z), close together."""
    term = "path"
    wish = "on the line"

    def residual(self, body: BodyMotion) -> Coordinate:
        """Distance to the nearest point of the line."""
        place = body.of(self.joints, self.frames)[..., 0, :]
        x, z = place[..., 0][..., None], place[..., 2][..., None]
        line = like(self.line, body.positions)
        return _least(off_axis(x - line[:, 0], z - line[:, 1]))


@dataclass(frozen=True)
class Bound(Goal):
    """A coordinate of joints above or below a number."""

    axis: int = 1
    above: np.ndarray | None = None
    """[K] least coordinate of each joint."""
    below: float | None = None
    term = "limits"
    wish = "within bounds"

    def residual(self, body: BodyMotion) -> Coordinate:
        """How far beyond the bound, averaged over the joints."""
        return self._beyond(body).mean(-1)

    def error(self, body: BodyMotion) -> Coordinate:
        """How far the worst joint is beyond the bound."""
        return _most(self._beyond(body))

    def _beyond(self, body: BodyMotion) -> Coordinate:
        value = body.of(self.joints, self.frames)[..., self.axis]
        beyond = value * 0
        if self.above is not None:
            beyond = beyond + (like(self.above, value) - value).clip(0)
        if self.below is not None:
            beyond = beyond + (value - self.below).clip(0)
        return beyond


@dataclass(frozen=True)
class Still(Goal):
    """Joints that stay where they are, wherever that is."""

    term = "pin"
    wish = "still"

    def residual(self, body: BodyMotion) -> Coordinate:
        """Distance from the mean place over the frames, averaged over the joints."""
        place = body.of(self.joints, self.frames)
        off = place - place.mean(-3)[..., None, :, :]
        return off_axis(off[..., 0], off[..., 1], off[..., 2]).mean(-1)


@dataclass(frozen=True)
class Planted(Goal):
    """While feet touch the floor, one of them stands still, and no toe brushes it; see `motion.contacts`."""

    hard: bool = True
    term = "planted"
    wish = "not sliding"
    unit = "m/s"

    def residual(self, body: BodyMotion) -> Coordinate:
        """Speed over the ground of the slowest touching foot joint, beyond what a standing one may have; plus that of
        toes beyond a contact's, which is what GMD's skating ratio counts and recordings hardly show.

        What touches is no matter of degree: feet are to be slow where they are down, not lifted where they are fast.
        But while a foot carries the body, a toe that swings past may be lifted as well as slowed: there it counts by
        what it lacks of its clearance.
        """
        now, then = body.of(self.joints, self.frames), body.of(self.joints, self.frames + 1)
        step = (then - now) * body.fps
        speed = off_axis(step[..., 0], step[..., 2])
        low = like(SOLE_HEIGHTS + CONTACT_HEIGHT, body.positions)
        touching = (now[..., 1] < low) & (then[..., 1] < low)
        slowest = _least(choose(touching, speed, speed * 0 + _ALOFT_M_S))
        slides = choose(slowest < _ALOFT_M_S, (slowest - _STANDING_M_S).clip(0), slowest * 0)
        height = (now[..., 1] + then[..., 1])[..., _TOES] / 2 - SOLE_HEIGHTS[1]
        lacking = (1 - height / _CLEARANCE_M).clip(0, 1)
        down = choose(touching[..., _TOES], lacking * 0 + 1, lacking * 0)
        lacking = choose((slowest < CONTACT_SPEED)[..., None], lacking, down)
        return slides + ((speed[..., _TOES] - CONTACT_SPEED).clip(0) * lacking).sum(-1)

    @property
    def tolerance(self) -> float:
        """What is not yet a slide, or what `must` says."""
        return CONTACT_SPEED - _STANDING_M_S if self.must is None else self.must


@dataclass(frozen=True)
class Smooth(Goal):
    """Joints that move without jerks, as people do and noise does not."""

    hard: bool = False
    term = "smooth"
    wish = "without jerks"

    def residual(self, body: BodyMotion) -> Coordinate:
        """Length of the third difference of each joint's place, averaged over the joints, as at 20 frames per second;
        [..., T - 3]."""
        place = body.of(self.joints)
        step = place[..., 1:, :, :] - place[..., :-1, :, :]
        jerk = step[..., 2:, :, :] - 2 * step[..., 1:-1, :, :] + step[..., :-2, :, :]
        return off_axis(jerk[..., 0], jerk[..., 1], jerk[..., 2]).mean(-1) * (body.fps / 20) ** 3


@dataclass(frozen=True)
class Calm(Smooth):
    """A body that shakes no more than its input does."""

    input_m: float = 1.0
    """Mean residual of `Smooth` of the input, metres."""
    term = "calm"
    wish = "as calm as the input"

    def residual(self, body: BodyMotion) -> Coordinate:
        """The share by which the mean over joints and frames is beyond the input's; [..., 1].

        A share, since a metre of jerks is nothing to who runs and all to who stands."""
        shakes = super().residual(body).mean(-1) / max(self.input_m, _CALMEST_M)
        return (shakes - 1).clip(0)[..., None]


@dataclass(frozen=True)
class Speed(Goal):
    """A joint's speed over the ground."""

    speed: float = 0.0
    term = "speed"
    unit = "m/s"

    def residual(self, body: BodyMotion) -> Coordinate:
        """Difference from the wanted speed, between the neighbouring frames."""
        after = np.minimum(np.floor(self.frames) + 1, body.whole - 1).astype(int)
        before = np.maximum(np.ceil(self.frames) - 1, 0).astype(int)
        step = (body.of(self.joints, after) - body.of(self.joints, before))[..., 0, :]
        time_s = like((after - before) / body.fps, body.positions)
        return abs(off_axis(step[..., 0], step[..., 2]) / time_s - self.speed)

    @property
    def tolerance(self) -> float:
        """A twentieth of a metre per second, or what `must` says."""
        return 0.05 if self.must is None else self.must


@dataclass(frozen=True)
class Near(Goal):
    """Two joints within a distance of each other."""

    within: float = 0.0
    term = "near"

    def residual(self, body: BodyMotion) -> Coordinate:
        """How much too far apart."""
        pair = body.of(self.joints, self.frames)
        off = pair[..., 0, :] - pair[..., 1, :]
        return (off_axis(off[..., 0], off[..., 1], off[..., 2]) - self.within).clip(0)


@dataclass(frozen=True)
class Clear(Goal):
    """The body's skin at a distance from the union of obstacles."""

    obstacles: tuple[Obstacle, ...] = ()
    safe: float = 0.10
    around: Detour | None = None
    """The side on which to pass; only for goals about the pelvis too."""
    term = "avoid"

    def residual(self, body: BodyMotion) -> Coordinate:
        """relu(τ + r_j - SDF), averaged over the joints; plus what a pelvis too near lacks of its detour."""
        short = (self.safe - self.clearance(body)).clip(0)
        if self.around is None:
            return short.mean(-1)
        off = body.of((0,))[..., 0, :]
        way, (x, z) = like(self.around.way, off), self.around.towards.tolist()
        aside = (off[..., 0] - way[..., 0]) * x + (off[..., 2] - way[..., 1]) * z
        near = short[..., self.joints.index(0)] > 0
        return short.mean(-1) + choose(near, (self.around.metres - aside).clip(0), aside * 0)

    def error(self, body: BodyMotion) -> Coordinate:
        """How deep the skin is inside an obstacle at worst."""
        return _most((-self.clearance(body)).clip(0))

    def clearance(self, body: BodyMotion) -> Coordinate:
        """Distance between the skin of each joint and the obstacles, negative inside; [..., T, K]."""
        radii = like(JOINT_RADII[list(self.joints)], body.positions)
        return nearest(list(self.obstacles), body.of(self.joints)) - radii

    def margin(self, way: np.ndarray) -> np.ndarray:
        """[T] by how much a pelvis on a way [T, 3] clears the safe zone, negative inside it; metres."""
        alone = replace(self, joints=(0,)).clearance(BodyMotion(way[:, None], {0: 0}, None, 1.0))
        result: np.ndarray = alone[:, 0] - self.safe
        return result


def describe(goal: Goal) -> str:
    """A goal in a few words."""
    joints = JOINT_NAMES[goal.joints[0]] if len(goal.joints) == 1 else f"{len(goal.joints)} joints"
    if isinstance(goal, Clear):
        count = len(goal.obstacles)
        return f"{joints} clear of {'an obstacle' if count == 1 else f'{count} obstacles'}"
    if isinstance(goal, Places) and len(goal.joints) == 1 and len(goal.frames) == 1:
        wanted = [f"{'xyz'[k]} {goal.values[0, 0, k]:.2f}" for k in range(3) if goal.mask[0, 0, k]]
        return f"{joints} at {', '.join(wanted)}"
    return f"{joints} {goal.wish or goal.term}"


def _least(values: Any) -> Any:
    return values.min(-1) if isinstance(values, np.ndarray) else values.amin(-1)


def _most(values: Any) -> Any:
    return values.max(-1) if isinstance(values, np.ndarray) else values.amax(-1)
