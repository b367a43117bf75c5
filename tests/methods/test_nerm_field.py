"""Stage 1 of NeRM: which rates are learnt when, how often the field is told, and what is no pose of a motion."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mdtool.methods.nerm import NeRM
from mdtool.motion.motion import TRAIN, MotionSet
from mdtool.training.sequences import SequenceSource
from tests.methods.test_nerm import nerm, recording
from tests.motion.smooth_motion import ACTIONS

RATES = (20.0, 59.94, 119.88)


def taught_by(seconds: float = 2.9, batch: int = 64, **model: Any) -> tuple[NeRM, SequenceSource]:
    """A field that has met a recording at each of the rates, and where its batches come from."""
    method = nerm(axis_s=3.0, hold_last=False, **model)
    clips = [recording(fps, seconds, seed) for seed, fps in enumerate(RATES)]
    source = SequenceSource(method, MotionSet.from_clips(clips, ACTIONS), TRAIN, batch, 0)
    method.meet(source)
    method.fit_statistics(source.random)
    return method, source


def told(method: NeRM, source: SequenceSource, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(rates of the clips of a step, rates that the field was told of them)."""
    kept: list[torch.Tensor] = []
    with method.field.register_forward_pre_hook(lambda field, given: kept.append(given[2])), torch.no_grad():
        method.begin(step)
        batch = source.batch(step)
        method.losses(batch, torch.Generator().manual_seed(step))
    assert batch.places is not None
    return batch.places.fps, kept[0]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_rate_is_hidden_from_its_share_of_the_clips(share: float) -> None:
    method, source = taught_by(encoder_steps=0, native_from=0, rate_dropout=share)
    rates, seen = (torch.cat(parts) for parts in zip(*(told(method, source, step) for step in range(20)), strict=True))
    hidden = seen == 0
    assert len(rates) == 1280
    assert float(hidden.float().mean()) == pytest.approx(share, abs=0.05 if 0 < share < 1 else 0)
    assert torch.equal(seen[~hidden], rates[~hidden])


def test_one_rate_comes_first_and_the_recordings_own_follow() -> None:
    """Also of the encoder's scattered instants: no step before `native_from` has a rate of its own."""
    _, source = taught_by(batch=48, encoder_steps=6, native_from=12, field_steps=22, strides=(1, 2), resampled_fps=25.0)
    before = [source.batch(step) for step in range(12)]
    found = [{round(float(fps), 2) for fps in batch.places.fps} for batch in before]  # type: ignore[union-attr]
    assert found[:6] == [{25.0}] * 6
    assert set().union(*found[6:]) == {25.0, 12.5}
    for batch in before:
        assert batch.places is not None
        frames = batch.places.time_s * 25
        torch.testing.assert_close(frames, frames.round(), atol=1e-4, rtol=0)
    after = [source.batch(step).places.fps for step in range(12, 22)]  # type: ignore[union-attr]
    own = {rate for fps in RATES for rate in (fps, round(fps / 2, 2))}
    assert {round(float(fps), 2) for fps in torch.cat(after)} == own
    assert source.batch(22).rot6d.shape[1] == 0, "stage 2 sees no poses"


def test_what_lies_beyond_the_end_of_a_motion_is_not_learnt() -> None:
    """A clip of more poses than the motion has: the loss is the mean over those that are there."""
    method, source = taught_by(
        seconds=0.5, batch=12, encoder_steps=0, native_from=0, clip_poses=16, lambda_position=1.0
    )
    batch = source.batch(0)
    places = batch.places
    assert places is not None
    short = ~places.inside.all(1)
    assert short.any()
    assert not short.all(), "fast recordings have poses enough"
    terms = method.losses(batch, torch.Generator().manual_seed(0))
    root = torch.where(places.inside.unsqueeze(-1), batch.root, batch.root + 100)
    turned = torch.where(places.inside[..., None, None], batch.rot6d, -batch.rot6d)
    again = method.losses(batch._replace(root=root, rot6d=turned), torch.Generator().manual_seed(0))
    for name in ("pose", "root", "position", "loss"):
        assert torch.equal(again[name], terms[name]), name
        assert (terms[name] > 0).all(), name
