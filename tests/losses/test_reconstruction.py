"""The masked error against its definition."""

from __future__ import annotations

import pytest
import torch

from mdtool.losses.reconstruction import masked_l2


def test_published_value() -> None:
    mask = torch.tensor([[True, True, True, False]])
    assert masked_l2(torch.zeros(1, 2, 3, 4), torch.full((1, 2, 3, 4), 2.0), mask).item() == pytest.approx(4.0)


def test_masked_frames_do_not_count_whatever_they_hold() -> None:
    torch.manual_seed(0)
    prediction, target = torch.randn(2, 3, 5, 6, 7).double()
    mask = torch.arange(7) < torch.tensor([[4], [7], [1]])
    error = masked_l2(prediction, target, mask)
    for sample, length in enumerate([4, 7, 1]):
        expected = (prediction - target)[sample, ..., :length].square().mean()
        torch.testing.assert_close(error[sample], expected, rtol=1e-7, atol=0)
    prediction[0, ..., 4:] = 1e6
    torch.testing.assert_close(masked_l2(prediction, target, mask), error)


def test_no_mask_means_every_frame() -> None:
    prediction, target = torch.randn(2, 3, 4, 5, 6)
    everything = torch.ones(3, 6, dtype=torch.bool)
    torch.testing.assert_close(masked_l2(prediction, target), masked_l2(prediction, target, everything))


def test_an_empty_sample_has_no_error() -> None:
    nothing = torch.zeros(1, 4, dtype=torch.bool)
    assert masked_l2(torch.ones(1, 2, 2, 4), torch.zeros(1, 2, 2, 4), nothing).item() == 0
