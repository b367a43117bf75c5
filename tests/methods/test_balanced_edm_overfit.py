"""What samples of balanced EDM are like after training: rotations under two normalisers, one shape per clip."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import roma
import torch

from mdtool.config import TrainConfig
from mdtool.evaluation.raw_output import rotation_residuals, shape_spread
from mdtool.methods.balanced_edm import BalancedEDM
from mdtool.methods.seeds import sample_generators
from mdtool.motion.feature_groups import MODELLED_JOINTS
from mdtool.motion.motion import MotionSet
from mdtool.motion.rotations import rot6d_to_matrix
from mdtool.training.loop import Trainer
from tests.methods.test_balanced_edm import clips, fitted, source

FRAMES = 16


def shorter(motions: MotionSet) -> MotionSet:
    return MotionSet.from_clips([motion.slice(0, FRAMES) for motion in motions], motions.actions)


def settings(**more: object) -> dict[str, object]:
    """One window per clip, always the same."""
    one = {"frames": FRAMES, "shortest": FRAMES, "several_lengths": False, "mirror": 0.0, "sample_steps": 16}
    return {**one, "multipliers": [1], "attention": [], **more}


def trained(method: BalancedEDM, motions: MotionSet, steps: int) -> Trainer:
    config = TrainConfig(
        steps=steps, batch=8, lr=2e-2, lr_final=0.0, warmup_steps=5, adam_beta2=0.99, ema=[0.1], ema_kind="power"
    )
    trainer = Trainer(method, source(method, motions, 8), config, torch.device("cpu"))
    method.train()
    while trainer.step < steps:
        trainer.train_step()
    method.eval()
    return trainer


class Overfitted(NamedTuple):
    """Of samples of a network that has seen one sequence."""

    error: float
    """Of x̂_0 of the joints at σ = 1, root mean square."""
    scale: float
    """Radians of a joint in one unit of x̂, about: what the normaliser divided by, times √3."""
    angle: float
    """From the sequence, radians, root mean square over joints and frames."""
    length: float
    across: float


def overfitted(normaliser: str, steps: int) -> Overfitted:
    everything = shorter(clips(24))
    one = everything.select([0])
    method = fitted(everything, **settings(normaliser=normaliser, channels=32, uncertainty_warmup=steps // 10))
    trainer = trained(method, one, steps)
    batch = source(method, one).batch(0)
    x = method.from_motion(batch.rot6d[:1], batch.root[:1])
    with torch.no_grad(), trainer.ema.applied(0.1):
        made = method.decode(method.noise(sample_generators(0, 0, 16)), None)
        clean = method.normaliser(x).expand(16, -1, -1)
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
        error = (method._denoise(clean + noise, torch.ones(16)) - clean)[:, :126].square().mean().sqrt()
    turns, wanted = (rot6d_to_matrix(method.to_motion(motion)[0][:, :, :MODELLED_JOINTS]) for motion in (made, x))
    angle = roma.rotmat_geodesic_distance(turns, wanted.expand_as(turns)).square().mean().sqrt()
    length, across = rotation_residuals(method.to_raw_motion(made)[0][:, :, :MODELLED_JOINTS])
    scale = 3**0.5 * float(method.normaliser.scale[:126].mean())
    return Overfitted(float(error), scale, float(angle), float(length.mean()), float(across.mean()))


@pytest.mark.slow
def test_one_sequence_under_both_normalisers() -> None:
    """The paper's account predicts larger residuals with z-scores; what is found is the opposite, and why.

    After equal training the networks err by as much in their own units, and a unit of z-scores is the smaller turn:
    samples with √3 lie farther from the sequence and from rotations. See docs/balanced-edm.md.
    """
    em, z = overfitted("em", 200), overfitted("hml_z", 200)
    assert 0.5 < em.error / z.error < 2
    assert em.scale > 5 * z.scale
    assert em.angle > 3 * z.angle
    assert em.length > 3 * z.length
    assert em.across > 3 * z.across


def test_a_body_keeps_its_shape_and_bodies_differ() -> None:
    """Behind the spectrum frames of a clip agree to 2 % of the data's deviation, and clips differ as the data do."""
    motions = shorter(clips(24))
    method = fitted(motions, **settings(skip="spectral", normaliser="hml_z", uncertainty_warmup=5))
    trainer = trained(method, motions, 12)
    assert motions.betas is not None
    deviation = torch.from_numpy(motions.betas).std(0, correction=0)
    with torch.no_grad(), trainer.ema.applied(0.1):
        made = method.decode(method.noise(sample_generators(0, 0, 64)), None)
        shapes = method.to_frame_betas(made)
        assert shapes is not None
        assert float(shape_spread(shapes, deviation).max()) < 0.02
    apart = shapes.mean(1).std(0) / deviation
    assert 0.7 < float(apart.mean()) < 1.4
