"""Losses that send equal gradients from every group of features and every noise level (Björkstrand et al. 2025).

Two paths share a forward pass and no gradient: the denoiser's loss is weighted by what a small network expects its
error to be, and that network learns the error (Karras et al. 2024, eq. 14 to 21, per group). The factors:

| balance | W(σ) of a squared error of x̂_0 | gradient with respect to the network's output, RMS |
|---|---|---|
| edm | λ | grows with the error |
| edm2 | λ / e^u | c_out / √m |
| literal | √λ / √e^u, as printed; = 1 / √m | c_out: low noise starves |
| consistent | λ / √e^u = √λ / √m | the same at every σ |

with λ = 1 / c_out², e^u the λ-weighted error per element that u learns, and m the unweighted one.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor

Balance = Literal["consistent", "literal", "edm2", "edm"]
_LEAST_U, _MOST_U = -12.0, 5.0


class BalancedLosses(NamedTuple):
    """Per-sample losses [B]; they are minimised apart."""

    denoising: Tensor
    uncertainty: Tensor


def balance_factor(balance: Balance, weight: Tensor, u: Tensor) -> Tensor:
    """W(σ) of the table above; λ [B, 1] and u [B, K] broadcast. Nothing is learnt through it."""
    expected = u.detach().clamp(_LEAST_U, _MOST_U).exp()
    if balance == "edm":
        return weight.expand_as(expected)
    if balance == "edm2":
        return weight / expected
    if balance == "literal":
        return (weight / expected).sqrt()
    return weight / expected.sqrt()


def balanced_losses(
    errors: Tensor,
    weight: Tensor,
    u: Tensor,
    sizes: Tensor,
    dimension_weights: Tensor,
    balance: Balance = "consistent",
) -> BalancedLosses:
    """Both losses of a batch.

    The denoiser's is Σ_k W_k(σ) w_k ‖r_k‖² / n with n = ΣN · T elements, the residual r_k of group k: w_k to the first
    power gives every group a gradient of one length, because ‖r_k‖ = √(N_k T m_k). The uncertainty's is
    Σ_k λ m_k / e^{u_k} + u_k, whose m_k is a mean over the group's own N_k T elements.

    Args:
        errors: mean squared error m_k of every group [B, K].
        weight: λ(σ) [B, 1].
        u: [B, K], or [B, 1] for one curve of all groups together.
        sizes: N_k [K]; 0 for a group that stays out.
        dimension_weights: w_k [K]; ones for none.
    """
    share = sizes / sizes.sum()
    factor = balance_factor(balance, weight, u)
    denoising = (factor * dimension_weights * share * errors).sum(1)
    seen = errors.detach()
    if u.shape[1] == 1:
        return BalancedLosses(denoising, (weight * (seen * share).sum(1, keepdim=True) / u.exp() + u).squeeze(1))
    learnt = (weight * seen / u.exp() + u) * (sizes > 0)
    return BalancedLosses(denoising, learnt.sum(1))
