"""The linear path finds motions that are linear in a latent exactly, whatever the instants they are seen at."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mdtool.networks.implicit import FourierEncoding, MotionField, TimeBasis
from mdtool.networks.linear_path import LinearPath, regress, roughness, with_trend

WAVES, LATENT, OUTPUTS, MOTIONS = 4, 3, 5, 40
GRID = torch.linspace(-1, 1, 60).unsqueeze(0)
ALIKE = torch.full((OUTPUTS,), 1 / OUTPUTS)


@pytest.fixture
def encoding() -> FourierEncoding:
    torch.manual_seed(0)
    return FourierEncoding(WAVES, 1.0)


def along(encoding: FourierEncoding, coordinate: Tensor) -> Tensor:
    return with_trend(encoding(coordinate), coordinate)


def made_of_three() -> tuple[Tensor, Tensor]:
    """(mean [F, P], loadings [3, F, P]) of motions."""
    torch.manual_seed(1)
    return torch.randn(2 * WAVES + 2, OUTPUTS), torch.randn(LATENT, 2 * WAVES + 2, OUTPUTS) * torch.tensor(
        [2.0, 1.0, 0.3]
    ).view(-1, 1, 1)


def begun(encoding: FourierEncoding, truth: Tensor, latent: int = LATENT) -> tuple[LinearPath, Tensor, Tensor]:
    """(path, latents, share) of motions [n, F, P]."""
    path = LinearPath(latent, 2 * WAVES, OUTPUTS)
    return path, *path.begin(len(truth), lambda rows: truth[list(rows)], along(encoding, GRID)[0], ALIKE)


def test_a_path_is_nothing_until_it_begins(encoding: FourierEncoding) -> None:
    coordinate = torch.rand(2, 7)
    path = LinearPath(LATENT, 2 * WAVES, OUTPUTS)
    assert (path(encoding(coordinate), coordinate, torch.randn(2, LATENT)) == 0).all()


def test_three_components_are_found_and_explain_everything(encoding: FourierEncoding) -> None:
    mean, loadings = made_of_three()
    own = torch.randn(MOTIONS, LATENT)
    truth = mean + torch.einsum("nk,kfp->nfp", own, loadings)
    path, latents, share = begun(encoding, truth)
    torch.testing.assert_close(latents.mean(0), torch.zeros(LATENT), atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.square().mean(0), torch.ones(LATENT), atol=1e-3, rtol=0)
    assert share.tolist() == sorted(share.tolist(), reverse=True)
    with torch.no_grad():
        again = path(encoding(GRID), GRID, latents)
        torch.testing.assert_close(again, along(encoding, GRID) @ truth, atol=2e-3, rtol=0)
        # What a component is said to cost is what leaving it out costs.
        for k in range(LATENT):
            without = latents.clone()
            without[:, k] = 0
            cost = (path(encoding(GRID), GRID, without) - again).square().mean()
            assert cost.item() == pytest.approx(share[k].item(), rel=1e-3)


def test_fewer_sequences_than_latents_leave_the_rest_at_rest(encoding: FourierEncoding) -> None:
    mean, loadings = made_of_three()
    truth = mean + torch.einsum("nk,kfp->nfp", torch.randn(3, LATENT), loadings)
    path, latents, share = begun(encoding, truth, latent=8)
    assert (share[2:] == 0).all()
    assert (latents[:, 2:] == 0).all()
    with torch.no_grad():
        torch.testing.assert_close(
            path(encoding(GRID), GRID, latents), along(encoding, GRID) @ truth, atol=2e-3, rtol=0
        )


def test_a_latent_is_the_same_from_any_instants(encoding: FourierEncoding) -> None:
    mean, loadings = made_of_three()
    own = torch.randn(MOTIONS, LATENT)
    truth = mean + torch.einsum("nk,kfp->nfp", own, loadings)
    path, latents, _ = begun(encoding, truth)
    for instants in (torch.linspace(-1, 1, 16), torch.linspace(-1, 1, 200), torch.tensor([-0.3, 0.6, 0.1, 0.9])):
        seen = along(encoding, instants.unsqueeze(0))[0]
        found = path.posterior_mean(seen, seen @ truth[7], ALIKE, 1e-6)
        torch.testing.assert_close(found, latents[7], atol=5e-3, rtol=0)
    # Knowing nothing, it is the prior's mean; knowing little, it is nearer to that.
    nothing = path.posterior_mean(seen[:0], (seen @ truth[7])[:0], ALIKE, 1e-6)
    assert (nothing == 0).all()
    assert path.posterior_mean(seen, seen @ truth[7], ALIKE, 1e2).norm() < latents[7].norm()


def test_a_regression_prefers_slow_waves(encoding: FourierEncoding) -> None:
    """A sine of 1 Hz, seen ten times a second, is a sine of 1 Hz between those instants."""
    axis_s = 4.0
    waves = FourierEncoding(40, 8.0)
    ridge = roughness(waves.frequencies * 2 / axis_s, 82)
    assert (ridge[80:82] > 1e5).all()  # what is no wave is left out
    ridge = roughness(waves.frequencies * 2 / axis_s, 80)

    def motion(coordinate: Tensor) -> Tensor:
        return torch.sin(2 * torch.pi * coordinate * axis_s / 2).unsqueeze(-1)

    seen, between = torch.linspace(-1, 1, 41).unsqueeze(0), torch.linspace(-0.99, 0.99, 300).unsqueeze(0)
    coefficients = regress(along(waves, seen), motion(seen), ridge)
    assert (along(waves, between) @ coefficients - motion(between)).abs().max() < 0.02


def test_a_field_with_the_path_begins_as_the_path() -> None:
    torch.manual_seed(0)
    basis = TimeBasis("fourier", WAVES, 1.0, False, 0, 0)
    field = MotionField(basis, LATENT, 16, 3, 6, False, linear=True)
    assert field.linear is not None
    torch.nn.init.normal_(field.linear.weight)
    coordinate, latent = torch.rand(2, 7), torch.randn(2, LATENT)
    with torch.no_grad():
        made = field(coordinate, latent, torch.tensor([0.0, 30.0]))
        torch.testing.assert_close(made, field.linear(basis(coordinate), coordinate, latent))
