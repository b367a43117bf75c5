"""Actions of the legs: squatting and jumping jacks."""

from __future__ import annotations

import numpy as np

from mdtool.data.synthetic.curves import ease, stepwise, stroke
from mdtool.data.synthetic.performer import Take
from mdtool.data.synthetic.pose import SIGNS, Pose

_GRAVITY = 9.81
_SINGLE_HUMP = 0.08
"""Share of the push on the floor that has one hump; the rest has two."""


def squatting(take: Take) -> Pose:
    """Down with the arms forward for balance, up again; the soles stay flat."""
    who = take.performer
    pose = take.stand(take.draw(0.15, 0.21), toe_out_deg=take.draw(8, 18))
    phase = take.phase(take.draw(2.0, 2.7))
    down = stroke(phase, 0.40, 0.06, 0.38, who.ramp)
    arms_up = stroke(phase + take.draw(-0.03, 0.03), 0.38, 0.10, 0.38)
    depth = down * take.amount()
    hips_back = take.draw(0.10, 0.17)
    pose.hips[:, 1] -= 0.36 * depth
    pose.hips[:, 2] -= hips_back * depth
    pose.pelvis[:, 0] += (22 + 90 * hips_back) * depth
    pose.spine[:, 0] += take.draw(4, 14) * depth
    pose.head[:, 0] -= take.draw(16, 26) * depth
    height = take.draw(72, 92)
    for side, arm in enumerate(pose.arms):
        arm.flex = arm.flex + height * arms_up + take.drift(2) + 24 * depth
        arm.abduct = arm.abduct * (1 - 0.5 * arms_up)
        arm.elbow = arm.elbow * (1 - 0.35 * arms_up)
        arm.supinate = arm.supinate - 35 * arms_up * (1 + 0.1 * SIGNS[side])
    return pose


def jumping_jack(take: Take) -> Pose:
    """Hop from feet together to feet apart with the arms overhead, and back; both feet leave the floor each time."""
    who = take.performer
    pose = take.stand()
    period_s = take.draw(1.0, 1.2) / who.tempo**0.5  # falling takes everybody the same time
    phase = take.phase(period_s, spread=0.0)
    half_s = period_s * who.tempo / 2
    hop = 2 * phase  # one hop per unit: in the air first, then on the floor
    flight = np.clip(take.draw(0.19, 0.23) / half_s, 0.32, 0.46)
    rise = _hop_height(hop % 1, float(flight), half_s)
    crouch = ease(1 - np.abs(2 * ((hop % 1) - flight) / (1 - flight) - 1))  # 0 in the air, 1 in mid-stance

    hops = int(hop.max()) + 3
    apart_first = np.arange(hops) % 2
    width = np.where(
        apart_first == 1,
        take.draw(0.29, 0.36) * who.vigour + take.rng.normal(0, 0.012, hops),
        take.draw(0.07, 0.11) + take.rng.normal(0, 0.006, hops),
    )
    spread = stepwise(hop, apart_first.astype(float), 0.0, float(flight), 0.45)
    forward = stepwise(hop, take.rng.normal(0, 0.015, hops), 0.0, float(flight))
    sideways = stepwise(hop, take.rng.normal(0, 0.015, hops), 0.0, float(flight))
    in_air = np.clip((hop % 1) / flight, 0, 1)
    lift = (4 * in_air * (1 - in_air)) ** 2
    heel = take.draw(30, 40) * (1 - crouch**0.75)
    for side, foot in enumerate(pose.feet):
        foot.x = SIGNS[side] * stepwise(hop, width, 0.0, float(flight), 0.45) + sideways
        foot.z = foot.z + forward
        foot.lift = (0.020 + _GRAVITY * (flight * half_s) ** 2 / 8) * lift
        foot.turn = foot.turn + SIGNS[side] * 10 * spread
        foot.heel_rise = heel
    pose.hips[:, 0] += sideways
    pose.hips[:, 2] += forward + 0.045 * (1 - crouch)
    pose.hips[:, 1] += rise + 0.022 - 0.045 * _bob(hop, float(flight))
    pose.softness = 0.008
    bend = take.draw(6, 12) * crouch
    pose.pelvis[:, 0] += bend
    pose.spine[:, 0] += 0.6 * bend - 4 * spread
    pose.head[:, 0] -= 0.9 * bend

    top, lag = take.draw(168, 176) + take.drift(1.5), take.draw(-0.02, 0.03)
    for side, arm in enumerate(pose.arms):
        cycle = phase + 0.10 - lag + 0.012 * SIGNS[side] * take.draw(-1, 1)
        up = stroke(cycle, 0.44, 0.06, 0.44, who.ramp)
        arm.abduct = arm.abduct + (top - arm.abduct) * up
        arm.flex = arm.flex * (1 - up) + 4 * up
        arm.axial = arm.axial + 80 * up
        arm.elbow = arm.elbow + (26 - arm.elbow) * up
        arm.supinate = arm.supinate + 70 * up
    return pose


def _bob(hop: np.ndarray, flight: float) -> np.ndarray:
    """Where the body is between feet together (0, even hops' take-off) and feet apart (1), without a force in the air.

    Straight in the air, and a half sine of the same slope on the floor, which passes the end and comes back.
    """
    cycle, place = np.floor(hop), hop % 1
    airborne = place / flight
    landed = 1 + (1 - flight) / (flight * np.pi) * np.sin(np.pi * (place - flight) / (1 - flight))
    moved = np.where(place < flight, airborne, landed)
    return np.where(cycle % 2 == 0, moved, 1 - moved)


def _hop_height(place: np.ndarray, flight: float, period_s: float) -> np.ndarray:
    """Height of the body over that at take-off, for hops of `period_s` that are in the air at place 0 … flight.

    In the air it falls freely. On the floor the push returns it to the take-off speed; it has two humps, one that
    catches the fall and one that starts the next hop, so that the knees bend but little.
    """
    air_s, floor_s = flight * period_s, (1 - flight) * period_s
    time_s = place * period_s
    flying = _GRAVITY * time_s * (air_s - time_s) / 2
    time_s = np.maximum(time_s - air_s, 0)
    # Twice the integral of the push 1 - s cos(wt) - (1 - s) cos(2wt), which starts and ends at zero.
    wave = 2 * np.pi / floor_s
    single = (np.cos(wave * time_s) - 1) / wave**2
    double = (np.cos(2 * wave * time_s) - 1) / (2 * wave) ** 2
    pushed = period_s / floor_s * (time_s**2 / 2 + _SINGLE_HUMP * single + (1 - _SINGLE_HUMP) * double)
    standing = _GRAVITY * (pushed - air_s * time_s / 2 - time_s**2 / 2)
    return np.where(place < flight, flying, standing)
