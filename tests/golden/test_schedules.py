"""Every table of every schedule, plain and respaced."""

from __future__ import annotations

import numpy as np

from mdtool.diffusion.gaussian import GaussianDiffusion
from mdtool.diffusion.schedules import betas
from tests.golden.tiny_denoiser import Golden


def test_schedules(golden: Golden) -> None:
    processes: dict[str, GaussianDiffusion] = {}
    arrays = golden("schedules")
    for key, expected in arrays.items():
        name, quantity = key.split("/")
        if name not in processes:
            schedule, steps, *respacing = name.split("_")
            process = GaussianDiffusion(betas(schedule, int(steps)))
            processes[name] = process.respaced(respacing[1].replace("-", ",")) if respacing else process
        process = processes[name]
        if quantity == "timestep_map":
            assert process.timestep_map.tolist() == expected.tolist(), key
        else:
            table = process.betas if quantity == "betas" else process.tables[quantity]
            np.testing.assert_allclose(table, expected, rtol=1e-10, err_msg=key)
    assert len(processes) >= 6
