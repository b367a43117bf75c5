"""Power-function averages and their post-hoc reconstruction."""

from __future__ import annotations

import numpy as np
import torch

from mdtool.training.ema import EMA
from mdtool.training.post_hoc import (
    coefficients,
    combine,
    exponent_to_width,
    power_decay,
    profile_product,
    width_to_exponent,
)
from tests.golden.tiny_denoiser import Golden


def test_widths_and_decays(golden: Golden) -> None:
    g = golden("edm2_phema")
    np.testing.assert_allclose(exponent_to_width(g["exp_to_std/exp"]), g["exp_to_std/std"], rtol=1e-9)
    np.testing.assert_allclose(width_to_exponent(g["std_to_exp/std"]), g["std_to_exp/exp"], rtol=1e-7)
    decays = [[power_decay(width, time / 128) for time in g["beta/t_next"]] for width in g["beta/std"]]
    np.testing.assert_allclose(decays, g["beta/beta"], rtol=1e-9)
    product = profile_product(*(g[f"corr/{name}"] for name in ("a_ofs", "a_std", "b_ofs", "b_std")))
    np.testing.assert_allclose(product, g["corr/value"], rtol=1e-9)


def test_reconstruction(golden: Golden) -> None:
    g = golden("edm2_phema")
    times, widths, wanted = g["run/snap_ofs"], g["run/snap_std"], g["run/target_std"]
    factors = coefficients(times, widths, times[-1], wanted)
    np.testing.assert_allclose(factors, g["run/coefficients"], atol=1e-6)
    np.testing.assert_allclose(factors.sum(0), 1, rtol=1e-9)
    snapshots = [{"w": torch.from_numpy(row)} for row in g["run/snapshots"]]
    for column, expected in zip(factors.T, g["run/reconstructed"], strict=True):
        np.testing.assert_allclose(combine(snapshots, column.tolist())["w"], expected, atol=1e-5)
    early = times <= np.unique(times)[15]
    at = 0.9 * np.unique(times)[15]
    first = coefficients(times[early], widths[early], at, np.array([0.08, 0.12]))
    np.testing.assert_allclose(first, g["run/coefficients_first16_at_0.9"], atol=1e-6)


def test_tracked(golden: Golden) -> None:
    g = golden("edm2_phema")
    weight = torch.zeros(g["run/walk"].shape[1])
    widths = g["run/target_std"].tolist()
    average = EMA({"w": weight}, widths, kind="power")
    for row in g["run/walk"]:
        weight.copy_(torch.from_numpy(row))
        average.update()
    tracked = np.stack([average.weights(width)["w"].numpy() for width in widths])
    np.testing.assert_allclose(tracked, g["run/tracked"], atol=1e-5)
