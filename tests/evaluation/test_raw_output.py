"""What is raw in a network's output, on outputs whose residuals follow from their construction."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.body.skinning import Body
from mdtool.evaluation.raw_output import limb_deviation, raw_card, rotation_residuals, shape_spread
from mdtool.methods.balanced_edm import BalancedEDM
from mdtool.methods.contract import Method
from mdtool.methods.generate import Generator
from mdtool.methods.registry import build_generator
from mdtool.motion import feature_groups
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d

FRAMES = 8
SETTINGS = {"frames": FRAMES, "shortest": FRAMES, "channels": 8, "multipliers": [1], "blocks": 1, "attention": []}


def test_residuals_of_rotations_and_of_what_is_near_them() -> None:
    rng = torch.Generator().manual_seed(0)
    rot6d = matrix_to_rot6d(axis_angle_to_matrix(torch.randn(5, 3, generator=rng, dtype=torch.float64)))
    length, angle = rotation_residuals(rot6d)
    assert float(length.max()) < 1e-12
    assert float(angle.max()) < 1e-12
    longer = rot6d * torch.tensor([1.2, 1.2, 1.2, 0.9, 0.9, 0.9], dtype=torch.float64)
    torch.testing.assert_close(rotation_residuals(longer)[0], torch.full((5,), 0.15, dtype=torch.float64))
    tilted = torch.tensor([1, 0, 0, math.sin(0.1), math.cos(0.1), 0], dtype=torch.float64)
    length, angle = rotation_residuals(tilted)
    assert float(length) < 1e-12
    assert float(angle) == pytest.approx(math.sin(0.1))


def alternating(amount: float) -> Tensor:
    """Shapes [1, T, 10] whose first coefficient goes up and down by `amount`; their deviation over frames is that."""
    betas = torch.zeros(1, FRAMES, 10, dtype=torch.float64)
    betas[0, ::2, 0], betas[0, 1::2, 0] = amount, -amount
    return betas


def test_spread_of_shapes() -> None:
    deviation = torch.zeros(10, dtype=torch.float64)
    deviation[:4] = torch.tensor([2.0, 1, 1, 1])
    assert float(shape_spread(alternating(0.5), deviation)) == pytest.approx(0.25 / math.sqrt(4))


def telescope() -> Body:
    """Three joints in a row, 1 m apart; the first coefficient moves the last one by 0.01 m."""
    joints = torch.tensor([[0.0, 0, 0], [0, 1, 0], [0, 2, 0]], dtype=torch.float64)
    directions = torch.zeros(3, 3, 10, dtype=torch.float64)
    directions[2, 1, 0] = 0.01
    eye = torch.eye(3, dtype=torch.float64)
    faces = np.array([[0, 1, 2]], np.int32)
    return Body(joints, faces, eye, joints, (-1, 0, 1), shape_directions=directions, joint_regressor=eye)


def test_limbs_grow_with_shapes_by_the_body_model() -> None:
    body = telescope()
    torch.testing.assert_close(
        body.bone_lengths(alternating(0.5))[0, :2], torch.tensor([[1, 1.005], [1, 0.995]], dtype=torch.float64)
    )
    assert float(limb_deviation(alternating(0.5), body.bone_lengths)) == pytest.approx(0.005 / 2)
    shaped = body.shaped(torch.full((10,), 3.0, dtype=torch.float64))[1]
    length = body.bone_lengths(torch.full((10,), 3.0, dtype=torch.float64))
    torch.testing.assert_close(length, (shaped[1:] - shaped[:-1]).norm(dim=-1))


class Wobbling(BalancedEDM):
    """Makes rotations 10 % too long in bodies whose first coefficient alternates between ± 0.5."""

    def decode(self, noise: Tensor, action: Tensor | None, **options: object) -> Tensor:
        rot6d = torch.tensor([1.0, 0, 0, 0, 1, 0]).expand(len(noise), FRAMES, 24, 6)
        features = 1.1 * feature_groups.encode(rot6d, torch.zeros(len(noise), FRAMES, 3))
        features[:, 135:] = alternating(0.5).transpose(1, 2).float()
        return features


def test_the_raw_card_of_a_run() -> None:
    generator = Generator(Wobbling(SETTINGS, [], 20.0), "raw", "")
    data = np.random.default_rng(0).normal(size=(7, 10))
    data[3] = np.nan  # a clip of unknown shape
    rows = {row.metric: row for row in raw_card(generator, 0, 3, data, telescope().bone_lengths)}
    assert rows["raw columns, length"].mean == pytest.approx(10 * 22 / 24, rel=1e-4)  # hands are not modelled
    assert rows["raw columns, angle"].worst == pytest.approx(0, abs=1e-4)
    known = data[~np.isnan(data).any(1)]
    assert rows["raw shape spread"].mean == pytest.approx(100 * 0.5 / known.std(0)[0] / math.sqrt(10))
    assert rows["raw limb length σ"].mean == pytest.approx(2.5)
    assert len(raw_card(generator, 0, 3)) == 2, "no shapes to compare with, no body model"


class Orthonormal(Wobbling):
    """Says of itself that its output needs no Gram-Schmidt."""

    to_raw_motion = Method.to_raw_motion


def test_a_method_that_makes_rotations_by_itself_has_no_raw_card() -> None:
    assert raw_card(Generator(Orthonormal(SETTINGS, [], 20.0), "raw", ""), 0, 2) == []


def test_rotations_of_other_methods_have_residuals_too() -> None:
    mdm = build_generator("mdm", {"frames": 8, "width": 16, "layers": 1, "heads": 2}, ["a"], 20.0)
    rows = raw_card(Generator(mdm, "raw", "", steps=2, sampler="ddim"), 0, 2)
    assert [row.metric for row in rows] == ["raw columns, length", "raw columns, angle"]
    assert rows[0].mean > 1, "an untrained network makes no rotations"
