"""The parts that synthetic exercises are made of: curves, two-bone inverse kinematics, the roll of the foot."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mdtool.data.synthetic.curves import ease, stepwise, stroke, wander
from mdtool.data.synthetic.limbs import about, bend_arm, bend_leg, lower_to_reach, place_foot
from mdtool.data.synthetic.pose import Arm, Foot
from mdtool.motion.skeleton import ANKLE_HEIGHT, JOINT_INDEX, OFFSETS, TOE_HEIGHT

THIGH, SHIN = 0.399, 0.438
FRAMES = 50
TOE = torch.tensor(OFFSETS[JOINT_INDEX["left_foot"]])
X = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)


@pytest.mark.parametrize("ramp", [0.2, 0.34, 0.5])
def test_ease_starts_and_ends_at_rest_with_the_promised_peak_speed(ramp: float) -> None:
    place = np.linspace(-0.2, 1.2, 14001)
    curve = ease(place, ramp)
    assert curve[0] == 0
    assert curve[-1] == 1
    np.testing.assert_allclose(curve + curve[::-1], 1, atol=1e-12)
    velocity = np.gradient(curve, place)
    assert velocity.min() >= 0
    assert velocity.max() == pytest.approx(1 / (1 - ramp), rel=1e-4)
    # A continuous acceleration changes little from one point to the next: no more than its steepest slope.
    acceleration = np.gradient(velocity, place)
    assert np.abs(np.diff(acceleration)).max() < 7 / ramp**2 / (1 - ramp) * (place[1] - place[0]) * 2


def test_stroke_goes_there_holds_and_comes_back() -> None:
    phase = np.array([0.0, 0.15, 0.3, 0.35, 0.4, 0.6, 0.8, 0.99, 7.35, -0.65])
    np.testing.assert_allclose(stroke(phase, 0.3, 0.1, 0.4), [0, 0.5, 1, 1, 1, 0.5, 0, 0, 1, 1], atol=1e-12)


def test_stepwise_rests_at_its_values() -> None:
    values = np.array([3.0, -1.0, 5.0])
    phase = np.array([0.0, 0.5, 0.75, 1.0, 1.4, 1.75, 1.9999])
    np.testing.assert_allclose(stepwise(phase, values, 0.5, 1.0), [3, 3, 1, -1, -1, 2, 5], atol=1e-6)


def test_wander_has_unit_variance_and_stays_in_its_band() -> None:
    time_s = np.arange(20000) / 50
    noise = wander(np.random.default_rng(0), time_s, 0.5, 4.0, 40)
    assert noise.shape == (20000, 40)
    assert noise.var() == pytest.approx(1, rel=0.05)
    power = np.abs(np.fft.rfft(noise[:, 0] * np.hanning(len(noise)))) ** 2
    frequency_hz = np.fft.rfftfreq(len(noise), 1 / 50)
    inside = (frequency_hz > 0.45) & (frequency_hz < 4.1)
    assert power[inside].sum() > 0.999 * power.sum()


def test_a_bent_leg_ends_at_its_ankle_with_the_knee_in_front() -> None:
    generator = torch.Generator().manual_seed(0)
    hip = torch.randn(FRAMES, 3, generator=generator, dtype=torch.float64)
    down = torch.nn.functional.normalize(
        torch.randn(FRAMES, 3, generator=generator, dtype=torch.float64) * 0.4 - torch.tensor([0.0, 1.0, 0.0]), dim=-1
    )
    length = 0.3 + 0.53 * torch.rand(FRAMES, 1, generator=generator, dtype=torch.float64)
    ankle = hip + down * length
    forward = torch.tensor([0.2, 0.0, 1.0], dtype=torch.float64).expand(FRAMES, 3)
    thigh, flexed = bend_leg(hip, ankle, forward)
    knee = hip - THIGH * thigh[..., 1]
    shin = thigh @ about(X, flexed)
    torch.testing.assert_close(knee - SHIN * shin[..., 1], ankle, atol=1e-9, rtol=0)
    torch.testing.assert_close(thigh.det(), torch.ones(FRAMES, dtype=torch.float64))
    assert (((knee - (hip + ankle) / 2) * forward).sum(-1) > 0).all()
    assert (flexed >= 0).all()


def still_arm(**curves: float) -> Arm:
    names = ("across", "flex", "abduct", "axial", "elbow", "supinate", "wrist", "curl")
    return Arm(**{name: np.full(1, curves.get(name, 0.0)) for name in names})


def wrist_of(rotations: list[torch.Tensor]) -> torch.Tensor:
    """The left wrist in the axes of the chest, from the chest, by plain forward kinematics; [T, 3]."""
    point = torch.tensor(OFFSETS[JOINT_INDEX["left_wrist"]]).expand(len(rotations[0]), 3)
    joints = ("left_collar", "left_shoulder", "left_elbow")
    for name, rotation in reversed(list(zip(joints, rotations, strict=False))):
        point = (rotation @ point.unsqueeze(-1)).squeeze(-1) + torch.tensor(OFFSETS[JOINT_INDEX[name]])
    return point


@pytest.mark.parametrize(
    ("curves", "direction"),
    [
        ({}, (0, -1, 0)),
        ({"flex": 90.0}, (0, 0, 1)),
        ({"abduct": 90.0}, (1, 0, 0)),
        ({"abduct": 90.0, "across": 90.0}, (0, 0, 1)),
        ({"flex": 180.0}, (0, 1, 0)),
        ({"elbow": 90.0}, (0, -0.276, 0.253)),
        ({"abduct": 90.0, "axial": 90.0, "elbow": 90.0}, (0.276, 0.253, 0)),
    ],
)
def test_arm_angles_mean_what_anatomy_says(curves: dict[str, float], direction: tuple[float, float, float]) -> None:
    rotations = bend_arm(still_arm(**curves), None, None)
    collar = rotations[0][0]
    shoulder = torch.tensor(OFFSETS[JOINT_INDEX["left_collar"]]) + collar @ torch.tensor(
        OFFSETS[JOINT_INDEX["left_shoulder"]]
    )
    reached = torch.nn.functional.normalize(wrist_of(rotations)[0] - shoulder, dim=0)
    expected = torch.nn.functional.normalize(torch.tensor(direction, dtype=torch.float64), dim=0)
    torch.testing.assert_close(reached, expected, atol=1e-6, rtol=0)


def test_an_arm_reaches_its_target_with_the_elbow_where_it_was_told() -> None:
    target = torch.tensor([[0.1, 0.1, 0.35], [0.3, -0.2, 0.2], [0.25, 0.3, 0.2]], dtype=torch.float64)
    elbow = torch.tensor([0.5, -1.0, -0.2], dtype=torch.float64).expand(3, 3)
    rotations = bend_arm(still_arm(), target, elbow)
    torch.testing.assert_close(wrist_of(rotations), target, atol=2e-3, rtol=0)  # softened near full length
    upper = (rotations[0] @ rotations[1])[..., 0]
    along = torch.nn.functional.normalize(target, dim=-1)
    assert ((upper - (upper * along).sum(-1, keepdim=True) * along) * elbow).sum(-1).min() > 0


def test_a_target_out_of_reach_leaves_the_elbow_nearly_straight() -> None:
    target = torch.tensor([[0.1, 0.1, 3.0]], dtype=torch.float64)
    rotations = bend_arm(still_arm(), target, torch.tensor([[0.0, -1.0, 0.0]], dtype=torch.float64))
    flexion_deg = torch.rad2deg(torch.arccos(rotations[2][0, 0, 0]))
    assert 5 < flexion_deg < 30


def rolled(heel_rise: float, toe_rise: float, turn: float = 20.0) -> tuple[torch.Tensor, torch.Tensor]:
    """World positions of the ball and of the heel of a foot that stands at (0.3, -0.2); [3] each."""
    curves = {"x": 0.3, "z": -0.2, "lift": 0.0, "turn": turn, "heel_rise": heel_rise, "toe_rise": toe_rise}
    ankle, rotation, _ = place_foot(Foot(**{name: np.full(1, value) for name, value in curves.items()}))
    heel = torch.tensor([0.0, -ANKLE_HEIGHT, -0.05], dtype=torch.float64)
    return ankle[0] + rotation[0] @ TOE, ankle[0] + rotation[0] @ heel


def test_a_foot_rolls_over_the_ball_and_over_the_heel() -> None:
    ball, heel = rolled(0, 0)
    assert ball[1].item() == pytest.approx(TOE_HEIGHT)
    assert heel[1].item() == pytest.approx(0, abs=1e-12)
    raised_ball, raised_heel = rolled(40, 0)
    torch.testing.assert_close(raised_ball, ball)
    assert raised_heel[1] > 0.08
    toes_up_ball, toes_up_heel = rolled(0, 25)
    torch.testing.assert_close(toes_up_heel, heel)
    assert toes_up_ball[1] > 0.08


def test_toes_stay_level_while_the_heel_rises() -> None:
    curves = {"x": 0.0, "z": 0.0, "lift": 0.0, "turn": 0.0, "heel_rise": 35.0, "toe_rise": 0.0}
    _, rotation, toes = place_foot(Foot(**{name: np.full(1, value) for name, value in curves.items()}))
    torch.testing.assert_close((rotation @ toes)[0], torch.eye(3, dtype=torch.float64))


def test_hips_come_down_to_what_the_legs_reach_and_no_further() -> None:
    wished = torch.tensor([2.0, 0.5], dtype=torch.float64)
    hips = [torch.tensor([[sign * 0.082, 0.0, 0.0]] * 2, dtype=torch.float64) for sign in (1, -1)]
    ankles = [torch.tensor([[sign * 0.3, 0.09, 0.0]] * 2, dtype=torch.float64) for sign in (1, -1)]
    lowered = lower_to_reach(wished, hips, ankles, 0.99, 0.004)
    limit = 0.09 + np.sqrt((0.99 * (THIGH + SHIN)) ** 2 - (0.3 - 0.082) ** 2)
    assert limit - 0.01 < lowered[0].item() <= limit
    assert lowered[1].item() == pytest.approx(0.5, abs=1e-6)
