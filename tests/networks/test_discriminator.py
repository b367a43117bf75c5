"""Discriminators judge every sample alone, see what they should, and nothing of the padding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mdtool.errors import MdtoolError
from mdtool.networks.discriminator import EncoderDiscriminator, MLPDiscriminator
from mdtool.networks.transformer import Denoiser


def made(kind: str) -> nn.Module:
    torch.manual_seed(0)
    if kind == "mlp":
        return MLPDiscriminator(150, 12, actions=3, width=128).eval()
    patch = 2 if kind == "patches" else 1
    return EncoderDiscriminator(
        actions=3, width=16, layers=2, heads=2, feedforward=32, dropout=0.0, patch=patch, positions=64
    ).eval()


@pytest.fixture(params=["mlp", "encoder", "patches"])
def judge(request: pytest.FixtureRequest) -> nn.Module:
    return made(request.param)


def pair(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(3, 25, 6, 12, generator=rng), torch.randn(3, 25, 6, 12, generator=rng)


TIMESTEP, ACTION = torch.tensor([0, 1, 2]), torch.tensor([0, 2, 1])


def test_every_input_counts_and_samples_do_not_meet(judge: nn.Module) -> None:
    x_t, x_next = pair()
    with torch.no_grad():
        logits = judge(x_t, x_next, TIMESTEP, ACTION)
        assert logits.shape == (3,)
        for row in range(3):
            alone = judge(x_t[row : row + 1], x_next[row : row + 1], TIMESTEP[row : row + 1], ACTION[row : row + 1])
            torch.testing.assert_close(alone, logits[row : row + 1], atol=1e-5, rtol=1e-5)
        changed = [
            judge(x_next, x_t, TIMESTEP, ACTION),
            judge(x_t, x_next, TIMESTEP + 1, ACTION),
            judge(x_t, x_next, TIMESTEP, ACTION.roll(1)),
            judge(x_t, x_next, TIMESTEP),
        ]
        assert all((other - logits).abs().min() > 1e-6 for other in changed)
        hidden = judge(x_t, x_next, TIMESTEP, torch.full((3,), -1))
        torch.testing.assert_close(hidden, judge(x_t, x_next, TIMESTEP))


def test_padding_never_reaches_the_logit(judge: nn.Module) -> None:
    mask = torch.arange(12) < torch.tensor([[12], [8], [2]])
    x_t, x_next = pair()
    other_t, other_next = (torch.where(mask[:, None, None], x, y) for x, y in zip(pair(), pair(1), strict=True))
    with torch.no_grad():
        logits = judge(x_t, x_next, TIMESTEP, ACTION, mask)
        assert torch.equal(judge(other_t, other_next, TIMESTEP, ACTION, mask), logits)
        assert (judge(x_t, x_next, TIMESTEP, ACTION) - logits)[1:].abs().min() > 1e-6


def test_padding_never_reaches_real_frames_of_the_generator() -> None:
    torch.manual_seed(0)
    network = Denoiser(
        actions=3, width=16, layers=2, heads=2, feedforward=32, dropout=0.0, separate=True, latent=4, mask_frames=True
    ).eval()
    mask = torch.arange(12) < torch.tensor([[12], [8], [2]])
    x, other = pair()[0], pair(1)[0]
    code = torch.randn(3, 4)
    with torch.no_grad():
        out = network(x, TIMESTEP, ACTION, mask, code)
        changed = network(torch.where(mask[:, None, None], x, other), TIMESTEP, ACTION, mask, code)
        assert torch.equal(*(y.permute(0, 3, 1, 2)[mask] for y in (out, changed)))
        moved = network(x, TIMESTEP, ACTION, mask, code + 1)
    assert (moved - out).abs().max() > 1e-3, "the code changes the output"


def test_a_width_that_its_groups_do_not_divide_is_refused() -> None:
    with pytest.raises(MdtoolError, match="multiple of 64, not 96"):
        MLPDiscriminator(150, 12, width=96)


def test_codes_of_any_length_are_one_to_a_normalised_mapping() -> None:
    torch.manual_seed(0)
    network = Denoiser(width=16, layers=1, heads=2, feedforward=32, dropout=0.0, latent=4, latent_norm=True).eval()
    code = torch.randn(2, 4)
    torch.testing.assert_close(network.embed_latent(3 * code), network.embed_latent(code))
