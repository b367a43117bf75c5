"""The GAN's losses at values known in closed form, and a toy GAN that finds every mode."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from mdtool.diffusion.few_step import FewStepDiffusion, few_step
from mdtool.losses.adversarial import fake_loss, r1_penalty, real_loss


def test_a_discriminator_that_knows_nothing_pays_ln_2_on_both_sides() -> None:
    for loss in (real_loss, fake_loss):
        assert loss(torch.zeros(3)).tolist() == pytest.approx([math.log(2)] * 3)
    assert real_loss(torch.tensor([20.0])).item() < 1e-8
    assert fake_loss(torch.tensor([20.0])).item() == pytest.approx(20)


def test_the_penalty_of_a_linear_discriminator_is_its_weights_length() -> None:
    judge = nn.Linear(12, 1)
    x = torch.randn(5, 12, requires_grad=True)
    penalty = r1_penalty(judge(x).squeeze(1), x, gamma=0.02)
    length = judge.weight.square().sum()
    torch.testing.assert_close(penalty, (0.01 * length).expand(5))
    penalty.mean().backward()
    torch.testing.assert_close(judge.weight.grad, 0.02 * judge.weight.detach())


def network(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, outputs))


@pytest.mark.slow
def test_a_mixture_of_eight_keeps_all_its_modes() -> None:
    """Xiao et al. 2022 in two dimensions: with four steps no mode of a ring of eight is lost, whatever the seed."""
    angle = torch.arange(8) * math.pi / 4
    centres = torch.stack([angle.cos(), angle.sin()], 1)
    for seed in range(2):
        torch.manual_seed(seed)
        process = FewStepDiffusion(4)
        generator, judge = network(2 + 4 + 4, 2), network(2 + 2 + 4, 1)

        def drawn(x: Tensor, timestep: Tensor, code: Tensor | None, generator: nn.Module = generator) -> Tensor:
            assert code is not None
            return generator(torch.cat([x, torch.eye(4)[timestep], code], 1))

        def logits(x_t: Tensor, x_next: Tensor, timestep: Tensor, judge: nn.Module = judge) -> Tensor:
            return judge(torch.cat([x_t, x_next, torch.eye(4)[timestep]], 1)).squeeze(1)

        of_g = torch.optim.Adam(generator.parameters(), 5e-4, (0.5, 0.9))
        of_d = torch.optim.Adam(judge.parameters(), 1e-3, (0.5, 0.9))
        for step in range(3000):
            x0 = centres[torch.randint(8, (256,))] + 0.05 * torch.randn(256, 2)
            timestep = torch.randint(4, (256,))
            x_t, x_next = process.diffuse_pair(x0, timestep, torch.randn(256, 2), torch.randn(256, 2))
            made = process.posterior_sample(
                drawn(x_next, timestep, torch.randn(256, 4)), x_next, timestep, torch.randn(256, 2)
            )
            x_t.requires_grad_()
            real = logits(x_t, x_next, timestep)
            loss = real_loss(real) + fake_loss(logits(made.detach(), x_next, timestep))
            if step % 5 == 0:
                loss = loss + r1_penalty(real, x_t, 0.05)
            of_d.zero_grad()
            loss.mean().backward()
            of_d.step()
            of_g.zero_grad()
            real_loss(logits(made, x_next, timestep)).mean().backward()
            of_g.step()
        with torch.no_grad():
            made = few_step(drawn, process, torch.randn(2000, 2), torch.randn(2000, 4, 4), torch.randn(2000, 3, 2))
        distance, mode = torch.cdist(made, centres).min(1)
        assert (torch.bincount(mode, minlength=8) / 2000).min() > 0.06, "half of a mode's fair share"
        assert distance.median() < 0.3, "a generator that draws the mean is a whole radius away"
