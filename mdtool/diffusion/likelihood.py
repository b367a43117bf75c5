"""How likely data is under a diffusion model: its probability-flow ODE upwards, with the change of volume on the way.

The ODE carries data to nearly Gaussian noise, one to one, so that log p(x_0) is that noise's density plus what the
map did to volumes (Song et al. 2021, eq. 39). The divergence of the ODE's field is estimated with random probes
(Hutchinson; their eq. 40), of which one to a few are enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from mdtool.diffusion.edm import Coordinates, Denoiser, Plain


def log_likelihood(
    denoiser: Denoiser,
    x0: Tensor,
    sigmas: Sequence[float] | Tensor,
    probes: Tensor,
    mean: Tensor | float = 0.0,
    *,
    keep: Tensor | None = None,
    coordinates: Coordinates | None = None,
) -> Tensor:
    """log p(x_0) in nats under the model that samples from `mean` + σ_max · noise by this ODE; [B].

    Heun's method, 2 calls with a backward pass each per step and probe. Like `heun_inversion` it takes the data for x
    at the smallest level above 0.

    Args:
        x0: [B, …].
        sigmas: noise levels in any order; 0 is left out.
        probes: Gaussian noise or signs [P, B, …]; the estimate's variance falls with P.
        mean: centre of the noise, broadcastable against x_0.
        keep: 1 for elements that count, 0 for constants of the model; broadcastable against x_0. All by default.
        coordinates: where steps are straight lines; x over σ if None.
    """
    own, rising = coordinates or Plain(), sorted(level for level in (float(sigma) for sigma in sigmas) if level > 0)
    kept = torch.ones_like(x0) if keep is None else keep.to(x0).expand_as(x0)

    def field(y: Tensor, sigma: float, span: float | Tensor) -> tuple[Tensor, Tensor]:
        """Displacement over the step by the slope at y, and its divergence [B]."""
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            x = own.back(y, sigma)
            level = torch.full((len(x),), sigma, dtype=x.dtype, device=x.device)
            moved = span * own.slope(x, denoiser(x, level), sigma)
            traces = [
                (torch.autograd.grad(moved, y, probe * kept, retain_graph=place + 1 < len(probes))[0] * probe * kept)
                for place, probe in enumerate(probes)
            ]
        return moved.detach(), _summed(torch.stack(traces).mean(0))

    y, volume = own.into(x0, rising[0]), x0.new_zeros(len(x0))
    for sigma, after in pairwise(rising):
        span = own.time(after) - own.time(sigma)
        moved, change = field(y, sigma, span)
        again, change_after = field(y + moved, after, span)
        y, volume = y + (moved + again) / 2, volume + (change + change_after) / 2
    # From y back to x: elements of x are stretched at either end by what the coordinates divide by.
    stretch = own.log_stretch(y, rising[-1]) - own.log_stretch(y, rising[0])
    noise = (own.back(y, rising[-1]) - mean) / rising[-1]
    density = -0.5 * noise.square() - 0.5 * math.log(2 * math.pi) - math.log(rising[-1])
    return volume + _summed((density + stretch) * kept)


def _summed(values: Tensor) -> Tensor:
    """Sum over all but the batch."""
    return values.flatten(1).sum(1)
