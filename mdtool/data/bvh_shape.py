"""Which joint is which where a skeleton's names say nothing: told from its bones and from how it stands.

A person has two long pairs of limbs whose bones are equal on both sides. The pair nearer the root are the legs, so the
spine runs from the fork of the legs to the fork of the arms, and up is from the ankles to the arms. The toes point
forward, which tells left from right. A skeleton for which one of these does not hold is not guessed at.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mdtool.data.bvh import BvhRecording

_SAME_BONE = 0.05  # of a limb's length, between two bones that are meant to be equal: actors are not symmetric
_SHORTEST_LIMB = 3  # joints: hip, knee, ankle; shoulder, elbow, wrist


@dataclass(frozen=True)
class _Pair:
    """Two limbs that leave the same joint with the same bones."""

    fork: int
    sides: tuple[list[int], list[int]]
    """Joints of each limb from the fork outwards, along its longest way."""
    length: float


def joints_by_shape(recording: BvhRecording) -> dict[str, str]:
    """SMPL joint → source joint, with the required ones complete; empty where the bones do not tell."""
    tree = _Tree(recording)
    pairs = sorted(tree.pairs(), key=lambda pair: pair.length, reverse=True)[:2]
    if len(pairs) < 2:
        return {}
    legs, arms = sorted(pairs, key=lambda pair: tree.depth(pair.fork))
    neck = tree.neck(arms)
    if tree.depth(legs.fork) == tree.depth(arms.fork) or not neck:
        return {}
    found = {"pelvis": tree.meeting(legs.fork, arms.fork), "neck": neck[0]}
    if len(neck) > 1:
        found["head"] = neck[-1]
    names = (("", "hip", "knee", "ankle", "foot"), ("collar", "shoulder", "elbow", "wrist", ""))
    for pair, limb_names, leftward in zip((legs, arms), names, _leftward(recording, tree, legs, arms), strict=True):
        if leftward == 0:
            return {}
        for side, limb in zip(("left", "right") if leftward > 0 else ("right", "left"), pair.sides, strict=True):
            found |= _named(limb, tree.main_bones(limb), side, limb_names)
    return {joint: recording.joints[index].name for joint, index in found.items()}


def _named(limb: list[int], first: int, side: str, names: tuple[str, ...]) -> dict[str, int]:
    """The joints of a limb from one before its two long bones to one after their end."""
    places = zip(names, range(first - 1, first + 4), strict=True)
    return {f"{side}_{name}": limb[place] for name, place in places if name and 0 <= place < len(limb)}


class _Tree:
    """A recording's joints, by index."""

    def __init__(self, recording: BvhRecording) -> None:
        self.parents = [joint.parent for joint in recording.joints]
        self.bones = [float(np.linalg.norm(joint.offset)) for joint in recording.joints]
        self.children: list[list[int]] = [[] for _ in self.parents]
        for index, parent in enumerate(self.parents):
            if parent >= 0:
                self.children[parent].append(index)
        self.turns = [bool(np.ptp(recording.values[:, j.rotation_columns], axis=0).any()) for j in recording.joints]

    def line(self, joint: int) -> list[int]:
        """The joint and everything above it, up to the root."""
        line = [joint]
        while self.parents[line[-1]] >= 0:
            line.append(self.parents[line[-1]])
        return line

    def depth(self, joint: int) -> int:
        return len(self.line(joint))

    def meeting(self, first: int, second: int) -> int:
        """The lowest joint that both hang on."""
        above = set(self.line(second))
        return next(joint for joint in self.line(first) if joint in above)

    def limb(self, joint: int) -> list[int]:
        """The joint and its descendants along the way with the greatest length."""
        ways = [self.limb(child) for child in self.children[joint]]
        return [joint, *max(ways, key=self.length, default=[])]

    def length(self, limb: list[int]) -> float:
        return sum(self.bones[joint] for joint in limb)

    def pairs(self) -> list[_Pair]:
        """Every pair of limbs of equal bones that are long enough for arms or legs."""
        found = []
        for fork, children in enumerate(self.children):
            for first, second in combinations(children, 2):
                sides = self.limb(first), self.limb(second)
                if len(sides[0]) == len(sides[1]) >= _SHORTEST_LIMB and all(
                    abs(self.bones[a] - self.bones[b]) <= _SAME_BONE * self.length(sides[0])
                    for a, b in zip(*sides, strict=True)
                ):
                    found.append(_Pair(fork, sides, self.length(sides[0])))
        return found

    def main_bones(self, limb: list[int]) -> int:
        """Place in the limb of the joint at the upper end of its two long bones: hip or shoulder."""
        bones = [self.bones[joint] for joint in limb]
        return max(range(len(limb) - 2), key=lambda place: bones[place + 1] + bones[place + 2])

    def neck(self, arms: _Pair) -> list[int]:
        """The longest limb between the arms as far as it does not fork, without an end that never turns."""
        middle = [child for child in self.children[arms.fork] if child not in (arms.sides[0][0], arms.sides[1][0])]
        if not middle:
            return []
        neck = [max(middle, key=lambda child: self.length(self.limb(child)))]
        while len(self.children[neck[-1]]) == 1:
            neck += self.children[neck[-1]]
        while len(neck) > 1 and not self.turns[neck[-1]] and not self.children[neck[-1]]:
            neck.pop()
        return neck


def _leftward(recording: BvhRecording, tree: _Tree, legs: _Pair, arms: _Pair) -> list[float]:
    """How far to the left of the second limb the first one is, for legs and arms; above 0 where it is the left one.

    Left is up x toes, over all frames; without toes every number is 0.
    """
    rotations, positions = recording.world()
    up = (positions[:, arms.fork] - positions[:, legs.fork]).mean(axis=0)
    toes = np.zeros_like(positions[:, 0])
    for leg in legs.sides:
        ankle = tree.main_bones(leg) + 2
        site = recording.joints[leg[ankle]].end_site
        if ankle + 1 < len(leg):
            toes += positions[:, leg[ankle + 1]] - positions[:, leg[ankle]]
        elif site is not None:
            toes += rotations[:, leg[ankle]] @ np.array(site)
    left = np.cross(up, toes)
    leftward = []
    for pair in (legs, arms):
        first, second = (positions[:, limb[tree.main_bones(limb)]] for limb in pair.sides)
        leftward.append(float(((first - second) * left).sum(axis=1).mean()))
    return leftward
