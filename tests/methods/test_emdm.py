"""EMDM: who gets which gradient, when the penalty is due, what a NaN does, packs, inversion and the warm start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.config import TrainConfig, load_preset
from mdtool.editing.batch import search_of
from mdtool.editing.compiler import compile_request
from mdtool.editing.reading import request_of
from mdtool.editing.source import Source
from mdtool.errors import MdtoolError
from mdtool.methods.emdm import EMDM, frozen
from mdtool.methods.mdm import MDM
from mdtool.methods.seeds import sample_generators, step_generator
from mdtool.motion.motion import TRAIN, Motion
from mdtool.training.batches import WindowSource
from mdtool.training.checkpoint import RunFolder
from mdtool.training.loop import Trainer
from tests.methods.contract_cases import windows
from tests.motion.smooth_motion import ACTIONS, smooth_clips, smooth_motion

TINY: dict[str, Any] = {**load_preset("emdm-debug")["model"], "frames": 20}
MLP = {"discriminator": "mlp", "discriminator_width": 64}


def made(**model: Any) -> EMDM:
    torch.manual_seed(0)
    return EMDM({**TINY, **model}, list(ACTIONS), 20.0)


def trainer(method: EMDM, **train: Any) -> Trainer:
    config = TrainConfig(**{"steps": 100, "batch": 4, "lr": 1e-3, "adam_beta1": 0.5, "adam_beta2": 0.9, **train})
    return Trainer(method, WindowSource(smooth_clips(8), TRAIN, 20, 4, 0), config, torch.device("cpu"))


class Recorder:
    """Stands for the loop: notes what was minimised and which parameters the gradient reached."""

    def __init__(self, method: EMDM) -> None:
        self.method, self.reached = method, {}

    def __call__(self, values: Tensor, name: str = "network") -> None:
        self.method.zero_grad()
        values.mean().backward()
        self.reached[name] = {n.split(".")[0] for n, p in self.method.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("model", [{}, MLP, {"separate_terms": True}])
def test_each_step_moves_its_own_network_only(model: dict[str, Any]) -> None:
    method = made(**model)
    recorder = Recorder(method)
    method.training_step(windows(4, frames=20), step_generator(0, 0), 0, recorder)
    assert recorder.reached == {"discriminator": {"discriminator"}, "generator": {"network"}}
    assert all(parameter.requires_grad for parameter in method.parameters()), "frozen for the generator's step alone"


@pytest.mark.parametrize(("model", "passes"), [({}, 2), ({"separate_terms": True}, 3)])
def test_one_pass_serves_both_of_the_generators_terms(model: dict[str, Any], passes: int) -> None:
    method = made(**model)
    calls = []
    method.network.register_forward_pre_hook(lambda module, inputs: calls.append(torch.is_grad_enabled()))
    method.training_step(windows(2, frames=20), step_generator(0, 0), 1, Recorder(method))
    assert calls == [False, *[True] * (passes - 1)], "the discriminator's step needs no gradient of the generator"


def test_a_body_that_slides_over_its_feet_is_penalised_unless_feet_are_measured_from_the_pelvis() -> None:
    x0 = windows(1, frames=20)
    still = made().from_motion(x0.rot6d[:, :1].expand_as(x0.rot6d), x0.root[:, :1].expand_as(x0.root))
    sliding = still.clone()
    sliding[:, 24, 0] += 0.05 * torch.arange(20)
    timestep = torch.zeros(1, dtype=torch.int64)
    errors = [
        float(method._geometric(sliding, still, timestep, None)["foot"]) for method in (made(), made(foot_space="root"))
    ]
    assert errors == pytest.approx([0.05**2 / 3, 0.0], abs=1e-8)


def test_the_discriminator_computes_in_single_precision_whatever_autocast_says() -> None:
    method = made().eval()
    x_t, x_next = torch.randn(2, 2, 25, 6, 20, generator=torch.Generator().manual_seed(0))
    timestep, action = torch.tensor([0, 1]), torch.tensor([0, 2])
    plain = method._logits(x_t, x_next, timestep, action)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(method._logits(x_t, x_next, timestep, action), plain)


def test_defaults_are_those_of_the_released_code() -> None:
    with torch.device("meta"):
        method = EMDM({}, [f"action {k}" for k in range(12)], 20.0)
    parts = [sum(p.numel() for p in part.parameters()) for part in (method.network, method.discriminator)]
    assert parts[0] == pytest.approx(83e6, rel=0.02)
    assert method.discriminator.fc1.in_features == 18_140
    assert (method.process.steps, method.config.r1_gamma, method.config.r1_every) == (10, 0.02, 15)


def test_the_penalty_is_due_at_0_15_30() -> None:
    method, due = made(), []
    original = method.discriminator_terms

    def counted(*arguments: Any) -> dict[str, Tensor]:
        terms = original(*arguments)
        due.append("r1" in terms)
        return terms

    method.discriminator_terms = counted  # type: ignore[method-assign]
    for step in range(31):
        method.training_step(windows(2, frames=20), step_generator(0, step), step, Recorder(method))
    assert [step for step, fired in enumerate(due) if fired] == [0, 15, 30]


def test_a_nan_in_the_discriminators_gradient_does_not_spoil_the_run() -> None:
    method = made()
    training = trainer(method)
    assert method.discriminator is not None
    weight = method.discriminator.get_parameter("latent_to_disc.2.weight")
    spoiled = []

    def spoil(gradient: Tensor) -> Tensor:
        spoiled.append(training.step)
        return gradient * torch.nan if training.step == 2 else gradient

    weight.register_hook(spoil)
    before: list[dict[str, Tensor]] = []
    for _ in range(5):
        before.append({name: tensor.clone() for name, tensor in method.state_dict().items()})
        training.train_step()
    assert {0, 2, 4} <= set(spoiled)
    judge = [name for name in before[0] if name.startswith("discriminator.") and "weight" in name]
    assert all(torch.equal(before[3][name], before[2][name]) for name in judge), "its step 2 was left out"
    assert any(not torch.equal(before[4][name], before[3][name]) for name in judge)
    assert all(torch.isfinite(tensor).all() for tensor in method.state_dict().values())
    assert training.guard is not None
    assert (training.guard.left_out, training.guard.in_a_row, training.summed) == (1, 0, 4)
    assert all(np.isfinite(value) for value in training.read_terms(training.summed).values())


@pytest.mark.parametrize("model", [{"dropout": 0.1}, {**MLP, "separate_terms": True}, {"adversarial": False}])
def test_two_halves_equal_one_whole(model: dict[str, Any], tmp_path: Path) -> None:
    whole, first, second = (trainer(made(**model), ema=[0.9]) for _ in range(3))
    for _ in range(17):
        whole.train_step()
    for _ in range(8):
        first.train_step()
    RunFolder(tmp_path).save_state(first.state())
    state = RunFolder(tmp_path).load_state()
    assert state is not None
    second.load_state(state)
    for _ in range(9):
        second.train_step()
    tracks = [training.tracks() for training in (whole, second)]
    for track in ("raw", "ema:0.9"):
        assert all(torch.equal(tensor, tracks[1][track][name]) for name, tensor in tracks[0][track].items()), track


def test_a_hidden_action_is_hidden_from_the_discriminator_too() -> None:
    hide, action = torch.tensor([True, False]), torch.tensor([1, 2])
    assert made()._seen_action(action, hide).tolist() == [-1, 2]
    assert made(discriminator_sees_hidden_action=True)._seen_action(action, hide).tolist() == [1, 2]
    assert made(discriminator_sees_action=False)._seen_action(action, hide) is None


def test_the_report_holds_every_timestep_and_what_the_code_does() -> None:
    method = made()
    training = trainer(method)
    for _ in range(8):
        training.train_step()
    state, training_mode = torch.get_rng_state(), method.training
    numbers, worries = method.diagnose()
    assert torch.equal(torch.get_rng_state(), state)
    assert method.training == training_mode
    for name in ("real", "fake", "adversarial", "reconstruction", "position", "velocity", "foot"):
        assert {f"{name}/t0", f"{name}/t1"} <= numbers.keys()
        assert all(np.isfinite(numbers[f"{name}/t{place}"]) for place in range(2))
    for name in ("logit_real", "logit_fake", "r1"):
        assert any(key.startswith(f"{name}/") for key in numbers), name
    measured = {
        "pull_ratio",
        "discriminator_gradient",
        "generator_gradient",
        "speed_ratio",
        "code_effect",
        "nearest_ratio",
    }
    assert measured <= numbers.keys()
    assert not worries, "an illness must last for two reports"
    assert numbers["code_effect"] > 0


def test_the_report_tells_the_variety_where_windows_are_enough() -> None:
    method = made()
    for count, told in ((8, False), (24, True)):
        method.training_step(windows(count, frames=20), step_generator(0, 0), 1, Recorder(method))
        assert ("spread_ratio" in method.diagnose()[0]) is told


def test_a_pack_is_x_T_codes_and_noises_in_one() -> None:
    method = made(diffusion_steps=3)
    packs = method.noise(sample_generators(0, 0, 2))
    x, codes, noises = method.unpack(packs)
    assert (x.shape, codes.shape, noises.shape) == ((2, 25, 6, 20), (2, 3, 16), (2, 2, 25, 6, 20))
    assert torch.equal(method.pack(x, codes, noises), packs)
    action = torch.tensor([0, 1])
    with torch.no_grad():
        method.network.output_process["poseFinal"].weight.mul_(3)
        plain = method.decode(packs, action)
        for place, part in enumerate((x, codes, noises)):
            changed = [y + (place == k) for k, y in enumerate((x, codes, noises))]
            assert (method.decode(method.pack(*changed), action) - plain).abs().max() > 1e-3, part.shape
        silent = method.decode(method.pack(x, codes, 0 * noises), action)
        torch.testing.assert_close(method.decode(packs, action, temperature=0.0), silent)
        assert torch.equal(method.decode(packs, action, temperature=1.0), plain)
    one = made(diffusion_steps=1)
    assert one.unpack(one.noise(sample_generators(0, 0, 2)))[2].shape == (2, 0, 25, 6, 20)


@pytest.mark.parametrize("sampler", ["few-step", "dpm++"])
def test_inversion_leaves_the_last_predictions_error_alone(sampler: str) -> None:
    """Of a generator that returns the clip itself at the last step, the inverse is exact."""
    method = made(diffusion_steps=4, sampler=sampler)
    batch = windows(2, frames=20)
    features = method.from_motion(batch.rot6d, batch.root)
    original = method.estimate

    def knows(x_next: Tensor, timestep: Tensor, action: Tensor | None, code: Tensor | None) -> Tensor:
        guess = original(x_next, timestep, action, code)
        return torch.where((timestep == 0).view(-1, 1, 1, 1), features, guess)

    method.estimate = knows  # type: ignore[method-assign]
    with torch.no_grad():
        packs = method.invert(features, batch.action)
        torch.testing.assert_close(method.decode(packs, batch.action), features)
        assert torch.equal(packs, method.invert(features, batch.action))
        other = {"few-step": "dpm++", "dpm++": "few-step"}[sampler]
        assert not torch.equal(packs, method.invert(features, batch.action, sampler=other))
        alone = method.noise(sample_generators(0, 0, 2))
    assert packs.shape == alone.shape


MDM_SMALL = {**load_preset("debug")["model"], "frames": 20, "diffusion_steps": 50}


def trained_mdm(**model: Any) -> MDM:
    torch.manual_seed(1)
    mdm = MDM({**MDM_SMALL, **model}, list(ACTIONS), 20.0)
    mdm.fit_statistics(lambda count: windows(64, frames=20))
    with torch.no_grad():
        for parameter in mdm.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return mdm.eval()


def test_a_search_over_four_windows_takes_steps_half_as_large() -> None:
    method, values = made(diffusion_steps=4).eval(), {"version": 1, "targets": [{"at": 9, "facing": 90}]}
    source = Source(Motion(*smooth_motion(20, 3), 20.0, "sway", name="swaying"), None, 20.0, "swaying")
    plan = compile_request(*request_of(values, "edit.yaml"), source, 20, force=True)
    search = search_of(plan, method.noise(sample_generators(3, 0, 1)), method)
    assert search.lr == pytest.approx(plan.request.run.lr / 2)


def test_edits_decode_with_the_noise_that_inversion_assumes() -> None:
    method = made(temperature=0.5).eval()
    noise = method.noise(sample_generators(3, 0, 2))
    with torch.no_grad():
        features = method.decode(noise, None, **method.smooth_options())
        assert (features - method.decode(noise, None)).abs().max() > 1e-4
        torch.testing.assert_close(features, method.decode(noise, None, guidance=1.0, temperature=1.0))


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"components": 3},
        {"prediction": "x0", "standardise": False},
        {"conditioning": "token", "norm": "post", "patch": 1},
    ],
)
def test_a_warm_start_predicts_what_the_mdm_predicts(model: dict[str, Any]) -> None:
    """At equal noise, with any code: the code of a new generator has no effect yet, but it can learn one."""
    mdm = trained_mdm(**model)
    method = made(**EMDM.settings_from(mdm), diffusion_steps=10, **MLP)
    method.start_from(mdm)
    method.eval()
    x = torch.randn(3, 25, 6, 20)
    action, code = torch.tensor([0, 1, 2]), torch.randn(3, 16)
    process = method.process
    for place in (0, 4, 9):
        timestep = torch.full((3,), place)
        level = method.time[timestep]
        output = mdm.network(x, level, action).float()
        expected = mdm.x0_of(process, output, x, timestep, action)
        torch.testing.assert_close(method.estimate(x, timestep, action, code), expected, atol=1e-4, rtol=1e-4)
    batch = windows(3, frames=20)
    method.losses(batch, step_generator(0, 0))["loss"].mean().backward()
    assert method.network.z_transform[-2].weight.grad.abs().max() > 0


def test_a_warm_start_from_few_steps_to_fewer() -> None:
    first = made(time_steps=50)
    second = made(**EMDM.settings_from(first), diffusion_steps=1)
    second.start_from(first)
    assert all(
        torch.equal(value, first.network.state_dict()[name]) for name, value in second.network.state_dict().items()
    )
    assert second.config.time_steps == 50


def test_starts_that_cannot_be_are_refused() -> None:
    mdm = trained_mdm()
    with pytest.raises(MdtoolError, match="do not fit"):
        made(width=32).start_from(mdm)
    fitting = made(**EMDM.settings_from(mdm))
    mdm.actions = ["swim", "fly", "dig"]
    with pytest.raises(MdtoolError, match="other actions"):
        fitting.start_from(mdm)
    with pytest.raises(MdtoolError, match="starts from no other run"):
        MDM.settings_from(fitting)


def test_steps_that_the_network_does_not_know_are_refused() -> None:
    method = made()
    packs = method.noise(sample_generators(0, 0, 1))
    with pytest.raises(MdtoolError, match=r"trained for 2 steps.*--set model\.diffusion_steps=5"):
        method.decode(packs, torch.tensor([0]), steps=5)
    with pytest.raises(MdtoolError, match=r"choose few-step or dpm\+\+"):
        method.decode(packs, torch.tensor([0]), sampler="ddim")


@pytest.mark.slow
def test_the_debug_preset_halves_its_reconstruction_in_200_steps() -> None:
    table = load_preset("emdm-debug")
    torch.manual_seed(0)
    method = EMDM({**table["model"], "frames": 60}, list(ACTIONS), 20.0)
    source = WindowSource(smooth_clips(24), TRAIN, 60, table["train"]["batch"], 0)
    training = Trainer(method, source, TrainConfig(**table["train"]), torch.device("cpu"))
    losses = []
    while training.step < 200:
        training.train_step()
        losses.append(training.read_terms(training.summed)["reconstruction"])
    assert np.mean(losses[-20:]) < np.mean(losses[:5]) / 2


def test_frozen_gives_no_gradient_inside_and_all_of_it_after() -> None:
    layer = torch.nn.Linear(2, 1)
    with frozen(layer):
        assert not layer(torch.ones(1, 2)).requires_grad
    assert layer(torch.ones(1, 2)).requires_grad


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"heads": 3}, "multiple of heads"),
        ({"prediction": "spectral"}, "needs standardise"),
        ({"patch": 3}, "multiple of patch"),
        ({"guidance": 2.0, "cond_mask_prob": 0.0}, "needs cond_mask_prob"),
        ({"diffusion_steps": 0}, "diffusion_steps"),
        ({**MLP, "discriminator_width": 100}, "multiple of 64"),
        ({"sample_steps": 3}, "sample_steps"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(model: dict[str, Any], said: str) -> None:
    with pytest.raises(MdtoolError, match=said):
        made(**model)
