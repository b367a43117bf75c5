"""Motions beyond one latent: windows that meet, and recordings lifted to other instants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.methods import timeline
from mdtool.methods.nerm import NeRM
from mdtool.methods.seeds import sample_generators
from mdtool.methods.timeline import OVERLAP_S, decode_long, lift, window_starts
from mdtool.motion.joining import faded
from mdtool.motion.pose_vectors import ROTATION_SCALE
from mdtool.motion.skeleton import JOINTS
from tests.methods.test_nerm import nerm, recording


def test_windows_cover_the_time_asked_for() -> None:
    assert window_starts(4.0, 4.0) == [0.0]
    assert window_starts(4.0, 4.1) == [0.0, 3.5]
    for seconds in (7.5, 7.6, 30.0):
        starts = window_starts(4.0, seconds)
        assert starts[-1] + 4.0 >= seconds > starts[-1] + 0.5


def test_lifting_keeps_place_heading_and_length() -> None:
    clip = recording(30.0, 6.0, 2)
    clip = replace(clip, root=clip.root + np.array([3.0, 0.0, -2.0], np.float32))
    lifted = lift(clip, nerm(fit_steps=30), np.arange(361) / 60)
    assert len(lifted) == 361
    # An untrained field knows no poses, but it stands where the recording stands.
    assert np.linalg.norm(lifted.root[0, [0, 2]] - clip.root[0, [0, 2]]) < 1.5


def shaken(**model: object) -> NeRM:
    """A field of 4 s that moves about the rest pose, although nobody taught it."""
    method = nerm(axis_s=4.0, time_encoding="fourier", frequency_scale=1.0, **model).eval()
    with torch.no_grad():
        for parameter in method.field.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
        method.field.pose.weight *= 0.2
        method.field.pose.bias += torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(JOINTS) * ROTATION_SCALE
    return method


def chain(method: NeRM, times_s: Tensor) -> tuple[Tensor, Tensor]:
    """Two motions at these instants, of the windows that 9 s need."""
    rngs = sample_generators(0, 0, 2)
    noises = [method.noise(rngs) for _ in window_starts(4.0, 9.0)]
    with torch.no_grad():
        return decode_long(method, noises, torch.tensor([0, 1]), times_s)


def test_windows_are_chained_without_a_jump_at_any_instant() -> None:
    """At 500 fps nothing moves further between two frames where windows meet than it does within a window."""
    method = shaken()
    rot6d, root = chain(method, torch.arange(4501, dtype=torch.float64) / 500)
    speed = torch.stack([part.diff(dim=1).flatten(2).norm(dim=-1) for part in (rot6d.flatten(2), root)])
    within, met = torch.zeros(4500, dtype=torch.bool), torch.zeros(4500, dtype=torch.bool)
    within[:1700] = True
    for start in window_starts(4.0, 9.0)[1:]:
        met[int(500 * start) - 5 : int(500 * (start + OVERLAP_S)) + 5] = True
    assert (speed[..., met].amax(-1) < 3 * speed[..., within].amax(-1)).all()


def test_a_window_is_asked_for_its_own_instants_alone() -> None:
    method, asked, times_s = shaken(), list[int](), torch.arange(900, dtype=torch.float64) / 100
    method.field.register_forward_pre_hook(lambda field, given: asked.append(given[0].shape[1]))
    rot6d, root = chain(method, times_s)
    # Three windows of 4 s begin 3.5 s apart; each but the first is fitted to the tail of the one before.
    instants, fits = 401 + 401 + 200, 2 * timeline.MATCHED * (2 + method.config.fit_steps)
    assert instants <= sum(asked) <= instants + fits
    assert len(rot6d[0]) == len(root[0]) == 900
    alone = [chain(method, torch.tensor([time_s, 8.99], dtype=torch.float64)) for time_s in (0.0, 3.7, 5.0, 8.0)]
    for place, (one, where) in zip((0, 370, 500, 800), alone, strict=True):
        torch.testing.assert_close(one[:, 0], rot6d[:, place], atol=1e-4, rtol=0)
        torch.testing.assert_close(where[:, 0], root[:, place], atol=1e-4, rtol=0)


def test_a_window_begins_as_the_one_before_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where two fade into each other they are near, as far as fitting goes with a field that nobody taught."""
    gaps: dict[str, list[float]] = {"drawn": [], "fitted": []}
    for name, found in gaps.items():
        method = shaken(fit_steps=200, fit_lr=0.2)
        if name == "drawn":
            monkeypatch.setattr(method, "fit", lambda goal, times_s, start: start)

        def watched(first: Any, second: Any, weight: Tensor, kept: list[float] = found) -> Any:
            both = (weight > 0) & (weight < 1)
            kept.append(sum(float((a - b)[:, both].square().mean()) for a, b in zip(first, second, strict=True)))
            return faded(first, second, weight)

        monkeypatch.setattr(timeline, "faded", watched)
        chain(method, torch.arange(181, dtype=torch.float64) / 20)
    assert len(gaps["drawn"]) == 2
    assert all(fitted < 0.1 * drawn for drawn, fitted in zip(gaps["drawn"], gaps["fitted"], strict=True))


@pytest.mark.parametrize("integrated", [False, True])
def test_before_the_second_window_a_chain_is_its_first_motion(integrated: bool) -> None:
    """Whatever the width of the waves: instants beyond a window's end do not count as close to each other."""
    method, times_s = shaken(integrated=integrated), torch.arange(181, dtype=torch.float64) / 20
    rot6d, root = chain(method, times_s)
    noise = method.noise(sample_generators(0, 0, 2))
    with torch.no_grad():
        alone = method.to_motion(method.decode(noise, torch.tensor([0, 1]), times_s=times_s[:70]))
    for whole, first in zip((rot6d, root), alone, strict=True):
        torch.testing.assert_close(whole[:, :70], first, atol=1e-5, rtol=0)
