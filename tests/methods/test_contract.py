"""One contract for every method that makes motion: whatever works on one family works on all of them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mdtool.config import TrainConfig
from mdtool.errors import MdtoolError
from mdtool.methods.contract import Method, SequenceLearner
from mdtool.methods.generate import Generator
from mdtool.methods.registry import build, build_generator, method_names
from mdtool.methods.seeds import sample_generators, step_generator
from mdtool.motion.kinematics import joint_positions
from mdtool.motion.motion import TRAIN, MotionSet
from mdtool.training.batches import WindowSource
from mdtool.training.loop import Trainer
from mdtool.training.sequences import SequenceSource
from tests.methods.contract_cases import (
    CASES,
    LABELS,
    Case,
    fresh,
    grid,
    labels,
    latents,
    lesson,
    settings,
    windows,
)
from tests.motion.smooth_motion import ACTIONS, smooth_clips


@pytest.fixture(params=CASES, ids=lambda name: name.replace(" ", "-"))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def method(case: Case) -> Method:
    return fresh(case)


def test_every_generator_has_a_case() -> None:
    generators = {name for name in method_names() if isinstance(build(name, {}, ["walk"], 20.0), Method)}
    assert {settings(case)[0] for case in CASES.values()} == generators


def test_shapes_and_rotations(method: Method) -> None:
    noise = latents(method, 3)
    assert (len(noise), noise.dtype) == (3, torch.float32)
    with torch.no_grad():
        features = method.decode(noise, labels(3))
        rot6d, root = method.to_motion(features)
    frames = method.frames
    assert rot6d.shape == (3, frames, 24, 6)
    assert root.shape == (3, frames, 3)
    assert torch.isfinite(root).all()
    rows = rot6d.unflatten(-1, (2, 3))
    torch.testing.assert_close(rows @ rows.mT, torch.eye(2).expand(3, frames, 24, 2, 2), atol=3e-5, rtol=0)
    assert method.from_motion(rot6d, root).shape == features.shape


def test_losses_are_per_sample_and_seeded(case: Case, method: Method) -> None:
    def only_look(values: Tensor, name: str = "network") -> None:
        return None

    def reach_back(values: Tensor, name: str = "network") -> None:
        values.mean().backward()

    reached = set()
    for step in case.steps:
        batch = lesson(method, 6, step)
        first, second, other = (
            method.training_step(batch, step_generator(3, seed), step, only_look) for seed in (7, 7, 8)
        )
        assert first.keys() == second.keys()
        for name, values in first.items():
            assert values.shape == (len(batch.action),), name
            assert torch.isfinite(values).all(), name
            assert torch.equal(values, second[name]), name
        assert not torch.equal(first["loss"], other["loss"])
        method.training_step(batch, step_generator(3, 7), step, reach_back)
        reached |= {name for name, parameter in method.named_parameters() if parameter.grad is not None}
    assert reached == {name for name, _ in method.named_parameters()}


def test_decode_is_deterministic_whatever_the_global_generator_holds(method: Method) -> None:
    noise = latents(method, 2)
    torch.manual_seed(1)
    with torch.no_grad():
        first = method.decode(noise, labels(2))
        torch.manual_seed(2)
        state = torch.get_rng_state()
        assert torch.equal(method.decode(noise, labels(2)), first)
    assert torch.equal(torch.get_rng_state(), state)


def test_sample_i_of_a_seed_is_one_motion(method: Method) -> None:
    generator = Generator(method, "raw", "")
    whole = generator.sample(LABELS, seed=3, batch=8, keep_noise=True)
    for batch in (1, 3):
        assert_same_motions(generator.sample(LABELS, seed=3, batch=batch, keep_noise=True), whole, method)
    part = generator.sample(LABELS[5:], seed=3, first=5, batch=2, keep_noise=True)
    assert_same_motions(part, whole.select([5, 6, 7]), method)
    motions = [clip.rot6d for clip in (*whole, generator.sample(LABELS[:1], seed=4)[0])]
    differences = [np.abs(motions[i] - motions[k]).max() for i in range(len(motions)) for k in range(i)]
    assert min(differences) > 1e-3


def assert_same_motions(first: MotionSet, second: MotionSet, method: Method) -> None:
    assert first.name == second.name
    assert first.action.tolist() == second.action.tolist()
    np.testing.assert_array_equal(first.noise, second.noise)
    # An untrained network's 6D vectors may be nearly parallel: making them rotations magnifies what rounding left.
    np.testing.assert_allclose(first.rot6d, second.rot6d, atol=1e-4)
    np.testing.assert_allclose(first.root, second.root, atol=1e-5)


def test_batches_do_not_change_a_sample(method: Method) -> None:
    noise, eight = latents(method, 8), labels(8)
    with torch.no_grad():
        whole = method.decode(noise, eight)
        for size in (1, 3):
            parts = [method.decode(x, y) for x, y in zip(noise.split(size), eight.split(size), strict=True)]
            torch.testing.assert_close(torch.cat(parts), whole, atol=1e-5, rtol=0)


def test_labels_reach_the_sample(method: Method) -> None:
    if method.describe().conditions != "action":
        pytest.skip("takes no labels")
    noise = latents(method, 1).expand(3, *latents(method, 1).shape[1:])
    with torch.no_grad():
        motions = method.decode(noise, torch.tensor([0, 1, 2]))
        unconditional = method.decode(noise[:1], None)
    for first, second in ((motions[0], motions[1]), (motions[1], motions[2]), (motions[0], unconditional[0])):
        assert (first - second).abs().max() > 1e-3


def test_a_search_finds_its_way(method: Method) -> None:
    """What edits ask of every method: a smooth map of the noise, and an honest word on its time axis."""
    noise, direction = latents(method, 1), latents(method, 1, seed=1)
    axis = method.time_axis
    assert axis is None or noise.shape[axis] == method.frames
    options = method.smooth_options(5)
    with torch.no_grad():
        here, near, far = (method.decode(noise + step * direction, labels(1), **options) for step in (0, 1e-3, 1))
    assert torch.isfinite(far).all()
    assert (near - here).norm() < 0.1 * (far - here).norm()


def test_gradient_reaches_the_noise(case: Case, method: Method) -> None:
    noise = latents(method, 2).requires_grad_()
    weight = torch.randn(method.decode(noise, labels(2)).shape, generator=torch.Generator().manual_seed(5))

    def score(noise: Tensor) -> Tensor:
        return (method.decode(noise, labels(2), **case.one_to_one) * weight).flatten(1).sum(1)

    (gradient,) = torch.autograd.grad(score(noise).sum(), noise)
    length = gradient.flatten(1).norm(dim=1)
    assert torch.isfinite(gradient).all()
    assert (length > 1e-3).all()
    # Along the gradient the score rises as the gradient says.
    step = 0.02 * gradient / length.view(-1, *[1] * (noise.dim() - 1))
    with torch.no_grad():
        rise = score(noise + step) - score(noise - step)
    torch.testing.assert_close(rise, 0.04 * length, rtol=0.02, atol=0)


def test_state_round_trip(case: Case, method: Method) -> None:
    torch.manual_seed(99)
    other = build_generator(*settings(case), list(ACTIONS), 20.0).eval()
    noise = latents(method, 2)
    with torch.no_grad():
        expected = method.decode(noise, labels(2))
        assert not torch.allclose(other.decode(noise, labels(2)), expected)
        other.load_state_dict(method.state_dict())
        assert torch.equal(other.decode(noise, labels(2)), expected)
    batch, rng = lesson(method, 4), step_generator(0, 0)
    method.losses(batch, step_generator(0, 1))
    other.load_training_state(method.training_state())
    assert torch.equal(other.losses(batch, rng)["loss"], method.losses(batch, step_generator(0, 0))["loss"])


def test_guidance_1_is_plain(method: Method) -> None:
    noise, two = latents(method, 2), labels(2)
    with torch.no_grad():
        plain = method.decode(noise, two, guidance=1.0)
        assert torch.equal(plain, method.decode(noise, two))
        both_passes = method.decode(noise, two, guidance=torch.ones(2))
        none = method.decode(noise, two, guidance=0.0)
        strong = method.decode(noise, two, guidance=torch.tensor([1.0, 2.5]))
        torch.testing.assert_close(both_passes, plain, atol=1e-4, rtol=0)
        torch.testing.assert_close(none, method.decode(noise, None), atol=1e-4, rtol=0)
    torch.testing.assert_close(strong[0], plain[0], atol=1e-4, rtol=0)
    assert (strong[1] - plain[1]).abs().max() > 1e-3


def test_guidance_without_training_for_it_is_refused(case: Case) -> None:
    method = fresh(case, cond_mask_prob=0.0)
    with pytest.raises(MdtoolError, match="--guidance 1"):
        method.decode(latents(method, 1), labels(1), guidance=2.0)


def test_motion_and_features_round_trip(method: Method) -> None:
    batch = windows(4)
    features = method.from_motion(batch.rot6d, batch.root)
    rot6d, root = method.to_motion(features)
    torch.testing.assert_close(method.from_motion(rot6d, root), features, atol=2e-5, rtol=0)
    # The layout may turn the window about the vertical and move it: distances between joints and frames remain.
    before = joint_positions(batch.rot6d, batch.root).flatten(1, 2)[:, ::97]
    after = joint_positions(rot6d, root).flatten(1, 2)[:, ::97]
    torch.testing.assert_close(torch.cdist(after, after), torch.cdist(before, before), atol=1e-3, rtol=0)
    torch.testing.assert_close(after[..., 1] - after[:, :1, 1], before[..., 1] - before[:, :1, 1], atol=1e-4, rtol=0)


def test_inversion_finds_the_noise(case: Case) -> None:
    if case.inversion is None:
        pytest.skip("has no inverse in this case")
    errors = []
    for model in case.inversion:
        method = fresh(case, **model)
        batch = windows(2)
        features = method.from_motion(batch.rot6d, batch.root)
        with torch.no_grad():
            again = method.decode(method.invert(features, batch.action), batch.action, **case.one_to_one)
        errors.append(float((again - features).norm() / (features - features.mean(-1, keepdim=True)).norm()))
    # Four times as many steps of first order leave a quarter of the error. There and back by Heun's method, errors of
    # second order cancel: twice as many steps leave an eighth.
    assert errors[1] < 0.15
    assert case.gain[0] < errors[0] / errors[1] < case.gain[1]


def test_without_an_inverse_the_refusal_is_a_sentence() -> None:
    class OneWay(type(fresh(CASES["mdm"]))):  # type: ignore[misc]
        invert = Method.invert

    method = OneWay(settings(CASES["mdm"])[1], list(ACTIONS), 20.0)
    with pytest.raises(MdtoolError, match="OneWay cannot be inverted"):
        method.invert(torch.zeros(1), None)


def test_a_wrong_length_is_refused(method: Method) -> None:
    shortest, longest = method.describe().frames
    for frames in (shortest, longest):
        with torch.no_grad():
            made = method.decode(method.noise(sample_generators(0, 0, 2), frames), labels(2), **grid(method, frames))
        assert method.to_motion(made)[1].shape == (2, frames, 3)
    for frames in (shortest - 1, longest + 1):
        with pytest.raises(MdtoolError, match=re.escape(str(frames))):
            method.noise(sample_generators(0, 0, 2), frames)


@pytest.mark.parametrize(("fewer", "model"), [(False, {}), (True, {}), (True, {"guidance": 2.0})])
def test_description_is_true(case: Case, fewer: bool, model: dict[str, Any]) -> None:
    method = fresh(case, **(dict(case.fewer_calls) if fewer else {}), **model)
    description = method.describe()
    rows = 0

    def count(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal rows
        rows += len(inputs[0])

    with method.get_submodule("network").register_forward_pre_hook(count), torch.no_grad():
        method.decode(latents(method, 3), labels(3))
    assert rows == 3 * description.network_calls
    assert description.method == settings(case)[0]
    assert description.parameters == sum(parameter.numel() for parameter in method.parameters())
    assert (description.fps, description.frames[0] <= method.frames <= description.frames[1]) == (20.0, True)


def test_unknown_options_are_refused(case: Case, method: Method) -> None:
    noise = latents(method, 1)
    for options in case.refused:
        with pytest.raises(MdtoolError):
            method.decode(noise, labels(1), **options)


def test_loss_aware_timesteps_leave_the_objective_unbiased() -> None:
    """The mean loss over many draws is that of uniform timesteps, although the draws are not uniform."""
    batch, case = windows(512, frames=20), CASES["mdm"]
    uniform, aware = (fresh(case, frames=20, timestep_sampler=name) for name in ("uniform", "loss-aware"))
    skewed = torch.linspace(0.05, 1.0, 10, dtype=torch.float64).unsqueeze(1).expand(10, 10)
    aware.load_training_state(
        {**aware.training_state(), "sampler.history": skewed, "sampler.counts": torch.full((10,), 10)}
    )
    with torch.no_grad():
        plain, weighted = (method.losses(batch, step_generator(0, 0)) for method in (uniform, aware))
    error = float(plain["loss"].std() + weighted["loss"].std()) / len(batch.action) ** 0.5
    assert abs(float(weighted["loss"].mean() - plain["loss"].mean())) < 2 * error
    unweighted = float(weighted["reconstruction"].mean() - plain["reconstruction"].mean())
    assert abs(unweighted) > 4 * error, "the draws must differ for this test to mean anything"


@pytest.mark.slow
def test_overfits_ten_clips(case: Case) -> None:
    """Ten clips with a label each: the loss falls by a factor of 3, and every label gives its own clip."""
    names = [f"clip {k}" for k in range(10)]
    clips = [replace(clip.slice(0, 20), action=name) for clip, name in zip(smooth_clips(10), names, strict=True)]
    motions = MotionSet.from_clips(clips, names)
    torch.manual_seed(0)
    method = build_generator(*settings(case, **case.overfit), names, 20.0)
    # Statistics of other clips: those of ten clips with ten labels would be the clips themselves.
    others = windows(256, frames=20)
    method.fit_statistics(lambda count: others._replace(action=torch.arange(256) % 10))
    config = TrainConfig(steps=1500, batch=20, lr=case.lr, lr_final=3e-5, warmup_steps=10, adam_beta2=0.99)
    source: Any = WindowSource(motions, TRAIN, 20, 20, 0)
    if isinstance(method, SequenceLearner):
        source = SequenceSource(method, motions, TRAIN, 20, 0)
        method.meet(source)
    trainer = Trainer(method, source, config, torch.device("cpu"))
    losses = []
    while trainer.step < config.steps:
        trainer.train_step()
        losses.append(trainer.read_terms(1)[case.falls])
    method.eval()
    assert np.mean(losses[-50:]) < np.mean(losses[:10]) / 3
    asked = torch.arange(10)
    rot6d = torch.from_numpy(motions.rot6d).unflatten(0, (10, 20))
    root = torch.from_numpy(motions.root).unflatten(0, (10, 20))
    goal = method.from_motion(rot6d, root).flatten(1)
    with torch.no_grad():
        made = method.decode(latents(method, 10), asked).flatten(1)
    distance = torch.cdist(made, goal)
    assert torch.equal(distance.argmin(1), asked)
    apart = torch.cdist(goal, goal).fill_diagonal_(torch.inf).amin(1).mean()
    assert distance.diagonal().mean() < case.near * apart
