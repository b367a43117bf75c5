"""The GRU recogniser sees positions, and starts from the state it is told to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mdtool.errors import MdtoolError
from mdtool.methods.contract import Batch
from mdtool.methods.gru_recogniser import GRURecogniser
from mdtool.motion.kinematics import joint_positions
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d
from mdtool.motion.skeleton import rest_positions

SMALL = {"width": 12, "features": 5}


def windows(count: int = 6, frames: int = 60) -> Batch:
    """Random poses around the rest pose, on wandering paths."""
    rng = torch.Generator().manual_seed(3)
    rot6d = matrix_to_rot6d(axis_angle_to_matrix(0.4 * torch.randn(count, frames, 24, 3, generator=rng)))
    return Batch(rot6d, torch.randn(count, frames, 3, generator=rng), torch.arange(count) % 2)


def recogniser(**settings: object) -> GRURecogniser:
    torch.manual_seed(0)
    return GRURecogniser({**SMALL, **settings}, ["a", "b"], 20.0)


def test_it_sees_joint_positions_from_the_first_pelvis_on() -> None:
    batch = windows()
    seen = recogniser().inputs(batch.rot6d, batch.root)
    expected = joint_positions(batch.rot6d, batch.root - batch.root[:, :1])
    torch.testing.assert_close(seen, expected.permute(0, 2, 3, 1), atol=2e-6, rtol=0)
    down = recogniser(axes="y-down").inputs(batch.rot6d, batch.root)
    torch.testing.assert_close(down, seen * torch.tensor([1.0, -1.0, -1.0])[:, None], atol=2e-6, rtol=0)


def test_rest_joints_are_those_of_another_body() -> None:
    batch = windows()
    taller = (2 * rest_positions() + [0.1, 1.0, 0.3]).tolist()
    still = batch.root * 0
    seen = recogniser(rest_joints=taller).inputs(batch.rot6d, still)
    torch.testing.assert_close(seen, 2 * recogniser().inputs(batch.rot6d, still), atol=2e-6, rtol=0)
    with pytest.raises(MdtoolError, match="rest_joints: must be 24 rows of 3"):
        recogniser(rest_joints=[[0.0, 0.0, 0.0]])


def test_a_random_state_is_the_same_for_a_window_in_any_batch_and_differs_between_windows() -> None:
    made = recogniser()
    batch = windows()
    zero = made.features_and_logits(batch.rot6d, batch.root)[0]
    made.follow_publication(True)
    together = made.features_and_logits(batch.rot6d, batch.root)[0]
    alone = torch.cat([made.features_and_logits(batch.rot6d[k : k + 1], batch.root[k : k + 1])[0] for k in range(6)])
    torch.testing.assert_close(together, alone)
    # One frame after the start the state still shows.
    short = windows(frames=1)
    same = Batch(short.rot6d[:1].repeat(2, 1, 1, 1), short.root[:1].repeat(2, 1, 1), short.action[:2])
    same.root[1, 0, 0] += 1.0  # not seen, since paths start at the origin, but another window
    first, second = made.features_and_logits(same.rot6d, same.root)[0]
    assert not torch.allclose(first, second, atol=1e-3)
    made.follow_publication(False)
    first, second = made.features_and_logits(same.rot6d, same.root)[0]
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(made.features_and_logits(batch.rot6d, batch.root)[0], zero)
    assert recogniser(hidden_state="random").random_state


@pytest.mark.parametrize("hidden_state", ["zero", "random"])
def test_it_learns_two_actions_apart(hidden_state: str) -> None:
    made = recogniser(hidden_state=hidden_state)
    batch = windows(16, frames=20)
    batch.root[:, :, 1] += batch.action[:, None] * torch.linspace(0, 3, 20)
    optimiser = torch.optim.Adam(made.parameters(), 1e-2)
    for step in range(60):
        optimiser.zero_grad()
        terms = made.losses(batch, torch.Generator().manual_seed(step))
        terms["loss"].mean().backward()
        optimiser.step()
    assert float(terms["accuracy"].mean()) == 1.0
    assert np.isfinite(float(terms["loss"].mean().detach()))
    features, logits = made.features_and_logits(batch.rot6d, batch.root)
    assert features.shape == (16, 5)
    assert features.abs().max() <= 1
    assert (logits.argmax(1) == batch.action).all()
