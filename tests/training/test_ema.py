"""Averaged weights: the published decays, several tracks, swapping in, resume."""

from __future__ import annotations

import io

import pytest
import torch
from torch import Tensor, nn

from mdtool.errors import MdtoolError
from mdtool.training.ema import EMA


def weights_of(value: float) -> dict[str, Tensor]:
    return {"a": torch.full((2, 3), value), "b": torch.full((4,), value)}


def set_to(parameters: dict[str, Tensor], value: float) -> None:
    for tensor in parameters.values():
        tensor.fill_(value)


def test_published_warmup() -> None:
    # Target 1, start 0: decays 2/11, 3/12, 4/13 …
    parameters = weights_of(0.0)
    ema = EMA(parameters, [0.9995])
    set_to(parameters, 1.0)
    seen, decays = [], []
    for _ in range(5):
        ema.update()
        decays.append(ema.decay_now(0.9995))
        seen.append(ema.weights(0.9995)["a"][0, 0].item())
    assert decays == pytest.approx([0.181818, 0.25, 0.307692, 0.357143, 0.4], abs=1e-6)
    assert seen == pytest.approx([0.818182, 0.954545, 0.986014, 0.995005, 0.998002], abs=1e-6)


@pytest.mark.parametrize(("decay", "full_at"), [(0.9995, 17_990), (0.9999, 89_990)])
def test_warmup_ends_where_the_spec_says(decay: float, full_at: int) -> None:
    ema = EMA({}, [decay])
    ema.updates = full_at - 10
    assert ema.decay_now(decay) < decay
    ema.updates = full_at
    assert ema.decay_now(decay) == pytest.approx(decay, abs=1e-12)


def test_plain_has_the_closed_form_in_every_track() -> None:
    parameters = weights_of(2.0)
    ema = EMA(parameters, [0.9, 0.5], kind="plain")
    set_to(parameters, -1.0)
    for _ in range(7):
        ema.update()
    assert ema.decays == [0.9, 0.5]
    for decay in ema.decays:
        expected = torch.tensor(-1 + 3 * decay**7)
        for name, value in ema.weights(decay).items():
            torch.testing.assert_close(value, expected.expand_as(parameters[name]))


def test_the_distance_of_a_track_is_a_share_of_the_weights() -> None:
    parameters = weights_of(1.0)
    ema = EMA(parameters, [0.75, 0.5], kind="plain")
    assert set(ema.distances().values()) == {0.0}
    set_to(parameters, 3.0)
    ema.update()  # shadows at 1.5 and 2
    assert ema.distances() == pytest.approx({"ema_distance/0.75": 0.5, "ema_distance/0.5": 1 / 3})
    assert EMA(parameters, []).distances() == {}


def test_no_track_costs_nothing() -> None:
    ema = EMA(weights_of(0.0), [])
    ema.update()
    assert ema.state_dict().keys() == {"updates"}


def test_the_network_computes_with_a_track_and_gets_its_own_weights_back() -> None:
    network = nn.Linear(3, 2)
    ema = EMA(dict(network.named_parameters()), [0.9], kind="plain")
    x, before = torch.randn(5, 3), network.weight.clone()
    averaged = network(x)
    with torch.no_grad():
        network.weight.mul_(-3)
    identity = network.weight
    with ema.applied(0.9):
        torch.testing.assert_close(network(x), averaged)
    assert network.weight is identity
    torch.testing.assert_close(network.weight, -3 * before)
    torch.testing.assert_close(ema.weights(0.9)["weight"], before)
    assert network(x).requires_grad


def test_own_weights_come_back_after_an_error() -> None:
    network = nn.Linear(1, 1)
    ema = EMA(dict(network.named_parameters()), [0.9])
    with torch.no_grad():
        network.weight.fill_(5)
    with pytest.raises(RuntimeError, match="cannot be multiplied"), ema.applied(0.9):
        network(torch.zeros(1, 2))
    assert network.weight.item() == 5


def test_gradients_can_be_taken_inside_the_swap() -> None:
    network = nn.Linear(3, 2)
    ema = EMA(dict(network.named_parameters()), [0.9])
    x = torch.randn(1, 3, requires_grad=True)
    with ema.applied(0.9):
        (gradient,) = torch.autograd.grad(network(x).sum(), x)
    torch.testing.assert_close(gradient[0], network.weight.detach().sum(0))


def test_a_resumed_run_goes_on_bit_for_bit() -> None:
    torch.manual_seed(0)
    steps = [torch.randn(4) for _ in range(6)]

    def run(ema: EMA, parameter: Tensor, values: list[Tensor]) -> Tensor:
        for value in values:
            parameter.copy_(value)
            ema.update()
        return torch.stack([ema.weights(decay)["w"] for decay in ema.decays])

    parameter = torch.zeros(4)
    straight = run(EMA({"w": parameter}, [0.99, 0.5]), parameter, steps).clone()
    parameter = torch.zeros(4)
    first = EMA({"w": parameter}, [0.99, 0.5])
    run(first, parameter, steps[:3])
    stored = io.BytesIO()
    torch.save(first.state_dict(), stored)
    stored.seek(0)
    parameter = torch.zeros(4)
    second = EMA({"w": parameter}, [0.99, 0.5])
    second.load_state_dict(torch.load(stored, weights_only=True))
    assert torch.equal(run(second, parameter, steps[3:]), straight)


def test_a_run_without_tracks_resumes() -> None:
    ema = EMA({"w": torch.ones(2)}, [])
    ema.update()
    resumed = EMA({"w": torch.ones(2)}, [])
    resumed.load_state_dict(ema.state_dict())
    assert resumed.updates == 1


def test_weights_of_another_run_are_refused() -> None:
    state = EMA(weights_of(0.0), [0.9]).state_dict()
    with pytest.raises(MdtoolError, match="keep --ema as it was"):
        EMA(weights_of(0.0), [0.99]).load_state_dict(state)
    with pytest.raises(MdtoolError, match=r"no EMA with decay 0\.5: this run has 0\.9"):
        EMA(weights_of(0.0), [0.9]).weights(0.5)
    for decay in (1.0, -0.1):
        with pytest.raises(MdtoolError, match="below 1"):
            EMA(weights_of(0.0), [decay])


def test_switching_has_the_closed_form() -> None:
    # The weights walk one unit per step from c; after k steps the shadow lags d (1 - d^k) / (1 - d) behind. A switch
    # puts the weights where the shadow is, so every interval moves both by k less that lag.
    decay, interval = 0.8, 5
    parameters = weights_of(0.0)
    ema = EMA(parameters, [decay, 0.5], kind="plain")
    moved = interval - decay * (1 - decay**interval) / (1 - decay)
    for k in range(1, 4):
        for _ in range(interval):
            for tensor in parameters.values():
                tensor += 1
            ema.update()
        other = ema.weights(0.5)["a"].clone()
        ema.switch(decay)
        for name, tensor in parameters.items():
            torch.testing.assert_close(tensor, torch.full_like(tensor, k * moved))
            assert torch.equal(tensor, ema.weights(decay)[name])
        assert torch.equal(ema.weights(0.5)["a"], other)


def test_a_switch_leaves_the_track_a_copy_of_its_own() -> None:
    parameters = weights_of(1.0)
    ema = EMA(parameters, [0.9], kind="plain")
    ema.switch(0.9)
    set_to(parameters, 3.0)
    assert ema.weights(0.9)["a"][0, 0] == 1
