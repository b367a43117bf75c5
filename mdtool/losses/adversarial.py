"""The losses of a denoising-diffusion GAN (Xiao et al. 2022, eq. 3 to 5): non-saturating, with a gradient penalty.

Logits are [B], positive where the discriminator takes a pair for a real one. All values are per sample.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def real_loss(logits: Tensor) -> Tensor:
    """-log σ(D): what the discriminator pays for a real pair, and the generator for a fake one; [B]."""
    return functional.softplus(-logits)


def fake_loss(logits: Tensor) -> Tensor:
    """-log(1 - σ(D)): what the discriminator pays for a fake pair; [B]."""
    return functional.softplus(logits)


def r1_penalty(logits: Tensor, x_t: Tensor, gamma: float) -> Tensor:
    """γ/2 ‖∂D/∂x_t‖² of real pairs (Mescheder et al. 2018, eq. 9); differentiable once more; [B].

    Args:
        logits: of a discriminator without statistics over the batch, so that the gradient of their sum is each one's.
        x_t: the input with respect to which the gradient is taken; it requires one.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), x_t, create_graph=True)
    return 0.5 * gamma * gradient.flatten(1).square().sum(1)
