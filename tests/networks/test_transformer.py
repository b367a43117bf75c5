"""The denoiser against PyTorch's own encoder, and its conditioning."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mdtool.errors import MdtoolError
from mdtool.networks.transformer import Denoiser, attention, sinusoid, sinusoidal_table

SIZE: dict[str, Any] = {"width": 32, "layers": 3, "heads": 4, "feedforward": 48, "dropout": 0.0, "positions": 200}


def made(**options: Any) -> Denoiser:
    torch.manual_seed(0)
    network = Denoiser(**{**SIZE, "actions": 5, **options}).eval()
    with torch.no_grad():
        for parameter in network.parameters():  # biases and norms start at constants that hide mistakes
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def inputs(batch: int = 4, frames: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 25, 6, frames, generator=rng)
    return x, torch.randint(100, (batch,), generator=rng), torch.randint(5, (batch,), generator=rng)


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("masked", [False, True])
@torch.no_grad()
def test_encoder_is_pytorchs(norm: str, masked: bool) -> None:
    network = made(norm=norm, mask_frames=True)
    layer = nn.TransformerEncoderLayer(32, 4, 48, 0.0, "gelu", batch_first=True, norm_first=norm == "pre")
    oracle = nn.TransformerEncoder(layer, 3, nn.LayerNorm(32) if norm == "pre" else None, enable_nested_tensor=False)
    oracle.load_state_dict({**network.seqTransEncoder.state_dict(), **network.final_norm.state_dict(prefix="norm.")})
    x, timestep, action = inputs()
    mask = torch.arange(9) < torch.tensor([[9], [5], [1], [7]]) if masked else None
    token = network.embed_time(timestep) + network.embed_action.action_embedding[action]
    frames = network.input_process["poseEmbedding"](x.permute(0, 3, 1, 2).flatten(2))
    tokens = torch.cat([token.unsqueeze(1), frames], 1) + sinusoidal_table(10, 32)
    padding = None if mask is None else torch.cat([torch.zeros(4, 1, dtype=torch.bool), ~mask], 1)
    # Training mode without dropout takes the plain path of nn.TransformerEncoder.
    expected = network.output_process["poseFinal"](oracle.train()(tokens, src_key_padding_mask=padding)[:, 1:])
    out = network(x, timestep, action, mask=mask).permute(0, 3, 1, 2).flatten(2)
    torch.testing.assert_close(out, expected, rtol=0, atol=2e-6)


def test_parameters_stand_in_the_order_of_released_optimiser_states() -> None:
    network = Denoiser(actions=40)
    names = [name for name, _ in network.named_parameters()]
    layer = ["self_attn.in_proj_weight", "self_attn.in_proj_bias", "self_attn.out_proj.weight"]
    layer += ["self_attn.out_proj.bias", "linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"]
    layer += ["norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"]
    expected = ["input_process.poseEmbedding.weight", "input_process.poseEmbedding.bias"]
    expected += [f"seqTransEncoder.layers.{k}.{name}" for k in range(8) for name in layer]
    expected += [f"embed_timestep.time_embed.{k}.{kind}" for k in (0, 2) for kind in ("weight", "bias")]
    expected += ["embed_action.action_embedding", "output_process.poseFinal.weight", "output_process.poseFinal.bias"]
    assert names == expected
    assert len(names) == 105
    assert sum(parameter.numel() for parameter in network.parameters()) == 17_522_326
    assert sum(parameter.numel() for parameter in Denoiser(actions=12).parameters()) == 17_507_990


@pytest.mark.parametrize("positions", [None, 77, 5000])
def test_a_released_state_loads_with_or_without_its_position_tables(positions: int | None) -> None:
    network = made()
    state = dict(network.state_dict())
    if positions:
        for name in ("sequence_pos_encoder.pe", "embed_timestep.sequence_pos_encoder.pe"):
            state[name] = torch.zeros(positions, 1, 32)
    fresh = Denoiser(**SIZE, actions=5).eval()
    fresh.load_state_dict(state)
    assert torch.equal(fresh(*inputs()), network(*inputs()))
    with pytest.raises(RuntimeError, match="gru"):
        fresh.load_state_dict({**state, "gru.weight": torch.zeros(1)})


def test_position_table_has_the_published_values() -> None:
    table = sinusoidal_table(5000, 512)
    assert table.shape == (5000, 512)
    torch.testing.assert_close(table[3, 2:4], torch.tensor([0.24508542, -0.96950149]))


@torch.no_grad()
def test_noise_levels_between_timesteps_are_embedded_between_them() -> None:
    network = made()
    torch.testing.assert_close(network.embed_time(torch.tensor([3.0])), network.embed_time(torch.tensor([3])))
    assert sinusoid(torch.tensor([3.5]), 32).isfinite().all()
    apart = (network.embed_time(torch.tensor([3.0])) - network.embed_time(torch.tensor([3.001]))).norm()
    whole = (network.embed_time(torch.tensor([3.0])) - network.embed_time(torch.tensor([4.0]))).norm()
    assert 0 < apart < 0.01 * whole


@pytest.mark.parametrize("conditioning", ["token", "adaln"])
@torch.no_grad()
def test_null_condition_is_one_thing_however_it_is_said(conditioning: str) -> None:
    network = made(conditioning=conditioning)
    x, timestep, action = inputs()
    null = network(x, timestep)
    torch.testing.assert_close(network(x, timestep, torch.full_like(action, -1)), null)
    hidden = network(x, timestep, torch.where(torch.tensor([True, False, True, False]), -1, action))
    shown = network(x, timestep, action)
    torch.testing.assert_close(hidden[[0, 2]], null[[0, 2]])
    torch.testing.assert_close(hidden[[1, 3]], shown[[1, 3]])
    assert (shown - null).flatten(1).abs().amax(1).min() > 1e-3


@pytest.mark.parametrize("options", [{}, {"norm": "pre"}, {"conditioning": "adaln", "norm": "pre"}, {"patch": 3}])
@torch.no_grad()
def test_a_sample_does_not_depend_on_its_batch(options: dict[str, Any]) -> None:
    network = made(**options)
    x, timestep, action = inputs(7)
    together = network(x, timestep, action)
    for k in range(7):
        alone = network(x[k : k + 1], timestep[k : k + 1], action[k : k + 1])
        torch.testing.assert_close(together[k : k + 1], alone, rtol=0, atol=1e-5)


@torch.no_grad()
def test_padding_does_not_reach_real_frames() -> None:
    network = made(mask_frames=True)
    x, timestep, action = inputs(2)
    mask = torch.arange(9) < torch.tensor([[6], [9]])
    changed = x.clone()
    changed[0, ..., 6:] = 100.0
    before, after = network(x, timestep, action, mask=mask), network(changed, timestep, action, mask=mask)
    torch.testing.assert_close(after[0, ..., :6], before[0, ..., :6])
    short = network(x[:1, ..., :6], timestep[:1], action[:1])
    torch.testing.assert_close(before[:1, ..., :6], short, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_patch_is_a_wider_row_of_frames() -> None:
    # Three frames a token: the same as one frame of three times as many rows.
    patched, wide = made(patch=3), made(rows=75)
    x, timestep, action = inputs()
    stacked = x.unflatten(-1, (3, 3)).permute(0, 4, 1, 2, 3).flatten(1, 2)
    expected = wide(stacked, timestep, action).unflatten(1, (3, 25)).permute(0, 2, 3, 4, 1).flatten(-2)
    torch.testing.assert_close(patched(x, timestep, action), expected)


def test_patches_with_masked_frames_are_refused() -> None:
    with pytest.raises(MdtoolError, match="use patch 1"):
        Denoiser(patch=2, mask_frames=True)


def test_adaln_starts_as_zero_and_learns() -> None:
    network = Denoiser(**SIZE, actions=5, conditioning="adaln", norm="pre")
    x, timestep, action = inputs()
    out = network(x, timestep, action)
    assert out.abs().max() == 0
    out.sum().backward()
    gradient = network.output_process["poseFinal"].weight.grad
    assert gradient is not None
    assert gradient.abs().max() > 0


def test_any_number_of_rows_and_channels() -> None:
    network = made(rows=3, channels=4, actions=0)
    assert network(torch.randn(2, 3, 4, 5), torch.tensor([0, 9])).shape == (2, 3, 4, 5)
    assert not any("action" in name for name in network.state_dict())


def test_dropout_acts_in_training_only() -> None:
    network = made(dropout=0.5)
    x = inputs()
    assert torch.equal(network(*x), network(*x))
    network.train()
    assert not torch.equal(network(*x), network(*x))


@pytest.mark.parametrize("masked", [False, True])
def test_both_ways_of_attention_agree(masked: bool) -> None:
    torch.manual_seed(0)
    rounded = [torch.randn(2, 4, 9, 8).bfloat16() for _ in range(3)]
    weight = torch.randn(2, 4, 9, 8)
    visible = torch.arange(9)[None, None, None] < torch.tensor([9, 4])[:, None, None, None] if masked else None
    results = []
    for dtype in (torch.bfloat16, torch.float64):  # two products; PyTorch's kernel
        q, k, v = (tensor.to(dtype, copy=True).requires_grad_() for tensor in rounded)
        out = attention(q, k, v, visible)
        results.append([out, *torch.autograd.grad((out * weight.to(dtype)).sum(), (q, k, v))])
    for bf16, exact in zip(*results, strict=True):
        assert bf16.dtype == torch.bfloat16
        torch.testing.assert_close(bf16.double(), exact, rtol=0.02, atol=0.03)


def test_bf16_attention_drops_the_share_that_is_asked_for() -> None:
    torch.manual_seed(0)
    q = torch.zeros(1, 1, 50, 8, dtype=torch.bfloat16)
    v = torch.ones(1, 1, 50, 8, dtype=torch.bfloat16)
    out = attention(q, q, v, None, 0.5).float()
    assert out.mean().item() == pytest.approx(1, abs=0.1)
    assert out.std() > 0.05
    torch.testing.assert_close(attention(q, q, v).float(), torch.ones(1, 1, 50, 8), rtol=0, atol=0.01)


def test_autocast_stays_close_and_trains() -> None:
    network = made()
    x, timestep, action = inputs()
    exact = network(x, timestep, action)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(x, timestep, action)
    assert (rough - exact).abs().max() < 0.05 * exact.abs().max()
    rough.float().square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())
