"""The recogniser sees what its settings say, and learns."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mdtool.errors import MdtoolError
from mdtool.methods.contract import Batch
from mdtool.methods.recogniser import Recogniser
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d, rot6d_to_matrix


def windows(count: int = 8) -> Batch:
    """Random poses around the rest pose."""
    rng = torch.Generator().manual_seed(3)
    matrices = axis_angle_to_matrix(0.4 * torch.randn(count, 60, 24, 3, generator=rng))
    root = torch.randn(count, 60, 3, generator=rng)
    return Batch(matrix_to_rot6d(matrices), root, torch.arange(count) % 2)


def turned(batch: Batch, yaw: float) -> Tensor:
    """The rotations of a batch, each person turned about the vertical."""
    turn = axis_angle_to_matrix(torch.tensor([0.0, yaw, 0.0]))
    rot6d = batch.rot6d.clone()
    rot6d[:, :, 0] = matrix_to_rot6d(turn @ rot6d_to_matrix(batch.rot6d[:, :, 0]))
    return rot6d


@pytest.mark.parametrize("heading", [True, False])
def test_heading_decides_whether_a_turn_matters(heading: bool) -> None:
    torch.manual_seed(0)
    recogniser = Recogniser({"width": 8, "heading": heading}, ["a", "b"], 20.0)
    batch = windows()
    straight = recogniser.features_and_logits(batch.rot6d, batch.root)[0]
    around = recogniser.features_and_logits(turned(batch, 0.7 * math.pi), batch.root)[0]
    assert torch.allclose(straight, around, atol=1e-6) is heading


def test_translation_is_never_seen() -> None:
    torch.manual_seed(0)
    recogniser = Recogniser({"width": 8}, ["a", "b"], 20.0)
    batch = windows()
    torch.testing.assert_close(
        recogniser.features_and_logits(batch.rot6d, batch.root),
        recogniser.features_and_logits(batch.rot6d, batch.root + 3.0),
    )


def test_features_have_four_times_the_width() -> None:
    recogniser = Recogniser({"width": 8}, ["a", "b", "c"], 20.0)
    features, logits = recogniser.features_and_logits(windows().rot6d, windows().root)
    assert features.shape == (8, 32)
    assert logits.shape == (8, 3)


def test_it_learns_two_poses_apart() -> None:
    torch.manual_seed(0)
    recogniser = Recogniser({"width": 8}, ["a", "b"], 20.0)
    batch = windows(16)
    optimiser = torch.optim.Adam(recogniser.parameters(), 1e-2)
    first = float(recogniser.losses(batch, torch.Generator())["loss"].mean().detach())
    for _ in range(25):
        optimiser.zero_grad()
        terms = recogniser.losses(batch, torch.Generator())
        terms["loss"].mean().backward()
        optimiser.step()
    assert float(terms["loss"].mean().detach()) < 0.3 * first
    assert float(terms["accuracy"].mean()) == 1.0


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(MdtoolError, match="recogniser settings: depth"):
        Recogniser({"depth": 3}, ["a"], 20.0)
