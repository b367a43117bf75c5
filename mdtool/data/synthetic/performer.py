"""Virtual performers, and what all their takes have in common: posture, pace, sway, breath, imprecision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdtool.data.synthetic.curves import wander
from mdtool.data.synthetic.pose import SIGNS, Arm, Foot, Pose, Reach
from mdtool.motion.skeleton import OFFSETS, STANDING_PELVIS_HEIGHT

PERFORMERS = 10
HIP_HEIGHT = STANDING_PELVIS_HEIGHT + float(OFFSETS[1][1])
"""Height of the hip joints with straight legs and flat feet, metres."""
_POSTURE_STREAM, _TAKE_STREAM = 0, 1


@dataclass(frozen=True)
class Performer:
    """How one virtual person stands and moves; the same in all their takes of all actions."""

    tempo: float
    """Duration of a movement relative to the usual."""
    vigour: float
    """Size of a movement relative to the usual."""
    ramp: float
    """Share of a movement spent speeding up: small is crisp, 0.5 is flowing."""
    lead: int
    """Side that goes first where an action leaves the choice: LEFT or RIGHT."""
    lean_deg: tuple[float, float]
    """Habitual forward bend and left lean of the spine."""
    slouch_deg: float
    """Rounding of the back that the head makes up for."""
    arm_out_deg: tuple[float, float]
    """How far the left and the right arm hang away from the body."""
    elbow_deg: tuple[float, float]
    """Flexion of the hanging elbows."""
    half_stance: float
    """Half the distance between the ankles in a relaxed stance, metres."""
    toe_out_deg: tuple[float, float]
    leg_reach: float
    """How straight the legs get; see Pose.leg_reach."""
    sway: float
    """Size of the unconscious sway relative to the usual."""


def performer(seed: int, index: int) -> Performer:
    """Performer number `index` of the company that `seed` makes up."""
    rng = np.random.default_rng([seed, _POSTURE_STREAM, index])

    def pair(low: float, high: float, apart: float) -> tuple[float, float]:
        middle, half = rng.uniform(low, high), rng.normal(0, apart)
        return float(middle + half), float(middle - half)

    return Performer(
        tempo=float(np.clip(np.exp(rng.normal(0, 0.12)), 0.8, 1.25)),
        vigour=float(np.clip(rng.normal(1, 0.09), 0.84, 1.15)),
        ramp=float(rng.uniform(0.34, 0.5)),
        lead=int(rng.integers(2)),
        lean_deg=(float(rng.normal(1.5, 2.0)), float(np.clip(rng.normal(0, 1.2), -2.5, 2.5))),
        slouch_deg=float(rng.uniform(0, 12)),
        arm_out_deg=pair(8, 17, 1.5),
        elbow_deg=pair(10, 26, 3.0),
        half_stance=float(rng.uniform(0.085, 0.13)),
        toe_out_deg=pair(4, 14, 2.0),
        leg_reach=float(rng.uniform(0.9945, 0.9985)),
        sway=float(rng.uniform(0.6, 1.4)),
    )


class Take:
    """One clip in the making: its time axis, its performer, and its own source of chance.

    All chance comes from one generator keyed by (seed, action, clip), so a clip is the same whatever else is made.
    """

    def __init__(self, seed: int, action: int, clip: int, fps: float, frames: tuple[int, int]) -> None:
        """Draw the length of the clip; `frames` is the range of it, both ends included."""
        self.rng = np.random.default_rng([seed, _TAKE_STREAM, action, clip])
        self.performer_index = clip % PERFORMERS
        self.performer = performer(seed, self.performer_index)
        self.time_s = np.arange(int(self.rng.integers(frames[0], frames[1] + 1))) / fps

    def draw(self, low: float, high: float) -> float:
        """One number for the whole clip."""
        return float(self.rng.uniform(low, high))

    def drift(self, spread: float, low_hz: float = 0.06, high_hz: float = 0.25) -> np.ndarray:
        """A slow aimless curve of standard deviation `spread` about 0; [T]."""
        return spread * wander(self.rng, self.time_s, low_hz, high_hz)[:, 0]

    def amount(self, spread: float = 0.06) -> np.ndarray:
        """Size of the movement around 1: performer, clip, and slow drift over the repetitions; [T]."""
        clip = np.clip(self.rng.normal(1, spread), 1 - 2 * spread, 1 + 2 * spread)
        return self.performer.vigour * clip * (1 + self.drift(spread / 2))

    def phase(self, period_s: float, spread: float = 0.08) -> np.ndarray:
        """Cycles done so far [T]: a random start, the performer's tempo, and a tempo that drifts a little."""
        period_s *= self.performer.tempo * float(np.exp(np.clip(self.rng.normal(0, spread), -0.2, 0.2)))
        start = self.rng.random()
        # The drift is put on the phase itself, far below one cycle, so that it never runs backwards.
        return start + 1 + self.time_s / period_s + self.drift(0.02, 0.05, 0.2)

    def stand(self, half_stance: float | None = None, toe_out_deg: float = 0.0) -> Pose:
        """Upright, arms hanging, breathing and swaying: what every action adds its movement to.

        Args:
            half_stance: half the distance between the ankles, metres; the performer's own when not given.
            toe_out_deg: added to the performer's own.
        """
        who, frames = self.performer, len(self.time_s)
        zero = np.zeros(frames)
        if half_stance is None:
            half_stance = who.half_stance * self.draw(0.9, 1.1)
        sway = wander(self.rng, self.time_s, 0.15, 0.6, 3) * who.sway
        breath = np.sin(2 * np.pi * (self.time_s * self.draw(0.25, 0.4) + self.rng.random()))
        back = who.slouch_deg + 1.2 * breath
        stagger = self.rng.normal(0, 0.012)
        feet = tuple(
            Foot(
                x=zero + sign * half_stance,
                z=zero + sign * stagger,
                lift=zero,
                turn=zero + sign * (who.toe_out_deg[side] + toe_out_deg),
                heel_rise=zero,
                toe_rise=zero,
            )
            for side, sign in enumerate(SIGNS)
        )
        arms = tuple(
            Arm(
                across=zero,
                flex=zero + self.draw(-2, 6) + breath,
                abduct=zero + who.arm_out_deg[side] + breath,
                axial=zero - 8,
                elbow=zero + who.elbow_deg[side],
                supinate=zero + self.draw(-25, -5),
                wrist=zero + self.draw(0, 8),
                curl=zero + self.draw(8, 24),
            )
            for side in range(2)
        )
        hips = np.stack([0.006 * sway[:, 0], zero + HIP_HEIGHT, 0.008 * sway[:, 1] - 0.005], -1)
        spine = np.stack([who.lean_deg[0] + 0.6 * back, 0.8 * sway[:, 2], who.lean_deg[1] - 0.6 * sway[:, 0]], -1)
        pelvis = np.stack([0.3 * sway[:, 1] - 0.2 * back, 0.6 * sway[:, 2], 0.4 * sway[:, 0]], -1)
        head = np.stack([0.4 * who.slouch_deg - 0.5 * back, -0.5 * sway[:, 2], 0.2 * sway[:, 0]], -1)
        return Pose(hips, pelvis, spine, head, (arms[0], arms[1]), (feet[0], feet[1]), who.leg_reach)

    def hand_on_hip(self) -> Reach:
        """A wrist set on the crest of the pelvis, elbow out."""
        frames = len(self.time_s)
        spot = np.array([0.205 + self.draw(-0.01, 0.01), 0.075 + self.draw(-0.015, 0.02), self.draw(-0.02, 0.02)])
        loose = 0.003 * wander(self.rng, self.time_s, 0.2, 0.8, 3)
        return Reach(np.broadcast_to(spot, (frames, 3)) + loose, np.array([1.0, -0.1, -0.75]))

    def imprecise(self, pose: Pose) -> Pose:
        """Add what a body and a sensor add: small smooth errors everywhere except at the feet; in place."""
        pose.hips += 0.0012 * wander(self.rng, self.time_s, 0.8, 4.0, 3)
        for angles, deg in ((pose.pelvis, 0.25), (pose.spine, 0.45), (pose.head, 0.7)):
            angles += deg * wander(self.rng, self.time_s, 0.5, 4.0, 3)
        for arm in pose.arms:
            noise = wander(self.rng, self.time_s, 0.5, 4.0, 8)
            for column, name in enumerate(("across", "flex", "abduct", "axial", "elbow", "supinate", "wrist", "curl")):
                setattr(arm, name, getattr(arm, name) + 0.6 * noise[:, column])
            if arm.reach is not None:
                arm.reach.target = arm.reach.target + 0.002 * noise[:, :3]
        return pose
