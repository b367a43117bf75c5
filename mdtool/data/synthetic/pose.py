"""What an action describes: curves in the words of anatomy, not yet joint rotations.

World: y up, the performer faces +z, the left side is +x. Angles are degrees, lengths metres. Curves are [T].
Triples of angles are (bend forward, turn left, lean left).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEFT, RIGHT = 0, 1
SIGNS = (1.0, -1.0)
"""Sign of x on the left and on the right side."""


@dataclass
class Reach:
    """Where a wrist should be, instead of shoulder and elbow angles."""

    target: np.ndarray
    """[T, 3] wrist position relative to the pelvis, in the axes of the pelvis, x MIRRORED for the right arm."""
    elbow: np.ndarray
    """[T, 3] or [3] direction in which the elbow points, in the same mirrored axes."""


@dataclass
class Arm:
    """One arm relative to the chest; all curves mean the same on both sides."""

    across: np.ndarray
    """Turns the whole arm about the vertical towards the other side."""
    flex: np.ndarray
    """Lifts the arm forward: 0 hanging, 90 forward, 180 overhead; turns on through the back."""
    abduct: np.ndarray
    """Lifts the arm sideways: 0 hanging, 90 level, 180 overhead."""
    axial: np.ndarray
    """Outward rotation of the upper arm about its own length."""
    elbow: np.ndarray
    """Elbow flexion; 0 straight."""
    supinate: np.ndarray
    """Outward rotation of the hand about the forearm, shared by forearm and wrist."""
    wrist: np.ndarray
    """Wrist flexion towards the palm."""
    curl: np.ndarray
    """Flexion of the fingers at the knuckles: 0 a flat hand, 145 a fist."""
    reach: Reach | None = None
    """When given, it replaces across, flex, abduct, axial and elbow."""


@dataclass
class Foot:
    """One foot: where it stands flat, and how it leaves that place."""

    x: np.ndarray
    z: np.ndarray
    """Floor point below the ankle when the foot is flat."""
    lift: np.ndarray
    """Height of the whole foot above the floor."""
    turn: np.ndarray
    """Direction of the toes, to the left of +z."""
    heel_rise: np.ndarray
    """Roll over the ball of the foot, which stays where it is; 0 flat."""
    toe_rise: np.ndarray
    """Roll over the heel, which stays where it is; 0 flat."""


@dataclass
class Pose:
    """A whole performance as curves."""

    hips: np.ndarray
    """[T, 3] wished position of the midpoint of the hip joints; lowered where a leg would not reach its foot."""
    pelvis: np.ndarray
    """[T, 3] angles of the pelvis, about the hip joints."""
    spine: np.ndarray
    """[T, 3] angles of the chest relative to the pelvis."""
    head: np.ndarray
    """[T, 3] angles of the head relative to the chest."""
    arms: tuple[Arm, Arm]
    feet: tuple[Foot, Foot]
    leg_reach: float
    """Longest hip-to-ankle distance as a share of thigh + shin; below 1 keeps the knees from locking."""
    softness: float = 0.004
    """Metres over which the hips ease into that limit; as large as the movement of the hips is fast."""
